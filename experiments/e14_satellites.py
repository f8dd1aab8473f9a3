"""E14 - Which index of satellites earns what at towers never seen?

Fits towers that have both MODIS FPAR and MODIS reflectance (1 km), on the same days for all: a day counts only where all series are
there. Each row is the hybrid model with another view of the vegetation, one thing changed at a time, in six groups of whole sites;
beside it LightGBM on the same satellites, and the plain average of both. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1;
trained on NEE alone (trees on each flux itself), partitioned GPP and RECO only score. Nothing was chosen on these folds.

    python experiments/e14_satellites.py --data ../shared/data/towers --out runs/e14
    python experiments/e14_satellites.py --data ../shared/data/towers --out runs/e14_smoke --smoke

Folds that are done are not computed again. About one hour on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pandas as pd

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.baselines import PREDICTORS, LightGBM
from hybridflux.evaluate.scores import score_table
from hybridflux.evaluate.splits import leave_site_out
from hybridflux.inference import Ensemble, Posterior
from hybridflux.model import HybridFlux
from hybridflux.model.compositions import GREEN_TODAY, MEMORY_OF_TEMPERATURE, TODAY, hybrid, hybrid_nirv
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Neural, Pooled, Shared
from hybridflux.model.spec import to_spec
from hybridflux.process import stress
from hybridflux.provenance import config_hash, provenance
from hybridflux.vocabulary import CARBON

SEED = 1
FULL = {"members": 2, "steps": 800, "draws": 40, "trees": 400, "folds": 6}
SMOKE = {"members": 2, "steps": 20, "draws": 4, "trees": 10, "folds": 2}
SMOKE_SITES = ("FR-Pue", "DE-Geb", "DK-Sor", "CH-Cha")
INDICES = ("fapar", "nirv", "lswi", "cci")
NETWORKS = ("light_use_efficiency", "respiration_ref")
LEAF = tuple(name for name in GREEN_TODAY if name != "lswi")
SEEN = tuple(name for name in PREDICTORS if not name.startswith("fapar"))


def reading(model: HybridFlux, inputs: tuple[str, ...], *, acclimated: bool) -> HybridFlux:
    """A composition whose networks read other inputs, with or without acclimation in place of the limit of cold nights."""
    gpp, memory, sources = model.gpp, model.memory, dict(model.sources)
    if acclimated and stress.ACCLIMATION not in memory:
        gpp = tuple(stress.peaked_temperature if factor is stress.low_temperature else factor for factor in gpp)
        memory = (*memory, stress.ACCLIMATION)
        sources = {name: source for name, source in sources.items() if not name.startswith("tmin_")}
        sources |= {"temp_optimum": Shared(), "temp_width": Shared(), "temp_memory": Fixed(MEMORY_OF_TEMPERATURE)}
    sources |= {name: Pooled(Neural(*inputs), spread=0.2) for name in NETWORKS}
    return HybridFlux(gpp=gpp, reco=model.reco, memory=memory, sources=sources, observed=model.observed.values())


HYBRIDS: dict[str, Callable[[], HybridFlux]] = {
    "FPAR (`hybrid`)": hybrid,
    "NIRv + LSWI, acclimation (`hybrid_nirv`)": hybrid_nirv,
    "FPAR, acclimation": lambda: reading(hybrid(), TODAY, acclimated=True),
    "NIRv, acclimation": lambda: reading(hybrid_nirv(), LEAF, acclimated=True),
    "FPAR + LSWI, acclimation": lambda: reading(hybrid(), (*TODAY, "lswi"), acclimated=True),
    "NIRv + LSWI + CCI, acclimation": lambda: reading(hybrid_nirv(), (*GREEN_TODAY, "cci"), acclimated=True),
}
TREES = {
    "LightGBM, FPAR": (*SEEN, "fapar", "fapar_30d"),
    "LightGBM, NIRv + LSWI": (*SEEN, "nirv", "nirv_30d", "lswi", "lswi_30d"),
}
MEAN = "mean of `hybrid_nirv` and LightGBM, NIRv + LSWI"
PARTS = (list(HYBRIDS)[1], list(TREES)[1])


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `satellite` and `reflectance`")
    parser.add_argument("--out", type=Path, default=Path("runs/e14"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites, years = (SMOKE, SMOKE_SITES, "2008:2011") if arguments.smoke else (FULL, None, None)
    run(arguments.data, arguments.out, size, sites, years)


def run(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None, years: str | None) -> None:
    """All folds of all rows, and the page."""
    began = time.perf_counter()
    models = {name: make() for name, make in HYBRIDS.items()}
    needs = {name for model in models.values() for name in model.needs_at_towers()} | {name for of in TREES.values() for name in of}
    needs |= set(INDICES)
    towers = open_towers(data, sites=sites, years=years, vegetation="modis_fpar_c5_8day", needs=needs, screen=None)
    sequences = towers.sequences(needs - {"day_of_year", "site", "site_year"})
    days = int(np.isfinite(sequences.targets["nee"]).sum())
    print(f"{len(sequences.places)} sites, {days} days of NEE that have all series", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    pairs = [(sequences.select(train), sequences.select(test)) for train, test in leave_site_out(sequences, size["folds"], SEED)]
    tables = []
    for name in (*HYBRIDS, *TREES, MEAN):
        for number, (train, test) in enumerate(pairs):
            predicted = _kept(out, name, number, models, train, test, size)
            tables.append(score_table(test, predicted).assign(model=name, fold=number))
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        years_of = [yearly(test, _kept(out, name, number, models, train, test, size)) for number, (train, test) in enumerate(pairs)]
        tables.append(pd.concat(years_of).assign(model=name))
    scores = pd.concat(tables, ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)
    origin = provenance({"size": size, "seed": SEED, "models": {name: to_spec(model) for name, model in models.items()}}, SEED)
    (out / "run.json").write_text(json.dumps({**origin, "seconds": time.perf_counter() - began}, indent=1))
    (out / "results.md").write_text(page(scores, len(sequences.places), days, size))
    print((out / "results.md").read_text())


def _kept(out: Path, name: str, number: int, models: dict, train: Sequences, test: Sequences, size: dict) -> dict[str, np.ndarray]:
    """Predictions `[time, place]` of a fold, of the file of a run before where there is one."""
    if name == MEAN:
        both = [_kept(out, part, number, models, train, test, size) for part in PARTS]
        return {flux: (both[0][flux] + both[1][flux]) / 2 for flux in CARBON}
    settings = {"model": to_spec(models[name]) if name in models else TREES[name], "size": size, "test": list(test.places), "seed": SEED}
    file = out / f"{number}-{config_hash(settings)[:16]}.npz"
    if not file.exists():
        predicted = of_hybrid(models[name], train, test, size, number) if name in models else of_trees(TREES[name], train, test, size)
        np.savez_compressed(file, **{flux: values.astype(np.float32) for flux, values in predicted.items()})
    with np.load(file) as stored:
        return {flux: stored[flux] for flux in CARBON}


def of_hybrid(model: HybridFlux, train: Sequences, test: Sequences, size: dict, number: int) -> dict[str, np.ndarray]:
    """A fit to some towers, at others."""
    posterior = Ensemble(members=size["members"], steps=size["steps"]).fit(model, train, seed=SEED + number)
    return mean_of_draws(posterior.thin(size["draws"]), test)


def mean_of_draws(posterior: Posterior, test: Sequences) -> dict[str, np.ndarray]:
    """Mean of draws whose site effects come from the population."""
    parts = []
    for at, place in enumerate(test.places):
        drawn = posterior.simulate(test.select([place]), key=jax.random.key(at), noise=False, variables=CARBON)
        parts.append({flux: np.mean(np.asarray(drawn[flux]), axis=0) for flux in CARBON})
    return {flux: np.concatenate([part[flux] for part in parts], axis=1) for flux in CARBON}


def of_trees(predictors: tuple[str, ...], train: Sequences, test: Sequences, size: dict) -> dict[str, np.ndarray]:
    """Boosted trees on each flux."""
    predicted = LightGBM(trees=size["trees"], predictors=predictors).fit(train).predict(test)
    return {flux: np.asarray(predicted[flux]) for flux in CARBON}


def yearly(test: Sequences, predicted: dict[str, np.ndarray]) -> pd.DataFrame:
    """Bias of each site over its measured days, as a year [gC m-2 yr-1]."""
    miss = (predicted["nee"] - test.targets["nee"]) * 365.0
    return pd.DataFrame({"site": test.places, "variable": "NEE, year", "bias": np.nanmean(miss, axis=0)})


def gain(scores: pd.DataFrame, one: str, other: str, flux: str, digits: int = 3) -> str:
    """Mean over sites of 1 / (2 - NSE) of one row minus another's, with its 90 % interval, towers resampled."""
    of = {name: scores[(scores.model == name) & (scores.variable == flux) & (scores.n > 0)].set_index("site").nse for name in (one, other)}
    gains = (1 / (2 - of[one]) - 1 / (2 - of[other])).dropna().to_numpy()
    drawn = np.random.default_rng(SEED).choice(gains, (4000, len(gains))).mean(axis=1)
    mean, low, high = (f"{value:+.{digits}f}" for value in (gains.mean(), *np.quantile(drawn, (0.05, 0.95))))
    return f"{mean} ({low} to {high})"


def table_of(scores: pd.DataFrame, digits: int = 3) -> list[str]:
    """Lines of a table in Markdown, a row for each model; `digits` of nNSE, RMSE with one less."""
    rows = []
    for name, of in scores.groupby("model", sort=False):
        row = {"unseen towers": name}
        for flux in ("NEE", "GPP", "RECO"):
            part = of[(of.variable == flux) & (of.n > 0)]
            row[f"{flux} median NSE"] = f"{part.nse.median():.2f}"
            row[f"{flux} nNSE"] = f"{(1 / (2 - part.nse)).mean():.{digits}f}"
            row[f"{flux} RMSE"] = f"{part.rmse.mean():.{digits - 1}f}"
        row["annual NEE, rms of bias"] = f"{np.sqrt((of[of.variable == 'NEE, year'].bias ** 2).mean()):.0f}"
        rows.append(row)
    table = pd.DataFrame(rows)
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * len(table.columns)]
    return lines + ["| " + " | ".join(row) + " |" for row in table.itertuples(index=False)]


def page(scores: pd.DataFrame, sites: int, days: int, size: dict) -> str:
    """The results as Markdown."""
    names, pairs = list(HYBRIDS), []
    for one, other in ((names[1], names[0]), (names[2], names[0]), (names[1], names[3]), (names[1], names[4]), (PARTS[0], PARTS[1])):
        pairs.append(f"| {one} minus {other} | " + " | ".join(gain(scores, one, other, flux) for flux in ("NEE", "GPP", "RECO")) + " |")
    return "\n".join([
        "# E14: which index of satellites earns what", "",
        f"{sites} European towers, {days} days of NEE on which MODIS FPAR (collection 5) and MODIS reflectance (1 km) are both there, "
        f"{size['folds']} groups of unseen towers, ensembles of {size['members']} members with {size['steps']} steps, seed {SEED}. "
        "nNSE: mean over sites of 1 / (2 - NSE); RMSE: mean over sites [gC m-2 d-1]; annual: gC m-2 yr-1.",
        "Command: `python experiments/e14_satellites.py --data TOWERS --out runs/e14`.", "", *table_of(scores), "",
        "Differences of nNSE, 90 % interval by resampling towers:", "", "| | NEE | GPP | RECO |", "|---|---|---|---|", *pairs, "",
    ])  # fmt: skip


if __name__ == "__main__":
    main()
