"""E20 - What do signs that physics know cost a network, and where does a fitted model contradict physics?

`hybrid_signed`, whose network of light use never falls with LSWI and never rises with VPD, beside `hybrid_water`, without these signs:
at towers never seen (six groups of whole sites) and in droughts left out at known towers. Then the responses of both, fitted to all towers,
at the corners of the data: how probable it is that a curve contradicts physics. Last, what the identifiability guard says of `hybrid_water`
fitted by a randomised ensemble, whose spread is that of the posterior. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

    python experiments/e20_signs.py --data ../shared/data/towers --out runs/e20
    python experiments/e20_signs.py --data ../shared/data/towers --out runs/e20_smoke --smoke

Fits that are done are not computed again. About fifteen minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from e04_drought_years import fitted, kept
from e14_satellites import gain, mean_of_draws, table_of, yearly

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.dryness import NEEDS as DRYNESS_NEEDS
from hybridflux.evaluate.identify import Identifiability, identify
from hybridflux.evaluate.responses import responses
from hybridflux.evaluate.scores import evaluate, pooled_rmse, score_table
from hybridflux.evaluate.signs import contradictions
from hybridflux.evaluate.splits import leave_drought_out, leave_site_out, only_days
from hybridflux.inference import Ensemble, RandomisedEnsemble
from hybridflux.model.compositions import hybrid_signed, hybrid_water
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.provenance import provenance

SEED, GROUPS_SEED = 1, 77
FULL = {"members": 4, "steps": 800, "draws": 40, "folds": 6}
SMOKE = {"members": 2, "steps": 20, "draws": 4, "folds": 2}
GUARDED = 20  # members of the fit that the guard judges
SMOKE_SITES = ("FR-Pue", "DE-Geb", "DK-Sor", "CH-Cha")
SIGNED, FREE = "hybrid_signed", "hybrid_water"


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder with `reflectance`")
    parser.add_argument("--out", type=Path, default=Path("runs/e20"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites, years = (SMOKE, SMOKE_SITES, "2002:2005") if arguments.smoke else (FULL, None, None)
    run(arguments.data, arguments.out, size, sites, years)


def compositions() -> dict[str, HybridFlux]:
    """With signs and without."""
    return {SIGNED: hybrid_signed(), FREE: hybrid_water()}


def run(data: Path, out: Path, size: dict, sites: tuple[str, ...] | None, years: str | None) -> None:
    """All fits of both compositions, and the page."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    models = compositions()
    names = {*models[SIGNED].needs_at_towers(), *DRYNESS_NEEDS}
    towers = open_towers(data, sites=sites, years=years, needs=set(models[SIGNED].needs_at_towers()), screen=None)
    sequences = towers.sequences(models[SIGNED].needs_at_towers())
    with_fapar = open_towers(data, sites=sites, years=years, needs=names, screen=None).sequences(names)
    method, unseen, droughts, curves = Ensemble(members=size["members"], steps=size["steps"]), [], [], []
    for name, model in models.items():
        settings = {"model": to_spec(model), "size": size, "places": sequences.places, "seed": GROUPS_SEED}
        unseen.append(kept(out, f"unseen-{name}", settings, lambda m=model: at_unseen(m, method, sequences, size)).assign(model=name))
        dry = kept(out, f"droughts-{name}", settings, lambda m=model: in_droughts(m, method, with_fapar, size))
        droughts.append(dry.assign(model=name))
        posterior = fitted(out, name, model, method, sequences, "all days", SEED)
        curves.append(contradictions(responses(posterior, sequences, draws=size["members"])).assign(model=name))
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    method = RandomisedEnsemble(members=GUARDED, steps=size["steps"])
    guard = identify(fitted(out, f"guard of {FREE}", models[FREE], method, sequences, "all days", SEED), sequences)
    guard.parameters.to_csv(out / "guard.csv", index=False)
    tables = {"unseen": unseen, "droughts": droughts, "curves": curves}
    unseen, droughts, curves = (pd.concat(parts, ignore_index=True) for parts in tables.values())
    curves.to_csv(out / "signs.csv", index=False)
    (out / "results.md").write_text(page(unseen, droughts, curves, guard, len(sequences.places), len(with_fapar.places), size))
    (out / "run.json").write_text(json.dumps({**provenance({"size": size}, SEED), "seconds": time.perf_counter() - began}, indent=1))
    print((out / "results.md").read_text())


def at_unseen(model: HybridFlux, method: Ensemble, sequences: Sequences, size: dict) -> pd.DataFrame:
    """Scores of groups of towers that a fit has not seen."""
    tables = []
    for number, (train, test) in enumerate(leave_site_out(sequences, size["folds"], GROUPS_SEED)):
        there = sequences.select(test)
        predicted = mean_of_draws(method.fit(model, sequences.select(train), seed=SEED + number).thin(size["draws"]), there)
        tables += [score_table(there, predicted), yearly(there, predicted)]
    return pd.concat(tables, ignore_index=True)


def in_droughts(model: HybridFlux, method: Ensemble, sequences: Sequences, size: dict) -> pd.DataFrame:
    """Scores of weekly departures of drought days from the usual course of the year, at known towers."""
    usual, _ = leave_drought_out(sequences)
    posterior = method.fit(model, only_days(sequences, usual), seed=SEED)
    return evaluate(posterior, sequences, draws=size["draws"], seed=SEED, step=("drought",))


def page(
    unseen: pd.DataFrame, droughts: pd.DataFrame, curves: pd.DataFrame, guard: Identifiability, sites: int, dry_sites: int, size: dict
) -> str:
    """The results as Markdown."""
    against = " | ".join(gain(unseen, SIGNED, FREE, flux, 4) for flux in ("NEE", "GPP", "RECO"))
    anomalies = []
    for name, of in droughts.groupby("model", sort=False):
        rmse = pooled_rmse(of)
        anomalies.append(f"| {name} | " + " | ".join(f"{rmse[flux]:.3f}" for flux in ("NEE", "GPP", "RECO")) + " |")
    wrong = []
    for (flux, driver), of in curves.groupby(["flux", "driver"], sort=False):
        cells = [f"{mean:.2f} ({most:.2f})" for mean, most in (_of(of, name) for name in (SIGNED, FREE))]
        wrong.append(f"| {flux} | {driver} | {of.expected.iloc[0]} | {len(of) // 2} | " + " | ".join(cells) + " |")
    return "\n".join([
        "# E20: networks with signs", "",
        f"{sites} European towers with MODIS reflectance, {size['folds']} groups of unseen towers (seed {GROUPS_SEED}), ensembles of "
        f"{size['members']} members with {size['steps']} steps. nNSE: mean over sites of 1 / (2 - NSE); RMSE: mean over sites "
        "[gC m-2 d-1]; annual: gC m-2 yr-1.",
        "Command: `python experiments/e20_signs.py --data TOWERS --out runs/e20`.", "", *table_of(unseen, 4), "",
        "Difference of nNSE, 90 % interval by resampling towers:", "", "| | NEE | GPP | RECO |", "|---|---|---|---|",
        f"| {SIGNED} minus {FREE} | {against} |", "",
        f"Droughts left out at {dry_sites} known towers (those that have FPAR too, which says which days are dry), RMSE of weekly "
        "departures from the usual course of the year [gC m-2 d-1]:", "", "| | NEE | GPP | RECO |", "|---|---|---|---|", *anomalies,
        f"| {SIGNED} minus {FREE} | " + " | ".join(dry_cost(droughts, flux) for flux in ("NEE", "GPP", "RECO")) + " |", "",
        "Probability that a response contradicts physics (share of members), fitted to all towers: mean over plant types and corners of "
        "the data, in brackets the largest:", "", f"| flux | driver | physics: it | curves | {SIGNED} | {FREE} |",
        "|---|---|---|---|---|---|", *wrong, "",
        f"Identifiability of `{FREE}`, fitted to all towers by a randomised ensemble of {GUARDED} members (effect: largest change of NEE "
        "by one prior standard deviation [gC m-2 d-1]; parameters that are fixed are left out):", "",
        "| parameter | units | prior | posterior | contraction | effect | verdict |", "|---|---|---|---|---|---|---|", *judged(guard), "",
        *(f"* {text}" for text in guard.warnings), "",
    ])  # fmt: skip


def judged(guard: Identifiability) -> list[str]:
    """Rows of what the guard says of the parameters that are learned."""
    learned = guard.parameters[guard.parameters.verdict != "fixed"]
    return [
        f"| {row.parameter} | {row.units} | {row.prior:.3g} | {row.posterior:.3g} | {row.contraction:.2f} | {row.effect:.2f} "
        f"| {row.verdict} |" for row in learned.itertuples()
    ]


def dry_cost(droughts: pd.DataFrame, flux: str) -> str:
    """Difference of the pooled RMSE, signs minus none, with its 90 % interval, towers resampled."""
    scored = droughts[(droughts.variable == flux) & (droughts.n > 0)]
    of = {name: scored[scored.model == name].sort_values("site") for name in (SIGNED, FREE)}
    squares = {name: (one.n * one.rmse**2).to_numpy() for name, one in of.items()}
    count = of[FREE].n.to_numpy()
    drawn = np.random.default_rng(SEED).integers(0, len(count), (4000, len(count)))
    root = {name: np.sqrt(values[drawn].sum(axis=1) / count[drawn].sum(axis=1)) for name, values in squares.items()}
    mean = np.sqrt(squares[SIGNED].sum() / count.sum()) - np.sqrt(squares[FREE].sum() / count.sum())
    low, high = np.quantile(root[SIGNED] - root[FREE], (0.05, 0.95))
    return f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"


def _of(curves: pd.DataFrame, name: str) -> tuple[float, float]:
    of = curves[curves.model == name].probability
    return float(np.mean(of)), float(np.max(of))


if __name__ == "__main__":
    main()
