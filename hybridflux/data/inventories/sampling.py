"""Means of sampled plots and their standard errors, from the design of the sample alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FEWEST = 2
"""Plots of a stratum below which it has no standard error."""


@dataclass(frozen=True)
class PlotMean:
    """A mean of plots.

    Attributes:
        mean: mean, in the units of the plots.
        se: standard error of the mean; NaN where a stratum has fewer than `FEWEST` plots.
        plots: number of plots.
    """

    mean: float
    se: float
    plots: int


def simple(values: np.ndarray) -> PlotMean:
    """Mean of a simple random sample: `s / sqrt(n)`, Cochran 1977, Sampling Techniques, section 2.

    A systematic grid, as most inventories have it, is treated as random: that overstates the error a little where
    neighbours are similar (Ripley 1981). The finite-population correction is nil for plots in forests.

    Args:
        values: `[plot]`, with the zeros of plots where there is nothing.

    Raises:
        ValueError: no plot, or a value that is not finite.
    """
    values = np.asarray(values, float)
    if not values.size:
        raise ValueError("no plot: an estimate needs at least one, two for a standard error")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} plots have no value; a plot without trees has 0, not a gap")
    se = float(values.std(ddof=1) / np.sqrt(values.size)) if values.size >= FEWEST else float("nan")
    return PlotMean(float(values.mean()), se, int(values.size))


def stratified(values: np.ndarray, strata: np.ndarray, areas: Mapping) -> PlotMean:
    """Mean of a stratified sample: `sum W_h ybar_h`, variance `sum W_h^2 s_h^2 / n_h`, Cochran 1977, section 5.

    Args:
        values: `[plot]`.
        strata: `[plot]`, the stratum of each.
        areas: stratum -> area, any unit; weights are shares of their sum.

    Raises:
        ValueError: a stratum with area and without plots, or the other way round.
    """
    values, strata = np.asarray(values, float), np.asarray(strata)
    sampled = set(np.unique(strata).tolist())
    if sampled != set(areas):
        raise ValueError(f"strata with plots {sorted(sampled)} and strata with an area {sorted(areas)} must be the same")
    total = sum(areas.values())
    parts = {stratum: simple(values[strata == stratum]) for stratum in areas}
    mean = sum(areas[stratum] / total * part.mean for stratum, part in parts.items())
    se = np.sqrt(sum((areas[stratum] / total * part.se) ** 2 for stratum, part in parts.items()))
    return PlotMean(float(mean), float(se), int(values.size))
