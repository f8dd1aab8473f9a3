"""Kalman filter and smoother of many pixels at once, the algebra of the three states written out.

States: level and scaled speed of a Matern-3/2 process (speed over sqrt(3) / length), level of an Ornstein-Uhlenbeck process; a view sees
the sum of the two levels. Hartikainen and Sarkka 2010 (10.1109/MLSP.2010.5589113) for the process as a state space; de Jong 1989
(10.1080/01621459.1989.10478870) for the smoother, which needs no inverse and, of the forward pass, only the predicted view and its
covariance with the states. The steps of time are common to all pixels; which of them see something is not.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.series.prior import Prior


class Steps(NamedTuple):
    """Transition into each step: `[a b; c d]` and noise of the fast part, `e` and noise of the slow part, each `[step]`."""

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
    """Departure from the season, all `[step, pixel]`: its mean and variance given all views, and what filter and smoother say of a view.

    `ahead` and `ahead_variance` are the departure and variance of a view from what the views before it predict; `left_out` and
    `left_out_variance` from what all other views predict. Both are 0 and 1 where nothing was seen.
    """

    mean: jax.Array
    variance: jax.Array
    ahead: jax.Array
    ahead_variance: jax.Array
    left_out: jax.Array
    left_out_variance: jax.Array


def steps(prior: Prior, gaps: np.ndarray) -> Steps:
    """Transitions over some lengths of time, computed in float64 and rounded.

    Args:
        prior: numbers of the process.
        gaps: days between each step and the one before it `[step]`; that of the first is not used.
    """
    x = np.sqrt(3.0) * np.asarray(gaps, float) / prior.fast_days
    fade, slow = np.exp(-x), np.exp(-np.asarray(gaps, float) / prior.slow_days)
    fast, level = prior.fast_sd**2, prior.slow_sd**2
    a, b, c, d = fade * (1 + x), fade * x, -fade * x, fade * (1 - x)
    noise = (fast * (1 - a * a - b * b), -fast * (a * c + b * d), fast * (1 - c * c - d * d), level * (1 - slow * slow))
    return Steps(*(np.asarray(part, np.float32) for part in (a, b, c, d, slow, *noise)))


def forward(step, seen, state):
    """One step of the filter.

    Args:
        step: `Steps` of this step.
        seen: departure of the view from the season, variance of the view (inf where there is none), variance opened by a drop,
            half of it in each level.
        state: means (3) and covariances (00, 01, 11, 02, 12, 22) after the view before, each `[pixel]`.

    Returns:
        The state after this view, and what the smoother needs: predicted view and its covariance with the three states.
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
    told = jnp.where(jnp.isinf(noise), 0.0, 1.0 / (g0 + g2 + noise))  # inverse of the predicted variance of a view, 0 without one
    k0, k1, k2 = g0 * told, g1 * told, g2 * told
    ahead = view - x - l
    after = (x + k0 * ahead, v + k1 * ahead, l + k2 * ahead,
             p00 - k0 * g0, p01 - k0 * g1, p11 - k1 * g1, p02 - k0 * g2, p12 - k1 * g2, p22 - k2 * g2)  # fmt: skip
    return after, (x + l, g0, g1, g2)


def backward(step, seen, kept, later):
    """One step of the smoother.

    Args:
        step: `Steps` out of this step, into the next.
        seen: as in `forward`.
        kept: what `forward` kept of this step.
        later: what the views after this one say: 3 weights and their 6 second moments.

    Returns:
        The same after taking in this view, and `Smoothed` of this step.
    """
    a, b, c, d, e = step[:5]
    view, noise, _ = seen
    predicted, g0, g1, g2 = kept
    r0, r1, r2, n00, n01, n11, n02, n12, n22 = later
    r0, r1, r2 = a * r0 + c * r1, b * r0 + d * r1, e * r2
    top, side = a * n00 + c * n01, a * n01 + c * n11
    n00, n01, n11 = a * top + c * side, b * top + d * side, b * (b * n00 + d * n01) + d * (b * n01 + d * n11)
    n02, n12, n22 = e * (a * n02 + c * n12), e * (b * n02 + d * n12), e * e * n22
    none = jnp.isinf(noise)
    told = jnp.where(none, 0.0, 1.0 / (g0 + g2 + noise))
    k0, k1, k2 = g0 * told, g1 * told, g2 * told
    w0, w1, w2 = n00 * k0 + n01 * k1 + n02 * k2, n01 * k0 + n11 * k1 + n12 * k2, n02 * k0 + n12 * k1 + n22 * k2
    ahead = view - predicted
    u = jnp.where(none, 0.0, ahead * told - (k0 * r0 + k1 * r1 + k2 * r2))
    precision = told + k0 * w0 + k1 * w1 + k2 * w2
    r0, r2 = r0 + u, r2 + u
    n00, n02, n22 = n00 - 2 * w0 + precision, n02 - w0 - w2 + precision, n22 - 2 * w2 + precision
    n01, n12 = n01 - w1, n12 - w1
    mean = predicted + g0 * r0 + g1 * r1 + g2 * r2
    told_later = g0 * (n00 * g0 + 2 * n01 * g1 + 2 * n02 * g2) + g1 * (n11 * g1 + 2 * n12 * g2) + g2 * n22 * g2
    variance = jnp.maximum(g0 + g2 - told_later, 0.0)
    left_out = jnp.where(none, 1.0, 1.0 / jnp.where(none, 1.0, precision))
    said = Smoothed(mean, variance, jnp.where(none, 0.0, ahead), jnp.where(none, 1.0, g0 + g2 + noise), u * left_out, left_out)
    return (r0, r1, r2, n00, n01, n11, n02, n12, n22), said


class Views(NamedTuple):
    """Departures of views from the season on their own axis, `[view, pixel]`; the last row is empty and serves the days without a view.

    Attributes:
        value: departure from the season, 0 where there is none.
        noise: variance of the view, inf where there is none.
        opening: variance a day that drops add between the view before and this one.
    """

    value: jax.Array
    noise: jax.Array
    opening: jax.Array


class Axis(NamedTuple):
    """The steps of a filter, `[step]`.

    Attributes:
        steps: transition into each step.
        row: row of `Views` seen at this step.
        next_row: row of the first view at or after this step, whose opening holds here.
        gap: days since the step before.
    """

    steps: Steps
    row: np.ndarray
    next_row: np.ndarray
    gap: np.ndarray


def smooth(axis: Axis, views: Views, spread: tuple[float, float]) -> Smoothed:
    """Filter forward, smooth backward; float32, linear in steps.

    Args:
        axis: the steps.
        views: what was seen, the last row empty.
        spread: variances of the fast and of the slow part before the first view.
    """
    zero = jnp.zeros(views.value.shape[1], jnp.float32)
    fast, slow = spread

    def seen(row, next_row, gap):
        return views.value[row], views.noise[row], views.opening[next_row] * gap

    first = (zero, zero, zero, zero + fast, zero, zero + fast, zero, zero, zero + slow)
    _, kept = jax.lax.scan(lambda state, now: forward(now.steps, seen(*now[1:]), state), first, axis)
    following = jax.tree.map(lambda part: jnp.concatenate([part[1:], part[:1]]), axis.steps)  # of the last step nothing follows

    def back(later, now):
        step, where, kept = now
        return backward(step, seen(*where), kept, later)

    _, told = jax.lax.scan(back, (zero,) * 9, (following, axis[1:], kept), reverse=True)
    return told
