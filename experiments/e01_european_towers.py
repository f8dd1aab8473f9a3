"""E01 - How good is the hybrid model at towers it has never seen?

Fits all towers with a MODIS FPAR series on NEE alone (whole days, days and nights; QC >= 0.75), in ten folds of sites, and scores
NEE, GPP and RECO at the left-out sites beside LightGBM trained on each flux with the same predictors, and beside a climatology. Then fits
all towers for the maps. Partitioned GPP and RECO are only used to score. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

    python experiments/e01_european_towers.py --data ../shared/data/towers --out runs/e01
    python experiments/e01_european_towers.py --data ../shared/data/towers --out runs/e01_smoke --smoke

Folds that are done are not computed again. About 25 minutes on two cores; `--smoke` two folds of six sites in about two minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.baselines import PREDICTORS, Climatology, LightGBM
from hybridflux.evaluate.scores import evaluate, pooled_rmse, score_table, summary
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.inference import Ensemble
from hybridflux.model.compositions import get
from hybridflux.provenance import config_hash, provenance

VEGETATION = "modis_fpar_c5_8day"
SEED = 1
STEPS = ("day", "month", "year")
FULL = {"members": 8, "steps": 1000, "draws": 120, "trees": 400, "folds": 10}
SMOKE = {"members": 2, "steps": 60, "draws": 20, "trees": 20, "folds": 2}
SMOKE_SITES = ("FR-Pue", "DE-Tha", "DE-Geb", "DK-Sor", "CH-Cha", "BE-Lon")


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e01"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, SMOKE if arguments.smoke else FULL, SMOKE_SITES if arguments.smoke else None)


def run(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None) -> None:
    """All folds, the tables, and the posterior of all towers."""
    began = time.perf_counter()
    model = get("hybrid")
    towers = open_towers(data, sites=sites, vegetation=VEGETATION)
    sequences = towers.sequences({*model.needs_at_towers(), *PREDICTORS} - {"day_of_year"})
    print(f"{len(sequences.places)} sites, {int(np.isfinite(sequences.targets['nee']).sum())} days of NEE")
    published = data / "folds_by_site.csv"
    folds = list(leave_site_out(sequences, published if published.exists() and sites is None else size["folds"]))
    method = Ensemble(members=size["members"], steps=size["steps"])
    settings = {"model": "hybrid", "method": repr(method), "size": size, "vegetation": VEGETATION, "seed": SEED}
    out.mkdir(parents=True, exist_ok=True)

    parts = []
    for number, (train, test) in enumerate(folds):
        file = out / f"fold{number}-{config_hash({**settings, 'test': test})[:12]}.csv"
        if not file.exists():
            table = one_fold(sequences, train, test, model, method, size, number)
            table.to_csv(file, index=False)
        parts.append(pd.read_csv(file))
        print(f"fold {number + 1}/{len(folds)} done, {time.perf_counter() - began:.0f} s")
    scores = pd.concat(parts, ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)

    posterior = method.fit(model, sequences, seed=SEED)
    posterior.save(out / "posterior.nc")
    text = report(scores, size, len(sequences.places))
    (out / "results.md").write_text(text)
    (out / "run.json").write_text(json.dumps({**provenance(settings, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print(text)
    print(f"wrote {out}/scores.csv, results.md and posterior.nc in {time.perf_counter() - began:.0f} s")


def one_fold(sequences, train, test, model, method, size, number) -> pd.DataFrame:
    """Scores by day and by year of the hybrid model and the baselines at the left-out sites."""
    inside, outside = sequences.select(train), sequences.select(test)
    posterior = method.fit(model, inside, seed=SEED + number)
    parts = [evaluate(posterior, outside, draws=size["draws"], seed=SEED, step=STEPS).assign(model="hybridflux")]
    for name, baseline in (("LightGBM", LightGBM(trees=size["trees"])), ("climatology", Climatology())):
        predicted = baseline.fit(inside).predict(outside)
        for step in STEPS:
            parts.append(score_table(outside, predicted, step=step).assign(model=name, step=step))
    return pd.concat(parts, ignore_index=True).assign(fold=number)


def report(scores: pd.DataFrame, size: dict, sites: int) -> str:
    """The results as a Markdown page."""
    by_day = scores[scores.step == "day"]
    lines = [
        "# E01: towers never seen",
        "",
        f"{sites} sites, site-grouped folds, QC >= 0.75; medians over sites (quartiles in brackets) of daily scores.",
        "The hybrid model is trained on NEE alone, LightGBM and the climatology on each flux. NEE = RECO - GPP, positive to the",
        "atmosphere, gC m-2 d-1. Command: `python experiments/e01_european_towers.py --data TOWERS --out runs/e01`,",
        f"sizes {json.dumps(size)}, seed {SEED}.",
        "",
        "| model | flux | NSE | R2 | RMSE | bias | CRPS | cover 50 | cover 80 | cover 90 |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for model in ("hybridflux", "LightGBM", "climatology"):
        table = summary(by_day[by_day.model == model]).set_index(["variable", "igbp"])
        for flux in ("NEE", "GPP", "RECO"):
            row = table.loc[(flux, "all")]
            skill = (
                f"{row.nse:.3f} ({row.nse_q25:.2f}, {row.nse_q75:.2f}) | {row.r2:.3f} | {row.rmse:.2f} | {row.bias:.2f} | {row.crps:.2f}"
            )
            spread = [f"{row[name]:.2f}" if model == "hybridflux" else "-" for name in ("coverage50", "coverage80", "coverage90")]
            lines.append(f"| {model} | {flux} | {skill} | {' | '.join(spread)} |")
    lines += ["", "Median daily NSE by plant type:", "", "| model | flux | " + " | ".join(TYPES) + " |", "|---|---|" + "---|" * len(TYPES)]
    for model in ("hybridflux", "LightGBM", "climatology"):
        for flux in ("NEE", "GPP", "RECO"):
            one = by_day[(by_day.model == model) & (by_day.variable == flux)].groupby("igbp").nse.median()
            lines.append(f"| {model} | {flux} | " + " | ".join(f"{one[t]:.2f}" if t in one.index else "-" for t in TYPES) + " |")
    counts = by_day[(by_day.model == "hybridflux") & (by_day.variable == "NEE")].groupby("igbp").size()
    lines += ["", "Sites: " + ", ".join(f"{t} {n}" for t, n in counts.items()) + ".", "", "Other time steps, NEE:", ""]
    lines += [
        "| model | step | median NSE | RMSE (month gC m-2 d-1, year gC m-2 yr-1) | cover 50 | cover 80 | cover 90 |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in ("hybridflux", "LightGBM", "climatology"):
        for step in ("month", "year"):
            part = scores[(scores.model == model) & (scores.step == step) & (scores.variable == "NEE") & (scores.n > 0)]
            share = [np.average(part[name], weights=part.n) for name in ("coverage50", "coverage80", "coverage90")]
            cover = " | ".join(f"{value:.2f}" if model == "hybridflux" else "-" for value in share)
            nse = f"{part.nse.median():.3f}" if step == "month" else "-"
            lines.append(f"| {model} | {step} | {nse} | {pooled_rmse(part)['NEE']:.2f} | {cover} |")
    return "\n".join(lines) + "\n"


TYPES = ("CRO", "GRA", "DBF", "ENF", "EBF", "MF", "OSH", "WET")

if __name__ == "__main__":
    main()
