"""The written-out algebra of three states against dense covariance matrices in float64."""

import numpy as np
import pytest
from scipy.linalg import expm

from hybridflux.series import SeriesProcess
from hybridflux.series.cleaning import Cleaned, excess_of_views, filter_views, variances_of, view_axis
from hybridflux.series.every_day import calendar_of, every_day
from hybridflux.series.lanes import EXCESS, FACTOR, SQUARES
from hybridflux.series.outliers import CLOUD, GLINT
from hybridflux.series.smoother import steps
from tests.series.conftest import lanes_of, records, row

PROCESS = SeriesProcess((0.0,), fast_sd=0.15, fast_days=20.0, slow_sd=0.1, slow_days=300.0, view_sd=0.04)
SEES = np.array([1.0, 0.0, 1.0])


def transition(gap):
    """Transition and noise of the states (level, speed, slow level), speed in its own units, by the matrix exponential."""
    rate = np.sqrt(3.0) / PROCESS.fast_days
    move = np.zeros((3, 3))
    move[:2, :2] = expm(gap * np.array([[0.0, 1.0], [-(rate**2), -2 * rate]]))
    move[2, 2] = np.exp(-gap / PROCESS.slow_days)
    settled = np.diag([PROCESS.fast_sd**2, (rate * PROCESS.fast_sd) ** 2, PROCESS.slow_sd**2])
    return move, settled - move @ settled @ move.T


def dense(gaps, values, noise, opened):
    """Mean, variance of every step, and departure and variance of a view from what the others say, of one pixel."""
    rate = np.sqrt(3.0) / PROCESS.fast_days
    spread = np.diag([PROCESS.fast_sd**2, (rate * PROCESS.fast_sd) ** 2, PROCESS.slow_sd**2])
    covariance = np.zeros((len(gaps), len(gaps)))
    columns = np.zeros((0, 3, 3))  # covariance of each earlier state with the present one
    for step, gap in enumerate(gaps):
        move, extra = transition(gap)
        spread = move @ spread @ move.T + extra + 0.5 * opened[step] * np.diag([1.0, rate**2, 1.0])
        columns = np.concatenate([columns @ move.T, spread[None]])
        covariance[: step + 1, step] = covariance[step, : step + 1] = columns @ SEES @ SEES
    seen = np.flatnonzero(np.isfinite(noise))

    def given(views, target):
        gain = np.linalg.solve(covariance[np.ix_(views, views)] + np.diag(noise[views]), covariance[views, target])
        return gain @ values[views], covariance[target, target] - gain @ covariance[views, target]

    told = np.array([given(seen, step) for step in range(len(gaps))])
    left = {step: given(seen[seen != step], step) for step in seen}
    left_out = {step: (values[step] - mean, variance + noise[step]) for step, (mean, variance) in left.items()}
    return told[:, 0], told[:, 1], left_out


@pytest.fixture
def seen():
    """Views `[view, pixel]` with gaps, drops and two on one day: days, values (NaN where none), and variance a day that drops add."""
    rng = np.random.default_rng(3)
    when = np.cumsum([3, 5, 3, 0, 40, 5, 1, 12, 60, 5, 5, 2])
    values = 0.2 * rng.standard_normal((len(when), 6))
    values[rng.random(values.shape) < 0.3] = np.nan
    rate = np.where(rng.random(values.shape) < 0.3, 0.004, 0.0)
    rate[3] = rate[2]  # of one day
    return when, np.float32(values), np.float32(rate)


def test_every_day_equals_dense_process_of_days(seen):
    when, values, rate = seen
    days, variances = int(when[-1]) + 20, variances_of(PROCESS)
    means, spreads = every_day(Cleaned(values, rate, np.ones(6, np.float32)), *calendar_of(PROCESS, when, days), variances)
    step = np.append(np.searchsorted(np.arange(days), when), np.arange(days))  # the views one by one, then days without one among them
    order = np.argsort(step, kind="stable")
    gaps = np.diff(step[order], prepend=0).astype(float)
    next_view = np.searchsorted(when, np.arange(days))
    for pixel in range(6):
        every = np.concatenate([values[:, pixel], np.full(days, np.nan)])[order]
        opened = np.append(rate[:, pixel], 0.0)[np.append(np.searchsorted(when, when), next_view)][order] * gaps
        mean, variance, _ = dense(gaps, every, np.where(np.isfinite(every), PROCESS.view_sd**2, np.inf), opened)
        of_day = np.flatnonzero(order >= len(when))
        np.testing.assert_allclose(means[:, pixel], mean[of_day], atol=3e-6)
        np.testing.assert_allclose(spreads[:, pixel], variance[of_day], rtol=3e-4, atol=1e-8)


def test_excess_is_what_the_other_views_say(seen):
    when, values, rate = seen
    axis, variances = view_axis(PROCESS, when), variances_of(PROCESS)
    kept, rows = lanes_of(values, rate)
    filter_views(kept, rows, axis, variances)
    squares, rows[row(FACTOR)] = rows[row(SQUARES)][:6].copy(), 1.0
    excess_of_views(kept, rows, axis, variances)
    said = records(kept, EXCESS, 6)
    for pixel in range(6):
        noise = np.where(np.isfinite(values[:, pixel]), PROCESS.view_sd**2, np.inf)
        _, _, left_out = dense(axis.gap.astype(float), values[:, pixel], noise, rate[:, pixel] * axis.gap)
        for view, (miss, spread) in left_out.items():
            z = miss / np.sqrt(spread)
            assert abs(said[view, pixel]) == pytest.approx(max(-z / CLOUD, z / GLINT), rel=1e-3, abs=1e-4)
        assert (said[~np.isfinite(values[:, pixel]), pixel] == 0).all()
    assert (squares > 0).all()


def test_steps_compose():
    one, two = steps(PROCESS, np.array([7.0])), steps(PROCESS, np.array([3.5]))
    half = np.array([[two.a[0], two.b[0]], [two.c[0], two.d[0]]], float)
    noise = np.array([[two.q00[0], two.q01[0]], [two.q01[0], two.q11[0]]], float)
    np.testing.assert_allclose(half @ half, [[one.a[0], one.b[0]], [one.c[0], one.d[0]]], rtol=1e-5)
    both = half @ noise @ half.T + noise
    np.testing.assert_allclose(both, [[one.q00[0], one.q01[0]], [one.q01[0], one.q11[0]]], rtol=1e-5)
    assert two.e[0] ** 2 == pytest.approx(one.e[0], rel=1e-6)


def test_noise_of_one_day_is_not_lost_in_rounding():
    slow = SeriesProcess((0.0,), fast_sd=0.1, fast_days=200.0, slow_sd=0.1, slow_days=3000.0, view_sd=0.03)
    x = np.sqrt(3.0) / 200.0
    assert steps(slow, np.ones(1)).q00[0] == pytest.approx(0.01 * 4 / 3 * x**3, rel=0.02)  # leading term of the series in the gap


def test_views_of_one_day_follow_each_other_without_time():
    axis = view_axis(PROCESS, np.array([4, 9, 9, 30]))
    assert axis.gap.tolist() == [0, 5, 0, 21] and axis.into.a[2] == 1 and axis.into.q00[2] == 0
