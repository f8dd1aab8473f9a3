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

FEW = 4  # where no more than a fourth of the pixels change, the search goes on with these alone
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


class Search(NamedTuple):
    """The search for outliers: number of the next pass, the pixels that the latest one changed, and what is found so far."""

    number: ArrayLike
    changed: jax.Array
    cleaned: Cleaned


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

    A pixel of which a pass changes neither a view nor a drop is done: what follows would be the same to the last bit. So the search ends
    early where no pixel changes, and goes on with a `FEW`-th of the pixels, put side by side, where no more than these do.

    Args:
        departures: views minus the season `[view, pixel]`, NaN where not clear.
        axis: time steps of the views.
        variances: hyperparameters of the process.
    """
    pixels = departures.shape[1]
    factor = jnp.ones(pixels, jnp.float32)
    begin = opened_by_drops(departures, jnp.full(departures.shape, -0.0, jnp.float32), axis.day, factor, variances)
    few = 0 if pixels % FEW else pixels // FEW
    search = _passes(Search(0, jnp.ones(pixels, bool), Cleaned(*begin, factor)), axis, variances, few)
    if not few:
        return _finished(search, axis, variances)

    def side_by_side(search: Search) -> Cleaned:
        lanes = jnp.nonzero(search.changed, size=few, fill_value=0)[0]
        part = Search(search.number, search.changed[lanes], jax.tree.map(lambda one: one[..., lanes], search.cleaned))
        at = jnp.clip(jnp.cumsum(search.changed) - 1, 0, few - 1)  # of each pixel among the few
        found = _finished(part, axis, variances)
        return jax.tree.map(lambda new, old: jnp.where(search.changed, new[..., at], old), found, search.cleaned)

    return jax.lax.cond(search.changed.sum() <= few, side_by_side, lambda search: _finished(search, axis, variances), search)


def _passes(search: Search, axis: ViewAxis, variances: Variances, few: int) -> Search:
    """Passes until the last but one, or until no more than `few` pixels changed in the latest one."""

    def one_pass(search: Search) -> Search:
        views, opening, _ = search.cleaned
        factor, predicted = _factor(search.cleaned, axis, variances)
        found, opened = opened_by_drops(views, _excess(views, predicted, factor, axis, variances), axis.day, factor, variances)
        changed = jnp.any((opened != opening) | (jnp.isnan(found) != jnp.isnan(views)), 0)
        return Search(search.number + 1, changed, Cleaned(found, opened, factor))

    return jax.lax.while_loop(lambda search: (search.number < PASSES) & (search.changed.sum() > few), one_pass, search)


def _finished(search: Search, axis: ViewAxis, variances: Variances) -> Cleaned:
    """All passes; the last one has the variance factor of the views that are left."""
    cleaned = _passes(search, axis, variances, 0).cleaned
    return cleaned._replace(factor=_factor(cleaned, axis, variances)[0])


def _factor(cleaned: Cleaned, axis: ViewAxis, variances: Variances):
    """Variance factor `[pixel]`, and what the smoother needs of the filter."""
    squares, predicted = _filtered(cleaned.views, cleaned.opening, axis, variances)
    return variance_factor(squares, jnp.sum(~jnp.isnan(cleaned.views), 0, dtype=jnp.float32), variances.freedom), predicted


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
