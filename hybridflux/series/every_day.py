"""The smoothed signal of every day from the views, without a step of the filter for each day.

Between two views nothing is learned, so that the state s days after a view is known in closed form. With P the covariance of the filter
after that view, F = T(gap) P, T(s) the transition over s days, z what a view sees, and r and N of de Jong's smoother at the next view,

    mean(s)     = z T(s) [x + F' r] + B r,                                    B = z Q(s) T(gap - s)',
    variance(s) = z T(s) [P - F' N F] T(s)' z' + z Q(s) z' - 2 z T(s) F' N B' - B N B',

where Q(s) is the process variance that s days add: that of the process, and `opening` times that of a random walk of one unit a day.
z T(s), z Q(s) z' and the parts of B are numbers of a day, all else is computed once for each view, and a day costs some forty
multiplications. These are the mean and variance of a filter and smoother that go day by day, to rounding.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridflux.series.cleaning import Cleaned, Variances
from hybridflux.series.hyperparameters import SeriesProcess, season_of, season_sd
from hybridflux.series.lanes import (
    AFTER,
    G0,
    G1,
    G2,
    HELD,
    LANES,
    LEVEL,
    MEAN,
    MISSING,
    ONE,
    OPENING,
    STATE,
    TWO,
    VARIANCE,
    VIEW,
    ZERO,
    L,
    backward_step,
    begin,
    compiled,
    forward_step,
    keep_nine,
    keep_views,
    nine,
    nothing_behind,
    record,
    room,
    step_of,
)  # fmt: skip
from hybridflux.series.smoother import Steps, steps

SEES = np.array([1.0, 0.0, 1.0])  # a view sees the two levels, not the speed
_R = tuple(HELD + np.uint64(row) * L for row in range(28))
STEP = 0.5  # of `opening`: the share of each level, a day


class Between(NamedTuple):
    """From view to view, beginning with a step without a view on day 0, `[1 + view]`.

    Attributes:
        into: transition from the step before.
        opened: variances (00, 01, 11, 22) that `opening` adds over the gap before, for an opening of one `[1 + view, 4]`.
        out_of: transition to the next step, at last to the day behind the series.
        first: first of the days from this step to the next one, and behind the last the number of days `[2 + view]`.
    """

    into: Steps
    opened: np.ndarray
    out_of: Steps
    first: np.ndarray


class EachDay(NamedTuple):
    """What the formulae of a day need, s days after the view before it, `[day]`.

    Attributes:
        sees: z T(s) `[day, 3]`.
        ahead: B of the process `[day, 3]`.
        ahead_opened: B of an opening of one `[day, 3]`.
        variance: z Q(s) z' of the process.
        variance_opened: z Q(s) z' of an opening of one.
        season: of the class [units of the index].
        season_factor: factor on the standard deviation, because the season itself is an estimate.
    """

    sees: np.ndarray
    ahead: np.ndarray
    ahead_opened: np.ndarray
    variance: np.ndarray
    variance_opened: np.ndarray
    season: np.ndarray
    season_factor: np.ndarray


def calendar_of(process: SeriesProcess, when: np.ndarray, days: int) -> tuple[Between, EachDay]:
    """The two tables of a series, computed in float64 and rounded to float32.

    Args:
        process: hyperparameters.
        when: day of each view `[view]`, not decreasing.
        days: length of the series.
    """
    at = np.concatenate([[0], when])
    gap, ahead = np.diff(at, prepend=0), np.diff(at, append=days)
    move, noise, opened = _transitions(process, int(ahead.max()))
    row = np.searchsorted(when, np.arange(days), side="right")
    since, left = np.arange(days) - at[row], at[row] + ahead[row] - np.arange(days)
    of_day = (
        move[since].transpose(0, 2, 1) @ SEES, *(np.einsum("i,tij,tkj->tk", SEES, one[since], move[left]) for one in (noise, opened)),
        *(SEES @ one[since] @ SEES for one in (noise, opened)), season_of(process, np.arange(days)), season_uncertainty(process, days),
    )  # fmt: skip
    over_gap = np.stack([opened[gap, 0, 0], opened[gap, 0, 1], opened[gap, 1, 1], opened[gap, 2, 2]], axis=1).astype(np.float32)
    first = np.searchsorted(row, np.arange(len(at) + 1)).astype(np.int32)
    each_day = EachDay(*(np.ascontiguousarray(one, np.float32) for one in of_day))
    return Between(steps(process, gap), over_gap, steps(process, ahead), first), each_day


def season_uncertainty(process: SeriesProcess, days: int) -> np.ndarray:
    """Factor on the standard deviation of a signal, because the season itself is an estimate `[time]`.

    An error of the season is a departure that all pixels share; views reduce it like any other departure, so that the same share
    of its variance remains: sd^2 (1 + season_sd^2 / signal_sd^2).
    """
    return np.sqrt(1.0 + (season_sd(process, np.arange(days)) / process.signal_sd) ** 2)


def _transitions(process: SeriesProcess, longest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """T, Q of the process, and Q of an opening of one, after 0 to `longest` days `[day, 3, 3]`."""
    days = np.arange(longest + 1)
    x = np.sqrt(3.0) * days / process.fast_days
    move = np.zeros((longest + 1, 3, 3))
    move[:, 0, 0], move[:, 0, 1], move[:, 1, 0], move[:, 1, 1] = np.exp(-x) * (1 + x), np.exp(-x) * x, -np.exp(-x) * x, np.exp(-x) * (1 - x)
    move[:, 2, 2] = np.exp(-days / process.slow_days)
    settled = np.diag([process.fast_sd**2, process.fast_sd**2, process.slow_sd**2])
    walked = np.cumsum(STEP * move @ move.transpose(0, 2, 1), axis=0)  # each day adds a step, which the following days carry on
    opened = np.concatenate([np.zeros((1, 3, 3)), walked[:-1]])
    return move, settled - move @ settled @ move.transpose(0, 2, 1), opened


def every_day(cleaned: Cleaned, between: Between, each_day: EachDay, variances: Variances) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the departure of every day `[time, pixel]`, float32; the variance is for a factor of one.

    Args:
        cleaned: the views.
        between: steps from view to view.
        each_day: what the days need.
        variances: hyperparameters of the process.
    """
    shape = len(each_day.season), cleaned.views.shape[1]
    mean, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    _every_day(cleaned.views, cleaned.opening, between, each_day, variances, mean, variance, *room(len(cleaned.views)))
    return mean, variance


@compiled
def _every_day(views, opening, between, each_day, variances, mean, variance, kept, rows):
    for first in range(0, views.shape[1], LANES):
        count = keep_views(kept, views, opening, first)
        filter_to_days(kept, rows, between, variances)
        for back in range(len(views) + 1):
            number = len(views) - back
            hold(kept, rows, between, number)
            for day in range(between.first[number], between.first[number + 1]):
                day_of_lanes(rows, each_day, day)
                for i in range(count):
                    mean[day, first + i], variance[day, first + i] = rows[MEAN + np.uint64(i)], rows[VARIANCE + np.uint64(i)]
            look_back(kept, rows, between, variances, number)


@compiled
def filter_to_days(kept, rows, between, variances):
    """Forward from view to view, whose states are kept; then what nothing behind the last view says."""
    for i in range(L):
        kept[VIEW + i], kept[OPENING + i] = MISSING, ZERO
    begin(rows, variances.fast, variances.slow)
    for number in range(len(between.first) - 1):
        at, (a, b, c, d, e, q00, q01, q11, q22) = record(number), step_of(between.into, number)
        o00, o01, o11, o22 = between.opened[number, 0], between.opened[number, 1], between.opened[number, 2], between.opened[number, 3]
        for i in range(L):
            view, rate = kept[at + VIEW + i], kept[at + OPENING + i]
            step = (a, b, c, d, e, q00 + rate * o00, q01 + rate * o01, q11 + rate * o11, q22 + rate * o22)
            seen = (view if view == view else ZERO, ONE if view == view else ZERO, variances.noise, ZERO)
            state, predicted, _, _ = forward_step(step, seen, nine(rows, STATE + i))
            keep_nine(rows, STATE + i, state)
            keep_nine(kept, at + AFTER + i, state)
            kept[at + LEVEL + i], kept[at + G0 + i], kept[at + G1 + i], kept[at + G2 + i] = predicted
    nothing_behind(rows)


@compiled
def look_back(kept, rows, between, variances, number):
    """One step of the smoother, from the next view to this one."""
    at, step = record(number), step_of(between.out_of, number)
    for i in range(L):
        view = kept[at + VIEW + i]
        predicted = kept[at + LEVEL + i], kept[at + G0 + i], kept[at + G1 + i], kept[at + G2 + i]
        seen = (view if view == view else ZERO, ONE if view == view else ZERO, variances.noise)
        later, _, _ = backward_step(step, seen, predicted, nine(rows, STATE + i))
        keep_nine(rows, STATE + i, later)


@compiled
def hold(kept, rows, between, number):
    """What all days after a view have in common: opening, smoothed state (3), r (3), smoothed covariance (6), 2 F' N (9), N (6).

    What stands beside the diagonals of the two covariances is twice there, as the variance of a day needs it.
    """
    at, (a, b, c, d, e, _, _, _, _) = record(number), step_of(between.out_of, number)
    behind = record(number + 1 if number + 2 < len(between.first) else 0)  # the opening of the first record is 0
    for i in range(L):
        x, v, l, p00, p01, p11, p02, p12, p22 = nine(kept, at + AFTER + i)  # noqa: E741
        r0, r1, r2, n00, n01, n11, n02, n12, n22 = nine(rows, STATE + i)
        f00, f01, f02 = a * p00 + b * p01, c * p00 + d * p01, e * p02
        f10, f11, f12 = a * p01 + b * p11, c * p01 + d * p11, e * p12
        f20, f21, f22 = a * p02 + b * p12, c * p02 + d * p12, e * p22
        h00, h01, h02 = f00 * n00 + f01 * n01 + f02 * n02, f00 * n01 + f01 * n11 + f02 * n12, f00 * n02 + f01 * n12 + f02 * n22
        h10, h11, h12 = f10 * n00 + f11 * n01 + f12 * n02, f10 * n01 + f11 * n11 + f12 * n12, f10 * n02 + f11 * n12 + f12 * n22
        h20, h21, h22 = f20 * n00 + f21 * n01 + f22 * n02, f20 * n01 + f21 * n11 + f22 * n12, f20 * n02 + f21 * n12 + f22 * n22
        rows[HELD + i] = kept[behind + OPENING + i]
        rows[_R[1] + i], rows[_R[2] + i] = x + f00 * r0 + f01 * r1 + f02 * r2, v + f10 * r0 + f11 * r1 + f12 * r2
        rows[_R[3] + i] = l + f20 * r0 + f21 * r1 + f22 * r2
        rows[_R[4] + i], rows[_R[5] + i], rows[_R[6] + i] = r0, r1, r2
        rows[_R[7] + i], rows[_R[8] + i] = p00 - (h00 * f00 + h01 * f01 + h02 * f02), TWO * (p01 - (h00 * f10 + h01 * f11 + h02 * f12))
        rows[_R[9] + i], rows[_R[10] + i] = p11 - (h10 * f10 + h11 * f11 + h12 * f12), TWO * (p02 - (h00 * f20 + h01 * f21 + h02 * f22))
        rows[_R[11] + i], rows[_R[12] + i] = TWO * (p12 - (h10 * f20 + h11 * f21 + h12 * f22)), p22 - (h20 * f20 + h21 * f21 + h22 * f22)
        rows[_R[13] + i], rows[_R[14] + i], rows[_R[15] + i] = TWO * h00, TWO * h01, TWO * h02
        rows[_R[16] + i], rows[_R[17] + i], rows[_R[18] + i] = TWO * h10, TWO * h11, TWO * h12
        rows[_R[19] + i], rows[_R[20] + i], rows[_R[21] + i] = TWO * h20, TWO * h21, TWO * h22
        rows[_R[22] + i], rows[_R[23] + i], rows[_R[24] + i] = n00, TWO * n01, n11
        rows[_R[25] + i], rows[_R[26] + i], rows[_R[27] + i] = TWO * n02, TWO * n12, n22


@compiled
def day_of_lanes(rows, each_day, day):
    """Mean and variance of the departure of a day, by the formulae at the head of this file, from what `hold` left."""
    a0, a1, a2 = each_day.sees[day, 0], each_day.sees[day, 1], each_day.sees[day, 2]
    c0, c1, c2 = each_day.ahead[day, 0], each_day.ahead[day, 1], each_day.ahead[day, 2]
    o0, o1, o2 = each_day.ahead_opened[day, 0], each_day.ahead_opened[day, 1], each_day.ahead_opened[day, 2]
    noise, opened = each_day.variance[day], each_day.variance_opened[day]
    for i in range(L):
        rate = rows[HELD + i]
        b0, b1, b2 = c0 + rate * o0, c1 + rate * o1, c2 + rate * o2
        mean = a0 * rows[_R[1] + i] + a1 * rows[_R[2] + i] + a2 * rows[_R[3] + i]
        rows[MEAN + i] = mean + b0 * rows[_R[4] + i] + b1 * rows[_R[5] + i] + b2 * rows[_R[6] + i]
        variance = a0 * (a0 * rows[_R[7] + i] + a1 * rows[_R[8] + i] + a2 * rows[_R[10] + i])
        variance += a1 * (a1 * rows[_R[9] + i] + a2 * rows[_R[11] + i]) + a2 * a2 * rows[_R[12] + i] + noise + rate * opened
        m0 = a0 * rows[_R[13] + i] + a1 * rows[_R[16] + i] + a2 * rows[_R[19] + i]
        m1 = a0 * rows[_R[14] + i] + a1 * rows[_R[17] + i] + a2 * rows[_R[20] + i]
        m2 = a0 * rows[_R[15] + i] + a1 * rows[_R[18] + i] + a2 * rows[_R[21] + i]
        known = b0 * (m0 + b0 * rows[_R[22] + i] + b1 * rows[_R[23] + i] + b2 * rows[_R[25] + i])
        known += b1 * (m1 + b1 * rows[_R[24] + i] + b2 * rows[_R[26] + i]) + b2 * (m2 + b2 * rows[_R[27] + i])
        rows[VARIANCE + i] = max(variance - known, ZERO)
