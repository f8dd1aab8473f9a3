"""Scores against hand computations, closed forms and brute force."""

import numpy as np
import pytest
from scipy.stats import norm

from hybridflux.evaluate import metrics
from hybridflux.evaluate.metrics import SCORES, coverage, crps, score


def test_score_by_hand():
    observed = np.array([1.0, np.nan, 2.0, 3.0])
    found = score(observed, np.array([[1.0, 9.0, 2.0, 4.0]]))
    assert found["n"] == 3
    assert found["nse"] == pytest.approx(0.5)  # squared error 1, variance sum 2
    assert found["r2"] == pytest.approx(27 / 28)  # covariance sum 3, variance sums 2 and 14/3
    assert found["rmse"] == pytest.approx(3**-0.5)
    assert found["bias"] == pytest.approx(1 / 3)
    assert found["crps"] == pytest.approx(1 / 3)  # of one draw: the absolute error
    assert np.isnan(found["coverage50"])


def test_point_prediction_is_judged_apart_from_the_draws():
    observed = np.array([0.0, 1.0, 2.0])
    found = score(observed, np.zeros((20, 3)), point=observed)
    assert found["nse"] == 1.0 and found["rmse"] == 0.0 and found["bias"] == 0.0
    assert found["crps"] == pytest.approx(1.0)


def test_nothing_observed():
    found = score(np.full(4, np.nan), np.zeros((5, 4)))
    assert tuple(found) == SCORES and found["n"] == 0
    assert all(np.isnan(found[name]) for name in SCORES[1:])


def test_constant_series_have_no_nse_and_no_correlation():
    found = score(np.ones(3), np.arange(6.0).reshape(2, 3))
    assert np.isnan(found["nse"]) and np.isnan(found["r2"])
    assert np.isnan(score(np.arange(3.0), np.ones((2, 3)))["r2"])


def test_crps_is_exact_against_brute_force():
    rng = np.random.default_rng(1)
    draws, observed = rng.normal(size=(7, 5)), rng.normal(size=5)
    brute = np.abs(draws - observed).mean(0) - 0.5 * np.abs(draws[:, None] - draws[None]).mean((0, 1))
    np.testing.assert_allclose(crps(observed, draws), brute, rtol=1e-12)


def test_crps_of_many_draws_is_that_of_the_gaussian():
    mean, sd, y = 1.0, 2.0, np.array([-3.0, 0.0, 1.0, 4.0])
    draws = norm.ppf((np.arange(20000) + 0.5) / 20000, mean, sd)[:, None].repeat(len(y), axis=1)
    z = (y - mean) / sd
    exact = sd * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5)
    np.testing.assert_allclose(crps(y, draws), exact, rtol=1e-3)


def test_crps_keeps_the_place_of_gaps_and_does_not_depend_on_blocks(monkeypatch):
    rng = np.random.default_rng(2)
    draws, observed = rng.normal(size=(9, 6, 2)), rng.normal(size=(6, 2))
    observed[2, 1] = np.nan
    whole = crps(observed, draws)
    assert np.isnan(whole[2, 1]) and np.isfinite(whole).sum() == 11
    monkeypatch.setattr(metrics, "CHUNK", 20)
    np.testing.assert_array_equal(crps(observed, draws), whole)


@pytest.mark.parametrize("draws", [19, 40, 100])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_is_nominal_if_calibrated(draws, level):
    rng = np.random.default_rng(draws)
    n = 20000
    found = coverage(rng.laplace(size=n), rng.laplace(size=(draws, n)), level)
    assert abs(found - level) < 4 * np.sqrt(level * (1 - level) / n)


def test_coverage_needs_draws_enough_for_the_interval():
    observed = np.zeros(3)
    assert np.isnan(coverage(observed, np.zeros((18, 3)), 0.9))
    assert coverage(observed, np.zeros((19, 3)), 0.9) == 1.0
    assert np.isnan(coverage(np.full(3, np.nan), np.zeros((30, 3)), 0.9))


def test_interval_of_nineteen_draws_is_from_the_first_to_the_last():
    lower, upper = metrics.interval(np.arange(19.0)[None], 0.9)
    assert lower[0] == pytest.approx(0.0) and upper[0] == pytest.approx(18.0)
    lower, upper = metrics.interval(np.arange(99.0)[None], 0.9)
    assert lower[0] == pytest.approx(4.0) and upper[0] == pytest.approx(94.0)
