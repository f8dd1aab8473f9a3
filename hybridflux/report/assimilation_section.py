"""What an inventory says of a run, on its page: verdicts, before and after the update, the tension, and what it would take to decide."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from hybridflux.products.stock_agreement import NINETY, TENSION, UNDECIDABLE, in_words
from hybridflux.products.totals import ALL, REGION
from hybridflux.report.budget_tables import ZONES, main_period, place_name, when
from hybridflux.report.markup import badge, grid, legend, paragraph, table
from hybridflux.report.style import ACCENT, FAINT, INK, MUTED, TRUTH, figure, interval, number, plain_units, to_svg, units

UNIT = "gC m-2 yr-1"
BIAS = "structural bias"
NAMED = 10  # places of one reason


def assimilation_section(table_of_run: pd.DataFrame) -> str:
    """The section.

    Args:
        table_of_run: table of `assimilated_table`, with the columns of `budget_tables.with_truth` where the truth is known.
    """
    gains = table_of_run[table_of_run["variable"] == "NBP"]
    note = (
        "The draws of the totals, updated by the measured stock changes: stock change = −NEE − export. "
        "<b>Only this section is assimilated; maps and all other tables of this page are prior.</b> Years of one stock change move "
        "alike, so that their anomalies stay what they are above. Shrinkage is the part of the "
        "standard deviation that the inventory removes. The tension is the probability of a stock change at least as far from the prior: "
        "a small one says that run and inventory contradict each other, and then neither is to be believed before the reason is known."
    )
    first = table_of_run.iloc[0]
    weight = f"of {int(first['draws'])} draws {number(first['effective_draws'], 1)} would keep weight"
    note += f" Method <code>{escape(first['method'])}</code>; {weight}."
    entries = [("prior, 90 %", "--muted", "band"), ("assimilated, 90 %", "--accent", "band"), ("measured, 90 %", "--ink", "")]
    if "truth" in gains and gains["truth"].notna().any():
        entries.append(("known truth", "--truth", "dot"))
    shown = _largest(gains)
    if len(shown) < len(gains):
        few = f"those of the region and of the {ZONES} largest zones are shown"
        note += f" Of {len(gains)} stock changes {few}; the update takes all of them."
    parts = [_answer(gains), paragraph(note, "note"), legend(*entries), grid([gain_figure(shown)], "large"), _gains(shown, table_of_run)]
    return "\n".join([*parts, _fluxes(table_of_run), _to_decide(shown), paragraph(_left_out(gains), "note")])


def _largest(gains: pd.DataFrame) -> pd.DataFrame:
    """Rows of the region and of the largest zones, in their order."""
    of_zones = gains[gains["zone"] != REGION]
    return gains.drop(index=of_zones.index.difference(of_zones["area_ha"].nlargest(ZONES).index))


def _answer(gains: pd.DataFrame) -> str:
    """Whether fluxes and stocks agree, how that is meant, and how often the intervals hold the truth where it is known."""
    parts = [paragraph(f"<b>Do fluxes and stocks agree?</b> {in_words(list(_verdicts(gains))).capitalize()}.")]
    parts.append(paragraph(
        "The gap is the mean NBP of the run less the assimilated one, positive where the run gains too much. One of half of the largest "
        f"term, at least 50 {units(UNIT)}, matters. <b>Agree</b>: the 90 % interval of the gap is within that. <b>Disagree</b>: it is all "
        f"beyond it, or run and inventory contradict each other (p below {TENSION:g}). <b>Undecidable</b>: it holds both.", "note",
    ))  # fmt: skip
    known = gains[gains["truth"].notna()] if "truth" in gains else gains[:0]
    if len(known):
        held = (known["stock_change"] - known["truth"]).abs() < NINETY * known["stock_change_sd"]
        parts.append(paragraph(
            f"The inventory of this made-up region is one draw of its errors, so one interval in ten is meant to miss: of {len(known)} "
            f"true NBP the 90 % intervals hold {int(held.sum())} as measured and {int(known['inside'].sum())} as assimilated. A region "
            "whose parts were by chance measured too low is too low after the update as well.", "note",
        ))  # fmt: skip
    return "\n".join(parts)


def _verdicts(gains: pd.DataFrame) -> pd.Series:
    """The verdict of each place, empty where there is none."""
    return gains.reindex(columns=["verdict"])["verdict"].fillna("")


def gain_figure(gains: pd.DataFrame) -> str:
    """NBP of each place before and after, beside the measured stock change and the truth where it is known."""
    with figure(6.4, 0.9 + 0.3 * len(gains)) as (drawn, ax):
        ax.axvline(0, color=FAINT, linewidth=0.9)
        for place, (_, row) in enumerate(gains.iterrows()):
            ends = row["prior_mean"] + NINETY * row["prior_sd"] * np.array([-1, 1])
            ax.plot(ends, [place] * 2, color=MUTED, linewidth=7, alpha=0.25, solid_capstyle="butt")
            ax.plot([row["q05"], row["q95"]], [place] * 2, color=ACCENT, linewidth=5, alpha=0.6, solid_capstyle="butt")
            ax.plot(row["mean"], place, "o", color=ACCENT, markersize=4)
            measured = row["stock_change"] + NINETY * row["stock_change_sd"] * np.array([-1, 1])
            ax.plot(measured, [place + 0.32] * 2, color=INK, linewidth=1.2)
            if pd.notna(row.get("truth")):
                ax.plot(row["truth"], place, "|", color=TRUTH, markersize=12, markeredgewidth=2)
        ax.set_yticks(range(len(gains)), [_place(row) for _, row in gains.iterrows()])
        ax.invert_yaxis()
        ax.set_xlabel(f"NBP = −NEE − export, gain of the land, {plain_units(UNIT)}")
        return to_svg(drawn, "NBP of each place of the inventory before and after the update")


def _gains(gains: pd.DataFrame, every: pd.DataFrame) -> str:
    """A row for each stock change: NBP, export, error of the model, tension, what it would take."""
    keyed = every.set_index(["zone", "land_cover", "period", "variable"])
    periods = list(dict.fromkeys(gains["period"]))
    head = ["Place", *(["Years"] if len(periods) > 1 else []), "Verdict", "Gap, 90 %", "NBP, prior", "NBP, assimilated", "Measured"]
    head += ["Shrinkage", "Tension p", "Export", "Model error"]
    lines = []
    for _, row in gains.iterrows():
        of_place = tuple(row[name] for name in ("zone", "land_cover", "period"))
        other = [keyed.loc[[(*of_place, name)]].iloc[0] if (*of_place, name) in keyed.index else None for name in ("export", BIAS)]
        p = row.get("prior_predictive_p", np.nan)
        tension = "–" if pd.isna(p) else f'<span class="{"no" if p < TENSION else "yes"}">{number(p, 2)}</span>'
        cells = ["–", "–"] if pd.isna(row.get("verdict")) else [badge(row["verdict"]), interval(row["gap_q05"], row["gap_q95"])]
        cells += [_pm(row["prior_mean"], row["prior_sd"]), _pm(row["mean"], row["sd"])]
        cells += [_pm(row["stock_change"], row["stock_change_sd"])]
        cells += [f"{number(100 * row['shrinkage'])} %", tension, *("–" if one is None else _pm(one["mean"], one["sd"]) for one in other)]
        lines.append([place_name(row), *([when(row["period"])] if len(periods) > 1 else []), *cells])
    meaning = f"{when(periods[0])}; " if len(periods) == 1 else ""
    meaning += f"{units(UNIT)}, ± one standard deviation. Model error: what the model takes up too much, or respires too little."
    return table(head, lines) + paragraph(meaning, "note")


_LEVERS = {"Years": ("years_to_decide", 0), "Plots, times": ("plots_to_decide", 1), "Towers": ("towers_to_decide", 0)}


def _to_decide(gains: pd.DataFrame) -> str:
    """What one lever alone would need, for each place that is undecidable."""
    open_ = gains[_verdicts(gains) == UNDECIDABLE]
    if open_.empty:
        return ""
    note = (
        "What one lever alone would need, if the gap stayed where it is: years of the stock change (those of today among them), times "
        "today's plots, towers of the plant type in the zone."
    )
    lines = [[place_name(row), *(_lever(row[name], digits) for name, digits in _LEVERS.values())] for _, row in open_.iterrows()]
    body = paragraph(note, "note") + table(["Place", *_LEVERS], lines)
    return f"<details><summary>What it would take to decide</summary>{body}</details>"


def _fluxes(every: pd.DataFrame) -> str:
    """Fluxes of the region before and after."""
    period = main_period(every)
    rows = every[(every["zone"] == REGION) & (every["land_cover"] == ALL) & (every["period"] == period) & (every["quantity"] == "flux")]
    rows = rows[rows["variable"].isin(["NEE", "GPP", "RECO"])]
    known = "truth" in rows
    head = ["Whole region", "Prior", "Assimilated", "90 % interval", "Shrinkage", *(["Truth"] if known else [])]
    lines = []
    for _, row in rows.iterrows():
        line = [row["variable"], _pm(row["prior_mean"], row["prior_sd"]), _pm(row["mean"], row["sd"]), interval(row["q05"], row["q95"])]
        lines.append([*line, f"{number(100 * row['shrinkage'])} %", *([number(row["truth"])] if known else [])])
    return f"<h3>Fluxes, {when(period)}, {units(UNIT)}</h3>{table(head, lines)}"


def _left_out(gains: pd.DataFrame) -> str:
    """What did not take part, and why."""
    notes = gains[gains["note"].fillna("") != ""]
    reasons: dict[str, list[str]] = {}
    for _, row in notes.iterrows():
        reasons.setdefault(row["note"], []).append(place_name(row))
    named = {reason: ", ".join(places[:NAMED]) + (f" and {len(places) - NAMED} more" if len(places) > NAMED else "")
             for reason, places in reasons.items()}  # fmt: skip
    return "; ".join(f"not in the update: {places} ({escape(reason)})" for reason, places in named.items())


def _place(row: pd.Series) -> str:
    """Zone and land cover for an axis."""
    return f"{row['zone']}, {row['land_cover']}" if row["land_cover"] != ALL else row["zone"]


def _lever(value: float | None, digits: int) -> str:
    return number(value, digits) if value is not None and pd.notna(value) else "not alone"


def _pm(value: float, sd: float) -> str:
    return f"{number(value)} ± {number(sd)}"
