"""Headline numbers at the top of the page."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hybridflux.products.totals import RunTotals
from hybridflux.report.budget_tables import TONES, digits_of, main_period, row_of, tonnes, when
from hybridflux.report.markup import badge, card, cards
from hybridflux.report.style import interval, number, units
from hybridflux.report.years_section import year_card

NAMES = {"NEE": "Net exchange NEE (negative = uptake)", "GPP": "Photosynthesis GPP", "RECO": "Respiration RECO"}
PART = "gC m-2"  # units of a period that is not a whole year


def headline_section(budget: pd.DataFrame, independence: float | None, effect: str | None, updated: pd.DataFrame | None = None) -> str:
    """Cards of the region's fluxes, the effect of assuming independent pixels, the scenario, truth and inventory.

    Whether fluxes and stocks agree is answered by the table of the `updated` draws where there is one, since a budget alone decides little.
    """
    period = main_period(budget)
    items = []
    for flux, name in NAMES.items():
        row = row_of(budget, period, flux)
        divisor, kilo = tonnes(pd.Series([row["total_tCO2"]]))
        digits = digits_of(abs(row["total_tCO2"]) / divisor)
        total = f"<b>{number(row['total_tCO2'] / divisor, digits)}</b> {units(kilo + row['total_units'])}"
        ends = interval(row["total_tCO2_q05"] / divisor, row["total_tCO2_q95"] / divisor, digits)
        more = f"90 %: {interval(row['q05'], row['q95'])}<br>{total} ({ends})"
        words = when(period) + (f", {int(row['days'])} days" if row["units"] == PART else "")
        items.append(card(f"{name}, {words}", number(row["mean"]), units(row["units"]), more, TONES[flux]))
    if effect:
        items.append(effect)
    if year := year_card(budget):
        items.append(year)
    if independence:
        more = "narrower the NEE interval would be if errors of pixels were independent; pixels share errors, so totals are sums per draw"
        items.append(card("Why sums are made per draw", f"× {number(independence)}", "", more))
    if "inside" in budget and budget["q05"].notna().any():
        known = budget[(budget["truth"].notna()) & (budget["period"] == period) & (budget["quantity"] == "flux")]
        more = "budget rows (region, zones, land covers) whose 90 % interval holds the truth; rows share errors"
        items.append(card("Truth inside", f"{known['inside'].sum()} of {len(known)}", "", more, "--truth"))
    judged, what = (budget, "comparisons") if updated is None else (updated, "places, draws updated by it")
    verdicts = judged.loc[judged["variable"] == "NBP", "verdict"] if "verdict" in judged else ()
    if len(verdicts):
        words = " ".join(f"{count} {badge(word)}" for word, count in verdicts.value_counts().items())
        items.append(card("Against the inventory", str(len(verdicts)), what, words, "--accent"))
    return cards(items)


def independence_factor(data, totals: RunTotals) -> float | None:
    """Factor by which the interval of the region's NEE of the last year would be narrower if errors of pixels were independent.

    Args:
        data: the `annual` group of the run, or None.
        totals: totals of the same run.
    """
    years = totals.complete_years()
    if data is None or not years or totals.draws < 3:
        return None
    maps = data["NEE_sd"].isel(time=-1).values
    count = np.isfinite(maps).sum()
    months = totals.months.year == years[-1]
    if not count or int(data["time"].dt.year[-1]) != years[-1]:
        return None
    alone = np.sqrt(np.nansum(maps**2)) / count
    together = totals.sum("NEE", np.arange(len(totals.area)), months).std(ddof=1) / totals.area.sum()
    return float(together / alone) if alone > 0 else None
