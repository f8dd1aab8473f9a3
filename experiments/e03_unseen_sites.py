"""E03 - How good is the hybrid model at towers it has never seen, and can its intervals be believed?

Fits towers with MODIS FPAR and MODIS reflectance on NEE alone (whole days, days and nights; QC >= 0.75) and scores NEE, GPP and RECO at
towers, or in years, that were left out, beside what a model has to beat: climatology, VPRM with published and with re-fitted parameters,
LightGBM, XGBoost and a random forest with quantiles, all trained on each flux itself with the same drivers and days; trees see the same
NIRv and LSWI as the hybrid model. A tower whose record `hybridflux fit` holds implausible is left out, as it is there (`--no-screen` takes
all). Partitioned GPP and RECO only score. In unseen years of known sites `stacked`, half of whose members are networks that were fitted to
these fluxes, stands beside. Then fits all towers for the maps. NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.

    python experiments/e03_unseen_sites.py --data ../shared/data/towers --out runs/e03
    python experiments/e03_unseen_sites.py --data ../shared/data/towers --out runs/e03 --split years
    python experiments/e03_unseen_sites.py --data ../shared/data/towers --out runs/e03_smoke --smoke

Splits: `sites` (ten folds of whole sites), `years` (blocks of eight years at known sites: the ceiling of knowing the site), `types` (each
plant type once), `blocks` (squares of 500 km). Folds that are done are not computed again; the card holds every split run so far.
About 15 minutes for `sites`, 6 for `years`, on two cores.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from e14_satellites import gain
from summers import LEAST_YEARS, full_summers

from hybridflux.data.tower_checks import Screen
from hybridflux.data.towers import SCREEN, Towers, open_towers
from hybridflux.evaluate.baselines import REFLECTANCE_PREDICTORS, VPRM, Climatology, LightGBM, QuantileForest, RefittedVPRM, XGBoost
from hybridflux.evaluate.baselines.forest import FOREST
from hybridflux.evaluate.baselines.vprm import NEEDS
from hybridflux.evaluate.card import make_card, save_card
from hybridflux.evaluate.predictions import predictions
from hybridflux.evaluate.scores import evaluate, score_prediction, score_table
from hybridflux.evaluate.seasons import month_of
from hybridflux.evaluate.splits import leave_plant_type_out, leave_site_out, leave_year_out, only_days, spatial_blocks
from hybridflux.inference import Ensemble
from hybridflux.model.compositions import get
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.provenance import config_hash, provenance
from hybridflux.report.card_page import write_card
from hybridflux.report.card_table import markdown
from hybridflux.vocabulary import CARBON

VEGETATION = "modis_fpar_c5_8day"
SEED = 1
STEPS = ("day", "week", "month", "year", "anomaly", "iav", "driest", "hottest")
HYBRID, LEVELLED = "hybridflux", "hybridflux, level of GPP and RECO known"
STACKED = "stacked"  # beside the hybrid model in the split `years`
KNOWN_STEPS, KNOWN_DRAWS, YEARS = ("day", "month", "year"), 32, 8  # of the split `years`: all sites are in every block
FULL = {"members": 8, "steps": 800, "draws": 100, "trees": 400, "forest": 100, "folds": 10, "years": None}
SMOKE = {"members": 4, "steps": 60, "draws": 20, "trees": 20, "forest": 10, "folds": 2, "years": (2006, 2009)}
SMOKE_SITES = ("FR-Pue", "DE-Tha", "DE-Geb", "DK-Sor", "CH-Cha", "BE-Lon", "FR-Fon", "IT-MBo", "FI-Hyy", "DE-Gri")
SUMMERS, SUMMER_COLUMNS = "summer", ("site", "variable", "observed", "predicted")
DROUGHT, DRY_MONTHS, DAYS_OF_DROUGHT = 2003, (6, 7, 8, 9), 122
SPLITS = ("sites", "years", "types", "blocks")
NAMES = {"sites": "unseen sites", "years": "known sites, unseen years", "types": "unseen plant types", "blocks": "unseen regions of 500 km"}

GOALS = {"NEE": (0.50, 0.60), "GPP": (0.72, 0.82), "RECO": (0.57, 0.73)}  # median daily NSE and R2 that were asked for


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--out", type=Path, default=Path("runs/e03"))
    parser.add_argument("--model", default="hybrid_water", help="composition, see `hybridflux fit --model`")
    parser.add_argument("--split", choices=SPLITS, default="sites")
    parser.add_argument("--no-screen", action="store_true", help="take towers too whose record `hybridflux fit` holds implausible")
    parser.add_argument("--smoke", action="store_true", help="small sizes, to see that it runs")
    arguments = parser.parse_args()
    size, sites = (SMOKE, SMOKE_SITES) if arguments.smoke else (FULL, None)
    screen = None if arguments.no_screen else SCREEN
    run(arguments.data, arguments.out, arguments.model, arguments.split, size, sites, screen)


def run(data: Path, out: Path, composition: str, split: str, size: dict, sites: tuple[str, ...] | None, screen: Screen | None) -> None:
    """All folds of a split, the card, and the posterior of all towers."""
    began = time.perf_counter()
    model = get(composition)
    needs = {*model.needs_at_towers(), *REFLECTANCE_PREDICTORS, *NEEDS} - {"day_of_year"}
    towers = open_towers(data, sites=sites, years=size["years"], vegetation=VEGETATION, needs=needs, screen=screen)
    sequences = towers.sequences(needs)
    print(f"{len(sequences.places)} sites, {int(np.isfinite(sequences.targets['nee']).sum())} days of NEE")
    method = Ensemble(members=size["members"], steps=size["steps"])
    settings = {"model": to_spec(model), "method": repr(method), "size": size, "vegetation": VEGETATION, "seed": SEED}
    settings |= {"screen": repr(screen)}
    settings |= {"known": (STACKED, KNOWN_STEPS, KNOWN_DRAWS, "discrepancy")} if split == "years" else {}
    out.mkdir(parents=True, exist_ok=True)
    for number, (train, test) in enumerate(folds(split, towers, sequences, data, size["folds"] if sites else None)):
        file = out / f"{split}-{number}-{config_hash({**settings, 'test': [*test.places, str(shown(test))]})[:12]}.csv"
        if not file.exists():
            table, summers = one_fold(train, test, model, method, size, number)
            summers.to_csv(out / f"{SUMMERS}-{file.name}", index=False)
            table.assign(split=NAMES[split], fold=number).to_csv(file, index=False)
        print(f"{split}: fold {number + 1} done, {time.perf_counter() - began:.0f} s", flush=True)
    scores = pd.concat([pd.read_csv(file) for one in SPLITS for file in sorted(out.glob(f"{one}-*.csv"))], ignore_index=True)
    scores.to_csv(out / "scores.csv", index=False)

    origin = provenance(settings, SEED)
    pooled_years = by_site(scores)
    card = make_card(pooled_years, title="E03: towers never seen", references=references(data), notes=NOTES, origin=origin)
    save_card(card, out / "card.json")
    write_card(card, out / "card.html")
    summers = pd.concat([pd.read_csv(file) for file in sorted(out.glob(f"{SUMMERS}-sites-*.csv"))] or [pd.DataFrame()])
    sizes = f"\nSizes {json.dumps(size)}, seed {SEED}.\n"
    (out / "results.md").write_text(markdown(card) + sizes + of_sites(pooled_years) + of_drought(summers))
    if split == "sites":
        posterior = method.fit(model, sequences, seed=SEED)
        posterior.save(out / "posterior.nc")
        (out / "structural_error.json").write_text(json.dumps(posterior.info.get("structural_error"), indent=1))
    (out / "run.json").write_text(json.dumps({**origin, "seconds": time.perf_counter() - began}, indent=1))
    print((out / "results.md").read_text())
    print(f"wrote {out}/scores.csv, card.json, card.html, results.md and posterior.nc in {time.perf_counter() - began:.0f} s")


NOTES = (
    "The hybrid model (`hybrid_water`) is trained on NEE alone, every other model on each flux; trees see the same NIRv and LSWI; "
    "networks of `stacked`, in unseen years of known sites, are trained on each flux too. "
    "NEE = RECO - GPP, positive to the atmosphere, gC m-2 d-1.",
    "Command: `python experiments/e03_unseen_sites.py --data TOWERS --out runs/e03 [--split years|types|blocks]`.",
)


def folds(split: str, towers: Towers, sequences: Sequences, data: Path, few: int | None) -> Iterator[tuple[Sequences, Sequences]]:
    """Sequences to fit and to test of each fold."""
    if split == "years":
        observed = np.isfinite(sequences.targets["nee"]).any(axis=1)
        for fit, test in leave_year_out(sequences.days, block=YEARS):
            if observed[test].any():
                yield only_days(sequences, fit), only_days(sequences, test)
        return
    published = data / "folds_by_site.csv"
    table = towers.sites
    pairs = {
        "sites": lambda: leave_site_out(sequences, few or (published if published.exists() else 10)),
        "types": lambda: leave_plant_type_out(table["igbp"].to_dict()),
        "blocks": lambda: spatial_blocks({site: (row.lat, row.lon) for site, row in table.iterrows()}),
    }[split]()
    for train, test in pairs:
        yield sequences.select(train), sequences.select(test)


def shown(sequences: Sequences) -> tuple:
    """First and last day with an observation."""
    days = sequences.days[np.isfinite(sequences.targets["nee"]).any(axis=1)]
    return days[0], days[-1]


def one_fold(train: Sequences, test: Sequences, model, method, size: dict, number: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of the hybrid model and the baselines at what was left out, and the summer of the drought at towers that were.

    At known sites LightGBM that knows them too stands beside; at unseen ones the hybrid model whose fluxes have the level of the tower.
    """
    if set(test.places) <= set(train.places):
        fitted = {name: method.fit(one, train, seed=SEED + number) for name, one in (("hybridflux", model), (STACKED, get(STACKED)))}
        fitted |= {f"{name}, no discrepancy": replace(one, discrepancy=None) for name, one in fitted.items()}
        parts = [evaluate(one, test, draws=KNOWN_DRAWS, seed=SEED, step=KNOWN_STEPS).assign(model=name) for name, one in fitted.items()]
        return pd.concat([*parts, *knowing_the_site(train, test, size)], ignore_index=True), pd.DataFrame(columns=list(SUMMER_COLUMNS))
    predicted = list(predictions(method.fit(model, train, seed=SEED + number), test, variables=CARBON, draws=size["draws"], seed=SEED))
    parts = [score_prediction(one, step=STEPS).assign(model=HYBRID) for one in predicted]
    levelled = [(one.tower, of_level(one.tower, one.point)) for one in predicted]
    parts += [score_table(tower, point, step=STEPS).assign(model=LEVELLED) for tower, point in levelled]
    summers = [summer_of(one.tower, one.point).assign(model=HYBRID) for one in predicted]
    summers += [summer_of(tower, point).assign(model=LEVELLED) for tower, point in levelled]
    for name, baseline in baselines(size).items():
        fitted = baseline.fit(train)
        point = fitted.predict(test)
        spread = fitted.draws(test, count=size["draws"], seed=SEED) if isinstance(fitted, QuantileForest) else point
        parts += [score_table(test, spread, point, step=step, known=train.places).assign(model=name, step=step) for step in STEPS]
        summers.append(summer_of(test, point).assign(model=name))
    return pd.concat(parts, ignore_index=True), pd.concat(summers, ignore_index=True)


def of_level(tower: Sequences, point: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Predicted fluxes of a tower, GPP and RECO multiplied by a number each so that their means are the measured ones; NEE follows.

    What two numbers of a place would give that nobody knows where no tower stands.
    """
    scaled = {}
    for name in ("gpp", "reco"):
        seen = np.isfinite(tower.targets[name])
        scaled[name] = point[name] * (tower.targets[name][seen].mean() / point[name][seen].mean() if seen.any() else 1.0)
    return {"nee": scaled["reco"] - scaled["gpp"], **scaled}


def summer_of(test: Sequences, point: dict[str, np.ndarray]) -> pd.DataFrame:
    """June to September of `DROUGHT` less the mean of those months in other years, observed and predicted on the same days, gC m-2.

    Columns `SUMMER_COLUMNS`. A tower has a row of a flux where `summers.full_summers` finds that year and `LEAST_YEARS` others.
    """
    year, summer = test.days.astype("datetime64[Y]").astype(int) + 1970, np.isin(month_of(test.days), DRY_MONTHS)
    rows = []
    for at, site in enumerate(test.places):
        for name in ("nee", "gpp"):
            seen = full_summers(test.targets[name][:, at], year, summer)
            if DROUGHT not in seen or len(seen) <= LEAST_YEARS:
                continue
            sums = {
                one: DAYS_OF_DROUGHT * np.array([values[name][days, at].mean(dtype=float) for values in (test.targets, point)])
                for one, days in seen.items()
            }
            observed, modelled = sums.pop(DROUGHT) - np.mean(list(sums.values()), axis=0)
            rows.append((site, name.upper(), observed, modelled))
    return pd.DataFrame(rows, columns=list(SUMMER_COLUMNS))


def of_drought(summers: pd.DataFrame) -> str:
    """A table of the summer of the drought: all towers together, with 90 % of towers drawn anew."""
    if summers.empty:
        return ""
    lines = [
        f"\n## June to September {DROUGHT} at towers never seen\n",
        f"Departure from the same months of other years, gC m-2 in {DAYS_OF_DROUGHT} days, on observed days; at least {LEAST_YEARS} other "
        "years. Share: sum predicted over sum observed; r over towers; in brackets 90 % of towers drawn anew.\n",
        "| flux | model | towers | observed | predicted | share | r |",
        "|---|---|---|---|---|---|---|",
    ]
    for (flux, model), group in summers.groupby(["variable", "model"], sort=False):
        both, rng = group[["observed", "predicted"]].to_numpy(float), np.random.default_rng(SEED)
        anew = both[rng.integers(len(both), size=(4000, len(both)))]
        share = lambda values: values[..., 1].sum(-1) / values[..., 0].sum(-1)  # noqa: E731
        together = [np.corrcoef(one.T)[0, 1] for one in (both, *anew)] if len(both) > 2 else [np.nan]
        ends = [np.nanquantile(values, (0.05, 0.95)) for values in (share(anew), together[1:] or together)]
        of_share, of_r = (f"{low:.2f} to {high:.2f}" for low, high in ends)
        observed, modelled = both.mean(axis=0)
        both_numbers = f"{share(both):.2f} ({of_share}) | {together[0]:.2f} ({of_r})"
        lines.append(f"| {flux} | {model} | {len(both)} | {observed:+.0f} | {modelled:+.0f} | {both_numbers} |")
    return "\n".join(lines) + "\n"


def of_sites(scores: pd.DataFrame) -> str:
    """Mean over sites of 1 / (2 - NSE) and of the RMSE of days, and what the hybrid model gains, by split."""
    lines = []
    for split, group in scores[(scores.step == "day") & (scores.n > 0)].groupby("split", sort=False):
        lines += [
            f"\n## Mean over sites, days: {split}\n",
            "Mean of 1 / (2 - NSE); RMSE [gC m-2 d-1]; last, the hybrid model less the row, 90 % of towers drawn anew.\n",
            "| model | NEE | GPP | RECO | RMSE: NEE, GPP, RECO | hybrid model, gain: NEE | GPP | RECO |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for model, rows in group.groupby("model", sort=False):
            of = rows.groupby("variable")
            means, errors = of.nse.apply(lambda nse: (1.0 / (2.0 - nse)).mean()), of.rmse.mean()
            gains = ["" if model == HYBRID else gain(group, HYBRID, str(model), flux) for flux in GOALS]
            numbers = [*(f"{means[flux]:.3f}" for flux in GOALS), ", ".join(f"{errors[flux]:.2f}" for flux in GOALS), *gains]
            lines.append(f"| {model} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


def baselines(size: dict) -> dict:
    """What has to be beaten, by name."""
    return {
        "climatology": Climatology(),
        "VPRM (EU2007)": VPRM(table="EU2007"),
        "VPRM (pyVPRM MODIS)": VPRM(table="pyVPRM_modis"),
        "VPRM re-fitted": RefittedVPRM(),
        "LightGBM": LightGBM(trees=size["trees"], predictors=REFLECTANCE_PREDICTORS),
        "XGBoost": XGBoost(trees=size["trees"], predictors=REFLECTANCE_PREDICTORS),
        "random forest": QuantileForest(predictors=REFLECTANCE_PREDICTORS, settings={**FOREST, "n_estimators": size["forest"]}),
    }


def knowing_the_site(train: Sequences, test: Sequences, size: dict) -> list[pd.DataFrame]:
    """LightGBM that has the site of a day as a predictor: the ceiling of these drivers."""
    number = np.arange(len(train.places), dtype=np.float32)
    with_site = [replace(one, drivers={**one.drivers, "site": number}) for one in (train, test)]
    predicted = LightGBM(trees=size["trees"], predictors=(*REFLECTANCE_PREDICTORS, "site")).fit(with_site[0]).predict(with_site[1])
    tables = ((step, score_table(test, predicted, step=step, known=train.places)) for step in KNOWN_STEPS)
    return [table.assign(model="LightGBM, site known", step=step) for step, table in tables]


def by_site(scores: pd.DataFrame) -> pd.DataFrame:
    """One row per site, model, step and flux: blocks of years at the same site are averaged by their days."""
    key = ["split", "model", "step", "variable", "site"]
    once = scores[~scores.duplicated(key, keep=False)]
    again = scores[scores.duplicated(key, keep=False) & (scores.n > 0)]
    if again.empty:
        return scores
    rows = []
    for name, group in again.groupby(key, sort=False):
        row = dict(zip(key, name, strict=True)) | {"igbp": group.igbp.iloc[0], "n": int(group.n.sum()), "known": bool(group.known.all())}
        for column in group.columns.difference([*row, "fold"]):
            values = group[column]
            if column.startswith("pit"):
                row[column] = values.sum(min_count=1)
            elif column == "rmse":
                row[column] = float(np.sqrt(np.average(values**2, weights=group.n)))
            else:
                seen = values.notna()
                row[column] = float(np.average(values[seen], weights=group.n[seen])) if seen.any() else np.nan
        rows.append(row)
    order = list(scores.model.unique())
    both = pd.concat([once, pd.DataFrame(rows)], ignore_index=True)
    return both.sort_values("model", key=lambda names: names.map(order.index), kind="stable")


def references(data: Path) -> list[dict]:
    """Goals, and the noise between two official processings of the same days."""
    found = []
    for flux, (nse, r2) in GOALS.items():
        for score, value in (("nse", nse), ("r2", r2)):
            found.append({"kind": "goal", "name": "goal", "variable": flux, "step": "day", "score": score, "value": value})
    found.append({"kind": "goal", "name": "goal", "variable": "NEE", "step": "year", "score": "rmse_pooled", "value": 300.0})
    file = data / "reference_scores" / "processing_difference_WW2020_vs_FLUXNET2015.csv"
    if file.exists():
        table = pd.read_csv(file)
        for flux, name in (("NEE", "NEE"), ("GPP", "GPP_NT"), ("RECO", "RECO_NT")):
            part = table[table["var"] == name]
            if len(part):
                found.append({
                    "kind": "ceiling", "name": "between two official processings", "variable": flux, "step": "day", "score": "nse",
                    "value": float(part.nse.median()), "source": "Warm Winter 2020 against FLUXNET2015, same days, median over sites",
                })  # fmt: skip
    return found


if __name__ == "__main__":
    main()
