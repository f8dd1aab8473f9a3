"""Drought and management on the page: losses by class, the probability that two differ, and curves along the water that is missing."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.drought import ALL
from hybridflux.products.drought_classes import BY, DIFFERENCES, NOT_IN, RESPONSE
from hybridflux.products.drought_outputs import PER
from hybridflux.products.drought_response import LEFT, MISSING
from hybridflux.report.drought_bars import UNIT, stacked
from hybridflux.report.markup import grid, paragraph
from hybridflux.report.style import FAINT, figure, interval, number, plain_units, to_svg, units
from hybridflux.vocabulary import PLANT_TYPE_NAMES

SHOWN, LEAST_SHARE = 10, 0.01  # classes of a figure, the largest; share of the area of all, below which a class stands in the table alone
CURVES = 6  # classes of a figure of curves
RARE = 0.03  # share of the area of a class below which a part of its curve is in the table alone
TONES = ("#3574b5", "#dd8435", "#4d9a56", "#bf4040", "#8560a8", "#8c8c8c")


def classes_sections(folder: str | Path) -> Iterator[str]:
    """HTML of each table of classes in the folder of a ledger.

    Args:
        folder: written by `run_drought`, with tables of `write_classes`.
    """
    for path in sorted(Path(folder).glob(f"{BY}*{RESPONSE}.csv")):
        stem = path.name.removesuffix(f"{RESPONSE}.csv")
        losses, differences, responses = (_read(path.with_name(f"{stem}{ending}.csv")) for ending in ("", DIFFERENCES, RESPONSE))
        yield section_of(losses, differences, responses)


def _read(path: Path) -> pd.DataFrame:
    """A table of classes; texts without the mark that a spreadsheet needs, plant types by name."""
    table = pd.read_csv(path, keep_default_na=True)
    texts = [name for name in ("by", "class", "first", "second", "cause") if name in table]
    table = table.assign(**{name: table[name].fillna("").astype(str).str.removeprefix("'") for name in texts})
    return table.replace({name: PLANT_TYPE_NAMES for name in ("class", "first", "second") if name in table})


def section_of(losses: pd.DataFrame, differences: pd.DataFrame, responses: pd.DataFrame) -> str:
    """One table of classes: two sentences, bars and matrix, curves."""
    gpp = losses[(losses["variable"] == "GPP") & (losses["cause"] == ALL)]
    gpp = gpp[gpp["area_ha"] >= LEAST_SHARE * gpp["area_ha"].sum()].nlargest(SHOWN, "area_ha").sort_values("mean")
    name = escape(gpp["by"].iloc[0].replace("_", " "))
    parts = [f"<h3>By {name}</h3>", paragraph(compared(gpp, differences))]
    figures = [bars(losses, gpp)] + ([matrix(gpp, differences)] if len(gpp) > 1 else [])
    parts.append(grid(figures, "large"))
    parts.append(paragraph(responded(losses, gpp)))
    if drawn := [curves(gpp, responses, water) for water in dict.fromkeys(drawn_parts(responses)["against"])]:
        parts.append(grid(drawn, "large"))
        parts.append(paragraph(
            "Curves are of places as they are: greener ones use more water, dry ones have other leaves. Parts with less than "
            f"{RARE:.0%} of a class are in the table alone.", "note",
        ))  # fmt: skip
    parts.append(paragraph(f"Not in these probabilities: {escape(NOT_IN)}.", "note"))
    return "\n".join(parts)


def compared(gpp: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Which class lost most and least, and how probable that is; `gpp` are rows in the order of the loss."""
    most, least = gpp.iloc[0], gpp.iloc[-1]
    label = str(most["class"])
    text = f"<b>{escape(label[:1].upper() + label[1:])}</b> {_lost(most)}"
    if len(gpp) > 1:
        chance = probability(differences, most["class"], least["class"])
        text += f", {escape(str(least['class']))} {_lost(least)}: the former lost more with a probability of "
        text += percent(chance, most["draws"])
        relative = gpp.sort_values("percent")
        if relative["class"].iloc[0] != most["class"]:
            text += f". In per cent of its usual, {escape(str(relative['class'].iloc[0]))} lost most ({_per_cent(relative.iloc[0])})"
    return text + "."


def _lost(row: pd.Series) -> str:
    verb, size = ("lost", -row["mean"]) if row["mean"] < 0 else ("gained", row["mean"])
    low, high = sorted((abs(row["q05"]), abs(row["q95"]))) if row["q05"] * row["q95"] > 0 else (-row["q95"], -row["q05"])
    return f"{verb} {number(size)} {units(UNIT)} of GPP ({interval(low, high)}; {_per_cent(row)})"


def _per_cent(row: pd.Series) -> str:
    return f"{number(row['percent'])} %"


def percent(chance: float, draws: int) -> str:
    """A probability from a number of draws, which say no more than one in as many.

    >>> percent(1.0, 32), percent(0.5, 32)
    ('more than 97 %', '50 %')
    """
    if not np.isfinite(chance):
        return "–"
    most = 100 * (1 - 1 / draws)
    return f"more than {most:.0f} %" if 100 * chance > most else f"less than {100 - most:.0f} %" if 100 * (1 - chance) > most else (
        f"{100 * chance:.0f} %"
    )  # fmt: skip


def probability(differences: pd.DataFrame, one: str, other: str) -> float:
    """That a class lost more GPP than another, in gC m-2."""
    rows = differences[(differences["variable"] == "GPP") & (differences["cause"] == ALL) & (differences["units"] == UNIT)]
    forth, back = (rows[(rows["first"] == a) & (rows["second"] == b)]["probability"] for a, b in ((one, other), (other, one)))
    return float(forth.iloc[0]) if len(forth) else 1.0 - float(back.iloc[0]) if len(back) else np.nan


def bars(losses: pd.DataFrame, gpp: pd.DataFrame) -> str:
    """Changes of GPP by cause, stacked, of the classes in the order of their loss."""
    of_class = losses[losses["variable"] == "GPP"].groupby("class")
    names = ((f"{one['class']} · {number(one['area_ha'], 1)} ha", one["class"]) for one in gpp.to_dict("records"))
    return stacked([(name, of_class.get_group(label).set_index("cause")) for name, label in names], "GPP")


def matrix(gpp: pd.DataFrame, differences: pd.DataFrame) -> str:
    """Probability that the class of a row lost more GPP than that of a column."""
    names = gpp["class"].tolist()
    values = np.array([[np.nan if one == other else probability(differences, one, other) for other in names] for one in names])
    with figure(6.4, 1.6 + 0.36 * len(names)) as (drawn, ax):
        ax.imshow(values, cmap="RdBu_r", vmin=0, vmax=1, aspect="auto", alpha=0.55)
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value):
                ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", fontsize=9, color="#222222")
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
        ax.set_yticks(range(len(names)), names)
        ax.set_xlabel("probability (%) that the class of the row lost more GPP\nper area than that of the column")
        return to_svg(drawn, f"Probability that two classes of {gpp['by'].iloc[0]} differ in their loss of GPP")


def drawn_parts(responses: pd.DataFrame) -> pd.DataFrame:
    """Parts of the curves of GPP, all causes together, that are not rare; of classes with two or more, not along the water missing."""
    rows = responses[(responses["quantity"] == "curve") & (responses["variable"] == "GPP") & (responses["cause"] == ALL)]
    rows = rows[rows["against"] != MISSING]
    rows = rows[rows["area_ha"] >= RARE * rows.groupby(["against", "class"])["area_ha"].transform("sum")]
    return rows[rows.groupby(["against", "class"])["mean"].transform("size") > 1]


def responded(losses: pd.DataFrame, gpp: pd.DataFrame) -> str:
    """What 10 mm of missing water took from the class that is most and from that which is least sensitive."""
    rows = losses[(losses["variable"] == "sensitivity") & losses["class"].isin(gpp["class"])].dropna(subset="mean").sort_values("mean")
    if rows.empty:
        return ""
    said = [
        f"{number(row['mean'], 1)} {units(UNIT)} ({interval(row['q05'], row['q95'], 1)}) in {escape(str(row['class']))}"
        for row in rows.iloc[[0, -1] if len(rows) > 1 else [0]].to_dict("records")
    ]
    return f"For each {PER:g} mm of water missing, soil water changed GPP by {' and '.join(said)}."


def curves(gpp: pd.DataFrame, responses: pd.DataFrame, against: str) -> str:
    """Change of GPP along a quantity of water, a curve with its band of 90 % for each class."""
    rows = drawn_parts(responses)
    rows = rows[rows["against"] == against]
    with figure(6.4, 3.6) as (drawn, ax):
        shown = [name for name in gpp.sort_values("area_ha", ascending=False)["class"] if name in set(rows["class"])][:CURVES]
        for tone, label in zip(TONES, shown, strict=False):
            of = rows[rows["class"] == label].sort_values("water")
            ax.fill_between(of["water"], of["q05"], of["q95"], color=tone, alpha=0.16, linewidth=0)
            ax.plot(of["water"], of["mean"], "o-", color=tone, markersize=3.5, linewidth=1.6, label=label)
        ax.axhline(0, color=FAINT, linewidth=0.8)
        unit = rows["water_units"].iloc[0]
        ax.set_xlabel(
            "soil water left, mean of the season, share of what the soil can hold" if against == LEFT
            else f"{against} against its usual, {'share of saturation' if unit == '1' else plain_units(unit)} (negative = drier)"
        )  # fmt: skip
        ax.set_ylabel(f"change of GPP, {plain_units(UNIT)}\n(negative = uptake lost)")
        ax.legend(loc="best", fontsize=9)
        return to_svg(drawn, f"Change of GPP along {against}, by {gpp['by'].iloc[0]}")
