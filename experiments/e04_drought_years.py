"""E04 - Does the hybrid model follow droughts it has not seen, and does its soil moisture response earn its place?

All towers with MODIS reflectance and FPAR are fitted without their days of drought (June to September of 2003, 2015 and 2018 to 2020, and
the driest tenth of the measured days of May to September), and NEE and GPP of these days are scored beside all baselines, fitted to the
same days; trees read the same satellites, one of them knows the site as the hybrid does. Beside `hybrid_water`: `stacked`, whose second
kind of member, networks, knows the site too, both with the discrepancy of each place (`model.site_discrepancy`), and the plain average of
`hybrid_water` with LightGBM that knows the site; what each errs by on drought summers, of which nothing was seen, apart from dry days
whose neighbours were. Without that discrepancy the same
without the response to soil water, also on the days alone on which that response says that water is short (`short_of_water.py`); the
posterior of the thresholds of soil water beside published ones; and the anomalies of the summers of 2003 and 2018. NEE = RECO - GPP,
positive to the atmosphere, gC m-2 d-1.

    python experiments/e04_drought_years.py --data ../shared/data/towers --out runs/e04
    python experiments/e04_drought_years.py --data ../shared/data/towers --out runs/e04_smoke --smoke

Fits and scores that are done are not computed again. Scoring, not fitting, takes most of the time; `--smoke` about 45 seconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from drought_differences import at_crops, compared, difference
from short_of_water import SHORT, SHORT_DAYS, Fluxes, by_seed, means, water_factor, weeks_of_drought
from summers import draw_figure, seen_without_vegetation, summer_anomalies, summers_of_drought

from hybridflux.data.towers import open_towers
from hybridflux.evaluate.alive import raw_of
from hybridflux.evaluate.baselines import REFLECTANCE_PREDICTORS, VPRM, Climatology, LightGBM, QuantileForest, RefittedVPRM, XGBoost
from hybridflux.evaluate.baselines.vprm import NEEDS as VPRM_NEEDS
from hybridflux.evaluate.dryness import NEEDS as DRYNESS_NEEDS
from hybridflux.evaluate.extremes import DRIEST, Drought
from hybridflux.evaluate.identify import identify
from hybridflux.evaluate.predictions import predictions
from hybridflux.evaluate.scores import pooled_rmse, score_prediction, score_table
from hybridflux.evaluate.splits import leave_drought_out, only_days
from hybridflux.inference import Ensemble
from hybridflux.inference.methods.base import AbstractMethod
from hybridflux.inference.posterior import Posterior
from hybridflux.model.compositions import get
from hybridflux.model.flux import HybridFlux, given_by
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.process import stress
from hybridflux.process.call import arguments
from hybridflux.provenance import config_hash, provenance
from hybridflux.vocabulary import CARBON, PARAMETERS

VEGETATION = "modis_fpar_c5_8day"
SEED = 4
EVENTS = (2003, 2018)
MAIN, STACKED, DRY = "hybrid_water", "stacked", "no water"
LGBM = "LightGBM, site known"
AVERAGE = f"mean of {MAIN} and {LGBM}"
WATER = ("rew_critical", "drought_floor")
KNOWN = {name: f"{name}, discrepancy" for name in (MAIN, STACKED)}
SUMMERS, DRIEST_DAYS = "summers of great droughts", "driest days of other months"
PERIODS = ("day", "week", "month")  # of the days of drought, beside their weekly departures
MODELS = (MAIN, STACKED, DRY, "hybrid_nirv", "hybrid")
FULL = {"members": 8, "steps": 800, "draws": 60, "trees": 400, "forest": 50, "resamples": 2000, "models": MODELS, "seeds": (5, 6)}
SMOKE = {**FULL, "members": 2, "steps": 40, "draws": 20, "trees": 10, "forest": 20, "resamples": 200, "models": (MAIN, STACKED, DRY)}
SMOKE |= {"seeds": (5,)}
SMOKE_SITES = ("FR-Pue", "DE-Tha", "DE-Geb", "CH-Cha")
SMOKE_YEARS = (2003, 2008)
PUBLISHED = (
    ("Granier et al. 1999, 10.1016/S0304-3800(98)00205-1", "0.4 of extractable water", 0.4),
    ("Stocker et al. 2020, 10.5194/gmd-13-1545-2020", "0.6 of a bucket of 240 mm", 0.6),
    ("Fu et al. 2022, 10.1111/gcb.16050, Europe", "0.165 m3 m-3", 0.165),
    ("Fu et al. 2024, global (arid 0.12 to humid 0.26)", "0.19 m3 m-3", 0.19),
)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e04"))
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    run(arguments.data, arguments.out, *((SMOKE, SMOKE_SITES, SMOKE_YEARS) if arguments.smoke else (FULL, None, None)))


def run(data: Path, out: Path, size: dict, sites: Sequence[str] | None, years: tuple[int, int] | None) -> None:
    """All fits, the tables and the figure."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    models = {name: model for name, model in compositions().items() if name in size["models"]}
    names = {name for model in models.values() for name in model.needs_at_towers()} | {*REFLECTANCE_PREDICTORS, *VPRM_NEEDS, *DRYNESS_NEEDS}
    names -= {"day_of_year"}
    towers = open_towers(data, sites=sites, years=years, vegetation=VEGETATION, needs=names, screen=None)
    sequences = towers.sequences(names)
    fit, test = leave_drought_out(sequences)
    usual, tested = only_days(sequences, fit), only_days(sequences, test)
    counted = {"sites": len(sequences.places), "fitted": count(usual), "tested": count(tested)}
    print(f"{counted['sites']} sites; days of NEE fitted {counted['fitted']}, left out {counted['tested']}", flush=True)
    method = Ensemble(members=size["members"], steps=size["steps"])

    parts, points = [], {}
    for name, model in models.items():
        posterior = fitted(out, name, model, method, usual, "without drought", SEED)
        settings = {"model": to_spec(model), "method": repr(method), "draws": size["draws"], "places": sequences.places, "seed": SEED}
        kinds = {name: replace(posterior, discrepancy=None)} | ({KNOWN[name]: posterior} if name in KNOWN else {})
        for label, one in kinds.items():
            table, points[label] = kept_both(out, label, settings, lambda p=one: of_posterior(p, sequences, tested, size["draws"]))
            parts.append(table.assign(model=label))
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    settings = {"baselines": {name: size[name] for name in ("trees", "forest")}, "places": sequences.places}
    table, points[LGBM] = kept_both(out, "baselines", settings, lambda: of_baselines(sequences, usual, tested, size))
    average = {name: (points[MAIN][name] + points[LGBM][name]) / 2 for name in CARBON}
    scores = pd.concat([*parts, table, scored(sequences, tested, average).assign(model=AVERAGE)], ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)
    print(f"baselines: {time.perf_counter() - began:.0f} s", flush=True)

    events = Drought(extreme=replace(DRIEST, share=0.0)).days(sequences)
    labels = [MAIN, KNOWN[MAIN], STACKED, KNOWN[STACKED], LGBM, AVERAGE]
    of_days = [weeks_of_drought({**points, AVERAGE: average}[name], sequences, one).assign(model=name, days=kind)
               for name in labels for kind, one in ((SUMMERS, events), (DRIEST_DAYS, ~events))]  # fmt: skip
    parted = pd.concat(of_days, ignore_index=True)
    parted = parted[parted["days of"] == SHORT_DAYS]
    parted.to_csv(out / "summers_and_driest.csv", index=False)
    whole = fitted(out, MAIN, models[MAIN], method, sequences, "all days", SEED)
    usually = fitted(out, MAIN, models[MAIN], method, usual, "without drought", SEED)
    short = water_factor(usually, sequences) < SHORT
    tables = [weeks_of_drought(points[name], sequences, short).assign(model=name, seed=SEED) for name in (MAIN, DRY)]
    for seed in size["seeds"]:
        for name in (MAIN, DRY):
            again = fitted(out, name, models[name], method, usual, "without drought", seed)
            tables.append(weeks_of_drought(means(again, sequences), sequences, short).assign(model=name, seed=seed))
    thirsty = pd.concat(tables, ignore_index=True)
    thirsty.to_csv(out / "water_short.csv", index=False)
    water = {"all days": whole, "without drought": usually}
    said = pd.concat([water_parameters(posterior, sequences).assign(fit=name) for name, posterior in water.items()], ignore_index=True)
    said.to_csv(out / "water.csv", index=False)

    seen, known = seen_without_vegetation(towers, names), {MAIN: False, KNOWN[MAIN]: True}
    of_models = [summer_anomalies(usually, seen, EVENTS, size["draws"], SEED, also).assign(model=name) for name, also in known.items()]
    summers = pd.concat(of_models, ignore_index=True)
    summers.to_csv(out / "summers.csv", index=False)
    draw_figure(of_models[1], EVENTS, out / "summers.png")
    text = report(scores, parted, thirsty, said, {name: confounding(p) for name, p in water.items()}, summers, counted, size)
    (out / "results.md").write_text(text)
    run_of = provenance({"size": size, "sites": sequences.places, "vegetation": VEGETATION}, SEED)
    (out / "run.json").write_text(json.dumps({**run_of, "seconds": time.perf_counter() - began}, indent=1))
    print(text)


def count(sequences: Sequences) -> int:
    """Days of NEE."""
    return int(np.isfinite(sequences.targets["nee"]).sum())


def compositions() -> dict[str, HybridFlux]:
    """The model, that with networks beside it, the same without a response to soil water, and the compositions before it."""
    return {name: without(get(MAIN), stress.water_ramp_to_floor) if name == DRY else get(name) for name in MODELS}


def without(model: HybridFlux, factor: Callable) -> HybridFlux:
    """The same model without a factor of GPP, and without memories that nothing reads any more."""
    gpp = tuple(one for one in model.gpp if one is not factor)
    read = {name for fn in (*gpp, *model.reco) for name in arguments(fn)}
    memory = tuple(one for one in model.memory if read & {name for names in given_by(one) for name in names})
    used = {name for fn in (*gpp, *model.reco, *(fn for one in memory for fn in one.functions)) for name in arguments(fn)}
    sources = {name: source for name, source in model.sources.items() if name in used}
    return HybridFlux(gpp=gpp, reco=model.reco, memory=memory, sources=sources, observed=model.observed.values())


def fitted(out: Path, name: str, model: HybridFlux, method: AbstractMethod, sequences: Sequences, days: str, seed: int) -> Posterior:
    """A fit, or what is kept of it in the run folder."""
    settings = {
        "model": to_spec(model),
        "method": repr(method),
        "places": sequences.places,
        "days": days,
        "n": count(sequences),
        "seed": seed,
    }
    file = out / f"posterior-{name.replace(' ', '_')}-{config_hash(settings)[:12]}.nc"
    if not file.exists():
        method.fit(model, sequences, seed=seed).save(file)
    return Posterior.load(file)


def kept(out: Path, name: str, settings: dict, table: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """A table, or what is kept of it in the run folder."""
    file = out / f"{name.replace(' ', '_')}-{config_hash(settings)[:12]}.csv"
    if not file.exists():
        table().to_csv(file, index=False)
    return pd.read_csv(file)


def kept_both(out: Path, name: str, settings: dict, made: Callable[[], tuple[pd.DataFrame, Fluxes]]) -> tuple[pd.DataFrame, Fluxes]:
    """Scores and predictions, or what is kept of them in the run folder."""
    settings = {**settings, "periods": PERIODS}
    file = out / f"points-{name.replace(' ', '_')}-{config_hash(settings)[:12]}.npz"

    def table() -> pd.DataFrame:
        scores, point = made()
        np.savez_compressed(file, **{flux: np.asarray(values, np.float32) for flux, values in point.items()})
        return scores

    scores = kept(out, f"scores-{name}", settings, table)
    with np.load(file) as stored:
        return scores, {flux: stored[flux] for flux in CARBON}


def of_posterior(posterior: Posterior, sequences: Sequences, tested: Sequences, draws: int) -> tuple[pd.DataFrame, Fluxes]:
    """Scores by day, week and month of the days left out, and of their departures from the usual; the mean of the draws `[time, place]`."""
    tables, points = [], []
    for one in predictions(posterior, sequences, variables=CARBON, draws=draws, seed=SEED):
        tables.append(score_prediction(one._replace(tower=tested.select(one.tower.places)), step=PERIODS))
        tables.append(score_prediction(one, step=("drought",)))
        points.append(one.point)
    return pd.concat(tables, ignore_index=True), {flux: np.concatenate([one[flux] for one in points], axis=1) for flux in CARBON}


def scored(sequences: Sequences, tested: Sequences, predicted: Fluxes, point: Fluxes | None = None) -> pd.DataFrame:
    """The same scores of any other prediction."""
    periods = score_table(tested, predicted, point, step=PERIODS)
    return pd.concat([periods, score_table(sequences, predicted, point, step=("drought",))], ignore_index=True)


def of_baselines(sequences: Sequences, usual: Sequences, tested: Sequences, size: dict) -> tuple[pd.DataFrame, Fluxes]:
    """Scores of the baselines, and what the one predicts that knows the site; each is trained on each flux."""
    baselines = {
        "climatology": Climatology(),
        "LightGBM": LightGBM(trees=size["trees"], predictors=REFLECTANCE_PREDICTORS),
        LGBM: LightGBM(trees=size["trees"], predictors=(*REFLECTANCE_PREDICTORS, "site")),
        "XGBoost": XGBoost(trees=size["trees"], predictors=REFLECTANCE_PREDICTORS),
        "VPRM re-fitted": RefittedVPRM(),
        "VPRM EU2007": VPRM("EU2007"),
    }
    number = np.arange(len(sequences.places), dtype=np.float32)
    sequences, usual, tested = (replace(one, drivers={**one.drivers, "site": number}) for one in (sequences, usual, tested))
    tables, known = [], {}
    for name, baseline in baselines.items():
        predicted = baseline.fit(usual).predict(sequences)
        known = dict(predicted) if name == LGBM else known
        tables.append(scored(sequences, tested, predicted).assign(model=name))
    forest = QuantileForest(predictors=REFLECTANCE_PREDICTORS)
    forest = replace(forest, settings={**forest.settings, "n_estimators": size["forest"]}).fit(usual)
    for number, place in enumerate(sequences.places):
        here = sequences.select([place])
        point, predicted = forest.predict(here), forest.draws(here, count=size["forest"], seed=SEED + number)
        tables.append(scored(here, tested.select([place]), predicted, point).assign(model="quantile forest"))
    return pd.concat(tables, ignore_index=True), known


def water_parameters(posterior: Posterior, sequences: Sequences) -> pd.DataFrame:
    """What a fit says of the responses to dry soil and dry air: median, 90 % interval, contraction and verdict of the guard."""
    guard = identify(posterior, sequences).parameters.set_index("parameter")
    rows = []
    for name, values in posterior.parameter_draws().items():
        if name in WATER:
            low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
            identified = guard.loc[name]
            rows.append({"parameter": name, "median": middle, "low": low, "high": high, "draws": len(values),
                         "contraction": identified.contraction, "verdict": identified.verdict})  # fmt: skip
    return pd.DataFrame(rows)


def confounding(posterior: Posterior) -> dict[str, float]:
    """Correlation over draws of the sensitivity to VPD, mean of the plant types, with the response to soil water (unconstrained)."""
    found = posterior.parameter_draws()
    values = {name: raw_of(found[name], PARAMETERS[name]) for name in ("vpd_sensitivity", *WATER)}
    vpd = values["vpd_sensitivity"].reshape(posterior.draws, -1).mean(axis=1)
    return {name: float(np.corrcoef(vpd, values[name])[0, 1]) for name in WATER}


def report(scores: pd.DataFrame, parted: pd.DataFrame, thirsty: pd.DataFrame, said: pd.DataFrame, correlations: dict,
           summers: pd.DataFrame, counted: dict, size: dict) -> str:  # fmt: skip
    """The results as a Markdown page."""
    parts = (heading(counted, size), *(step_table(scores, step) for step in ("drought", *reversed(PERIODS))), beside(scores, size),
             apart(parted, size), earned(scores, thirsty, size), threshold_table(said, correlations),
             summers_of_drought(summers, KNOWN[MAIN]))  # fmt: skip
    return "\n".join(line for part in parts for line in part) + "\n"


def heading(counted: dict, size: dict) -> list[str]:
    """What was done."""
    return [
        "# E04: years of drought", "",
        f"{counted['sites']} sites with MODIS reflectance and FPAR (known sites, unseen droughts), QC >= 0.75: {counted['fitted']} days of "
        "NEE fitted, "
        f"{counted['tested']} left out: June to September",
        "of 2003, 2015, 2018-2020 and the driest tenth of the measured days of May to September. FPAR ends in 2016, so no day of 2018-2020 "
        "counts in the scores.",
        "The hybrids are fitted to NEE, NEE by day and NEE by night and know the site; baselines are trained on each flux, and but one do "
        "not know the site. `discrepancy`: with what the draws get wrong at the place, from weekly GPP and RECO of the days fitted. NEE = "
        "RECO - GPP,",
        "positive to the atmosphere, gC m-2 d-1. Command: `python experiments/e04_drought_years.py --data TOWERS --out runs/e04`,",
        f"sizes {json.dumps(size)}, seed {SEED}.",
    ]  # fmt: skip


def step_table(scores: pd.DataFrame, step: str) -> list[str]:
    """One line a model and flux."""
    what = {"drought": "Weekly departures of drought days from the usual course of the year (anomalies)",
            "month": "Months of drought days", "week": "Weeks of drought days", "day": "Drought days"}[step]  # fmt: skip
    lines = ["", f"## {what}", "", "RMSE pooled over all periods, median over sites in brackets; CRPS and coverage pooled.", "",
             "| model | flux | n | RMSE | median NSE | bias | CRPS | cover 50 | cover 80 | cover 90 |",
             "|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for (model, flux), part in scores[(scores.step == step) & (scores.n > 0)].groupby(["model", "variable"], sort=False):
        if step != "drought" and model in MODELS and model not in (MAIN, STACKED):
            continue
        pooled = {name: np.average(part[name], weights=part.n) for name in ("bias", "crps", "coverage50", "coverage80", "coverage90")}
        cover = " | ".join("-" if np.isnan(pooled[f"coverage{level}"]) else f"{pooled[f'coverage{level}']:.2f}" for level in (50, 80, 90))
        lines.append(f"| {model} | {flux} | {int(part.n.sum())} | {pooled_rmse(part)[flux]:.3f} ({part.rmse.median():.3f}) "
                     f"| {part.nse.median():.3f} | {pooled['bias']:+.2f} | {pooled['crps']:.3f} | {cover} |")  # fmt: skip
    return lines


def beside(scores: pd.DataFrame, size: dict) -> list[str]:
    """Both models against each baseline."""
    models = [name for name in scores.model.unique() if name not in MODELS]
    lines = ["", "## Beside the baselines", "",
             "Pooled RMSE of drought anomalies, positive where the baseline is worse; 90 % interval over resampled sites."]  # fmt: skip
    for main in (MAIN, KNOWN[STACKED]):
        others = [name for name in (MAIN, STACKED, *models) if name != main]
        lines += ["", *compared(scores, others, size, main)]
    return lines + at_crops(scores, (MAIN, STACKED, *KNOWN.values(), "LightGBM", LGBM, AVERAGE), LGBM, size)


def apart(parted: pd.DataFrame, size: dict) -> list[str]:
    """Summers of which no day was fitted, and dry days whose neighbours were: there a model may interpolate."""
    lines = ["", f"Drought summers and dry days of other months apart; in brackets RMSE minus that of {LGBM}, and its 90 % interval. Of "
             "the summers no day was fitted; most driest days have neighbours in the same weeks that were, between which a model that "
             "knows the site can interpolate.", "", "| days | model | weeks | NEE | GPP | RECO |", "|---|---|---|---|---|---|"]  # fmt: skip
    for kind, days in parted.groupby("days", sort=False):
        for model, own in days.groupby("model", sort=False):
            cells = []
            for flux in ("NEE", "GPP", "RECO"):
                part = days[days.variable == flux]
                cells.append(f"{pooled_rmse(own)[flux]:.3f} [{difference(part, model, LGBM, size)}]")
            lines.append(f"| {kind} | {model} | {own[own.variable == 'NEE'].n.sum()} | {' | '.join(cells)} |")
    return lines


def earned(scores: pd.DataFrame, thirsty: pd.DataFrame, size: dict) -> list[str]:
    """What the compositions before lacked, and what the response to soil water earns."""
    models = [name for name in size["models"] if name not in (MAIN, STACKED)]
    return ["", "## Does the response to soil water earn its place?", "", "Same seeds. Positive: the other model is worse.", "",
             *compared(scores, models, size, MAIN),
             *by_seed(thirsty, MAIN, DRY, lambda part: difference(part, DRY, MAIN, size))]  # fmt: skip


def threshold_table(said: pd.DataFrame, correlations: dict[str, dict[str, float]]) -> list[str]:
    """The posterior of the thresholds beside published ones."""
    wilting, field = PARAMETERS["swc_wilting"].typical, PARAMETERS["swc_field"].typical
    lines = ["", "## Thresholds of soil water", "",
             "| fit | parameter | median | 90 % of draws | draws | contraction | verdict of the guard |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in said.itertuples():
        narrow = "-" if np.isnan(row.contraction) else f"{row.contraction:.2f}"
        lines.append(
            f"| {row.fit} | {row.parameter} | {row.median:.3f} | {row.low:.3f} to {row.high:.3f} | {row.draws} | {narrow} | {row.verdict} |"
        )
    lines += ["", "| published | as stated | as relative extractable water |", "|---|---|---|"]
    for source, stated, value in PUBLISHED:
        volumetric = "m3" in stated
        relative = f"{(value - wilting) / (field - wilting):.2f}" if volumetric else f"{value:.2f}"
        lines.append(f"| {source} | {stated} | {relative} |")
    lines += ["", "These are not one quantity. Ours is the water of the root zone and of the deep store together over what both can hold "
              "(E16), fed by rain that is mostly",
              f"reanalysis scaled to monthly sums. Volumetric values are converted with the wilting point {wilting} and field capacity "
              f"{field} of one loam (Saxton & Rawls 2006); other soils move them by more",
              "than the differences between the sources. `rew_critical` is the centre of the places, each of which has a threshold of its "
              "own. Read agreement as order of magnitude.", "",
              "Dry soil and dry air go together: correlation over draws of `vpd_sensitivity` with the water parameters (unconstrained; a",
              "larger `vpd_sensitivity` and a larger `rew_critical` both mean more drought loss):", ""]  # fmt: skip
    for name, found in correlations.items():
        few = int(said[said.fit == name].draws.iloc[0])
        lines.append(f"- {name} ({few} draws): " + ", ".join(f"`{other}` {value:+.2f}" for other, value in found.items()))
    return lines


if __name__ == "__main__":
    main()
