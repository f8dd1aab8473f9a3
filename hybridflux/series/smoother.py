"""Kalman filter and smoother of many pixels at once, with the algebra of the three states written out.

States: level and scaled speed of a Matern-3/2 process (speed over sqrt(3) / length), level of an Ornstein-Uhlenbeck process; a view sees
the sum of the two levels. Hartikainen and Sarkka 2010 (10.1109/MLSP.2010.5589113) for the process as a state space; de Jong 1989
(10.1080/01621459.1989.10478870) for the smoother, which needs no inverse and, of the forward pass, only the predicted view and its
covariance with the states. All pixels share the time steps; which of the steps have a view differs between pixels. `cleaning.py` walks over
the views alone, `every_day.py` from view to view and over the days between them. A step is arithmetic and nothing else, so that JAX takes
it with arrays of pixels and numba with scalars of one pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hybridflux.series.hyperparameters import SeriesProcess

HALF = np.float32(0.5)


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
        seen: departure of the view from the season and 1, or two zeros without a view; its variance, and the process variance that a drop
            adds, half of it to each level.
        state: means (3) and covariances (00, 01, 11, 02, 12, 22) after the step before, each `[pixel]`.

    Returns:
        The state after this view; what the smoother needs: the predicted view and its covariance with the three states; and the
        innovation and its precision, both 0 without a view.
    """
    a, b, c, d, e, q00, q01, q11, q22 = step
    view, there, noise, opened = seen
    x, v, l, p00, p01, p11, p02, p12, p22 = state  # noqa: E741
    opened = HALF * opened
    x, v, l = a * x + b * v, c * x + d * v, e * l  # noqa: E741
    top, side = a * p00 + b * p01, a * p01 + b * p11
    p00, p01, p11 = (
        a * top + b * side + q00 + opened,
        c * top + d * side + q01,
        c * (c * p00 + d * p01) + d * (c * p01 + d * p11) + q11 + opened,
    )
    p02, p12, p22 = e * (a * p02 + b * p12), e * (c * p02 + d * p12), e * e * p22 + q22 + opened
    g0, g1, g2 = p00 + p02, p01 + p12, p02 + p22
    precision = there / (g0 + g2 + noise)
    k0, k1, k2 = g0 * precision, g1 * precision, g2 * precision  # Kalman gain
    innovation = there * (view - x - l)
    after = (x + k0 * innovation, v + k1 * innovation, l + k2 * innovation,
             p00 - k0 * g0, p01 - k0 * g1, p11 - k1 * g1, p02 - k0 * g2, p12 - k1 * g2, p22 - k2 * g2)  # fmt: skip
    return after, (x + l, g0, g1, g2), innovation, precision


def backward(step, seen, predicted, later):
    """One step of the smoother.

    Args:
        step: `Steps` out of this step, into the next.
        seen: departure of the view from the season and 1, or two zeros without a view; and its variance.
        predicted: the predicted view of this step and its covariance with the three states, from `forward`.
        later: de Jong's r (3) and N (6: 00, 01, 11, 02, 12, 22) of the views after this one.

    Returns:
        r and N with this view taken in; and, 0 without a view, the smoothing error u of the view and its precision. The view minus its
        prediction from all other views is u / precision, and the variance of that residual 1 / precision.
    """
    a, b, c, d, e = step[:5]
    view, there, noise = seen
    predicted_view, g0, g1, g2 = predicted
    r0, r1, r2, n00, n01, n11, n02, n12, n22 = later
    r0, r1, r2 = a * r0 + c * r1, b * r0 + d * r1, e * r2
    top, side = a * n00 + c * n01, a * n01 + c * n11
    n00, n01, n11 = a * top + c * side, b * top + d * side, b * (b * n00 + d * n01) + d * (b * n01 + d * n11)
    n02, n12, n22 = e * (a * n02 + c * n12), e * (b * n02 + d * n12), e * e * n22
    innovation_precision = there / (g0 + g2 + noise)
    k0, k1, k2 = g0 * innovation_precision, g1 * innovation_precision, g2 * innovation_precision
    w0, w1, w2 = n00 * k0 + n01 * k1 + n02 * k2, n01 * k0 + n11 * k1 + n12 * k2, n02 * k0 + n12 * k1 + n22 * k2
    u = (view - predicted_view) * innovation_precision - (k0 * r0 + k1 * r1 + k2 * r2)
    precision = innovation_precision + k0 * w0 + k1 * w1 + k2 * w2
    r0, r2 = r0 + u, r2 + u
    n00, n02, n22 = n00 - w0 - w0 + precision, n02 - w0 - w2 + precision, n22 - w2 - w2 + precision
    n01, n12 = n01 - w1, n12 - w1
    return (r0, r1, r2, n00, n01, n11, n02, n12, n22), u, precision


def before_views(pixels: int, variances: tuple[ArrayLike, ArrayLike]) -> tuple[jax.Array, ...]:
    """State of `forward` before the first view: mean 0 and the stationary variances of the fast and of the slow part `[pixel]`."""
    zero = jnp.zeros(pixels, jnp.float32)
    fast, slow = variances
    return (zero, zero, zero, zero + fast, zero, zero + fast, zero, zero, zero + slow)
