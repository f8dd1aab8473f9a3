"""The numbers a region's pixels share, chosen by marginal likelihood on a sample of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln

from hybridflux.series.daily import BLOCK, blocks, checked, clean, fill, numbers_of, view_axis, with_empty_row
from hybridflux.series.prior import Prior, harmonics, season_of
from hybridflux.series.smoother import Axis, Views, forward

HARMONICS = 3
LEAST_VIEWS = 5  # clear views of a pixel of the sample
ROUNDS = 3  # of cleaning with the numbers and choosing numbers for what was kept
EVALUATIONS, CLOSE = 160, 1e-4  # of the search; difference of the likelihood a view at which it ends
DATE_ERROR = 0.3  # of the mean of a date about the season, in standard deviations of all views: weather of a year, few pixels
WAVE = 2.0  # prior standard deviation of the first harmonic, in those of all views; falls with the square of its number
SEARCHED = {"fast_sd": (0.05, 5.0), "fast_days": (5.0, 200.0), "slow_sd": (0.05, 5.0), "slow_days": (20.0, 3000.0),
            "view_sd": (0.1, 5.0), "freedom": (3.0, 200.0)}  # fmt: skip
"""Numbers that are searched, in logarithms, and their limits: of `_sd` in standard deviations of all views, of `_days` in days."""
HELD, GAP = 0.1, 30  # share of the sample's views, days: held out to see whether the standard deviation is wide enough
LEVEL, NORMAL = 0.9, 1.6449  # of the interval that is made to hold, and its half width for a normal distribution


def learn(values: np.ndarray, when: np.ndarray, days: int, *, harmonics_count: int = HARMONICS) -> Prior:
    """Numbers of the process, from up to `BLOCK` pixels spread evenly over those given.

    Give the pixels of one region, or of one class of land, and fill with what comes back. The season is a ridge regression on the means of
    the dates; the other numbers maximise the likelihood of the views that cleaning keeps, which the filter gives view by view.

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day number of each view `[view]`, as in `fill`.
        days: length of the series.
        harmonics_count: harmonics of the year in the season.

    Raises:
        ValueError: as `fill`; also if no pixel has `LEAST_VIEWS` clear views.
    """
    values, when = checked(values, when, days)
    enough = np.flatnonzero(np.isfinite(values).sum(0) >= LEAST_VIEWS)
    if not enough.size:
        raise ValueError(f"none of {values.shape[1]} pixels has {LEAST_VIEWS} clear views; give more dates, or a prior of another region")
    sample = values[:, enough[np.linspace(0, enough.size - 1, min(BLOCK, enough.size)).astype(int)]]
    used = np.isfinite(sample)
    spread = float(np.std(sample[used]))
    prior = Prior(
        fit_season(sample, used, when, harmonics_count)[0], fast_sd=0.5 * spread, fast_days=30.0, slow_sd=0.5 * spread, slow_days=1000.0,
        view_sd=0.2 * spread, freedom=10.0,
    )  # fmt: skip
    for _ in range(ROUNDS):
        departures = sample - season_of(prior, when).astype(np.float32)[:, None]
        _, block = next(blocks(departures))
        cleaned = _clean(block, view_axis(prior, when), when.astype(np.float32), numbers_of(prior))
        used = np.asarray(cleaned.used)[:, : sample.shape[1]]
        season, error = fit_season(sample, used, when, harmonics_count)
        prior = _search(replace(prior, season=season, season_error=error), spread, sample, used, when, cleaned.opening)
    return widened(prior, sample, when, days)


def widened(prior: Prior, values: np.ndarray, when: np.ndarray, days: int) -> Prior:
    """The same process with the factor `widening` at which 90 % intervals hold 90 % of views held out.

    It is needed because growth is not stationary: the likelihood of typical days makes the few
    lively weeks too certain. One view in ten is held out, and `GAP` days of each pixel; noise of a view is part of the interval.

    Args:
        prior: numbers of the process.
        values: `[view, pixel]`, NaN where not clear.
        when: `[view]`.
        days: length of the series.
    """
    rng = np.random.default_rng(0)
    first = rng.integers(-GAP, days, values.shape[1])
    held = (rng.random(values.shape) < HELD) | ((when[:, None] >= first) & (when[:, None] < first + GAP))
    held &= np.isfinite(values)
    if not held.any():
        return prior
    filled = fill(np.where(held, np.nan, values), when, days, prior=prior)
    miss = np.abs(values - filled.mean[when])[held] / np.hypot(filled.sd[when], filled.view_sd)[held]
    factor = float(np.quantile(miss, LEVEL)) / NORMAL
    return replace(prior, widening=prior.widening * factor)


def fit_season(values: np.ndarray, used: np.ndarray, when: np.ndarray, count: int) -> tuple[tuple[float, ...], tuple]:
    """Mean and harmonics of the means of the dates, held back towards the mean where the year is not covered, and their covariance.

    Args:
        values: `[view, pixel]`.
        used: `[view, pixel]`.
        when: `[view]`.
        count: harmonics.
    """
    number = used.sum(1)
    dates = np.where(used, values, 0.0).sum(1, dtype=float) / np.maximum(number, 1)
    spread = np.std(values[used], dtype=float)
    weight = number / (DATE_ERROR**2 * used.shape[1])
    order = np.repeat(np.arange(1, count + 1), 2)
    held = np.concatenate([[1e-6], (order**2 / WAVE) ** 2])
    columns = harmonics(when, count)
    normal = columns.T @ (weight[:, None] * columns) + np.diag(held)
    middle = np.average(dates, weights=number)
    waves = np.linalg.solve(normal, columns.T @ (weight * (dates - middle) / max(spread, 1e-12))) * spread
    return (float(middle + waves[0]), *(float(wave) for wave in waves[1:])), tuple(map(tuple, np.linalg.inv(normal) * spread**2))


def _search(prior: Prior, spread: float, sample, used, when, opened) -> Prior:
    """The prior of highest likelihood a view, its season kept."""
    departures = np.where(used, sample - season_of(prior, when).astype(np.float32)[:, None], np.nan)
    _, block = next(blocks(departures))
    units = np.array([[spread if name.endswith("_sd") else 1.0] for name in SEARCHED])
    low, high = np.log(np.array(list(SEARCHED.values())) * units).T

    def named(point):
        return replace(prior, **dict(zip(SEARCHED, np.exp(np.clip(point, low, high)).tolist(), strict=True)))

    def cost(point):
        tried = named(point)
        outside = np.sum(np.maximum(point - high, 0) + np.maximum(low - point, 0))
        return -float(_log_likelihood(block, opened, view_axis(tried, when), numbers_of(tried))) / used.sum() + outside

    return named(downhill(cost, np.log([getattr(prior, name) for name in SEARCHED])))


def downhill(cost: Callable[[np.ndarray], float], start: np.ndarray, *, size: float = 0.4) -> np.ndarray:
    """The best point of a downhill simplex: Nelder and Mead 1965 (10.1093/comjnl/7.4.308).

    Args:
        cost: to be made small.
        start: first corner; the others lie `size` away along each axis.
        size: of the first simplex.
    """
    corners = np.vstack([start, start + size * np.eye(len(start))])
    costs = np.array([cost(corner) for corner in corners])
    for _ in range(EVALUATIONS):
        order = np.argsort(costs)
        corners, costs = corners[order], costs[order]
        if costs[-1] - costs[0] < CLOSE:
            break
        middle = corners[:-1].mean(0)
        away = middle - corners[-1]
        tried = middle + away
        found = cost(tried)
        if found < costs[0]:
            further = cost(middle + 2 * away)
            tried, found = (middle + 2 * away, further) if further < found else (tried, found)
        elif found >= costs[-2]:
            tried = middle + 0.5 * away * (1 if found < costs[-1] else -1)
            found = cost(tried)
            if found >= costs[-1]:
                corners = 0.5 * (corners + corners[0])
                costs = np.array([costs[0], *(cost(corner) for corner in corners[1:])])
                continue
        corners[-1], costs[-1] = tried, found
    return corners[np.argmin(costs)]


_clean = jax.jit(clean)


@jax.jit
def _log_likelihood(departures, opened, axis: Axis, numbers):
    """Sum over pixels of the logarithm of the density of their views, the liveliness of each pixel integrated out (multivariate t)."""
    used = ~jnp.isnan(departures)
    views = with_empty_row(jnp.where(used, departures, 0.0), jnp.where(used, numbers.noise, jnp.inf), opened)
    zero = jnp.zeros(departures.shape[1], jnp.float32)
    first = ((zero,) * 3 + (zero + numbers.fast, zero, zero + numbers.fast, zero, zero, zero + numbers.slow), zero, zero)

    def step(carry, now):
        state, missed, logs = carry
        seen = _seen(views, now)
        state, (predicted, g0, _, g2) = forward(now.steps, seen, state)
        none = jnp.isinf(seen[1])
        variance = jnp.where(none, 1.0, g0 + g2 + seen[1])
        square = jnp.where(none, 0.0, (seen[0] - predicted) ** 2 / variance)
        return (state, missed + square, logs + jnp.log(variance)), None

    (_, missed, logs), _ = jax.lax.scan(step, first, axis)
    freedom, count = numbers.freedom, used.sum(0)
    density = (
        gammaln((freedom + count) / 2) - gammaln(freedom / 2) - 0.5 * count * jnp.log(freedom * jnp.pi)
        - 0.5 * logs - 0.5 * (freedom + count) * jnp.log1p(missed / freedom)
    )  # fmt: skip
    return density.sum()


def _seen(views: Views, now: Axis):
    return views.value[now.row], views.noise[now.row], views.opening[now.next_row] * now.gap
