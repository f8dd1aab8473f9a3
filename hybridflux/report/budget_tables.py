"""The budget and the closure of a run as HTML tables, beside the truth where it is known."""

from __future__ import annotations

import base64
from html import escape

import numpy as np
import pandas as pd

from hybridflux.data.spreadsheet import as_text
from hybridflux.products.totals import ALL, REGION
from hybridflux.report.markup import badge, interval_bar, paragraph, table
from hybridflux.report.style import interval, number, units
from hybridflux.vocabulary import FLUXES, PLANT_TYPE_NAMES

UNIT = "gC m-2 yr-1"
ZONES = 40  # in a table of the page; all are in the CSV
ROWS = 1500  # of a CSV inside of the page
TONES = {"NEE": "--nee", "GPP": "--gpp", "RECO": "--reco", "NBP": "--accent"}
KEYS = ["zone", "land_cover", "period", "variable", "quantity"]


def with_truth(budget: pd.DataFrame, truth: pd.DataFrame | None) -> pd.DataFrame:
    """The budget with columns `truth`, `truth_tCO2` and `inside`: whether the truth lies between q05 and q95."""
    if truth is None:
        return budget
    known = truth[[*KEYS, "mean", "total_tCO2"]].rename(columns={"mean": "truth", "total_tCO2": "truth_tCO2"})
    merged = budget.merge(known, on=KEYS, how="left")
    return merged.assign(inside=(merged["q05"] <= merged["truth"]) & (merged["truth"] <= merged["q95"]))


def main_period(budget: pd.DataFrame) -> str:
    """The period to show first: the mean of all whole years, else the last whole year, else the last part of one."""
    flux = budget[(budget["quantity"] == "flux") & (budget["variable"] == "NEE")]
    means = flux[flux["period"].str.startswith("mean of")]
    whole = flux[flux["units"] == "gC m-2 yr-1"]
    return (means if len(means) else whole if len(whole) else flux)["period"].iloc[-1]


def row_of(budget: pd.DataFrame, period: str, variable: str, zone: str = REGION, cover: str = ALL) -> pd.Series:
    """One row of the budget."""
    wanted = {"zone": zone, "land_cover": cover, "period": period, "variable": variable, "quantity": "flux"}
    rows = budget
    for name, value in wanted.items():
        rows = rows[rows[name] == value]
    return rows.iloc[0]


def shown_places(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the region, of its land covers and of its largest zones."""
    zones = rows[(rows["zone"] != REGION) & (rows["land_cover"] == ALL)]
    largest = zones.groupby("zone")["area_ha"].max().nlargest(ZONES).index
    return rows[(rows["zone"] == REGION) | (rows["zone"].isin(largest) & (rows["land_cover"] == ALL))]


def budget_section(budget: pd.DataFrame) -> str:
    """Tables of the region, its land covers and its zones, for each flux."""
    period = main_period(budget)
    shown = budget[(budget["period"] == period) & (budget["quantity"] == "flux")]
    places = shown_places(shown)
    unit = places["units"].iloc[0]
    _, kilo = tonnes(places["total_tCO2"])
    of_total = units(kilo + places["total_units"].iloc[0])
    note = (
        f"Period {when(period)}. Intervals hold 90 % of the posterior draws of the <em>total</em>: all pixels of a draw share "
        f"its errors, so they do not average out. Per area in {units(unit)}; totals in {of_total}."
    )
    if "spread" in places:
        note += f" Spread <code>{escape(places['spread'].iloc[0])}</code>."
    if "truth" in places:
        note += " The pink mark is the known truth."
    parts = [paragraph(note, "note")]
    for flux in FLUXES:
        rows = places[places["variable"] == flux]
        block = _flux_table(rows)
        sign = rows["sign"].iloc[0]
        if flux == "NEE":
            parts.append(f"<h3>NEE = RECO − GPP, {sign}; negative = uptake</h3>{block}")
        else:
            parts.append(f"<details><summary>{flux}, {sign}</summary>{block}</details>")
    parts.append(paragraph(f"All zones, land covers, periods and quantiles: {_whole_table(budget)}.", "note"))
    return "\n".join(parts)


def _whole_table(budget: pd.DataFrame) -> str:
    """A link to the whole table, inside of the page where it is small; else the command that writes it."""
    if len(budget) > ROWS:
        return f"{number(len(budget))} rows, too many for a page: <code>hybridflux budget --run RUN --out budget.csv</code>"
    text = base64.b64encode(as_text(budget).to_csv(index=False, float_format="%.6g").encode()).decode()
    return f'<a download="budget.csv" href="data:text/csv;base64,{text}">budget.csv</a>'


def closure_section(budget: pd.DataFrame) -> str:
    """The ledger NBP = -NEE - export against stock changes, with verdicts; the region is shown, zones are folded."""
    unit = units(UNIT)
    note = (
        f"NBP = −NEE − export, positive when the land gains carbon; stock change = biomass + soil; difference = NBP − stock change; all "
        f"{unit}, ± one sd. <b>Open</b>: the two differ by more than 1.96 sd. <b>Closed</b>: they do not, and a gap of half of the largest "
        f"term (at least 50 {unit}) would have been detected. <b>Undecidable</b>: it would not have been, or a pool is missing. "
        "Methane and deadwood are not in the ledger; imports, fire and leaching are where the inventory gives them."
    )
    rows = budget[budget["variable"] == "NBP"]
    whole = rows["zone"] == REGION
    parts = [paragraph(note, "note")] + [_closure_table(rows[whole])] * bool(whole.any())
    if (~whole).any():
        folded, zones = "" if whole.any() else " open", rows[~whole]
        largest = zones.loc[zones["area_ha"].nlargest(2 * ZONES).index.sort_values()] if len(zones) > 2 * ZONES else zones
        words = f"{len(zones)} zones and land covers" + (f", the {len(largest)} largest" if len(largest) < len(zones) else "")
        parts.append(f"<details{folded}><summary>{words}</summary>{_closure_table(largest)}</details>")
    return "\n".join(parts)


def _closure_table(rows: pd.DataFrame) -> str:
    """Rows of the ledger; the reasons of the verdicts stand below."""
    head = ["Place", "Period", "−NEE", "Export", "NBP", "Stock change", "Difference", "z", "Verdict", "Limited by"]
    lines = [
        [
            place_name(row), escape(row["period"]), number(row["mean"] + row["export"]), _pm(row["export"], row["export_sd"]),
            _pm(row["mean"], row["sd"]), _pm(row["stock_change"], row["stock_change_sd"]),
            _pm(row["difference"], row["difference_sd"]), number(row["z"], 1), badge(row["verdict"]), escape(row["limiting_term"]),
        ]
        for _, row in rows.iterrows()
    ]  # fmt: skip
    why = [f"<li>{place_name(row)}: {escape(row['note']).replace(UNIT, units(UNIT))}.</li>" for _, row in rows.iterrows() if row["note"]]
    return table(head, lines) + (f'<ul class="note">{"".join(why)}</ul>' if why else "")


def place_name(row: pd.Series) -> str:
    """Zone and land cover in words."""
    cover = "" if row["land_cover"] == ALL else PLANT_TYPE_NAMES.get(row["land_cover"], row["land_cover"])
    if row["zone"] == REGION:
        return escape(cover[:1].upper() + cover[1:] if cover else "Whole region")
    return escape(f"{row['zone']}, {cover}" if cover else row["zone"])


def _flux_table(rows: pd.DataFrame) -> str:
    """Rows of one flux: the region first."""
    tone, truth = TONES[rows["variable"].iloc[0]], "truth" in rows
    ends = rows[["mean", "q05", "q95", *(["truth"] if truth else [])]]
    scale = min(ends.min().min(), 0.0), max(ends.max().max(), 0.0)
    divisor, kilo = tonnes(rows["total_tCO2"])
    head = ["Place", "Area, ha", "Mean", "90 % interval", "", f"Total, {kilo}t CO<sub>2</sub>", "90 % interval"]
    lines = []
    for _, row in rows.iterrows():
        lines += heading_before(row, rows)
        known = float(row["truth"]) if truth and pd.notna(row["truth"]) else None
        bar = interval_bar(row["q05"], row["mean"], row["q95"], scale, tone, known)
        digits = digits_of(rows["total_tCO2"].abs().max() / divisor)
        line = [place_name(row), area_ha(row["area_ha"]), number(row["mean"]), interval(row["q05"], row["q95"]), bar]
        ends = interval(row["total_tCO2_q05"] / divisor, row["total_tCO2_q95"] / divisor, digits)
        line += [number(row["total_tCO2"] / divisor, digits), ends]
        if truth:
            word = "–" if known is None or not np.isfinite(row["q05"]) else "yes" if row["inside"] else "no"
            line += ["–" if known is None else number(known), f'<span class="{word}">{word}</span>']
        lines.append(line)
    return table(head + (["Truth", "Inside"] if truth else []), lines, whole=1)


def heading_before(row: pd.Series, rows: pd.DataFrame) -> list[str]:
    """A heading line before the first land cover and before the first zone."""
    if row["zone"] == REGION:
        first = rows[(rows["zone"] == REGION) & (rows["land_cover"] != ALL)]
        return ["Land covers"] if len(first) and row.name == first.index[0] else []
    return ["Zones"] if row.name == rows[rows["zone"] != REGION].index[0] else []


def tonnes(totals: pd.Series) -> tuple[float, str]:
    """Divisor of totals in tonnes and prefix of the unit, by the largest of them.

    >>> tonnes(pd.Series([-20.0, 3.0])), tonnes(pd.Series([-20000.0, 3.0]))
    ((1.0, ''), (1000.0, 'k'))
    """
    return (1e3, "k") if totals.abs().max() >= 1e3 else (1.0, "")


def when(period: str) -> str:
    """A period in words that are not broken at the end of a line.

    >>> when("2022-05..2022-06")
    '2022\u201105 to 2022\u201106'
    """
    return escape(period).replace("..", " to ").replace("-", "\u2011")


def area_ha(value: float) -> str:
    """An area with about three significant figures: 0.3 ha is not 0 ha.

    >>> area_ha(0.31), area_ha(31.4), area_ha(3140.2)
    ('0.310', '31.4', '3\u202f140')
    """
    return number(value, digits_of(value))


def digits_of(size: float) -> int:
    """Decimals that leave about three significant figures of a number of this size."""
    return 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3


def _pm(value: float, sd: float) -> str:
    return f"{number(value)} ± {number(sd)}" if np.isfinite(value) else "–"
