"""The page of E16."""

from __future__ import annotations

import numpy as np
import pandas as pd
from drought_differences import bootstrap
from water_forms import CHOSEN

from hybridflux.process import observation
from hybridflux.vocabulary import PLANT_TYPES

SUMMER = (6, 7, 8)
SHOWN = ("CH-Cha", "CH-Lae", "DE-Geb", "DE-Tha", "FR-Pue", "IT-Tor", "IT-BCi")
PER_DAY = observation.latent_heat(evapotranspiration=1.0)  # W m-2 of one mm d-1
NONE = "no stress"
PUBLISHED = (
    ("Granier et al. 1999, 10.1016/S0304-3800(98)00205-1, forests", "0.4 of extractable water"),
    ("Stocker et al. 2020, 10.5194/gmd-13-1545-2020", "0.6 of a bucket of 240 mm"),
    ("Fu et al. 2022, 10.1111/gcb.16050, Europe", "16.5 % vol. at the sensors"),
    ("Fu et al. 2024, global", "19 % vol., arid 12 to humid 26"),
)


def page(water, table: pd.DataFrame, found: dict, drought: pd.DataFrame, thresholds: pd.DataFrame, size: dict) -> str:
    """The results as a Markdown page."""
    parts = (heading(water, size), of_forms(table), summers(water, found), parameters(found[CHOSEN], water), irrigated(water),
             of_stress(drought, thresholds, size))  # fmt: skip
    return "\n".join(line for part in parts for line in part) + "\n"


def heading(water, size: dict) -> list[str]:
    """What was done."""
    return ["# E16: water that is measured, and its stress in droughts", "",
            "Made by `experiments/e16_water.py`; the numbers are its own.", "",
            f"{len(water.closure)} towers with NIRv, {water.sequences.days[0]} to {water.sequences.days[-1]}; "
            f"{int(np.isfinite(water.heat).sum())} months of latent heat, {int(np.isfinite(water.soil).sum())} of soil water.",
            f"Latent heat is closed to the energy balance (the towers show "
            f"{np.median(water.closure):.2f} of it in the median). Modes of a posterior with priors from the literature;",
            f"towers in {size['folds']} groups, each left out once. The forms were chosen on fits to all towers before this table."]


def of_forms(table: pd.DataFrame) -> list[str]:
    """Forms of the water balance at towers they have not seen."""
    first = table.iloc[0]
    lines = ["", "## Forms of the water balance, towers left out", "",
             "| form | learned | LE, months: RMSE, all | median tower | nNSE | LE, days: RMSE | June-August, mm d-1: bias (sd over towers) "
             "| departures June-September: RMSE | r | soil water: RMSE after the line | r | r of departures |",
             "|---|---|---|---|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for row in table.itertuples():
        lines.append(
            f"| {row.form} | {row.learned} | {row.monthly:.1f} | {row.median:.1f} | {row.nnse:.3f} | {row.daily:.1f} "
            f"| {row.summer:+.2f} ({row.summer_sd:.2f}) | {row.departures:.1f} | {row.departures_r:.2f} | {row.soil_rmse:.3f} "
            f"| {row.soil_r:.2f} | {row.soil_departures_r:.2f} |"
        )
    return [*lines, "", f"LE in W m-2, soil water in m3 m-3 at {first.sensors} sensors. Departures of months from their mean over the "
            f"years: their own spread is {first.none:.1f} W m-2.",
            f"`learned` counts leaves; a parameter by plant type has {len(PLANT_TYPES) + 1}."]


def summers(water, found: dict) -> list[str]:
    """Evapotranspiration of the summers of some towers."""
    old, rows = next(iter(found)), np.isin(water.months, SUMMER)
    lines = ["", "## June to August, mm d-1, towers left out", "",
             f"| tower | measured, not closed | closed | {old} | {CHOSEN} | r of months, first | r, second |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for place in (place for place in SHOWN if place in water.sequences.places):
        at = water.sequences.places.index(place)
        if (there := rows & np.isfinite(water.heat[:, at])).any():
            closed = water.heat[there, at].mean() / PER_DAY
            models = [found[name]["heat"][there, at] for name in (old, CHOSEN)]
            r = [np.corrcoef(model, water.heat[there, at])[0, 1] for model in models]
            cells = (closed * water.closure[at], closed, *(model.mean() / PER_DAY for model in models), *r)
            lines.append(f"| {place} | " + " | ".join(f"{value:.2f}" for value in cells) + " |")
    return lines


def parameters(found: dict, water) -> list[str]:
    """Parameters of the chosen form."""
    lines = ["", "## Parameters of the form that was taken", "",
             "Fitted to all towers; range of the fits with a group of towers left out.", "",
             "| parameter | value | range |", "|---|---|---|"]  # fmt: skip
    seen = np.unique(np.asarray(water.sequences.drivers["plant_type"], int))
    for key in (key for key in found if key.startswith("parameter ")):
        values = found[key]
        columns = {"": 0} if np.ptp(values[0]) == 0 else {f", {PLANT_TYPES[at]}": at for at in seen}
        lines += [f"| `{key.split()[1]}`{kind} | {values[0, at]:.3g} | {values[1:, at].min():.3g} to {values[1:, at].max():.3g} |"
                  for kind, at in columns.items()]  # fmt: skip
    return lines


def irrigated(water) -> list[str]:
    """Towers whose summer loses more than rain gave."""
    rows = np.isin(water.months, (5, 6, 7, 8, 9))
    both = np.isfinite(water.heat) & np.isfinite(water.rain) & rows[:, None]
    lack = np.where(both, water.heat / PER_DAY - water.rain, np.nan)
    enough = np.flatnonzero(both.sum(0) >= 15)
    need = np.nanmean(lack[:, enough], 0) * 153
    order = np.argsort(-need)[:6]
    cells = ", ".join(f"{water.sequences.places[enough[at]]} {need[at]:.0f}" for at in order)
    return ["", "## Water that rain did not bring", "", f"Closed evapotranspiration minus rain of towers, May to September, mm: {cells}.",
            "What exceeds the stores of the model (root zone and deep store together) was irrigation, groundwater or an overcorrected "
            "closure; absolute errors keep such towers from bending the others."]


def of_stress(drought: pd.DataFrame, thresholds: pd.DataFrame, size: dict) -> list[str]:
    """What the stress of soil water earns in droughts that were not fitted."""
    part = drought[(drought.step == "drought") & (drought.n > 0)]
    lines = ["", "## Stress in droughts that were left out", "",
             "`hybrid_nirv` with the water above fixed; known towers, days of drought as in E04 left out. RMSE of weekly anomalies, and",
             f"that minus the RMSE of `{NONE}` (negative: better), 90 % interval over towers; {size['members']} members, same seeds.",
             "", "| model | NEE | GPP | RECO | NEE, difference | GPP, difference | RECO, difference |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name in part.model.unique():
        rmse, differences = [], []
        for flux in ("NEE", "GPP", "RECO"):
            one, other = (part[(part.model == model) & (part.variable == flux)] for model in (name, NONE))
            rmse.append(f"{np.sqrt((one.n * one.rmse**2).sum() / one.n.sum()):.3f}")
            differences.append("-" if name == NONE else "{:+.3f} ({:+.3f}, {:+.3f})".format(*bootstrap(one, other, size["resamples"])))
        lines.append(f"| {name} | {' | '.join((*rmse, *differences))} |")
    lines += ["", "| model | parameter | members, lowest | median | highest |", "|---|---|---|---|---|"]
    lines += [f"| {row.model} | `{row.parameter}` | {row.low:.2f} | {row.middle:.2f} | {row.high:.2f} |" for row in thresholds.itertuples()]
    lines += ["", "Published thresholds:", "", *(f"- {source}: {stated}" for source, stated in PUBLISHED)]
    return [*lines, "", "Ours is a share of all the water that roots reach, below the root zone too: another quantity than those."]
