"""Kalman filter and smoother of many pixels at once, with the algebra of the three states written out.

States: level and scaled speed of a Matern-3/2 process (speed over sqrt(3) / length), level of an Ornstein-Uhlenbeck process; a view sees
the sum of the two levels. Hartikainen and Sarkka 2010 (10.1109/MLSP.2010.5589113) for the process as a state space; de Jong 1989
(10.1080/01621459.1989.10478870) for the smoother, which needs no inverse and, of the forward pass, only the predicted view and its
covariance with the states. All pixels share the time steps; which of the steps have a view differs between pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hybridflux.series.hyperparameters import SeriesProcess


class Steps(NamedTuple):
    """Transition into each step `[step]`: matrix `[a b; c d]` of the fast part, `e` of the slow part, process noise `q`."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray
    e: np.ndarray
    q00: np.ndarray
    q01: np.ndarray
    q11: np.ndarray
    q22: np.ndarray


class Smoothed(NamedTuple):
    """The departure of the signal from the season given all views, and two residuals of each view, all `[step, pixel]`.

    Attributes:
        mean: mean of the departure.
        variance: variance of the departure.
        innovation: view minus its prediction from the views before it, 0 without a view.
        innovation_variance: variance of the innovation, 1 without a view.
        left_out: view minus its prediction from all other views, 0 without a view.
        left_out_variance: variance of that residual, 1 without a view.
    """

    mean: jax.Array
    variance: jax.Array
    innovation: jax.Array
    innovation_variance: jax.Array
    left_out: jax.Array
    left_out_variance: jax.Array


def steps(process: SeriesProcess, gaps: np.ndarray) -> Steps:
    """Transitions over the gaps between steps, computed in float64 and rounded to float32.

    Args:
        process: hyperparameters.
        gaps: days between each step and the one before it `[step]`; the first is not used.
    """
    x = np.sqrt(3.0) * np.asarray(gaps, float) / process.fast_days
    fade, slow = np.exp(-x), np.exp(-np.asarray(gaps, float) / process.slow_days)
    fast, level = process.fast_sd**2, process.slow_sd**2
    a, b, c, d = fade * (1 + x), fade * x, -fade * x, fade * (1 - x)
    noise = (fast * (1 - a * a - b * b), -fast * (a * c + b * d), fast * (1 - c * c - d * d), level * (1 - slow * slow))
    return Steps(*(np.asarray(part, np.float32) for part in (a, b, c, d, slow, *noise)))


def forward(step, seen, state):
    """One step of the filter.

    Args:
        step: `Steps` of this step.
        seen: departure of the view from the season, variance of the view (inf without a view), and the process variance that a drop adds,
            half of it to each level.
        state: means (3) and covariances (00, 01, 11, 02, 12, 22) after the step before, each `[pixel]`.

    Returns:
        The state after this view, and what the smoother needs: the predicted view and its covariance with the three states.
    """
    a, b, c, d, e, q00, q01, q11, q22 = step
    view, noise, opened = seen
    x, v, l, p00, p01, p11, p02, p12, p22 = state  # noqa: E741
    opened = 0.5 * opened
    x, v, l = a * x + b * v, c * x + d * v, e * l  # noqa: E741
    top, side = a * p00 + b * p01, a * p01 + b * p11
    p00, p01, p11 = (
        a * top + b * side + q00 + opened,
        c * top + d * side + q01,
        c * (c * p00 + d * p01) + d * (c * p01 + d * p11) + q11 + opened,
    )
    p02, p12, p22 = e * (a * p02 + b * p12), e * (c * p02 + d * p12), e * e * p22 + q22 + opened
    g0, g1, g2 = p00 + p02, p01 + p12, p02 + p22
    innovation_precision = jnp.where(jnp.isinf(noise), 0.0, 1.0 / (g0 + g2 + noise))  # 0 without a view
    k0, k1, k2 = g0 * innovation_precision, g1 * innovation_precision, g2 * innovation_precision  # Kalman gain
    innovation = view - x - l
    after = (x + k0 * innovation, v + k1 * innovation, l + k2 * innovation,
             p00 - k0 * g0, p01 - k0 * g1, p11 - k1 * g1, p02 - k0 * g2, p12 - k1 * g2, p22 - k2 * g2)  # fmt: skip
    return after, (x + l, g0, g1, g2)


def backward(step, seen, predicted, later):
    """One step of the smoother.

    Args:
        step: `Steps` out of this step, into the next.
        seen: as in `forward`.
        predicted: the predicted view of this step and its covariance with the three states, from `forward`.
        later: de Jong's r (3) and N (6: 00, 01, 11, 02, 12, 22) of the views after this one.

    Returns:
        r and N with this view taken in, and `Smoothed` of this step.
    """
    a, b, c, d, e = step[:5]
    view, noise, _ = seen
    predicted_view, g0, g1, g2 = predicted
    r0, r1, r2, n00, n01, n11, n02, n12, n22 = later
    r0, r1, r2 = a * r0 + c * r1, b * r0 + d * r1, e * r2
    top, side = a * n00 + c * n01, a * n01 + c * n11
    n00, n01, n11 = a * top + c * side, b * top + d * side, b * (b * n00 + d * n01) + d * (b * n01 + d * n11)
    n02, n12, n22 = e * (a * n02 + c * n12), e * (b * n02 + d * n12), e * e * n22
    no_view = jnp.isinf(noise)
    innovation_precision = jnp.where(no_view, 0.0, 1.0 / (g0 + g2 + noise))
    k0, k1, k2 = g0 * innovation_precision, g1 * innovation_precision, g2 * innovation_precision
    w0, w1, w2 = n00 * k0 + n01 * k1 + n02 * k2, n01 * k0 + n11 * k1 + n12 * k2, n02 * k0 + n12 * k1 + n22 * k2
    innovation = view - predicted_view
    u = jnp.where(no_view, 0.0, innovation * innovation_precision - (k0 * r0 + k1 * r1 + k2 * r2))
    left_out_precision = innovation_precision + k0 * w0 + k1 * w1 + k2 * w2
    r0, r2 = r0 + u, r2 + u
    n00, n02, n22 = n00 - 2 * w0 + left_out_precision, n02 - w0 - w2 + left_out_precision, n22 - 2 * w2 + left_out_precision
    n01, n12 = n01 - w1, n12 - w1
    mean = predicted_view + g0 * r0 + g1 * r1 + g2 * r2
    variance_removed = g0 * (n00 * g0 + 2 * n01 * g1 + 2 * n02 * g2) + g1 * (n11 * g1 + 2 * n12 * g2) + g2 * n22 * g2
    variance = jnp.maximum(g0 + g2 - variance_removed, 0.0)
    left_out_variance = jnp.where(no_view, 1.0, 1.0 / jnp.where(no_view, 1.0, left_out_precision))
    innovation, innovation_variance = jnp.where(no_view, 0.0, innovation), jnp.where(no_view, 1.0, g0 + g2 + noise)
    smoothed = Smoothed(mean, variance, innovation, innovation_variance, u * left_out_variance, left_out_variance)
    return (r0, r1, r2, n00, n01, n11, n02, n12, n22), smoothed


class Departures(NamedTuple):
    """Departures of the views from the season `[view + 1, pixel]`; the last row is empty and serves the days without a view.

    Attributes:
        value: departure from the season, 0 without a view.
        noise: variance of the view, inf without a view.
        opening: variance per day that a drop adds between the view before and this one.
    """

    value: jax.Array
    noise: jax.Array
    opening: jax.Array


class Axis(NamedTuple):
    """The time steps of the filter, `[step]`.

    Attributes:
        steps: transition into each step.
        row: row of `Departures` with the view of this step.
        next_row: row of the first view at or after this step, whose opening holds here.
        gap: days since the step before.
    """

    steps: Steps
    row: np.ndarray
    next_row: np.ndarray
    gap: np.ndarray


def smooth(axis: Axis, views: Departures, start_variance: tuple[ArrayLike, ArrayLike]) -> Smoothed:
    """Filter forward and smooth backward, in float32 and in time linear in the steps.

    Args:
        axis: the time steps.
        views: departures of the views, the last row empty.
        start_variance: variances of the fast and of the slow part before the first view.
    """
    zero = jnp.zeros(views.value.shape[1], jnp.float32)
    fast, slow = start_variance

    def seen(row, next_row, gap):
        return views.value[row], views.noise[row], views.opening[next_row] * gap

    first = (zero, zero, zero, zero + fast, zero, zero + fast, zero, zero, zero + slow)
    _, predicted = jax.lax.scan(lambda state, now: forward(now.steps, seen(*now[1:]), state), first, axis)
    following = jax.tree.map(lambda part: jnp.concatenate([part[1:], part[:1]]), axis.steps)  # no step follows the last one

    def back(later, now):
        step, where, predicted = now
        return backward(step, seen(*where), predicted, later)

    _, smoothed = jax.lax.scan(back, (zero,) * 9, (following, axis[1:], predicted), reverse=True)
    return smoothed
