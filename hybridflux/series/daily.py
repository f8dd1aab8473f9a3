"""The two things a caller asks for: a filled daily series, and what its pixels miss about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.series.outliers import find_drops, liveliness, opening, wrong
from hybridflux.series.prior import Prior, season_of, season_sd
from hybridflux.series.smoother import Axis, Smoothed, Views, smooth, steps

BLOCK, LEAST_BLOCK = 2048, 128  # pixels computed at once; blocks are padded, so that few programs serve tiles of any size
PASSES = 4  # times that doubtful views are looked for; each takes the worst of neighbouring ones


@dataclass(frozen=True)
class Daily:
    """A vegetation index without gaps.

    Attributes:
        mean: of the true signal `[time, pixel]`, float32.
        sd: standard deviation of the true signal, not of a view `[time, pixel]`, float32.
        used: clear views that were believed `[view, pixel]`.
        view_sd: standard deviation of one view about the signal `[pixel]`, float32.
    """

    mean: np.ndarray
    sd: np.ndarray
    used: np.ndarray
    view_sd: np.ndarray


class Numbers(NamedTuple):
    """The prior as numbers that a compiled program takes."""

    fast: float
    slow: float
    length: float
    noise: float
    freedom: float
    widening: float


class Cleaned(NamedTuple):
    """Views that were believed and what the filter says of them, `[view, pixel]`, and the squared liveliness of each pixel."""

    used: jax.Array
    opening: jax.Array
    said: Smoothed
    scale: jax.Array


def fill(values: np.ndarray, when: np.ndarray, days: int, *, prior: Prior) -> Daily:
    """Daily series of an index from irregular clear views, cleaned and filled, with its standard deviation [units of the index].

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day number of each view `[view]`, 0 to `days - 1`, not decreasing; two views of one day count as two.
        days: length of the series.
        prior: what the region's pixels have in common, on the same axis of days.

    Raises:
        ValueError: shapes that do not fit, a day out of order or out of the series, infinite values; names the view.
    """
    values, when = checked(values, when, days)
    scaffold = view_axis(prior, when), day_axis(prior, when, days), when.astype(np.float32), same_day(when)
    numbers, season = numbers_of(prior), season_of(prior, np.arange(days)).astype(np.float32)[:, None]
    doubt = doubt_of_season(prior, days)
    pixels = values.shape[1]
    mean, sd = np.empty((days, pixels), np.float32), np.empty((days, pixels), np.float32)
    used, view_sd = np.empty(values.shape, bool), np.empty(pixels, np.float32)
    for part, block in blocks(values - season[when]):
        done = [np.asarray(array) for array in _fill_block(block, *scaffold, numbers)]
        width = part.stop - part.start
        np.add(done[0][:, :width], season, out=mean[:, part])
        np.multiply(done[1][:, :width], doubt, out=sd[:, part])
        used[:, part], view_sd[part] = done[2][:, :width], done[3][:width]
    return Daily(mean, sd, used, view_sd)


def doubt_of_season(prior: Prior, days: int) -> np.ndarray:
    """What the standard deviation of a signal is multiplied by because the season itself is an estimate `[time, 1]`, float32.

    An error of the season is a departure that all pixels share; near views it is seen and taken up like any other, so that the share of the
    variance that is left is the same: sd^2 (1 + season_sd^2 / spread^2).
    """
    return np.sqrt(1.0 + (season_sd(prior, np.arange(days)) / prior.spread) ** 2).astype(np.float32)[:, None]


def blocks(departures: np.ndarray):
    """Slices of the pixels, and their departures padded with NaN to `BLOCK` pixels, fewer than half a block to a half, a quarter ..."""
    pixels, width = departures.shape[1], BLOCK
    while width // 2 >= max(pixels, LEAST_BLOCK):
        width //= 2
    for first in range(0, pixels, width):
        part = slice(first, min(first + width, pixels))
        block = np.full((len(departures), width), np.nan, np.float32)
        block[:, : part.stop - part.start] = departures[:, part]
        yield part, block


def checked(values: np.ndarray, when: np.ndarray, days: int) -> tuple[np.ndarray, np.ndarray]:
    """The views as float32 and their days as int64, or an error that says what is wrong with them."""
    values, when = np.asarray(values, np.float32), np.asarray(when)
    if values.ndim != 2 or when.shape != values.shape[:1]:
        raise ValueError(f"values have shape {values.shape} and days {when.shape}; give [view, pixel] and one day for each view")
    if len(when) and not np.issubdtype(when.dtype, np.integer):
        raise ValueError(f"days of views are {when.dtype}; give whole numbers counted from the first day of the series")
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


def numbers_of(prior: Prior) -> Numbers:
    """Variances, lengths and squared factors of a prior."""
    plain = (prior.fast_sd**2, prior.slow_sd**2, prior.fast_days, prior.view_sd**2, prior.freedom, prior.widening**2)
    return Numbers(*(np.float32(number) for number in plain))


def view_axis(prior: Prior, when: np.ndarray) -> Axis:
    """One step for each view."""
    gap = np.diff(when, prepend=when[:1])
    rows = np.arange(len(when))
    return Axis(steps(prior, gap), rows, rows, gap.astype(np.float32))


def day_axis(prior: Prior, when: np.ndarray, days: int) -> Axis:
    """One step for each day; row `len(when)` is the empty one."""
    following = np.searchsorted(when, np.arange(days))
    row = np.full(days, len(when))
    row[when] = same_day(when)
    return Axis(steps(prior, np.ones(days)), row, following, np.ones(days, np.float32))


def same_day(when: np.ndarray) -> np.ndarray:
    """For each view the first view of its day `[view]`."""
    return np.searchsorted(when, when)


def clean(departures, axis: Axis, when, numbers: Numbers) -> Cleaned:
    """Leave out, pass by pass, the views that the others contradict.

    Args:
        departures: views minus the season `[view, pixel]`, NaN where not clear.
        axis: of the views.
        when: day of each view, float.
        numbers: of the prior.
    """
    clear = ~jnp.isnan(departures)
    value = jnp.where(clear, departures, 0.0)

    def look(used, scale):
        drops = find_drops(value, when, used, jnp.sqrt(numbers.fast * scale), numbers.length, jnp.sqrt(numbers.noise * scale))
        opened = opening(drops, used)
        said = smooth(axis, with_empty_row(value, jnp.where(used, numbers.noise, jnp.inf), opened), (numbers.fast, numbers.slow))
        return opened, said, liveliness(said.ahead, said.ahead_variance, used, numbers.freedom)

    def one_pass(_, carry):
        used, scale = carry
        _, said, scale = look(used, scale)
        return used & ~wrong(said.left_out, said.left_out_variance * scale, used), scale

    used, scale = jax.lax.fori_loop(0, PASSES, one_pass, (clear, jnp.ones(value.shape[1], jnp.float32)))
    return Cleaned(used, *look(used, scale))


def with_empty_row(value, noise, opened) -> Views:
    """`Views` with the row that stands for no view."""
    rows = zip((value, noise, opened), (0.0, jnp.inf, 0.0), strict=True)
    return Views(*(jnp.concatenate([part, jnp.full((1, part.shape[1]), blank, part.dtype)]) for part, blank in rows))


def merged(departures, cleaned: Cleaned, first_of_day, numbers: Numbers) -> Views:
    """The believed views with those of one day put together, on the row of the first of them."""
    used = cleaned.used
    count = jnp.zeros(used.shape, jnp.float32).at[first_of_day].add(used)
    total = jnp.zeros(used.shape, jnp.float32).at[first_of_day].add(jnp.where(used, departures, 0.0))
    noise = jnp.where(count > 0, numbers.noise / jnp.maximum(count, 1.0), jnp.inf)
    return with_empty_row(total / jnp.maximum(count, 1.0), noise, cleaned.opening)


@jax.jit
def _fill_block(departures, views: Axis, every: Axis, when, first_of_day, numbers: Numbers):
    """Mean and sd of a block on every day, views used, sd of a view."""
    cleaned = clean(departures, views, when, numbers)
    said = smooth(every, merged(departures, cleaned, first_of_day, numbers), (numbers.fast, numbers.slow))
    factor = cleaned.scale * numbers.widening
    return said.mean, jnp.sqrt(said.variance * factor), cleaned.used, jnp.sqrt(numbers.noise * factor)
