"""E17 - Do members of another kind help at towers never seen, and is their stacking better than averages with trees?

On the days and groups of E14 (unseen towers that have MODIS FPAR and reflectance, six groups of whole sites): the model `stacked` as
`hybridflux fit --model stacked` fits it, its process members alone (`hybrid_water`), its networks alone, both with equal shares, and the
plain averages of the process members with LightGBM and with a random forest on the same satellites. NEE = RECO - GPP, positive to the
atmosphere, gC m-2 d-1. Inside every fit each tower is left out by one member of each kind: shares are found without the towers that score.

    python experiments/e17_members.py --data ../shared/data/towers --out runs/e17
    python experiments/e17_members.py --data ../shared/data/towers --out runs/e17_smoke --smoke

Folds that are done are not computed again. About half an hour on one quiet core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from e14_satellites import INDICES, SEED, SMOKE_SITES, TREES, gain, mean_of_draws, table_of, yearly

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.baselines import LightGBM, QuantileForest
from hybridflux.evaluate.scores import score_table
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.inference import Ensemble
from hybridflux.model.compositions import hybrid, stacked
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.model.stacked import KINDS
from hybridflux.provenance import config_hash, provenance
from hybridflux.vocabulary import CARBON

FULL = {"members": 4, "steps": 800, "draws": 40, "trees": 400, "forest": 100, "folds": 6}
SMOKE = {"members": 4, "steps": 20, "draws": 8, "trees": 10, "forest": 5, "folds": 2}
PREDICTORS = TREES["LightGBM, NIRv + LSWI"]
PROCESS, NETWORK, STACKED = "process members (`hybrid_water`)", "networks (`network`)", "`stacked`"
EQUAL, LGBM, FOREST = "process members and networks, equal shares", "LightGBM, NIRv + LSWI", "random forest, NIRv + LSWI"
MEANS = {
    EQUAL: (PROCESS, NETWORK),
    f"mean of process members and {LGBM}": (PROCESS, LGBM),
    f"mean of process members and {FOREST}": (PROCESS, FOREST),
}
PARTS = (PROCESS, NETWORK, STACKED, LGBM, FOREST)
ROWS = (PROCESS, NETWORK, *MEANS, STACKED, LGBM, FOREST)
Fluxes = dict[str, np.ndarray]


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `satellite` and `reflectance`")
    parser.add_argument("--out", type=Path, default=Path("runs/e17"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites, years = (SMOKE, (*SMOKE_SITES, "DE-Tha", "IT-Tor", "FI-Hyy"), "2008:2011") if arguments.smoke else (FULL, None, None)
    run(arguments.data, arguments.out, size, sites, years)


def run(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None, years: str | None) -> None:
    """All folds of all rows, and the page."""
    began = time.perf_counter()
    needs = {*hybrid().needs_at_towers(), *stacked().needs_at_towers(), *PREDICTORS, *INDICES}  # those of E14, for the same days
    towers = open_towers(data, sites=sites, years=years, vegetation="modis_fpar_c5_8day", needs=needs, screen=None)
    sequences = towers.sequences(needs - {"day_of_year", "site", "site_year"})
    days = int(np.isfinite(sequences.targets["nee"]).sum())
    print(f"{len(sequences.places)} sites, {days} days of NEE that have all series", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    tables = []
    for number, (train, test) in enumerate(leave_site_out(sequences, size["folds"], SEED)):
        predicted = fold(out, number, sequences.select(train), sequences.select(test), size)
        for name, (one, other) in MEANS.items():
            predicted[name] = {flux: (predicted[one][flux] + predicted[other][flux]) / 2 for flux in CARBON}
        there = sequences.select(test)
        for name in ROWS:
            tables += [score_table(there, predicted[name]).assign(model=name), yearly(there, predicted[name]).assign(model=name)]
        print(f"group {number + 1}: {time.perf_counter() - began:.0f} s", flush=True)
    scores = pd.concat(tables, ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)
    shares = [json.loads((out / f"{number}-shares.json").read_text()) for number in range(size["folds"])]
    origin = provenance({"size": size, "seed": SEED, "model": to_spec(stacked())}, SEED)
    (out / "run.json").write_text(json.dumps({**origin, "seconds": time.perf_counter() - began}, indent=1))
    (out / "results.md").write_text(page(scores, shares, len(sequences.places), days, size))
    print((out / "results.md").read_text())


def fold(out: Path, number: int, train: Sequences, test: Sequences, size: dict) -> dict[str, Fluxes]:
    """Predictions `[time, place]` of every part of a fold, of files of a run before where there are."""
    made: dict[str, Callable[[], Fluxes]] = {
        LGBM: lambda: dict(LightGBM(trees=size["trees"], predictors=PREDICTORS).fit(train).predict(test)),
        FOREST: lambda: of_forest(train, test, size),
    }
    found = {}
    for part in PARTS:
        file = out / file_of(number, part, test.places, size)
        if not file.exists():
            made = made if part in made else made | of_members(out, number, train, test, size)
            np.savez_compressed(file, **{flux: np.asarray(made[part]()[flux], np.float32) for flux in CARBON})
        with np.load(file) as stored:
            found[part] = {flux: stored[flux] for flux in CARBON}
    return found


def file_of(number: int, part: str, places: tuple[str, ...], size: dict) -> str:
    """Name of the file of a part of a fold, which another model, other sizes or other towers do not share."""
    settings = {"model": to_spec(stacked()), "size": size, "test": places}
    return f"{number}-{PARTS.index(part)}-{config_hash(settings)[:8]}.npz"


def of_forest(train: Sequences, test: Sequences, size: dict) -> Fluxes:
    """A random forest of each flux."""
    settings = QuantileForest().settings | {"n_estimators": size["forest"]}
    return QuantileForest(predictors=PREDICTORS, settings=settings).fit(train).predict(test)


def of_members(out: Path, number: int, train: Sequences, test: Sequences, size: dict) -> dict[str, Callable[[], Fluxes]]:
    """The stacked fit of a fold, and each of its kinds alone; its shares are written beside."""
    posterior = Ensemble(members=size["members"], steps=size["steps"]).fit(stacked(), train, seed=SEED + number)
    (out / f"{number}-shares.json").write_text(json.dumps(posterior.info["stacking"]))
    each = {kind: posterior.of_kind(kind) for kind in KINDS}
    models = {PROCESS: each["process"], NETWORK: each["network"], STACKED: posterior}
    return {name: lambda one=one: mean_of_draws(one.thin(size["draws"]), test) for name, one in models.items()}


def page(scores: pd.DataFrame, shares: list[dict], sites: int, days: int, size: dict) -> str:
    """The results as Markdown."""
    pairs = [(STACKED, other) for other in (PROCESS, NETWORK, *MEANS)] + [(EQUAL, other) for other in list(MEANS)[1:]]
    against = [f"| {one} minus {other} | " + " | ".join(gain(scores, one, other, flux, 4) for flux in ("NEE", "GPP", "RECO")) + " |"
               for one, other in pairs]  # fmt: skip
    types = sorted({code for one in shares for code in one["share_of_networks"]})
    found = [f"| {number + 1} | " + " | ".join(f"{one['share_of_networks'].get(code, np.nan):.2f}" for code in types) + " |"
             for number, one in enumerate(shares)]  # fmt: skip
    return "\n".join([
        "# E17: members of another kind", "",
        f"{sites} European towers, {days} days of NEE on which MODIS FPAR (collection 5) and MODIS reflectance (1 km) are both there, "
        f"{size['folds']} groups of unseen towers, {size['members']} members of each kind with {size['steps']} steps, seed {SEED}: days "
        "and groups of E14. nNSE: mean over sites of 1 / (2 - NSE); RMSE: mean over sites [gC m-2 d-1]; annual: gC m-2 yr-1.",
        "Command: `python experiments/e17_members.py --data TOWERS --out runs/e17`.", "", *table_of(scores, 4), "",
        "Differences of nNSE, 90 % interval by resampling towers:", "", "| | NEE | GPP | RECO |", "|---|---|---|---|", *against, "",
        "Share of networks that stacking found, by group:", "", "| group | " + " | ".join(types) + " |", "|---|" + "---|" * len(types),
        *found, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
