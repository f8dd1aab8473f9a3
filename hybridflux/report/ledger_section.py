"""The carbon ledger on the page of a run: what each land cover gains once harvest and imports are counted, as a figure and a table."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from hybridflux.products.totals import ALL, REGION
from hybridflux.report.budget_tables import main_period, place_name, row_of, shown_places, when
from hybridflux.report.markup import grid, paragraph, table
from hybridflux.report.style import ACCENT, FAINT, GPP, INK, MUTED, NEE, RECO, figure, interval, number, plain_units, to_svg, units

PARTS = (
    ("−NEE", "NEE", -1.0, NEE), ("import", "import", 1.0, GPP), ("export", "export", -1.0, RECO), ("fire", "fire", -1.0, ACCENT),
    ("leaching", "leaching", -1.0, MUTED),
)  # fmt: skip
"""Label, variable, its sign in NBP, and colour of a part of the ledger."""
COLUMNS = ("GPP", "RECO", "NEE", "export", "import", "fire", "leaching", "NBP")


def ledger_section(ledger: pd.DataFrame) -> str:
    """The section of the ledger: the figure of land covers, the table of places, and the sums over years.

    Args:
        ledger: table of `carbon_ledger.ledger_table`.
    """
    gains = ledger[(ledger["variable"] == "NBP") & (ledger["quantity"] == "flux") & ledger["mean"].notna()]["period"]
    period = main_period(ledger)
    if len(gains) and period not in set(gains):
        period = gains.iloc[-1]  # of the mean of years of which one is not known, the last that is
    flux = ledger[(ledger["period"] == period) & (ledger["quantity"] == "flux")]
    unit = flux["units"].iloc[0]
    note = (
        f"NBP = −NEE − export + import − fire − leaching, positive when the land gains carbon, {units(unit)}; period {when(period)}. "
        "Bars are means, the mark is NBP with the 90 % interval of its draws, which hold the errors of fluxes, events, harvest fractions "
        "and tables. What is not known is empty: without export there is no NBP."
    )
    parts = [paragraph(note, "note"), grid([land_covers(flux, unit)], "large"), _places(flux)]
    if (ledger["quantity"] == "cumulative").any():
        parts.append(f"<h3>NBP summed over years, whole region, {units('gC m-2')}</h3>{_sums(ledger)}")
    whole = row_of(flux, period, "NBP")["note"]
    return "\n".join([*parts, paragraph(f"Whole region: {escape(whole)}.", "note")] if whole else parts)


def land_covers(flux: pd.DataFrame, unit: str) -> str:
    """Parts of the ledger of the region and of its land covers, gains to the right, losses to the left.

    Args:
        flux: rows of one period.
        unit: of its means.
    """
    covers = [ALL, *(cover for cover in dict.fromkeys(flux[flux["zone"] == REGION]["land_cover"]) if cover != ALL)]
    with figure(6.4, 0.9 + 0.42 * len(covers)) as (drawn, ax):
        for place, cover in enumerate(covers):
            ends = {-1.0: 0.0, 1.0: 0.0}
            for label, variable, sign, colour in PARTS:
                value = sign * float(row_of(flux, flux["period"].iloc[0], variable, cover=cover)["mean"])
                if np.isfinite(value) and value:
                    side = float(np.sign(value))
                    ax.barh(place, value, left=ends[side], height=0.56, color=colour, alpha=0.75, linewidth=0, label=label)
                    ends[side] += value
            gain = row_of(flux, flux["period"].iloc[0], "NBP", cover=cover)
            if np.isfinite(gain["mean"]):
                ax.plot([gain["q05"], gain["q95"]], [place, place], color=INK, linewidth=1.6)
                ax.plot(gain["mean"], place, "o", color=INK, markersize=5, label="NBP, 90 %")
        ax.axvline(0, color=FAINT, linewidth=0.8)
        ax.set_yticks(range(len(covers)), [place_name(row_of(flux, flux["period"].iloc[0], "NEE", cover=cover)) for cover in covers])
        ax.invert_yaxis()
        ax.set_xlabel(f"gain of the land, {plain_units(unit)}")
        handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        ax.legend(handles.values(), handles.keys(), ncols=len(handles), loc="lower left", bbox_to_anchor=(0, 1))
        return to_svg(drawn, "Parts of the carbon ledger by land cover, gains to the right")


def _places(flux: pd.DataFrame) -> str:
    """Region, land covers and largest zones: means of all parts, NBP with its interval."""
    lines = []
    for (_, _), rows in shown_places(flux).groupby(["zone", "land_cover"], sort=False):
        row = rows.set_index("variable")
        gain = row.loc["NBP"]
        lines.append([place_name(rows.iloc[0]), *(number(row.loc[one, "mean"]) for one in COLUMNS), interval(gain["q05"], gain["q95"])])
    return table(["Place", *(one.replace("NEE", "NEE = RECO − GPP") for one in COLUMNS), "90 % of NBP"], lines, whole=1)


def _sums(ledger: pd.DataFrame) -> str:
    rows = ledger[(ledger["quantity"] == "cumulative") & (ledger["variable"] == "NBP") & (ledger["zone"] == REGION)]
    rows = rows[rows["land_cover"] == ALL]
    lines = [[when(row["period"]), number(row["mean"]), interval(row["q05"], row["q95"])] for _, row in rows.iterrows()]
    return table(["Years", "NBP", "90 % interval"], lines)
