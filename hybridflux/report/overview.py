"""The top of the page: headline numbers and seasonal cycles."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hybridflux.products.totals import ALL, REGION, Totals
from hybridflux.report.figures import seasonal_cycle
from hybridflux.report.look import interval, number, units
from hybridflux.report.markup import badge, card, cards, grid, legend, paragraph
from hybridflux.report.tables import TONES, digits_of, main_period, row_of
from hybridflux.vocabulary import PLANT_TYPE_NAMES

COVERS = 9
SMALLEST_SHARE = 0.003
NAMES = {"NEE": "Net exchange, NEE (negative = uptake)", "GPP": "Photosynthesis, GPP", "RECO": "Respiration, RECO"}


def headline_section(budget: pd.DataFrame, independence: float | None, effect: str | None) -> str:
    """Cards of the region's fluxes, what independence would do, the scenario, and how truth and inventory compare."""
    period = main_period(budget)
    items = []
    for flux, name in NAMES.items():
        row = row_of(budget, period, flux)
        digits = digits_of(max(abs(row["total_tCO2_q05"]), abs(row["total_tCO2_q95"])) / 1e3)
        total = f"<b>{number(row['total_tCO2'] / 1e3, digits)}</b> {units('k' + row['total_units'])}"
        ends = interval(row["total_tCO2_q05"] / 1e3, row["total_tCO2_q95"] / 1e3, digits)
        more = f"90 %: {interval(row['q05'], row['q95'])}<br>{total} ({ends})"
        items.append(card(name, number(row["mean"]), units(row["units"]), more, TONES[flux]))
    if effect:
        items.append(effect)
    if independence:
        more = "narrower the NEE interval would look if pixels were taken as independent; errors are shared, so totals are sums per draw"
        items.append(card("Why sums are made per draw", f"× {number(independence)}", "", more))
    if "inside" in budget:
        known = budget[(budget["truth"].notna()) & (budget["period"] == period) & (budget["quantity"] == "flux")]
        more = "budget rows (region, zones, land covers) whose 90 % interval holds the known truth; rows share errors"
        items.append(card("Truth inside", f"{known['inside'].sum()} of {len(known)}", "", more, "--truth"))
    verdicts = budget.loc[budget["variable"] == "NBP", "verdict"] if "verdict" in budget else ()
    if len(verdicts):
        words = " ".join(f"{count} {badge(word)}" for word, count in verdicts.value_counts().items())
        items.append(card("Against the inventory", str(len(verdicts)), "comparisons", words, "--accent"))
    return cards(items)


def cycles(totals: Totals, truth: Totals | None = None, prefix: str = "") -> list[str]:
    """Figures of the monthly cycles of the land covers, largest first, on one scale."""
    covers = [(cover, cells) for zone, cover, cells in totals.groups() if zone == REGION and cover != ALL]
    share = {cover: totals.area[cells].sum() / totals.area.sum() for cover, cells in covers}
    shown = sorted((cover for cover, _ in covers if share[cover] >= SMALLEST_SHARE), key=share.get, reverse=True)[:COVERS]
    bands = {cover: monthly_means(totals, cover) for cover in shown}
    known = {cover: monthly_means(truth, cover) for cover in shown} if truth is not None else {}
    ends = [np.quantile(draws, q) for band in bands.values() for draws in band.values() for q in (0.0, 1.0)]
    ends += [value for band in known.values() for draws in band.values() for value in (draws.min(), draws.max())]
    pad = 0.04 * (max(ends) - min(ends))
    limits = min(ends) - pad, max(ends) + pad
    return [
        seasonal_cycle(
            prefix + PLANT_TYPE_NAMES[cover] + f", {share[cover]:.0%}", totals.months, bands[cover],
            {flux: draws[:, 0] for flux, draws in known[cover].items()} if known else None, limits,
        )
        for cover in shown
    ]  # fmt: skip


def seasons_section(totals: Totals, truth: Totals | None) -> str:
    """Monthly cycles of the land covers."""
    entries = [("GPP", "--gpp", ""), ("RECO", "--reco", ""), ("NEE = RECO − GPP, negative = uptake", "--nee", "")]
    entries.append(("90 % of draws", "--muted", "band"))
    if truth is not None:
        entries.append(("known truth", "--truth", "dash"))
    note = f"Means over all pixels of a land cover, {units('gC m-2 d-1')}, same scale in every panel; spread <code>{totals.spread}</code>."
    return paragraph(note, "note") + legend(*entries) + grid(cycles(totals, truth))


def monthly_means(totals: Totals, cover: str) -> dict[str, np.ndarray]:
    """Flux -> mean of a land cover `[month, draw]`, gC m-2 d-1."""
    cells = totals.land_cover == cover
    weight = totals.area[cells].sum() * totals.days[:, None]
    return {flux: totals.total[flux][cells].sum(0) / weight for flux in ("GPP", "RECO", "NEE")}


def independence_factor(data, totals: Totals) -> float | None:
    """How much narrower the interval of the region's NEE of the last year would be if pixels were independent.

    Args:
        data: the `annual` group of the run, or None.
        totals: of the same run.
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
