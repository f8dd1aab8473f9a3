"""`learn`: the hyperparameters that the pixels of a land-cover class share, by marginal likelihood of a sample of them."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from scipy.optimize import minimize

from hybridflux.series.cleaning import Variances, ViewAxis, clean, variances_of, view_axis
from hybridflux.series.gap_filling import blocks, checked, fill
from hybridflux.series.hyperparameters import SeriesProcess, harmonics, season_of
from hybridflux.series.smoother import before_views, forward

HARMONICS = 3
MOST_PIXELS = 2048  # of a sample
LEAST_VIEWS = 5  # clear views of a pixel of the sample
ROUNDS = 3  # of rejecting outliers with the hyperparameters and of choosing these for the views that were kept
EVALUATIONS, CLOSE = 160, 1e-4  # most steps of the search; difference of the log likelihood per view at which it ends
SIMPLEX = 0.4  # size of the first simplex, in logarithms
DATE_ERROR = 0.3  # sd of the mean of a date about the season, in sds of all views: the weather of a year, few pixels
WAVE = 2.0  # prior sd of the first harmonic of the ridge, in sds of all views; that of the n-th is WAVE / n^2
SEARCHED = {"fast_sd": (0.05, 5.0), "fast_days": (5.0, 200.0), "slow_sd": (0.05, 5.0), "slow_days": (20.0, 3000.0),
            "view_sd": (0.1, 5.0), "freedom": (3.0, 200.0)}  # fmt: skip
"""Hyperparameters that are searched, in logarithms, and their limits: of `_sd` in standard deviations of all views, of `_days` in days."""
HELD_OUT, GAP = 0.1, 30  # share of the views of the sample, and days, held out to test the width of the intervals
LEVEL, NORMAL = 0.9, 1.6449  # share of held-out views that the interval must hold, and its half width in sds of a normal distribution


def learn(values: np.ndarray, when: np.ndarray, days: int, *, harmonics_count: int = HARMONICS) -> SeriesProcess:
    """Hyperparameters of the process, from up to `MOST_PIXELS` pixels spread evenly over those given.

    Give the pixels of one region or land-cover class, and pass the result to `fill`. The season is a ridge regression on the means of the
    dates; the other hyperparameters maximise the likelihood of the views that are kept, which the filter gives view by view.

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
        raise ValueError(f"none of {values.shape[1]} pixels has {LEAST_VIEWS} clear views; give more dates")
    sample = values[:, enough[np.linspace(0, enough.size - 1, min(MOST_PIXELS, enough.size)).astype(int)]]
    used = np.isfinite(sample)
    views_sd = float(np.std(sample[used]))
    process = SeriesProcess(
        fit_season(sample, used, when, harmonics_count)[0], fast_sd=0.5 * views_sd, fast_days=30.0,
        slow_sd=0.5 * views_sd, slow_days=1000.0, view_sd=0.2 * views_sd, freedom=10.0,
    )  # fmt: skip
    for _ in range(ROUNDS):
        cleaned = clean(sample - season_of(process, when).astype(np.float32)[:, None], view_axis(process, when), variances_of(process))
        used = np.isfinite(cleaned.views)
        season, error = fit_season(sample, used, when, harmonics_count)
        process = _search(replace(process, season=season, season_error=error), views_sd, sample, used, when, cleaned.opening)
    return widened(process, sample, when, days)


def widened(process: SeriesProcess, values: np.ndarray, when: np.ndarray, days: int) -> SeriesProcess:
    """The same process with the factor `widening` at which 90 % intervals hold 90 % of the views held out.

    It is needed because growth is not stationary: the likelihood, dominated by typical days, gives too small an sd in the few weeks of
    fast growth. One view in ten is held out, and `GAP` days of each pixel; the noise of a view is part of the interval.

    Args:
        process: hyperparameters.
        values: `[view, pixel]`, NaN where not clear.
        when: `[view]`.
        days: length of the series.
    """
    rng = np.random.default_rng(0)
    first = rng.integers(-GAP, days, values.shape[1])
    held_out = (rng.random(values.shape) < HELD_OUT) | ((when[:, None] >= first) & (when[:, None] < first + GAP))
    held_out &= np.isfinite(values)
    if not held_out.any():
        return process
    filled = fill(np.where(held_out, np.nan, values), when, days, process=process)
    error = np.abs(values - filled.mean[when])[held_out] / np.hypot(filled.sd[when], filled.view_sd)[held_out]  # in sds
    return replace(process, widening=process.widening * (float(np.quantile(error, LEVEL)) / NORMAL))


def fit_season(values: np.ndarray, used: np.ndarray, when: np.ndarray, count: int) -> tuple[tuple[float, ...], tuple]:
    """Mean and harmonics of the means of the dates, shrunk towards the mean where the year is not covered, and their covariance.

    Args:
        values: `[view, pixel]`.
        used: `[view, pixel]`.
        when: `[view]`.
        count: number of harmonics.
    """
    number = used.sum(1)
    dates = np.where(used, values, 0.0).sum(1, dtype=float) / np.maximum(number, 1)
    views_sd = np.std(values[used], dtype=float)
    weight = number / (DATE_ERROR**2 * used.shape[1])
    order = np.repeat(np.arange(1, count + 1), 2)
    penalty = np.concatenate([[1e-6], (order**2 / WAVE) ** 2])
    columns = harmonics(when, count)
    normal = columns.T @ (weight[:, None] * columns) + np.diag(penalty)
    middle = np.average(dates, weights=number)
    waves = np.linalg.solve(normal, columns.T @ (weight * (dates - middle) / max(views_sd, 1e-12))) * views_sd
    return (float(middle + waves[0]), *(float(wave) for wave in waves[1:])), tuple(map(tuple, np.linalg.inv(normal) * views_sd**2))


def _search(process: SeriesProcess, views_sd: float, sample, used, when, opening) -> SeriesProcess:
    """The hyperparameters of highest likelihood, the season kept."""
    departures = np.where(used, sample - season_of(process, when).astype(np.float32)[:, None], np.nan)
    _, block = next(blocks(departures, MOST_PIXELS))
    opening = np.pad(opening, ((0, 0), (0, block.shape[1] - opening.shape[1])))
    units = np.array([[views_sd if name.endswith("_sd") else 1.0] for name in SEARCHED])
    low, high = np.log(np.array(list(SEARCHED.values())) * units).T

    def process_at(point):
        return replace(process, **dict(zip(SEARCHED, np.exp(np.clip(point, low, high)).tolist(), strict=True)))

    def cost(point):
        trial = process_at(point)
        outside = np.sum(np.maximum(point - high, 0) + np.maximum(low - point, 0))
        return -float(_log_likelihood(block, opening, view_axis(trial, when), variances_of(trial))) / used.sum() + outside

    start = np.log([getattr(process, name) for name in SEARCHED])
    simplex = np.vstack([start, start + SIMPLEX * np.eye(len(start))])
    options = {"initial_simplex": simplex, "maxiter": EVALUATIONS, "fatol": CLOSE, "xatol": np.inf}
    return process_at(minimize(cost, start, method="Nelder-Mead", options=options).x)


@jax.jit
def _log_likelihood(departures, opening, axis: ViewAxis, variances: Variances):
    """Sum over pixels of the log density of their views, the variance factor of each pixel integrated out (multivariate t)."""
    zero = jnp.zeros(departures.shape[1], jnp.float32)

    def step(carry, now):
        state, squares, logs = carry
        into, view, rate, gap = now
        there = ~jnp.isnan(view)
        seen = jnp.where(there, view, 0.0), there.astype(jnp.float32), variances.noise, rate * gap
        state, (predicted, g0, _, g2), _, _ = forward(into, seen, state)
        variance = jnp.where(there, g0 + g2 + variances.noise, 1.0)
        square = jnp.where(there, (view - predicted) ** 2 / variance, 0.0)
        return (state, squares + square, logs + jnp.log(variance)), None

    first = before_views(departures.shape[1], (variances.fast, variances.slow)), zero, zero
    (_, squares, logs), _ = jax.lax.scan(step, first, (axis.into, departures, opening, axis.gap))
    freedom, count = variances.freedom, jnp.sum(~jnp.isnan(departures), 0, dtype=jnp.float32)
    density = (
        gammaln((freedom + count) / 2) - gammaln(freedom / 2) - 0.5 * count * jnp.log(freedom * jnp.pi)
        - 0.5 * logs - 0.5 * (freedom + count) * jnp.log1p(squares / freedom)
    )  # fmt: skip
    return density.sum()
