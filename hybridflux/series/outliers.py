"""Rejection of outliers: a low view that no later view confirms is a cloud; a drop that the next two views confirm is kept.

A harvest and an undetected cloud both begin with a view far below its prediction. They differ in the views that follow, so both rules look
ahead. A confirmed drop adds process variance, so that the smoother keeps it sharp. Thresholds are in standard deviations of the process,
so that they hold for any index.
"""

from __future__ import annotations

import numpy as np

from hybridflux.series.lanes import (
    CHANGED,
    EXCESS,
    FACTOR,
    FALL,
    LAST,
    LAST_DAY,
    MISSING,
    ONE,
    OPENING,
    TWO,
    VIEW,
    ZERO,
    A,
    B,
    C,
    D,
    L,
    compiled,
    record,
)  # fmt: skip

CLOUD, GLINT = 3.5, 4.5  # standard deviations below and above what all other views predict; clouds lower an index, rarely raise it
LEAST, LEAST_OF_NOISE = 3.0, 3.0  # least drop in standard deviations of change and noise over the gap, and of the noise of two views
LARGEST_SQUARE = 9.0  # squared standardised innovation above which a view adds no more to the variance factor of its pixel
_SQUARE, _OF_TWO, _ROOT3 = np.float32(LEAST**2), np.float32(2 * LEAST_OF_NOISE**2), np.float32(np.sqrt(3.0))
_INFINITE = np.float32(np.inf)


@compiled
def open_drops(kept, rows, axis, variances):
    """Reject the worst of neighbouring outliers, then find the falls that the next two views confirm and what variance they add.

    A view goes where its `EXCESS` is positive and the view before is not a worse one. A fall counts if the lower of the two views before
    lies above the highest of the three views from then on, by more than `LEAST` standard deviations of the change of process and noise in
    that time, and by more than `LEAST_OF_NOISE` of the noise alone.

    The day of the drop is not known. A fall of some size on any of the days with equal chance has, in the middle, a standard deviation of
    half its size; a random walk over these days whose total variance is the square of the size, tied at both ends, has the same. `OPENING`
    is the process variance a day that drops add on every row between the last high and the first low view.

    Returns:
        Whether any view or opening changed.
    """
    for i in range(L):
        rows[A + i] = rows[B + i] = -_INFINITE  # the two views before
        rows[C + i] = rows[D + i] = rows[CHANGED + i] = ZERO  # day of the view before, and its excess
    for number in range(len(axis.day)):
        at, day = record(number + 1), axis.day[number]
        for i in range(L):
            view, excess, last, before = kept[at + VIEW + i], kept[at + EXCESS + i], rows[A + i], rows[B + i]
            there = view == view
            out = there & (excess > ZERO) & (excess >= rows[D + i])
            used = there & (not out)
            kept[at + VIEW + i] = MISSING if out else view
            kept[at + LAST + i], kept[at + FALL + i], kept[at + LAST_DAY + i] = last, min(last, before), rows[C + i]
            rows[A + i], rows[B + i], rows[C + i] = view if used else last, last if used else before, day if used else rows[C + i]
            rows[D + i] = abs(excess) if there else rows[D + i]
            rows[CHANGED + i] += ONE if out else ZERO
    noise = _OF_TWO * variances.noise
    for i in range(L):
        rows[A + i] = rows[B + i] = _INFINITE  # the two views behind
        rows[C + i] = ZERO  # variance a day
    for back in range(len(axis.day)):
        number = len(axis.day) - 1 - back
        at, fell = record(number + 1), np.int32(0)
        for i in range(L):
            view, following, second = kept[at + VIEW + i], rows[A + i], rows[B + i]
            used = view == view
            fall = kept[at + FALL + i] - max(view, max(following, second)) if used else ZERO
            kept[at + FALL + i] = fall
            fell += np.int32((fall > ZERO) & (fall * fall > noise * rows[FACTOR + i]))
            rows[A + i], rows[B + i] = view if used else following, following if used else second
            rows[C + i] = ZERO if used else rows[C + i]
        if fell > 0:
            _open(kept, rows, at, axis.day[number], variances)
        for i in range(L):
            rows[CHANGED + i] += ONE if kept[at + OPENING + i] != rows[C + i] else ZERO
            kept[at + OPENING + i] = rows[C + i]
    changed = np.int32(0)
    for i in range(L):
        changed += np.int32(rows[CHANGED + i] > ZERO)
    return changed > 0


@compiled
def _open(kept, rows, at, day, variances):
    """The openings of a view at which some lane may have a drop."""
    for i in range(L):
        fall, gap = kept[at + FALL + i], day - kept[at + LAST_DAY + i]
        x = _ROOT3 * gap / variances.fast_days
        change = TWO * variances.fast * max(ONE - (ONE + x) * np.exp(-x), ZERO)
        least = max(_SQUARE * (change + TWO * variances.noise), _OF_TWO * variances.noise) * rows[FACTOR + i]
        if gap > ZERO and fall > ZERO and fall * fall > least:
            rows[C + i] = (kept[at + LAST + i] - kept[at + VIEW + i]) ** 2 / gap
