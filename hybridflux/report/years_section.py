"""Every year of a run on its page: anomalies with their intervals, land covers side by side, the sum over years, trend and variation."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from hybridflux.products.totals import ALL, REGION
from hybridflux.report.budget_tables import place_name, shown_places, when
from hybridflux.report.markup import card, grid, legend, paragraph, table
from hybridflux.report.style import FAINT, FLUX_COLOURS, NEE, TRUTH, figure, interval, number, plain_units, to_svg, units
from hybridflux.vocabulary import FLUXES

RATE, AMOUNT = "gC m-2 yr-1", "gC m-2"
COLUMNS = 12
"""Years in the table of places, the latest ones: the page does not grow with places times years. All are in budget.csv."""


def years_section(budget: pd.DataFrame) -> str:
    """The section; of fewer than two whole years it is empty.

    Args:
        budget: table of `budget_table`, with the columns of `budget_tables.with_truth` where the truth is known.
    """
    anomalies = budget[budget["quantity"] == "anomaly"]
    if anomalies.empty:
        return ""
    whole = budget[(budget["zone"] == REGION) & (budget["land_cover"] == ALL)]
    reference = anomalies["reference"].iloc[0]
    note = (
        f"A year minus the mean of {when(reference)}, draw by draw: what the model gets wrong in the same way in all years cancels. "
        "Bars hold 90 % of the draws; a year is decided where its bar does not reach zero. NEE: negative = more uptake than in the mean "
        "year."
    )
    entries = [("NEE", "--nee", ""), ("GPP", "--gpp", ""), ("RECO", "--reco", ""), ("90 % of draws", "--muted", "band")]
    if "truth" in budget:
        entries.append(("known truth", "--truth", "dot"))
    figures = [anomaly_figure(whole[whole["quantity"] == "anomaly"]), sum_figure(whole)]
    parts = [paragraph(note, "note"), legend(*entries), grid(figures, "large"), _decided(anomalies), _years(whole)]
    parts += [f"<h3>Anomaly of NEE by land cover and zone, {units(RATE)}</h3>{_places(anomalies)}"]
    return "\n".join(parts)


def year_card(budget: pd.DataFrame) -> str:
    """The year whose NEE was furthest from the reference, in standard deviations, whole region; empty where there are no anomalies."""
    rows = budget[(budget["quantity"] == "anomaly") & (budget["variable"] == "NEE")]
    rows = rows[(rows["zone"] == REGION) & (rows["land_cover"] == ALL) & (rows["sd"] > 0)]
    if rows.empty:
        return ""
    row = rows.loc[(rows["mean"].abs() / rows["sd"]).idxmax()]
    sure = "decided" if row["q05"] * row["q95"] > 0 else "not decided"
    more = f"90 %: {interval(row['q05'], row['q95'])}; NEE minus the mean of {when(row['reference'])}, {sure}"
    sign = "+" if row["mean"] > 0 else ""
    return card(f"Most unusual year, {escape(row['period'])}", sign + number(row["mean"]), units(RATE), more, "--nee")


def anomaly_figure(rows: pd.DataFrame) -> str:
    """Anomalies of the fluxes of each year, side by side, with their intervals and the truth where it is known."""
    with figure(5.4, 2.9) as (drawn, ax):
        ax.axhline(0, color=FAINT, linewidth=0.9)
        for place, flux in enumerate(FLUXES):
            of_flux = rows[rows["variable"] == flux]
            at = np.arange(len(of_flux)) + 0.24 * (place - 1)
            ax.vlines(at, of_flux["q05"], of_flux["q95"], color=FLUX_COLOURS[flux], linewidth=6, alpha=0.4)
            ax.plot(at, of_flux["mean"], "o", color=FLUX_COLOURS[flux], markersize=4.5)
            if "truth" in of_flux:
                ax.plot(at, of_flux["truth"], "_", color=TRUTH, markersize=9, markeredgewidth=2)
        ax.set_xticks(range(rows["period"].nunique()), list(dict.fromkeys(rows["period"])))
        ax.tick_params(axis="x", length=0)
        ax.set_ylabel(f"anomaly, {plain_units(RATE)}")
        ax.set_title("Anomalies of the whole region", fontweight="bold")
        return to_svg(drawn, "Anomalies of NEE, GPP and RECO of each year, whole region")


def sum_figure(whole: pd.DataFrame) -> str:
    """NEE summed from the first whole year on, at the end of each year."""
    flux = whole[(whole["quantity"] == "flux") & (whole["variable"] == "NEE")]
    rows = whole[(whole["quantity"] == "cumulative") & (whole["variable"] == "NEE")]
    first = rows["period"].iloc[0].partition("-")[0]
    rows = pd.concat([flux[flux["period"] == first], rows])
    years = [period.rpartition("-")[2] for period in rows["period"]]
    at = np.arange(len(rows) + 1)
    ends = {name: np.r_[0.0, rows[name]] for name in ("q05", "mean", "q95", "truth") if name in rows}
    with figure(5.4, 2.9) as (drawn, ax):
        ax.axhline(0, color=FAINT, linewidth=0.9)
        ax.fill_between(at, ends["q05"], ends["q95"], color=NEE, alpha=0.25, linewidth=0)
        ax.plot(at, ends["mean"], "o-", color=NEE, markersize=4, linewidth=1.6)
        if "truth" in ends:
            ax.plot(at, ends["truth"], "o", color=TRUTH, markersize=4)
        ax.set_xticks(at, ["", *years])
        ax.set_xlabel("end of the year")
        ax.set_ylabel(f"sum of NEE, {plain_units(AMOUNT)}")
        ax.set_title(f"NEE summed from {first} on", fontweight="bold")
        return to_svg(drawn, "NEE of the whole region summed over the years, negative is uptake")


def _decided(anomalies: pd.DataFrame) -> str:
    """How many anomalies of places and years are decided, and how many of these rightly where the truth is known."""
    words = []
    for flux in FLUXES:
        rows = anomalies[anomalies["variable"] == flux]
        sure = rows[rows["q05"] * rows["q95"] > 0]
        right = f", {int((sure['mean'] * sure['truth'] > 0).sum())} of them rightly" if "truth" in rows and len(sure) else ""
        words.append(f"{flux} {len(sure)} of {len(rows)}{right}")
    more = ""
    if "inside" in anomalies and anomalies["q05"].notna().any():
        more = f" The interval holds the truth in {anomalies['inside'].mean():.0%} of them; rows of a year share errors."
    return paragraph(f"Decided anomalies of zones, land covers and years: {'; '.join(words)}.{more}", "note")


def _years(whole: pd.DataFrame) -> str:
    """Fluxes and anomalies of each year, and what all years say."""
    rows = whole.set_index(["period", "quantity", "variable"])
    years = [period for period, quantity, variable in rows.index if (quantity, variable) == ("anomaly", "NEE")]
    columns = [("flux", "NEE", "NEE"), *(("anomaly", flux, f"Anomaly of {flux}") for flux in FLUXES)]
    head = ["Year", *(cell for *_, name in columns for cell in (name, "90 % interval"))]
    lines = [
        [escape(year), *(cell for quantity, flux, _ in columns for cell in _cells(rows.loc[(year, quantity, flux)]))] for year in years
    ]
    found = f"<h3>Year by year, whole region, {units(RATE)}</h3>{table(head, lines)}"
    every = whole[whole["quantity"].isin(["trend", "variation"])]
    if len(every):
        inside = "90 % interval"
        head = ["Years", "Flux", f"Trend, {units('gC m-2 yr-2')}", inside, "Variation between years, share of the mean", inside]
        lines = []
        for flux in FLUXES:
            trend, variation = (every[(every["variable"] == flux) & (every["quantity"] == kind)].iloc[0] for kind in ("trend", "variation"))
            share = [number(variation["mean"], 2), interval(variation["q05"], variation["q95"], 2)]
            lines.append([when(trend["period"]), flux, number(trend["mean"], 1), interval(trend["q05"], trend["q95"], 1), *share])
        found += table(head, lines)
    return found


def _places(anomalies: pd.DataFrame) -> str:
    """Anomalies of NEE of land covers and zones, a column a year; those that are decided are in bold."""
    rows = shown_places(anomalies[anomalies["variable"] == "NEE"])
    every = list(dict.fromkeys(rows["period"]))
    years = every[-COLUMNS:]
    rows, lines = rows[rows["period"].isin(years)], []
    for _, of_place in rows.groupby(["zone", "land_cover"], sort=False):
        cells = []
        for _, row in of_place.iterrows():
            text = f"{number(row['mean'])} <small>({interval(row['q05'], row['q95'])})</small>"
            cells.append(f"<b>{text}</b>" if row["q05"] * row["q95"] > 0 else text)
        lines.append([place_name(of_place.iloc[0]), *cells])
    latest = f" The latest {len(years)} of {len(every)} years; all are in the budget as CSV." if len(years) < len(every) else ""
    note = paragraph(f"90 % intervals in brackets; in bold where they do not hold zero.{latest}", "note")
    return table(["Place", *map(escape, years)], lines, whole=0) + note


def _cells(row: pd.Series) -> list[str]:
    return [number(row["mean"]), interval(row["q05"], row["q95"])]
