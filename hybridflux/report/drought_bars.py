"""Changes of a flux by cause as stacked bars, in the colours of causes that every figure has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hybridflux.causes import CAUSES, greenness_by
from hybridflux.products.drought import ALL
from hybridflux.report.style import FAINT, INK, figure, plain_units, to_svg

COLOURS = {
    "soil_water": "#3574b5", "vpd": "#dd8435", "temperature": "#bf4040", "light": "#c9a81c", "greenness": "#4d9a56", "rest": "#8c8c8c",
}  # fmt: skip
"""Cause -> its colour, in every figure."""
SHORT = {"vpd": "VPD"}
UNIT = "gC m-2"
BY_WATER = greenness_by("water")
HATCH = {"facecolor": COLOURS["greenness"], "edgecolor": "white", "hatch": "////", "linewidth": 0}
"""How the part of greenness by missing rain is drawn."""


def word(cause: str) -> str:
    """A cause in a table or legend."""
    return SHORT.get(cause, CAUSES[cause].words)


def stacked(bars: Sequence[tuple[str, pd.DataFrame]], flux: str) -> str:
    """Changes of a flux by cause, a stacked bar for each name and its rows by cause, with the mark and 90 % interval of all together.

    The part of greenness that goes through missing rain is hatched where it has the sign of greenness, as far as greenness goes.
    """
    with figure(6.4, 1.35 + 0.4 * len(bars)) as (drawn, ax):
        for place, (_, of) in enumerate(bars):
            ends = {-1.0: 0.0, 1.0: 0.0}
            for cause, colour in COLOURS.items():
                value = float(of.loc[cause, "mean"])
                side = float(np.sign(value)) or 1.0
                ax.barh(place, value, left=ends[side], height=0.6, color=colour, linewidth=0, label=word(cause))
                if cause == "greenness" and BY_WATER in of.index:
                    part = side * float(np.clip(side * of.loc[BY_WATER, "mean"], 0.0, abs(value)))
                    ax.barh(place, part, left=ends[side], height=0.6, label="of greenness, by missing rain", **HATCH)
                ends[side] += value
            whole = of.loc[ALL]
            if np.isfinite(whole["q05"]):
                ax.plot([whole["q05"], whole["q95"]], [place, place], color=INK, linewidth=1.6)
            ax.plot(whole["mean"], place, "o", color=INK, markersize=5, label="all, 90 %")
        ax.use_sticky_edges = False  # else a bar may end at the frame, as if it were cut
        ax.axvline(0, color=FAINT, linewidth=0.8)
        ax.set_yticks(range(len(bars)), [name for name, _ in bars])
        ax.invert_yaxis()
        what = "negative = uptake lost" if flux == "GPP" else "positive = lost to the atmosphere"
        ax.set_xlabel(f"change of {flux} against the usual season, {plain_units(UNIT)}\n{what}")
        handles = dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True))
        ax.legend(handles.values(), handles.keys(), ncols=3, loc="lower left", bbox_to_anchor=(0, 1), columnspacing=1.2, handlelength=1.2)
        return to_svg(drawn, f"Change of {flux} by cause against the usual season")
