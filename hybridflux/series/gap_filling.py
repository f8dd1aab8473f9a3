"""`fill`: from irregular clear views to a daily series with its standard deviation, and the steps that it shares with `draw`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.series.cleaning import clean, variances_of, view_axis
from hybridflux.series.every_day import calendar_of, every_day
from hybridflux.series.hyperparameters import SeriesProcess, season_of

BLOCK, LEAST_BLOCK = 512, 64  # pixels that JAX computes at once; blocks are padded, so that few programs serve any number of pixels


@dataclass(frozen=True)
class Daily:
    """A vegetation index without gaps.

    Attributes:
        mean: mean of the true signal `[time, pixel]`, float32.
        sd: standard deviation of the true signal, not of a view `[time, pixel]`, float32.
        used: whether a clear view was used, not rejected as an outlier `[view, pixel]`.
        view_sd: standard deviation of one view about the signal `[pixel]`, float32.
    """

    mean: np.ndarray
    sd: np.ndarray
    used: np.ndarray
    view_sd: np.ndarray


def fill(values: np.ndarray, when: np.ndarray, days: int, *, process: SeriesProcess) -> Daily:
    """Daily series of an index from irregular clear views, cleaned and filled, with its standard deviation [units of the index].

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day number of each view `[view]`, 0 to `days - 1`, not decreasing; two views of one day count as two.
        days: length of the series.
        process: hyperparameters of the pixels, from `learn` on the same axis of days.

    Raises:
        ValueError: shapes that do not fit, a day out of order or out of the series, infinite values; names the view.
    """
    values, when = checked(values, when, days)
    variances, (between, each_day) = variances_of(process), calendar_of(process, when, days)
    cleaned = clean(values - season_of(process, when).astype(np.float32)[:, None], view_axis(process, when), variances)
    mean, sd = every_day(cleaned, between, each_day, variances)
    factor = cleaned.factor * variances.widening
    for day, season in enumerate(each_day.season):  # in the cache
        mean[day] += season
        sd[day] = np.sqrt(sd[day] * factor) * each_day.season_factor[day]
    return Daily(mean, sd, ~np.isnan(cleaned.views), np.sqrt(variances.noise * factor))


def blocks(departures: np.ndarray, most: int = BLOCK):
    """Slices of the pixels and their departures, padded with NaN to `most` pixels, or to a half, a quarter ... of it if that suffices."""
    pixels, width = departures.shape[1], most
    while width // 2 >= max(pixels, LEAST_BLOCK):
        width //= 2
    for first in range(0, pixels, width):
        part = slice(first, min(first + width, pixels))
        block = np.full((len(departures), width), np.nan, np.float32)
        block[:, : part.stop - part.start] = departures[:, part]
        yield part, block


def checked(values: np.ndarray, when: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """The views as float32 and their days as int64.

    Raises:
        ValueError: shapes, days or values that `fill` refuses; names the view.
    """
    values, when = np.asarray(values, np.float32), np.asarray(when)
    if values.ndim != 2 or when.shape != values.shape[:1]:
        raise ValueError(f"values have shape {values.shape} and days {when.shape}; give [view, pixel] and one day for each view")
    if len(when) and not np.issubdtype(when.dtype, np.integer):
        raise ValueError(f"days of views are {when.dtype}; give integers counted from the first day of the series")
    outside = np.flatnonzero((when < 0) | (when >= days))
    if outside.size:
        raise ValueError(f"view {outside[0]} is of day {when[outside[0]]}, outside the series of days 0 to {days - 1}; leave it out")
    late = np.flatnonzero(np.diff(when) < 0)
    if late.size:
        raise ValueError(f"view {late[0] + 1} of day {when[late[0] + 1]} follows one of day {when[late[0]]}; sort the views by day")
    if np.isinf(values).any():
        view = int(np.argwhere(np.isinf(values))[0, 0])
        raise ValueError(f"view {view} of day {when[view]} has an infinite value; give NaN where the index is not defined")
    return values, when.astype(np.int64)
