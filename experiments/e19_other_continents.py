"""E19 - Towers of other continents: a check on which nothing was chosen.

The compositions and LightGBM are fitted to all European towers with MODIS reflectance and predict the towers of North America and northern
Asia of `towers_world`, which took no part in any choice of a model. Other climates, other species, other seasons of rain: it is harder
than an unseen tower of Europe, and the same for all. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1; trained on NEE alone (trees
on each flux itself), partitioned GPP and RECO only score.

    python experiments/e19_other_continents.py --data ../shared/data --out runs/e19
    python experiments/e19_other_continents.py --data ../shared/data --out runs/e19_smoke --smoke

Predictions that are done are not computed again. About 10 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from e14_satellites import gain, of_hybrid, of_trees, yearly

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.baselines import REFLECTANCE_PREDICTORS
from hybridflux.evaluate.scores import score_table
from hybridflux.model.compositions import get
from hybridflux.model.spec import to_spec
from hybridflux.provenance import config_hash, provenance
from hybridflux.vocabulary import CARBON

SEED = 1
FULL = {"members": 4, "steps": 800, "draws": 40, "trees": 400}
SMOKE = {"members": 2, "steps": 20, "draws": 4, "trees": 10}
SMOKE_SITES = (("FR-Pue", "DE-Geb", "DK-Sor", "CH-Cha"), ("US-Ha1", "US-Ne1", "CA-Man"))
MODELS = ("hybrid_nirv", "hybrid_water", "stacked")
TREES = "LightGBM, NIRv + LSWI"
MEAN = f"mean of hybrid_water and {TREES}"


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds towers/ and towers_world/")
    parser.add_argument("--out", type=Path, default=Path("runs/e19"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites = (SMOKE, SMOKE_SITES) if arguments.smoke else (FULL, (None, None))
    run(arguments.data, arguments.out, size, *sites)


def run(data: Path, out: Path, size: dict, here: tuple[str, ...] | None, there: tuple[str, ...] | None) -> None:
    """Fits, scores and the page."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    models = {name: get(name) for name in MODELS}
    needs = {name for model in models.values() for name in model.needs_at_towers()} | set(REFLECTANCE_PREDICTORS)
    needs -= {"day_of_year"}
    train = open_towers(data / "towers", sites=here, needs=needs, screen=None).sequences(needs)
    test = open_towers(data / "towers_world", sites=there, needs=needs, screen=None).sequences(needs)
    days = [int(np.isfinite(one.targets["nee"]).sum()) for one in (train, test)]
    print(f"fitted to {len(train.places)} towers, {days[0]} days; scored at {len(test.places)}, {days[1]} days", flush=True)
    predicted = {}
    for name in (*MODELS, TREES):
        of = to_spec(models[name]) if name in models else REFLECTANCE_PREDICTORS
        settings = {"model": of, "size": size, "train": train.places, "test": test.places, "seed": SEED}
        file = out / f"{config_hash(settings)[:16]}.npz"
        if not file.exists():
            found = of_hybrid(models[name], train, test, size, 0) if name in models else of_trees(REFLECTANCE_PREDICTORS, train, test, size)
            np.savez_compressed(file, **found)
        with np.load(file) as stored:
            predicted[name] = {flux: stored[flux] for flux in CARBON}
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    predicted[MEAN] = {flux: (predicted["hybrid_water"][flux] + predicted[TREES][flux]) / 2 for flux in CARBON}
    tables = [table.assign(model=name) for name, found in predicted.items() for table in (score_table(test, found), yearly(test, found))]
    scores = pd.concat(tables, ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)
    origin = provenance({"size": size, "train": train.places, "test": test.places}, SEED)
    (out / "run.json").write_text(json.dumps({**origin, "seconds": time.perf_counter() - began}, indent=1))
    (out / "results.md").write_text(page(scores, (len(train.places), len(test.places)), days, size))
    print((out / "results.md").read_text())


def page(scores: pd.DataFrame, towers: tuple[int, int], days: list[int], size: dict) -> str:
    """The results as Markdown."""
    rows = []
    for name, of in scores.groupby("model", sort=False):
        cells = []
        for flux in ("NEE", "GPP", "RECO"):
            part = of[(of.variable == flux) & (of.n > 0)]
            cells.append(f"{part.nse.median():.2f} | {(1 / (2 - part.nse)).mean():.3f} | {part.rmse.mean():.2f}")
        bias = np.sqrt((of[of.variable == "NEE, year"].bias ** 2).mean())
        rows.append(f"| {name} | {' | '.join(cells)} | {bias:.0f} |")
    pairs = [("hybrid_water", "hybrid_nirv"), ("stacked", "hybrid_nirv"), ("stacked", TREES), ("hybrid_water", TREES), (MEAN, TREES)]
    fluxes = ("NEE", "GPP", "RECO")
    gains = [f"| {one} minus {other} | " + " | ".join(gain(scores, one, other, flux) for flux in fluxes) + " |" for one, other in pairs]
    head = [f"{flux} {score}" for flux in fluxes for score in ("median NSE", "nNSE", "RMSE")]
    return "\n".join([
        "# E19: towers of other continents", "",
        f"Fitted to {towers[0]} European towers ({days[0]} days of NEE), scored at {towers[1]} towers of North America and northern Asia "
        f"({days[1]} days), on which nothing was chosen. {size['members']} members, {size['steps']} steps, seed {SEED}. nNSE: mean over "
        "sites of 1 / (2 - NSE); RMSE: mean over sites [gC m-2 d-1]; annual: gC m-2 yr-1.",
        "Command: `python experiments/e19_other_continents.py --data DATA --out runs/e19`.", "",
        f"| model | {' | '.join(head)} | annual NEE, rms of bias |", "|---" * 11 + "|", *rows, "",
        "Differences of nNSE, 90 % interval by resampling towers:", "", "| | NEE | GPP | RECO |", "|---|---|---|---|", *gains, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
