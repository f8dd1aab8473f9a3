"""`fill`: from irregular clear views to a daily series with its standard deviation, and the steps that it shares with `draw`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hybridflux.series.hyperparameters import SeriesProcess, season_of, season_sd
from hybridflux.series.outliers import find_drops, opening, outliers, variance_factor
from hybridflux.series.smoother import Axis, Departures, Smoothed, smooth, steps

BLOCK, LEAST_BLOCK = 2048, 128  # pixels computed at once; blocks are padded, so that few programs serve tiles of any size
PASSES = 4  # of the search for outliers; each takes the worst of neighbouring ones


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


class Variances(NamedTuple):
    """A `SeriesProcess` as the numbers that a compiled program takes: variances, `fast_days` [d], and `widening` squared."""

    fast: ArrayLike
    slow: ArrayLike
    fast_days: ArrayLike
    view: ArrayLike
    freedom: ArrayLike
    widening: ArrayLike


class Cleaned(NamedTuple):
    """Which views are used, the variance that drops add, the smoothed series `[view, pixel]`, and the variance factor `[pixel]`."""

    used: jax.Array
    opening: jax.Array
    smoothed: Smoothed
    factor: jax.Array


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
    axes = view_axis(process, when), day_axis(process, when, days), when.astype(np.float32), same_day(when)
    variances, season = variances_of(process), season_of(process, np.arange(days)).astype(np.float32)[:, None]
    season_factor = season_uncertainty(process, days)
    pixels = values.shape[1]
    mean, sd = np.empty((days, pixels), np.float32), np.empty((days, pixels), np.float32)
    used, view_sd = np.empty(values.shape, bool), np.empty(pixels, np.float32)
    for part, block in blocks(values - season[when]):
        block_mean, block_sd, block_used, block_view_sd = map(np.asarray, _fill_block(block, *axes, variances))
        width = part.stop - part.start
        np.add(block_mean[:, :width], season, out=mean[:, part])
        np.multiply(block_sd[:, :width], season_factor, out=sd[:, part])
        used[:, part], view_sd[part] = block_used[:, :width], block_view_sd[:width]
    return Daily(mean, sd, used, view_sd)


def season_uncertainty(process: SeriesProcess, days: int) -> np.ndarray:
    """Factor on the standard deviation of a signal, because the season itself is an estimate `[time, 1]`, float32.

    An error of the season is a departure that all pixels share; views reduce it like any other departure, so that the same share
    of its variance remains: sd^2 (1 + season_sd^2 / signal_sd^2).
    """
    return np.sqrt(1.0 + (season_sd(process, np.arange(days)) / process.signal_sd) ** 2).astype(np.float32)[:, None]


def blocks(departures: np.ndarray):
    """Slices of the pixels and their departures, padded with NaN to `BLOCK` pixels, or to a half, a quarter ... of it if that suffices."""
    pixels, width = departures.shape[1], BLOCK
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


def variances_of(process: SeriesProcess) -> Variances:
    """Variances and the other hyperparameters of a process, float32."""
    numbers = (process.fast_sd**2, process.slow_sd**2, process.fast_days, process.view_sd**2, process.freedom, process.widening**2)
    return Variances(*(np.float32(number) for number in numbers))


def view_axis(process: SeriesProcess, when: np.ndarray) -> Axis:
    """One step for each view."""
    gap = np.diff(when, prepend=when[:1])
    rows = np.arange(len(when))
    return Axis(steps(process, gap), rows, rows, gap.astype(np.float32))


def day_axis(process: SeriesProcess, when: np.ndarray, days: int) -> Axis:
    """One step for each day; row `len(when)` is the one without a view."""
    following = np.searchsorted(when, np.arange(days))
    row = np.full(days, len(when))
    row[when] = same_day(when)
    return Axis(steps(process, np.ones(days)), row, following, np.ones(days, np.float32))


def same_day(when: np.ndarray) -> np.ndarray:
    """Index of the first view of the day of each view `[view]`."""
    return np.searchsorted(when, when)


def clean(departures, axis: Axis, when, variances: Variances) -> Cleaned:
    """Reject, pass by pass, the views that the others contradict.

    Args:
        departures: views minus the season `[view, pixel]`, NaN where not clear.
        axis: time steps of the views.
        when: day of each view, float.
        variances: hyperparameters of the process.
    """
    clear = ~jnp.isnan(departures)
    value = jnp.where(clear, departures, 0.0)

    def smooth_used(used, factor):
        fast_sd, view_sd = jnp.sqrt(variances.fast * factor), jnp.sqrt(variances.view * factor)
        drops = find_drops(value, when, used, fast_sd, variances.fast_days, view_sd)
        opened = opening(drops, used)
        views = with_empty_row(value, jnp.where(used, variances.view, jnp.inf), opened)
        smoothed = smooth(axis, views, (variances.fast, variances.slow))
        return opened, smoothed, variance_factor(smoothed.innovation, smoothed.innovation_variance, used, variances.freedom)

    def one_pass(_, carry):
        used, factor = carry
        _, smoothed, factor = smooth_used(used, factor)
        return used & ~outliers(smoothed.left_out, smoothed.left_out_variance * factor, used), factor

    used, factor = jax.lax.fori_loop(0, PASSES, one_pass, (clear, jnp.ones(value.shape[1], jnp.float32)))
    return Cleaned(used, *smooth_used(used, factor))


def with_empty_row(value, noise, opened) -> Departures:
    """`Departures` with the last row, which stands for no view."""
    rows = zip((value, noise, opened), (0.0, jnp.inf, 0.0), strict=True)
    return Departures(*(jnp.concatenate([part, jnp.full((1, part.shape[1]), blank, part.dtype)]) for part, blank in rows))


def merged(departures, cleaned: Cleaned, first_of_day, variances: Variances) -> Departures:
    """The used views, those of one day averaged on the row of the first of them."""
    used = cleaned.used
    count = jnp.zeros(used.shape, jnp.float32).at[first_of_day].add(used.astype(jnp.float32))
    total = jnp.zeros(used.shape, jnp.float32).at[first_of_day].add(jnp.where(used, departures, 0.0))
    noise = jnp.where(count > 0, variances.view / jnp.maximum(count, 1.0), jnp.inf)
    return with_empty_row(total / jnp.maximum(count, 1.0), noise, cleaned.opening)


@jax.jit
def _fill_block(departures, views: Axis, every_day: Axis, when, first_of_day, variances: Variances):
    """Mean and sd of a block `[time, pixel]`, views used `[view, pixel]`, sd of a view `[pixel]`."""
    cleaned = clean(departures, views, when, variances)
    smoothed = smooth(every_day, merged(departures, cleaned, first_of_day, variances), (variances.fast, variances.slow))
    factor = cleaned.factor * variances.widening
    return smoothed.mean, jnp.sqrt(smoothed.variance * factor), cleaned.used, jnp.sqrt(variances.view * factor)
