"""Views cleaned pass by pass: filter forward, smooth backward, reject what the other views contradict, until nothing changes."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hybridflux.series.hyperparameters import SeriesProcess
from hybridflux.series.lanes import (
    COUNT,
    EXCESS,
    FACTOR,
    G0,
    G1,
    G2,
    LANES,
    LEVEL,
    ONE,
    OPENING,
    SQUARES,
    STATE,
    VIEW,
    ZERO,
    A,
    L,
    backward_step,
    begin,
    compiled,
    forward_step,
    inside,
    keep_nine,
    keep_views,
    nine,
    nothing_behind,
    record,
    room,
    step_of,
)  # fmt: skip
from hybridflux.series.outliers import CLOUD, GLINT, LARGEST_SQUARE, open_drops
from hybridflux.series.smoother import Steps, steps

PASSES = 4  # of the search for outliers; each takes the worst of neighbouring ones
_PER_CLOUD, _PER_GLINT, _LARGEST = np.float32(-1 / CLOUD), np.float32(1 / GLINT), np.float32(LARGEST_SQUARE)


class Variances(NamedTuple):
    """A `SeriesProcess` as the numbers that a compiled program takes, float32: variances, `fast_days` [d], and `widening` squared.

    Attributes:
        fast, slow: of the two parts.
        fast_days: length scale of the fast part [d].
        noise: of a view about the signal.
        freedom: degrees of freedom of the variance factor of a pixel.
        widening: factor on the variances that are returned.
    """

    fast: np.float32
    slow: np.float32
    fast_days: np.float32
    noise: np.float32
    freedom: np.float32
    widening: np.float32


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

    views: np.ndarray
    opening: np.ndarray
    factor: np.ndarray


def variances_of(process: SeriesProcess) -> Variances:
    """Variances and the other hyperparameters of a process, float32."""
    numbers = (process.fast_sd**2, process.slow_sd**2, process.fast_days, process.view_sd**2, process.freedom, process.widening**2)
    return Variances(*(np.float32(number) for number in numbers))


def view_axis(process: SeriesProcess, when: np.ndarray) -> ViewAxis:
    """One step for each view; the step out of the last one is not used."""
    gap = np.diff(when, prepend=when[:1])
    into = steps(process, gap)
    return ViewAxis(into, Steps(*(np.roll(part, -1) for part in into)), when.astype(np.float32), gap.astype(np.float32))


def clean(departures: np.ndarray, axis: ViewAxis, variances: Variances) -> Cleaned:
    """Reject, pass by pass, the views that the others contradict.

    Args:
        departures: views minus the season `[view, pixel]`, float32, NaN where not clear.
        axis: time steps of the views.
        variances: hyperparameters of the process.
    """
    views = np.array(departures, np.float32, order="C")
    opening, factor = np.zeros_like(views), np.empty(views.shape[1], np.float32)
    _clean(views, opening, factor, axis, variances, *room(len(views)))
    return Cleaned(views, opening, factor)


@compiled
def _clean(views, opening, factor, axis, variances, kept, rows):
    for first in range(0, views.shape[1], LANES):
        count = keep_views(kept, views, opening, first)
        clean_lanes(kept, rows, axis, variances)
        for number in range(len(views)):
            at = record(number + 1)
            for i in range(count):
                views[number, first + i], opening[number, first + i] = kept[at + VIEW + np.uint64(i)], kept[at + OPENING + np.uint64(i)]
        for i in range(count):
            factor[first + i] = rows[FACTOR + np.uint64(i)]


@compiled
def clean_lanes(kept, rows, axis, variances):
    """Clean the views that are `kept`, and find their openings and the variance factors.

    A pixel of which a pass changes neither a view nor an opening is done: what follows would be the same to the last bit. So a pass that
    changes no pixel is the last one.
    """
    for i in range(L):
        rows[FACTOR + i] = ONE
    for number in range(len(axis.day)):
        at = record(number + 1)
        for i in range(L):
            kept[at + OPENING + i] = kept[at + EXCESS + i] = ZERO
    open_drops(kept, rows, axis, variances)
    for _ in range(PASSES):
        filter_views(kept, rows, axis, variances)
        excess_of_views(kept, rows, axis, variances)
        if not open_drops(kept, rows, axis, variances):
            return
    filter_views(kept, rows, axis, variances)


@inside
def variance_factor(squares, count, freedom):
    """Factor on all variances of a pixel: an inverse gamma prior of mean one, updated with the innovations.

    Args:
        squares: sum of the squared standardised innovations, each up to `LARGEST_SQUARE`.
        count: number of views.
        freedom: degrees of freedom of the prior.
    """
    return (freedom + squares) / (freedom + count)


@compiled
def filter_views(kept, rows, axis, variances):
    """Forward over the views: variance factors, and the predicted views and covariances that the smoother needs."""
    begin(rows, variances.fast, variances.slow)
    for i in range(L):
        rows[SQUARES + i] = rows[COUNT + i] = ZERO
    for number in range(len(axis.day)):
        at, step, gap = record(number + 1), step_of(axis.into, number), axis.gap[number]
        for i in range(L):
            view = kept[at + VIEW + i]
            there = ONE if view == view else ZERO
            seen = (view if view == view else ZERO, there, variances.noise, kept[at + OPENING + i] * gap)
            state, predicted, innovation, precision = forward_step(step, seen, nine(rows, STATE + i))
            keep_nine(rows, STATE + i, state)
            kept[at + LEVEL + i], kept[at + G0 + i], kept[at + G1 + i], kept[at + G2 + i] = predicted
            square = innovation * innovation * precision
            rows[SQUARES + i] += square if square < _LARGEST else _LARGEST
            rows[COUNT + i] += there
    for i in range(L):
        rows[FACTOR + i] = variance_factor(rows[SQUARES + i], rows[COUNT + i], variances.freedom)


@compiled
def excess_of_views(kept, rows, axis, variances):
    """Backward over the views: how far each is beyond its threshold, of all others, in standard deviations of the pixel.

    The excess is negative unless the view is an outlier, beyond 1, and the next view is not a worse one.
    """
    nothing_behind(rows)
    for i in range(L):
        rows[A + i] = ZERO  # excess of the next view
    for back in range(len(axis.day)):
        number = len(axis.day) - 1 - back
        at, step = record(number + 1), step_of(axis.out_of, number)
        for i in range(L):
            view = kept[at + VIEW + i]
            there = ONE if view == view else ZERO
            predicted = kept[at + LEVEL + i], kept[at + G0 + i], kept[at + G1 + i], kept[at + G2 + i]
            seen = (view if view == view else ZERO, there, variances.noise)
            later, error, precision = backward_step(step, seen, predicted, nine(rows, STATE + i))
            keep_nine(rows, STATE + i, later)
            z = error / math.sqrt(precision * rows[FACTOR + i] if there > ZERO else ONE)
            size, following = max(z * _PER_GLINT, z * _PER_CLOUD), rows[A + i]
            kept[at + EXCESS + i] = size if (size > ONE) & (size >= following) else -size
            rows[A + i] = size if there > ZERO else following
