"""Rejection of outliers: a low view that no later view confirms is a cloud; a drop that the next two views confirm is kept.

A harvest and an undetected cloud both begin with a view far below its prediction. They differ in the views that follow, so both rules look
ahead. A confirmed drop adds process variance, so that the smoother keeps it sharp. Thresholds are in standard deviations of the process,
so that they hold for any index.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

CLOUD, GLINT = 3.5, 4.5  # standard deviations below and above what all other views predict; clouds lower an index, rarely raise it
FALL, LEAST_FALL = 3.0, 3.0  # least drop in standard deviations of change and noise over the gap, and of the noise of two views
LARGEST_SQUARE = 9.0  # squared standardised innovation above which a view adds no more to the variance factor of its pixel


class Drops(NamedTuple):
    """Falls between neighbouring used views, `[view, pixel]`.

    Attributes:
        fell: whether a view is the first low one.
        size: from the last high view to this one.
        gap: days between them.
    """

    fell: jax.Array
    size: jax.Array
    gap: jax.Array


def _shift(carry, now):
    """Carry the values of the last two used views and the day of the last."""
    value, day, used = now
    last, before_last, last_day = carry
    return (jnp.where(used, value, last), jnp.where(used, last, before_last), jnp.where(used, day, last_day)), carry


def find_drops(value, when, used, fast_sd, fast_days, view_sd) -> Drops:
    """Falls that the next two used views confirm.

    A fall counts if the lower of the two views before lies above the highest of the three views from then on, by more than `FALL`
    standard deviations of the change of process and noise in that time, and by more than `LEAST_FALL` of the noise alone.

    Args:
        value: `[view, pixel]`, any number where not used.
        when: day of each view `[view]`.
        used: `[view, pixel]`.
        fast_sd: standard deviation of the fast part `[pixel]`.
        fast_days: length scale of the fast part [d].
        view_sd: standard deviation of a view `[pixel]`.
    """
    pixels = value.shape[1]
    low, high = jnp.full(pixels, -jnp.inf), jnp.full(pixels, jnp.inf)
    days = jnp.broadcast_to(when[:, None], value.shape)
    _, (last, before_last, day) = jax.lax.scan(_shift, (low, high, low), (value, days, used))
    _, (following, second, _) = jax.lax.scan(_shift, (high, high, high), (value, days, used), reverse=True)
    gap = days - day
    fall = jnp.minimum(last, before_last) - jnp.maximum(value, jnp.maximum(following, second))
    x = jnp.sqrt(3.0) * gap / fast_days
    change = fast_sd * jnp.sqrt(2.0 * jnp.maximum(1.0 - (1.0 + x) * jnp.exp(-x), 0.0))
    threshold = jnp.maximum(FALL * jnp.sqrt(change**2 + 2 * view_sd**2), LEAST_FALL * jnp.sqrt(2.0) * view_sd)
    fell = used & (gap > 0) & (fall > threshold)
    return Drops(fell, jnp.where(fell, last - value, 0.0), jnp.where(fell, gap, 1.0))


def opening(drops: Drops, used):
    """Process variance per day that drops add, on every row between the last high and the first low view `[view, pixel]`.

    The day of the drop is not known. A fall of some size on any of the days with equal chance has, in the middle, a standard deviation of
    half its size; a random walk over these days whose total variance is the square of the size, tied at both ends, has the same.

    Args:
        drops: the confirmed falls.
        used: `[view, pixel]`.
    """
    rate = drops.size**2 / drops.gap

    def carry_back(later, now):
        rate, used = now
        here = jnp.where(used, rate, later)
        return here, here

    return jax.lax.scan(carry_back, jnp.zeros(rate.shape[1]), (rate, used), reverse=True)[1]


def variance_factor(innovation, innovation_variance, used, freedom):
    """Factor on all variances of a pixel `[pixel]`: an inverse gamma prior of mean one, updated with the innovations.

    Args:
        innovation: innovation of the filter `[view, pixel]`.
        innovation_variance: for a factor of one `[view, pixel]`.
        used: `[view, pixel]`.
        freedom: degrees of freedom of the prior.
    """
    squares = jnp.where(used, jnp.minimum(innovation**2 / innovation_variance, LARGEST_SQUARE), 0.0)
    return (freedom + squares.sum(0)) / (freedom + used.sum(0, dtype=squares.dtype))


def outliers(left_out, left_out_variance, used):
    """Views that the others contradict; of neighbouring outliers only the worst `[view, pixel]`.

    Args:
        left_out: each view minus its prediction from all others `[view, pixel]`.
        left_out_variance: its variance `[view, pixel]`.
        used: `[view, pixel]`.
    """
    z = jnp.where(used, left_out / jnp.sqrt(left_out_variance), 0.0)
    excess = jnp.where(z < 0, -z / CLOUD, z / GLINT)  # above 1 beyond the threshold
    blank = jnp.zeros(z.shape[1])
    _, (before, _, _) = jax.lax.scan(_shift, (blank, blank, blank), (excess, excess, used))
    _, (after, _, _) = jax.lax.scan(_shift, (blank, blank, blank), (excess, excess, used), reverse=True)
    return used & (excess > 1.0) & (excess >= before) & (excess >= after)
