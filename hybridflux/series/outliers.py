"""Which views to believe: clouds that no later view confirms go, drops that the next two views confirm stay and open the process.

A harvest and a missed cloud both begin with a view far below what was expected. They differ in what comes after, so both rules look
ahead. Thresholds are in standard deviations of the process, so that they hold for any index.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

CLOUD, GLINT = 3.5, 4.5  # standard deviations below and above what all other views predict; clouds lower an index, rarely raise it
FALL, LEAST_FALL = 3.0, 3.0  # least drop in standard deviations of change and noise over the gap, and of the noise of two views
SURE = 9.0  # squared standardised departure from which on a view does not make its pixel livelier


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
    """Remember the last two used views: value 1, value 2, day 1."""
    value, day, used = now
    one, two, when = carry
    return (jnp.where(used, value, one), jnp.where(used, one, two), jnp.where(used, day, when)), carry


def find_drops(value, when, used, spread, decorrelation, noise) -> Drops:
    """Falls that the next two used views confirm.

    A fall counts if the lower of the two views before lies above the highest of the three views from then on, by more than `FALL`
    standard deviations of what the process changes in that time and `LEAST_FALL` of what noise does.

    Args:
        value: `[view, pixel]`, any number where not used.
        when: day of each view `[view]`.
        used: `[view, pixel]`.
        spread: standard deviation of the fast part for each pixel `[pixel]`.
        decorrelation: length scale of the fast part [d].
        noise: standard deviation of a view `[pixel]`.
    """
    pixels = value.shape[1]
    low, high = jnp.full(pixels, -jnp.inf), jnp.full(pixels, jnp.inf)
    days = jnp.broadcast_to(when[:, None], value.shape)
    _, (last, before_last, day) = jax.lax.scan(_shift, (low, high, low), (value, days, used))
    _, (following, second, _) = jax.lax.scan(_shift, (high, high, high), (value, days, used), reverse=True)
    gap = days - day
    fall = jnp.minimum(last, before_last) - jnp.maximum(value, jnp.maximum(following, second))
    x = jnp.sqrt(3.0) * gap / decorrelation
    change = spread * jnp.sqrt(2.0 * jnp.maximum(1.0 - (1.0 + x) * jnp.exp(-x), 0.0))
    surprising = jnp.maximum(FALL * jnp.sqrt(change**2 + 2 * noise**2), LEAST_FALL * jnp.sqrt(2.0) * noise)
    fell = used & (gap > 0) & (fall > surprising)
    return Drops(fell, jnp.where(fell, last - value, 0.0), jnp.where(fell, gap, 1.0))


def opening(drops: Drops, used):
    """Variance a day that drops add, on every row between the last high and the first low view `[view, pixel]`.

    The day of the drop is not known. A fall of some size on any of the days with equal chance has, in the middle, a standard deviation of
    half its size; a random walk over these days whose total variance is the square of the size, tied at both ends, has the same.

    Args:
        drops: where a fall was confirmed.
        used: `[view, pixel]`.
    """
    rate = drops.size**2 / drops.gap

    def carry_back(later, now):
        rate, used = now
        here = jnp.where(used, rate, later)
        return here, here

    return jax.lax.scan(carry_back, jnp.zeros(rate.shape[1]), (rate, used), reverse=True)[1]


def liveliness(ahead, ahead_variance, used, freedom):
    """Squared factor on all variances of a pixel `[pixel]`: inverse gamma prior of mean one, updated with what the filter missed.

    Args:
        ahead: departure of each view from what the views before predict `[view, pixel]`.
        ahead_variance: its variance for a factor of one.
        used: `[view, pixel]`.
        freedom: of the prior.
    """
    missed = jnp.where(used, jnp.minimum(ahead**2 / ahead_variance, SURE), 0.0)
    return (freedom + missed.sum(0)) / (freedom + used.sum(0))


def wrong(left_out, left_out_variance, used):
    """Views that the others contradict, of neighbouring ones only the worst `[view, pixel]`.

    Args:
        left_out: departure of each view from what all others predict.
        left_out_variance: its variance.
        used: `[view, pixel]`.
    """
    z = jnp.where(used, left_out / jnp.sqrt(left_out_variance), 0.0)
    how = jnp.where(z < 0, -z / CLOUD, z / GLINT)
    blank = jnp.zeros(z.shape[1])
    _, (before, _, _) = jax.lax.scan(_shift, (blank, blank, blank), (how, how, used))
    _, (after, _, _) = jax.lax.scan(_shift, (blank, blank, blank), (how, how, used), reverse=True)
    return used & (how > 1.0) & (how >= before) & (how >= after)
