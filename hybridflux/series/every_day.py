"""The smoothed signal of every day from the views, without a step of the filter for each day.

Between two views nothing is learned, so that the state s days after a view is known in closed form. With P the covariance of the filter
after that view, F = T(gap) P, T(s) the transition over s days, z what a view sees, and r and N of de Jong's smoother at the next view,

    mean(s)     = z T(s) [x + F' r] + B r,                                    B = z Q(s) T(gap - s)',
    variance(s) = z T(s) [P - F' N F] T(s)' z' + z Q(s) z' - 2 z T(s) F' N B' - B N B',

where Q(s) is the process variance that s days add: that of the process, and `opening` times that of a random walk of one unit a day.
z T(s), z Q(s) z' and the parts of B are numbers of a day, all else is computed once for each view, and a day costs some forty
multiplications. These are the mean and variance of a filter and smoother that go day by day, to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.series.cleaning import Cleaned, Variances
from hybridflux.series.hyperparameters import SeriesProcess, season_of, season_sd
from hybridflux.series.smoother import Steps, after_views, backward, before_views, forward, steps

SEES = np.array([1.0, 0.0, 1.0])  # a view sees the two levels, not the speed
STEP = 0.5  # of `opening`: the share of each level, a day


class Between(NamedTuple):
    """From view to view, beginning with a step without a view on day 0, `[1 + view]`.

    Attributes:
        into: transition from the step before.
        opened: variances (00, 01, 11, 22) that `opening` adds over the gap before, for an opening of one `[1 + view, 4]`.
        out_of: transition to the next step, at last to the day behind the series.
        first: first of the days from this step to the next one, and behind the last the number of days `[2 + view]`.
    """

    into: Steps
    opened: np.ndarray
    out_of: Steps
    first: np.ndarray


class EachDay(NamedTuple):
    """What the formulae of a day need, s days after the view before it, `[day]`.

    Attributes:
        sees: z T(s) `[day, 3]`.
        ahead: B of the process `[day, 3]`.
        ahead_opened: B of an opening of one `[day, 3]`.
        variance: z Q(s) z' of the process.
        variance_opened: z Q(s) z' of an opening of one.
        season: of the class [units of the index].
        season_factor: factor on the standard deviation, because the season itself is an estimate.
    """

    sees: np.ndarray
    ahead: np.ndarray
    ahead_opened: np.ndarray
    variance: np.ndarray
    variance_opened: np.ndarray
    season: np.ndarray
    season_factor: np.ndarray


def calendar_of(process: SeriesProcess, when: np.ndarray, days: int) -> tuple[Between, EachDay]:
    """The two tables of a series, computed in float64 and rounded to float32.

    Args:
        process: hyperparameters.
        when: day of each view `[view]`, not decreasing.
        days: length of the series.
    """
    at = np.concatenate([[0], when])
    gap, ahead = np.diff(at, prepend=0), np.diff(at, append=days)
    move, noise, opened = _transitions(process, int(ahead.max()))
    row = np.searchsorted(when, np.arange(days), side="right")
    since, left = np.arange(days) - at[row], at[row] + ahead[row] - np.arange(days)
    of_day = (
        move[since].transpose(0, 2, 1) @ SEES, *(np.einsum("i,tij,tkj->tk", SEES, one[since], move[left]) for one in (noise, opened)),
        *(SEES @ one[since] @ SEES for one in (noise, opened)), season_of(process, np.arange(days)), season_uncertainty(process, days),
    )  # fmt: skip
    over_gap = np.stack([opened[gap, 0, 0], opened[gap, 0, 1], opened[gap, 1, 1], opened[gap, 2, 2]], axis=1).astype(np.float32)
    first = np.searchsorted(row, np.arange(len(at) + 1)).astype(np.int32)
    return Between(steps(process, gap), over_gap, steps(process, ahead), first), EachDay(*(np.asarray(one, np.float32) for one in of_day))


def season_uncertainty(process: SeriesProcess, days: int) -> np.ndarray:
    """Factor on the standard deviation of a signal, because the season itself is an estimate `[time]`.

    An error of the season is a departure that all pixels share; views reduce it like any other departure, so that the same share
    of its variance remains: sd^2 (1 + season_sd^2 / signal_sd^2).
    """
    return np.sqrt(1.0 + (season_sd(process, np.arange(days)) / process.signal_sd) ** 2)


def _transitions(process: SeriesProcess, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T, Q of the process, and Q of an opening of one, after 0 to `longest` days `[day, 3, 3]`."""
    days = np.arange(longest + 1)
    x = np.sqrt(3.0) * days / process.fast_days
    move = np.zeros((longest + 1, 3, 3))
    move[:, 0, 0], move[:, 0, 1], move[:, 1, 0], move[:, 1, 1] = np.exp(-x) * (1 + x), np.exp(-x) * x, -np.exp(-x) * x, np.exp(-x) * (1 - x)
    move[:, 2, 2] = np.exp(-days / process.slow_days)
    settled = np.diag([process.fast_sd**2, process.fast_sd**2, process.slow_sd**2])
    walked = np.cumsum(STEP * move @ move.transpose(0, 2, 1), axis=0)  # each day adds a step, which the following days carry on
    opened = np.concatenate([np.zeros((1, 3, 3)), walked[:-1]])
    return move, settled - move @ settled @ move.transpose(0, 2, 1), opened


def every_day(cleaned: Cleaned, between: Between, each_day: EachDay, variances: Variances, write, out):
    """Mean and variance of the departure of every day, handed to `write` one day at a time.

    Args:
        cleaned: the views `[view, pixel]`.
        between: steps from view to view.
        each_day: what the days need.
        variances: hyperparameters of the process.
        write: `write(out, day, mean, variance)` returns `out` with a day of it `[pixel]` taken in; the variance is for a factor of one.
        out: the arrays that `write` fills, any tree.

    Returns:
        `out` with all days.
    """
    pixels = cleaned.views.shape[1]
    views = jnp.concatenate([jnp.full((1, pixels), jnp.nan), cleaned.views])
    nothing = jnp.zeros((1, pixels))
    opening, opening_ahead = (jnp.concatenate(parts) for parts in ((nothing, cleaned.opening), (cleaned.opening, nothing)))

    def filtered(state, now):
        into, opened, view, rate = now
        q00, q01, q11, q22 = (noise + rate * opened[part] for part, noise in enumerate(into[5:]))
        step = into._replace(q00=q00, q01=q01, q11=q11, q22=q22)
        state, predicted = forward(step, (view, variances.view, 0.0), state)
        return state, (state, predicted)

    start = before_views(pixels, (variances.fast, variances.slow))
    _, found = jax.lax.scan(filtered, start, (between.into, between.opened, views, opening))

    def smoothed(carry, now):
        later, out = carry
        out_of, first, behind, view, rate, (state, predicted) = now
        held = jax.lax.optimization_barrier((rate, *_held(out_of, state, later)))
        out = jax.lax.fori_loop(first, behind, lambda day, out: write(out, day, *_of_day(each_day, day, held)), out)
        later, _, _ = backward(out_of, (view, variances.view), predicted, later)
        return (later, out), None

    given = between.out_of, between.first[:-1], between.first[1:], views, opening_ahead, found
    return jax.lax.scan(smoothed, (after_views(pixels), out), given, reverse=True)[0][1]


def _held(out_of: Steps, state, later):
    """What all days after a view have in common: smoothed state (3), r (3), smoothed covariance (6), 2 F' N (9), N (6)."""
    a, b, c, d, e = out_of[:5]
    x, v, l, p00, p01, p11, p02, p12, p22 = state  # noqa: E741
    r0, r1, r2, n00, n01, n11, n02, n12, n22 = later
    columns = (
        (a * p00 + b * p01, c * p00 + d * p01, e * p02), (a * p01 + b * p11, c * p01 + d * p11, e * p12),
        (a * p02 + b * p12, c * p02 + d * p12, e * p22),
    )  # fmt: skip
    mean = tuple(one + f0 * r0 + f1 * r1 + f2 * r2 for one, (f0, f1, f2) in zip((x, v, l), columns, strict=True))
    across = tuple(
        (f0 * n00 + f1 * n01 + f2 * n02, f0 * n01 + f1 * n11 + f2 * n12, f0 * n02 + f1 * n12 + f2 * n22) for f0, f1, f2 in columns
    )

    def known(row: int, column: int):
        return sum(one * other for one, other in zip(across[row], columns[column], strict=True))

    covariance = (p00 - known(0, 0), p01 - known(0, 1), p11 - known(1, 1), p02 - known(0, 2), p12 - known(1, 2), p22 - known(2, 2))
    return mean, (r0, r1, r2), covariance, tuple(2.0 * one for row in across for one in row), (n00, n01, n11, n02, n12, n22)


def _of_day(each_day: EachDay, day, held):
    """Mean and variance of the departure of a day `[pixel]`, by the formulae at the head of this file."""
    rate, (x, v, l), (r0, r1, r2), (s00, s01, s11, s02, s12, s22), twice, (n00, n01, n11, n02, n12, n22) = held  # noqa: E741
    a0, a1, a2 = (each_day.sees[day, part] for part in range(3))
    b0, b1, b2 = (each_day.ahead[day, part] + rate * each_day.ahead_opened[day, part] for part in range(3))
    mean = a0 * x + a1 * v + a2 * l + b0 * r0 + b1 * r1 + b2 * r2
    variance = a0 * (a0 * s00 + 2 * a1 * s01 + 2 * a2 * s02) + a1 * (a1 * s11 + 2 * a2 * s12) + a2 * a2 * s22
    variance = variance + each_day.variance[day] + rate * each_day.variance_opened[day]
    m0, m1, m2 = (a0 * twice[part] + a1 * twice[3 + part] + a2 * twice[6 + part] for part in range(3))
    known = b0 * (m0 + b0 * n00 + b1 * n01 + b2 * n02) + b1 * (m1 + b0 * n01 + b1 * n11 + b2 * n12)
    known = known + b2 * (m2 + b0 * n02 + b1 * n12 + b2 * n22)
    return mean, jnp.maximum(variance - known, 0.0)
