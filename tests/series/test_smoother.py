"""The written-out algebra of three states against dense covariance matrices in float64."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import expm

from hybridflux.series import SeriesProcess
from hybridflux.series.gap_filling import view_axis
from hybridflux.series.smoother import Axis, Departures, smooth, steps

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


def test_smoother_equals_dense_process_with_gaps_drops_and_two_views_a_day():
    rng = np.random.default_rng(3)
    gaps = np.array([0, 5, 3, 0, 40, 5, 1, 12, 60, 5, 5, 2], float)
    count, pixels = len(gaps), 6
    values = 0.2 * rng.standard_normal((count, pixels))
    noise = np.where(rng.random(values.shape) < 0.3, np.inf, PROCESS.view_sd**2 * rng.uniform(0.5, 2.0, values.shape))
    rate = np.where(rng.random(values.shape) < 0.2, 0.004, 0.0)
    blank = np.zeros((1, pixels))
    views = Departures(
        *(jnp.asarray(np.concatenate([part, end]), jnp.float32) for part, end in ((values, blank), (noise, blank + np.inf), (rate, blank)))
    )
    axis = Axis(steps(PROCESS, gaps), np.arange(count), np.arange(count), np.float32(gaps))
    said = smooth(axis, views, (PROCESS.fast_sd**2, PROCESS.slow_sd**2))
    for pixel in range(pixels):
        mean, variance, left_out = dense(gaps, values[:, pixel], noise[:, pixel], rate[:, pixel] * gaps)
        np.testing.assert_allclose(said.mean[:, pixel], mean, atol=2e-6)
        np.testing.assert_allclose(said.variance[:, pixel], variance, rtol=2e-4, atol=1e-8)
        for step, (miss, spread) in left_out.items():
            assert said.left_out[step, pixel] == pytest.approx(miss, abs=5e-6)
            assert said.left_out_variance[step, pixel] == pytest.approx(spread, rel=5e-4)
        unseen = np.isinf(noise[:, pixel])
        assert (said.left_out[unseen, pixel] == 0).all() and (said.left_out_variance[unseen, pixel] == 1).all()


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
    assert axis.gap.tolist() == [0, 5, 0, 21] and axis.steps.a[2] == 1 and axis.steps.q00[2] == 0
