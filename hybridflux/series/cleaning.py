"""Views cleaned pass by pass: filter forward, smooth backward, reject what the other views contradict, until nothing changes."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from hybridflux.series.hyperparameters import SeriesProcess
from hybridflux.series.outliers import LARGEST_SQUARE, excess_of, opened_by_drops, variance_factor
from hybridflux.series.smoother import Steps, after_views, backward, before_views, forward, steps

PASSES = 4  # of the search for outliers; each takes the worst of neighbouring ones


class Variances(NamedTuple):
    """A `SeriesProcess` as the numbers that a compiled program takes: variances, `fast_days` [d], and `widening` squared."""

    fast: ArrayLike
    slow: ArrayLike
    fast_days: ArrayLike
    view: ArrayLike
    freedom: ArrayLike
    widening: ArrayLike


class ViewAxis(NamedTuple):
    """The time steps of the filter, one for each view `[view]`.

    Attributes:
        into: transition from the view before.
        out_of: transition to the next view.
        day: day of the view.
        gap: days since the view before.
    """

    into: Steps
    out_of: Steps
    day: np.ndarray
    gap: np.ndarray


class Cleaned(NamedTuple):
    """Views without outliers, NaN where none is used, the variance per day that drops add `[view, pixel]`, variance factor `[pixel]`."""

    views: jax.Array
    opening: jax.Array
    factor: jax.Array


def variances_of(process: SeriesProcess) -> Variances:
    """Variances and the other hyperparameters of a process, float32."""
    numbers = (process.fast_sd**2, process.slow_sd**2, process.fast_days, process.view_sd**2, process.freedom, process.widening**2)
    return Variances(*(np.float32(number) for number in numbers))


def view_axis(process: SeriesProcess, when: np.ndarray) -> ViewAxis:
    """One step for each view; the step out of the last one is not used."""
    gap = np.diff(when, prepend=when[:1])
    into = steps(process, gap)
    return ViewAxis(into, Steps(*(np.roll(part, -1) for part in into)), when.astype(np.float32), gap.astype(np.float32))


def clean(departures, axis: ViewAxis, variances: Variances) -> Cleaned:
    """Reject, pass by pass, the views that the others contradict.

    The search ends early where a pass changes neither a view nor a drop of any pixel: what follows would be the same to the last bit.

    Args:
        departures: views minus the season `[view, pixel]`, NaN where not clear.
        axis: time steps of the views.
        variances: hyperparameters of the process.
    """
    pixels = departures.shape[1]

    def searching(carry):
        number, settled, *_ = carry
        return (number <= PASSES) & ~settled

    def one_pass(carry):
        number, _, before, excess = carry
        views, opening = opened_by_drops(before.views, excess, axis.day, before.factor, variances)
        settled = (number > 0) & jnp.all(opening == before.opening) & jnp.all(jnp.isnan(views) == jnp.isnan(before.views))

        def smoothed(_):
            squares, predicted = _filtered(views, opening, axis, variances)
            factor = variance_factor(squares, jnp.sum(~jnp.isnan(views), 0, dtype=jnp.float32), variances.freedom)
            return factor, _excess(views, predicted, factor, axis, variances)

        factor, excess = jax.lax.cond(settled, lambda _: (before.factor, excess), smoothed, None)
        return number + 1, settled, Cleaned(views, opening, factor), excess

    begin = Cleaned(departures, jnp.zeros(departures.shape, jnp.float32), jnp.ones(pixels, jnp.float32))
    return jax.lax.while_loop(searching, one_pass, (0, False, begin, jnp.full(departures.shape, -0.0, jnp.float32)))[2]


def _filtered(views, opening, axis: ViewAxis, variances: Variances):
    """Sum of the squared standardised innovations `[pixel]`, and the predicted views and covariances that the smoother needs."""

    def step(carry, now):
        state, squares = carry
        into, view, rate, gap = now
        state, predicted = forward(into, (view, variances.view, rate * gap), state)
        level, g0, _, g2 = predicted
        square = jnp.minimum((view - level) ** 2 / (g0 + g2 + variances.view), LARGEST_SQUARE)
        return (state, squares + jnp.where(jnp.isnan(view), 0.0, square)), predicted

    begin = before_views(views.shape[1], (variances.fast, variances.slow)), jnp.zeros(views.shape[1], jnp.float32)
    (_, squares), predicted = jax.lax.scan(step, begin, (axis.into, views, opening, axis.gap))
    return squares, predicted


def _excess(views, predicted, factor, axis: ViewAxis, variances: Variances):
    """`outliers.excess_of` each view `[view, pixel]`."""

    def step(carry, now):
        later, following = carry
        out_of, view, predicted = now
        later, error, precision = backward(out_of, (view, variances.view), predicted, later)
        excess = excess_of(error, precision, factor, following)
        return (later, jnp.where(jnp.isnan(view), following, jnp.abs(excess))), excess

    begin = after_views(views.shape[1]), jnp.zeros(views.shape[1], jnp.float32)
    return jax.lax.scan(step, begin, (axis.out_of, views, predicted), reverse=True)[1]
