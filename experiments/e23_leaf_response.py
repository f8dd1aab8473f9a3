"""E23 - By how much do NIRv and LSWI of a place fall when rain has been missing in the weeks before?

The response of leaves that a scenario lets follow the water (`hybridflux scenario --leaves follow`), fitted without any flux: clear views
of MODIS at 1 km at European towers in steps of ten days, May to September, against the rain deficit made of the weather of the tower.
Scored by the mean departure of June to September from the usual course of the place, at towers left out and in drought years left out,
beside no departure at all and LightGBM. Departures are of log NIRv (0.1 is a tenth of NIRv) and of LSWI. With `--posterior`, also how much
of what the ledger of E22 gives to greenness goes through leaves that follow the water.

    python experiments/e23_leaf_response.py --data ../shared/data/towers --posterior FILE --out runs/e23

A minute on one core, and some more for the ledger.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lightgbm
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from e22_drought_ledger import EVENTS, LAST, departure, looked_at
from e22_drought_ledger import SEED as E22_SEED
from greenness_parts import Z90, beside_water, parts_of_greenness, parts_table

from hybridflux.causes import CAUSES, change_name
from hybridflux.data.catalog import load_catalog
from hybridflux.data.points import read_points
from hybridflux.data.towers import open_towers
from hybridflux.evaluate.leaf_steps import WEATHER, leaf_steps
from hybridflux.inference.fit_leaf_response import MEMORIES, SCALE, TowerSteps, fit_leaf_response, pool, slope
from hybridflux.inference.posterior import Posterior
from hybridflux.model.leaf_response import FOLLOWED, LeafResponse
from hybridflux.products.drought_leaves import leaves_without_the_deficit
from hybridflux.products.drought_towers import drought_at_towers
from hybridflux.provenance import provenance
from hybridflux.vocabulary import PLANT_TYPES

DROUGHTS = (2003, 2015, 2018)
GROUPS, LEAST_YEARS, LEAST_STEPS, SEED = 6, 4, 5, 1
SUMMER_FROM = 31 / 152.5  # of the warm season: 1 June
SOURCE = "experiments/results/e23_leaf_response.md: MODIS at 1 km and weather of European towers, 2000-2018"
TREES = {"n_estimators": 200, "learning_rate": 0.03, "num_leaves": 15, "min_child_samples": 40, "verbose": -1, "n_jobs": 1, "seed": SEED}


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="towers folder")
    parser.add_argument("--posterior", type=Path, help="file of `hybridflux fit` or of E04, for the ledger")
    parser.add_argument("--out", type=Path, default=Path("runs/e23"))
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    towers = of_towers(arguments.data)
    response, by_heat = (fit_leaf_response(towers, controls=controls, source=SOURCE) for controls in (True, False))
    summers = pd.concat([left_out_towers(towers), left_out_years(towers)])
    summers.to_csv(out / "summers.csv", index=False, float_format="%.5g")
    (out / "leaf_response.json").write_text(json.dumps(response.to_json(), indent=1))
    (out / "run.json").write_text(json.dumps(provenance({"groups": GROUPS}, SEED), indent=1))
    figure(towers, response, summers).savefig(out / "e23_leaf_response.png", dpi=150, bbox_inches="tight")
    text = page(towers, response, by_heat, summers)
    if arguments.posterior:
        text += "\n".join(ledger_table(of_ledger(arguments.data, arguments.posterior, without_droughts(towers)))) + "\n"
        text += "\n".join(parts_table(parts_of_greenness(arguments.data, arguments.posterior))) + "\n"
    (out / "results.md").write_text(text)
    print(text)


def of_towers(data: Path) -> list[TowerSteps]:
    """Towers of a folder with enough years of clear views and measured weather."""
    towers = open_towers(data, needs=WEATHER, screen=None)
    (path,) = (data / "reflectance").glob("modis_1km*")
    views = read_points(path, load_catalog()["modis-1km-points"], tuple(FOLLOWED), list(towers.sites.index))
    return [one for one in leaf_steps(towers, views) if len(np.unique(one.year)) >= LEAST_YEARS]


class Departures:
    """Departures of a tower from its usual course of some years: index, deficit and controls of each step."""

    def __init__(self, tower: TowerSteps, index: str, memory: float, usual: np.ndarray) -> None:
        course, values = tower.usual_course(), np.column_stack([tower.values[index], tower.deficit[memory], tower.controls])
        root = np.sqrt(tower.weight)[usual, None]
        away = values - course @ np.linalg.lstsq(course[usual] * root, values[usual] * root, rcond=None)[0]
        self.tower, self.index, self.deficit, self.controls = tower, away[:, 0], away[:, 1], away[:, 2:]

    def inputs(self, heat: bool) -> pd.DataFrame:
        """What trees read."""
        table = pd.DataFrame({"deficit": self.deficit, "type": PLANT_TYPES.index(self.tower.plant_type), "season": self.tower.season})
        return table.assign(**dict(zip(("tair", "par", "vpd"), self.controls.T, strict=True))) if heat else table

    def summers(self, values: np.ndarray, years: Iterable[int]) -> dict[int, float]:
        """Means of June to September of the years with enough steps."""
        found = {year: (self.tower.year == year) & (self.tower.season >= SUMMER_FROM) for year in years}
        return {year: float(values[here].mean()) for year, here in found.items() if here.sum() >= LEAST_STEPS}


Predict = Callable[[Departures], np.ndarray]


def _predictors(train: Sequence[TowerSteps], index: str) -> tuple[dict[str, Predict], dict[str, LeafResponse]]:
    """What says the departures of a tower: fitted to towers, the memory of the deficit chosen there."""
    fits = {"response": fit_leaf_response(train), "response, heat included": fit_leaf_response(train, controls=False)}
    memory = fits["response, heat included"].memory_days
    away = [Departures(one, index, memory, np.ones(len(one), bool)) for one in train]
    target = np.concatenate([one.index for one in away])
    predict: dict[str, Predict] = {
        name: lambda one, fit=fit: fit.of_type(index, one.tower.plant_type)[0] * one.deficit for name, fit in fits.items()
    }
    for name, heat in (("LightGBM", False), ("LightGBM, heat too", True)):
        trees = lightgbm.LGBMRegressor(**TREES).fit(pd.concat([one.inputs(heat) for one in away]), target)
        predict[name] = lambda one, trees=trees, heat=heat: trees.predict(one.inputs(heat))
    return predict, fits


def _rows(train: Sequence[TowerSteps], test: Sequence[tuple[TowerSteps, np.ndarray, Iterable[int]]], check: str) -> list[dict]:
    """Observed and predicted summers of towers, each with the steps that say what is usual there and the years that are scored."""
    rows = []
    for index in FOLLOWED:
        predict, fits = _predictors(train, index)
        memory = {name: fits[name].memory_days if name in fits else fits["response, heat included"].memory_days for name in predict}
        left = {name: _left(train, index, memory[name], predict[name]) for name in fits}
        for tower, usual, years in test:
            for name, of in predict.items():
                here = Departures(tower, index, memory[name], usual)
                observed, predicted = here.summers(here.index, years), here.summers(of(here), years)
                deficit = here.summers(here.deficit, years)
                for year, value in observed.items():
                    sd = np.nan
                    if name in fits:
                        spread = fits[name].of_type(index, tower.plant_type)[1] * deficit[year]
                        sd = float(np.hypot(spread, left[name].get(tower.plant_type, left[name]["all"])))
                    rows.append({"check": check, "index": index, "site": tower.place, "type": tower.plant_type, "year": year, "model": name,
                                 "observed": value, "predicted": predicted[year], "sd": sd})  # fmt: skip
    return rows


def _left(train: Sequence[TowerSteps], index: str, memory: float, predict: Predict) -> dict[str, float]:
    """Plant type, or `all` -> standard deviation of what a prediction leaves of the summers of the towers of the fit."""
    left: dict[str, list[float]] = {}
    for tower in train:
        one = Departures(tower, index, memory, np.ones(len(tower), bool))
        left.setdefault(tower.plant_type, []).extend(one.summers(one.index - predict(one), np.unique(tower.year)).values())
    enough = {kind: float(np.std(values)) for kind, values in left.items() if len(values) >= 20}
    return enough | {"all": float(np.std(np.concatenate(list(left.values()))))}


def left_out_towers(towers: Sequence[TowerSteps]) -> pd.DataFrame:
    """All summers of towers that took no part, in `GROUPS` groups; what is usual at a tower is the mean course of its own years."""
    group = np.random.default_rng(SEED).permutation(len(towers)) % GROUPS
    rows = []
    for number in range(GROUPS):
        train = [one for one, of in zip(towers, group, strict=True) if of != number]
        test = [(one, np.ones(len(one), bool), np.unique(one.year)) for one, of in zip(towers, group, strict=True) if of == number]
        rows += _rows(train, test, "towers left out")
    return pd.DataFrame(rows)


def left_out_years(towers: Sequence[TowerSteps]) -> pd.DataFrame:
    """The drought summers of all towers, against the usual course of the other years, which alone took part."""
    train = [one.only(~np.isin(one.year, DROUGHTS)) for one in towers]
    test = [(one, ~np.isin(one.year, DROUGHTS), DROUGHTS) for one in towers if len(np.unique(one.year[~np.isin(one.year, DROUGHTS)])) >= 3]
    return pd.DataFrame(_rows([one for one in train if len(one)], test, "drought years left out"))


def scores(summers: pd.DataFrame) -> pd.DataFrame:
    """A row for each check, index, model and plant type (and all): r, RMSE, that of no departure, sign of large departures, coverage."""
    rows = []
    both = pd.concat([summers, summers.assign(type="all")])
    for (check, index, kind, model), part in both.groupby(["check", "index", "type", "model"], sort=False):
        error = part.observed - part.predicted
        large = part.observed.abs() > part.observed.std()
        sign = np.mean(np.sign(part.observed[large]) == np.sign(part.predicted[large])) if large.any() else np.nan
        r = np.corrcoef(part.observed, part.predicted)[0, 1] if len(part) > 2 and part.predicted.std() > 0 else np.nan
        rows.append({"check": check, "index": index, "type": kind, "model": model, "summers": len(part), "towers": part.site.nunique(),
                     "r": r, "rmse": np.sqrt(np.mean(error**2)), "zero": np.sqrt(np.mean(part.observed**2)),
                     "explained": 1 - np.sum(error**2) / np.sum(part.observed**2), "sign": sign,
                     "inside": np.mean(error.abs() < Z90 * part.sd) if part.sd.notna().all() else np.nan,
                     "observed": part.observed.mean(), "predicted": part.predicted.mean()})  # fmt: skip
    return pd.DataFrame(rows)


def figure(towers: Sequence[TowerSteps], response: LeafResponse, summers: pd.DataFrame) -> plt.Figure:
    """Slopes of towers beside those of their plant types; summers of left-out towers, observed against predicted."""
    drawn, panels = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    order = sorted({one.plant_type for one in towers}, key=lambda kind: response.mean["nirv"][kind])
    for panel, index, label in zip(panels[:2], FOLLOWED, ("log NIRv", "LSWI"), strict=True):
        for number, kind in enumerate(order):
            mean, sd = response.of_type(index, kind)
            panel.barh(number, 2 * Z90 * sd, left=mean - Z90 * sd, height=0.8, color="0.88")
            panel.plot([mean, mean], [number - 0.4, number + 0.4], color="k")
            own = [slope(one, index, response.memory_days) for one in towers if one.plant_type == kind]
            own = [one for one in own if one.variance**0.5 < 2 * SCALE[index]]
            at = number + np.linspace(-0.3, 0.3, max(len(own), 1))[: len(own)]
            panel.errorbar([one.value for one in own], at, xerr=[one.variance**0.5 for one in own], fmt="o", ms=3, lw=0.8)
        panel.axvline(0, color="0.5", lw=0.8)
        panel.set_yticks(range(len(order)), order)
        panel.set_xlabel(f"change of {label} per mm d$^{{-1}}$ of rain deficit")
    part = summers[(summers.check == "towers left out") & (summers["index"] == "nirv") & (summers.model == "response, heat included")]
    for kind in order:
        of = part[part.type == kind]
        panels[2].plot(of.predicted, of.observed, "o", ms=3, label=kind)
    ends = np.array([part.observed.min(), part.observed.max()])
    panels[2].plot(ends, ends, color="0.5", lw=0.8)
    panels[2].set(xlabel="predicted departure of log NIRv, June-September", ylabel="observed, at a tower left out")
    panels[2].legend(fontsize=7, ncols=2)
    return drawn


def page(towers: Sequence[TowerSteps], response: LeafResponse, by_heat: LeafResponse, summers: pd.DataFrame) -> str:
    """The results as Markdown."""
    table = scores(summers)
    years = [len(np.unique(one.year)) for one in towers]
    lines = [
        "# E23: leaves that follow the water", "",
        f"{len(towers)} European towers, {sum(map(len, towers))} steps of ten days of May to September with clear views of MODIS at 1 km, "
        f"{min(years)} to {max(years)} years a tower. No flux is used.",
        "Rain deficit: mean of reference evapotranspiration (Makkink) minus rain with an exponential memory, at least 0, mm d-1.",
        "Command: `python experiments/e23_leaf_response.py --data TOWERS --posterior FILE --out runs/e23`.", "",
        *slopes_table(towers, response, by_heat), *beside_water(towers, response.memory_days), "", *memory_table(towers), "",
    ]  # fmt: skip
    for check in table["check"].unique():
        lines += ["", *score_table(table, check), "", resampled(summers[summers.check == check])]
    return "\n".join([*lines, "", *years_table(summers), ""])


def slopes_table(towers: Sequence[TowerSteps], response: LeafResponse, by_heat: LeafResponse) -> list[str]:
    """Slopes by plant type."""
    lines = [
        "## Slopes", "",
        "Change per mm d-1 of deficit of an unknown place, 90 % interval; NIRv in per cent, LSWI in thousandths. Beside temperature, light",
        f"and VPD of the last month (memory {response.memory_days:.0f} d, of scenarios), without them ({by_heat.memory_days:.0f} d).", "",
        "| plant type | towers | NIRv, % | LSWI, 1e-3 | NIRv, heat included | LSWI, heat included |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for kind in response.mean["nirv"]:
        cells = []
        for fit in (response, by_heat):
            for index, unit in (("nirv", 100), ("lswi", 1000)):
                mean, sd = fit.of_type(index, kind)
                cells.append(f"{unit * mean:+.1f} ({unit * (mean - Z90 * sd):+.0f} to {unit * (mean + Z90 * sd):+.0f})")
        lines.append(f"| {kind} | {sum(one.plant_type == kind for one in towers)} | " + " | ".join(cells) + " |")
    spread = ", ".join(f"{name} {value:.3f}" for name, value in response.place_sd.items())
    return [*lines, "", f"Spread of places about the mean of their type: {spread}; correlation of the two {response.correlation:.2f}."]


def memory_table(towers: Sequence[TowerSteps]) -> list[str]:
    """Evidence of each memory."""
    lines = ["## Memory", "", "Log evidence of the response against none, all towers, heat beside it.", "",
             "| memory, d | " + " | ".join(FOLLOWED) + " |", "|---|---|---|"]  # fmt: skip
    kinds = [one.plant_type for one in towers]
    for memory in MEMORIES:
        found = [pool([slope(one, index, memory) for one in towers], kinds, SCALE[index]).evidence for index in FOLLOWED]
        lines.append(f"| {memory:.0f} | " + " | ".join(f"{one:.1f}" for one in found) + " |")
    return lines


def score_table(table: pd.DataFrame, check: str) -> list[str]:
    """Scores of a check."""
    lines = [f"## Departures of June to September, {check}", "",
             "Share explained: 1 minus squared error over that of no departure. Sign: of departures larger than a standard deviation.", "",
             "| index | type | towers | summers | model | r | RMSE | RMSE of none | explained, % | sign right, % | inside 90 %, % |",
             "|" + "---|" * 11]  # fmt: skip
    part = table[table["check"] == check]
    shown = part[(part.type == "all") | part.model.isin(["response", "response, heat included"])]
    for row in shown.sort_values(["index", "type", "model"]).to_dict("records"):
        inside = "" if np.isnan(row["inside"]) else f"{100 * row['inside']:.0f}"
        lines.append(
            f"| {row['index']} | {row['type']} | {row['towers']} | {row['summers']} | {row['model']} | {row['r']:.2f} | "
            f"{row['rmse']:.3f} | {row['zero']:.3f} | {100 * row['explained']:.0f} | {100 * row['sign']:.0f} | {inside} |"
        )
    return lines


def resampled(summers: pd.DataFrame) -> str:
    """Share of the squared departures that the response explains, towers resampled."""
    random, said = np.random.default_rng(SEED), []
    for index in FOLLOWED:
        part = summers[(summers["index"] == index) & (summers.model == "response")]
        sums = part.assign(left=(part.observed - part.predicted) ** 2, whole=part.observed**2).groupby("site")[["left", "whole"]].sum()
        chosen = sums.to_numpy()[random.integers(0, len(sums), (2000, len(sums)))].sum(axis=1)
        low, high = np.quantile(100 * (1 - chosen[:, 0] / chosen[:, 1]), (0.05, 0.95))
        said.append(f"{index} {100 * (1 - sums.left.sum() / sums.whole.sum()):.0f} % ({low:.0f} to {high:.0f})")
    return f"Explained by the response, 90 % interval with towers resampled: {', '.join(said)}."


def years_table(summers: pd.DataFrame) -> list[str]:
    """Mean departures of the drought years."""
    lines = [
        "## Mean departure of the drought summers", "",
        "Over the towers of a plant type, years left out; NIRv in per cent, LSWI in thousandths.", "",
        "| year | type | towers | NIRv observed | response | heat included | LSWI observed | response | heat included |", "|" + "---|" * 9,
    ]  # fmt: skip
    part = summers[summers.check == "drought years left out"]
    for (year, kind), of in pd.concat([part, part.assign(type="all")]).groupby(["year", "type"]):
        cells = [f"{of.site.nunique()}"]
        for index, unit in (("nirv", 100), ("lswi", 1000)):
            for column, model in (("observed", "response"), ("predicted", "response"), ("predicted", "response, heat included")):
                cells.append(f"{unit * of[(of['index'] == index) & (of.model == model)][column].mean():+.0f}")
        lines.append(f"| {year} | {kind} | " + " | ".join(cells) + " |")
    return lines


def without_droughts(towers: Sequence[TowerSteps]) -> LeafResponse:
    """The response of all towers in the years without drought."""
    return fit_leaf_response([one.only(~np.isin(one.year, DROUGHTS)) for one in towers])


def of_ledger(data: Path, file: Path, response: LeafResponse) -> pd.DataFrame:
    """A row for each tower and event of E22: change of GPP [gC m-2] by all causes, by soil water, by greenness and by leaves alone."""
    posterior = Posterior.load(file)
    needs = posterior.model.needs_at_towers()
    sequences = open_towers(data, years=(2000, LAST), needs=needs, screen=None).sequences(needs)
    rows = []
    for event in EVENTS:
        here, years, season, _ = looked_at(sequences, event)
        without = leaves_without_the_deficit(here, years, response)
        ledgers = [drought_at_towers(posterior, one, season, years, seed=E22_SEED) for one in (here, without)]
        parts, rest = ({cause: one[change_name("gpp", cause)].sum(axis=1).mean(axis=0) for cause in CAUSES} for one in ledgers)
        kinds, gpp = np.asarray(here.drivers["plant_type"], int), here.targets["gpp"]
        for number, site in enumerate(here.places):
            green, left = parts["greenness"][number], rest["greenness"][number]
            rows.append({"event": event, "site": site, "type": PLANT_TYPES[kinds[number]], "ledger": sum(parts.values())[number],
                         "soil water": parts["soil_water"][number], "greenness": green, "leaves": green - left,
                         "observed": departure(gpp[:, number], np.isfinite(gpp[:, number]), here.days, event, years[number])})  # fmt: skip
    return pd.DataFrame(rows)


def ledger_table(ledger: pd.DataFrame) -> list[str]:
    """Means over towers of an event, and by plant type over all events."""
    lines = [
        "", "## The ledger of E22", "",
        "Change of GPP of June to August against the usual year, gC m-2 in 92 days, negative = uptake lost, mean over towers. Leaves",
        "that follow the water: what greenness takes less where leaves are moved back by the mean response to the rain deficit, fitted to",
        "the years without drought.", "",
        "| event or type | towers | GPP of the ledger | soil water | greenness | of which leaves that follow | the rest of greenness |",
        "|" + "---|" * 7,
    ]  # fmt: skip
    for name, part in [*((str(event), of) for event, of in ledger.groupby("event")), *ledger.groupby("type")]:
        mean = part[["ledger", "soil water", "greenness", "leaves"]].mean()
        rest = mean["greenness"] - mean["leaves"]
        lines.append(f"| {name} | {len(part)} | " + " | ".join(f"{value:+.0f}" for value in [*mean, rest]) + " |")
    return [*lines, *of_fluxes(ledger.dropna(subset="observed"))]


def of_fluxes(ledger: pd.DataFrame) -> list[str]:
    """Observed departures of GPP beside the ledger with leaves held at the usual course, following the water, and as they were seen."""
    lines = [
        "", "## GPP with and without leaves that follow", "",
        "Departure of GPP of June to August from the other summers at towers, gC m-2: observed, and by the ledger with leaves at their",
        "usual course, with leaves that follow the water and nothing else, and with leaves as a satellite saw them. Squared error less",
        "than that of leaves held, in per cent of it, 90 % interval with towers resampled.", "",
        "| event | towers | leaves | observed | ledger | r | RMSE | squared error less, % |", "|" + "---|" * 8,
    ]  # fmt: skip
    forms = {"held": ledger["ledger"] - ledger["greenness"]}
    forms |= {"follow": forms["held"] + ledger["leaves"], "seen": ledger["ledger"]}
    random = np.random.default_rng(SEED)
    dry = ledger.event != 2015
    for name, chosen in (("2003", ledger.event == 2003), ("2018", ledger.event == 2018), ("2003 and 2018", dry), ("all", ledger.event > 0)):
        of = ledger[chosen]
        errors = {form: (of.observed - values[chosen]) ** 2 for form, values in forms.items()}
        sums = pd.DataFrame(errors).assign(site=of.site).groupby("site").sum()
        drawn = sums.to_numpy()[random.integers(0, len(sums), (2000, len(sums)))].sum(axis=1)
        for number, (form, values) in enumerate(forms.items()):
            low, high = np.quantile(100 * (1 - drawn[:, number] / drawn[:, 0]), (0.05, 0.95))
            less = 100 * (1 - errors[form].sum() / errors["held"].sum())
            lines.append(
                f"| {name} | {len(of)} | {form} | {of.observed.mean():+.0f} | {values[chosen].mean():+.0f} | "
                f"{np.corrcoef(of.observed, values[chosen])[0, 1]:.2f} | {errors[form].mean() ** 0.5:.0f} | "
                f"{less:+.0f} ({low:+.0f} to {high:+.0f}) |"
            )
    return lines


if __name__ == "__main__":
    main()
