"""Rejection of outliers: a low view that no later view confirms is a cloud; a drop that the next two views confirm is kept.

A harvest and an undetected cloud both begin with a view far below its prediction. They differ in the views that follow, so both rules look
ahead. A confirmed drop adds process variance, so that the smoother keeps it sharp. Thresholds are in standard deviations of the process,
so that they hold for any index. Views are `[view, pixel]`, NaN where there is none or where it was rejected.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

CLOUD, GLINT = 3.5, 4.5  # standard deviations below and above what all other views predict; clouds lower an index, rarely raise it
FALL, LEAST_FALL = 3.0, 3.0  # least drop in standard deviations of change and noise over the gap, and of the noise of two views
LARGEST_SQUARE = 9.0  # squared standardised innovation above which a view adds no more to the variance factor of its pixel


def excess_of(error, precision, factor, following):
    """How far a view is beyond its threshold; negative unless it is an outlier, beyond 1, and the next view is not a worse one.

    Args:
        error: smoothing error of the view, of `smoother.backward`.
        precision: its precision, for a variance factor of one.
        factor: variance factor of the pixel.
        following: absolute excess of the next view, 0 where there is none.
    """
    z = error * jax.lax.rsqrt(jnp.where(precision > 0, precision * factor, 1.0))
    excess = jnp.where(z < 0, -z / CLOUD, z / GLINT)
    return jnp.where((excess > 1.0) & (excess >= following), excess, -excess)


def opened_by_drops(views, excess, day, factor, variances):
    """Reject the worst of neighbouring outliers, then find the falls that the next two views confirm and what variance they add.

    A fall counts if the lower of the two views before lies above the highest of the three views from then on, by more than `FALL`
    standard deviations of the change of process and noise in that time, and by more than `LEAST_FALL` of the noise alone.

    The day of the drop is not known. A fall of some size on any of the days with equal chance has, in the middle, a standard deviation of
    half its size; a random walk over these days whose total variance is the square of the size, tied at both ends, has the same.

    Args:
        views: `[view, pixel]`.
        excess: of `excess_of` `[view, pixel]`.
        day: of each view `[view]`.
        factor: factor on all variances of a pixel `[pixel]`.
        variances: hyperparameters of the process (`gap_filling.Variances`).

    Returns:
        The views that are kept, and the process variance per day that drops add on every row between the last high and the first low view.
    """
    pixels = views.shape[1]
    low, high, none = jnp.full(pixels, -jnp.inf), jnp.full(pixels, jnp.inf), jnp.zeros(pixels)

    def look_back(carry, now):
        last, before_last, last_day, preceding = carry
        view, excess, day = now
        there = ~jnp.isnan(view)
        view = jnp.where(there & (excess > 0) & (excess >= preceding), jnp.nan, view)
        used, found = ~jnp.isnan(view), (view, last, jnp.minimum(last, before_last), last_day)
        preceding = jnp.where(there, jnp.abs(excess), preceding)
        return (jnp.where(used, view, last), jnp.where(used, last, before_last), jnp.where(used, day, last_day), preceding), found

    def look_ahead(carry, now):
        following, second, rate = carry
        (view, last, lower, last_day), day = now
        used, gap = ~jnp.isnan(view), day - last_day
        fall = lower - jnp.maximum(view, jnp.maximum(following, second))
        x = jnp.sqrt(3.0) * gap / variances.fast_days
        change = 2.0 * variances.fast * jnp.maximum(1.0 - (1.0 + x) * jnp.exp(-x), 0.0)
        least = jnp.maximum(FALL**2 * (change + 2.0 * variances.view), LEAST_FALL**2 * 2.0 * variances.view) * factor
        fell = used & (gap > 0) & (fall > 0) & (fall * fall > least)
        here = jnp.where(used, jnp.where(fell, (last - view) ** 2 / gap, 0.0), rate)
        return (jnp.where(used, view, following), jnp.where(used, following, second), here), here

    _, found = jax.lax.scan(look_back, (low, high, low, none), (views, excess, day))
    _, opening = jax.lax.scan(look_ahead, (high, high, none), (found, day), reverse=True)
    return found[0], opening


def variance_factor(squares, count, freedom):
    """Factor on all variances of a pixel `[pixel]`: an inverse gamma prior of mean one, updated with the innovations.

    Args:
        squares: sum of the squared standardised innovations, each up to `LARGEST_SQUARE` `[pixel]`.
        count: number of views `[pixel]`.
        freedom: degrees of freedom of the prior.
    """
    return (freedom + squares) / (freedom + count)
