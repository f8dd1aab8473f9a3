"""Gap filling of daily series: linear across short gaps, the seasonal mean of the site across long ones, and a flag for every day."""

from __future__ import annotations

import numpy as np

from hybridflux.vocabulary import HISTORY_DAYS

GIVEN, INTERPOLATED, CLIMATOLOGY, DERIVED = 0, 1, 2, 3
FLAGS = ("given", "interpolated", "climatology", "derived")
"""Meaning of the flags; "given" is the value of the file, which includes the gap filling of the FLUXNET processing."""
LONGEST_LINE = 7  # days; a longer gap is filled with the seasonal mean
_HALF_WINDOWS = (7, 15, 30, 60, 183)  # days; the first that finds data on both sides of the year is used


def seasonal_mean(values: np.ndarray, day_of_year: np.ndarray) -> np.ndarray:
    """Mean for each day of the year, 366 values, in a window of 15 days or the narrowest that finds data.

    Args:
        values: `[time]`, NaN where missing, at least one number.
        day_of_year: `[time]`, 1 to 366.
    """
    known = np.isfinite(values)
    total = np.bincount(day_of_year[known] - 1, values[known], 366)
    count = np.bincount(day_of_year[known] - 1, minlength=366).astype(float)
    mean = np.full(366, np.nan)
    for half in _HALF_WINDOWS:
        ring_total, ring_count = _ring_sum(total, half), _ring_sum(count, half)
        use = np.isnan(mean) & (ring_count > 0)
        mean[use] = ring_total[use] / ring_count[use]
    return mean


def _ring_sum(values: np.ndarray, half: int) -> np.ndarray:
    padded = np.concatenate([values[-half:], values, values[:half]])
    sums = np.concatenate([[0.0], np.cumsum(padded)])
    width = 2 * half + 1
    return (sums[width:] - sums[:-width])[:366]


def fill(values: np.ndarray, day_of_year: np.ndarray, *, longest_line: int = LONGEST_LINE) -> tuple[np.ndarray, np.ndarray]:
    """A daily series without gaps, and a flag for each day.

    Args:
        values: `[time]`, NaN where missing, at least one number.
        day_of_year: `[time]`, 1 to 366.
        longest_line: longest gap that is interpolated linearly [d]; 0 for rain.

    Returns:
        The filled series and its flags: `GIVEN`, `INTERPOLATED` or `CLIMATOLOGY`.
    """
    known = np.flatnonzero(np.isfinite(values))
    flags = np.full(len(values), CLIMATOLOGY, np.int8)
    flags[known] = GIVEN
    if len(known) == len(values):
        return values, flags
    filled = np.where(np.isfinite(values), values, seasonal_mean(values, day_of_year)[day_of_year - 1])
    width = np.diff(known) - 1
    for before in np.flatnonzero((width > 0) & (width <= longest_line)):
        inside = np.arange(known[before] + 1, known[before + 1])
        filled[inside] = np.interp(inside, known[[before, before + 1]], values[known[[before, before + 1]]])
        flags[inside] = INTERPOLATED
    return filled, flags


def trailing_mean(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over the last `window` days, today included; shorter at the start of the axis.

    Args:
        values: `[time, ...]` without gaps.
        window: one of `vocabulary.HISTORY_DAYS`.
    """
    if window not in HISTORY_DAYS:
        raise ValueError(f"no running mean over {window} days; there are {', '.join(map(str, HISTORY_DAYS))}")
    sums = np.concatenate([np.zeros_like(values[:1], dtype=float), np.cumsum(values, axis=0, dtype=float)])
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    days = (end - start).reshape(-1, *(1,) * (values.ndim - 1))
    return ((sums[end] - sums[start]) / days).astype(values.dtype)
