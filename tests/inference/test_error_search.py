"""The search for hyperparameters of errors, and the likelihood of the amplitude of a place's error."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from hybridflux.inference.error_hyperparameters import lowest, scale_of
from hybridflux.inference.place_amplitude import likelihood_of_amplitudes
from hybridflux.inference.plant_type_error import log_sum

AMPLITUDES = np.exp(np.linspace(-4.0, 3.0, 9))
FREE = np.array([[-np.inf] * 4, [np.inf] * 4])


def covariances(count, kinds=3):
    """Of months: what passes and what comes again every twelve, and one of rank one."""
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    cyclic = [np.exp(-lag / memory) + 0.5 * np.cos(np.pi * lag / 6) + 0.5 for memory in np.geomspace(0.3, 9.0, kinds - 1)]
    return np.array([*cyclic, np.outer(*[np.linspace(0.5, 2.0, count)] * 2)])


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_the_likelihood_is_that_of_a_normal_distribution_at_every_amplitude(count):
    rng = np.random.default_rng(count)
    error, noise, residual = covariances(count), 0.1 + rng.random(count), 2.0 * rng.normal(size=count)
    found = likelihood_of_amplitudes(error, noise, residual, AMPLITUDES)
    expected = [[multivariate_normal.logpdf(residual, cov=b**2 * one + np.diag(noise)) for b in AMPLITUDES] for one in error]
    constant = 0.5 * (count * np.log(2 * np.pi) + np.log(noise).sum())
    np.testing.assert_allclose(found, np.array(expected) + constant, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(likelihood_of_amplitudes(error[0], noise, residual, AMPLITUDES), found[0], rtol=1e-12)


def test_residuals_of_nothing_leave_the_determinant():
    found = likelihood_of_amplitudes(covariances(5), np.full(5, 2.0), np.zeros(5), AMPLITUDES)
    expected = [[np.linalg.slogdet(np.eye(5) + b**2 * one / 2.0)[1] for b in AMPLITUDES] for one in covariances(5)]
    np.testing.assert_allclose(found, -0.5 * np.array(expected), rtol=1e-9)


def banana(at):
    """A narrow bent valley in single precision, with its gradient; lowest at 1, 1, 0.3, -2."""
    x, y, u, v = np.asarray(at, np.float32).astype(float)
    value = (1 - x) ** 2 + 30 * (y - x**2) ** 2 + 400 * (u - 0.3) ** 2 + 0.05 * (v + 2) ** 2 + 700
    slope = np.array([-2 * (1 - x) - 120 * x * (y - x**2), 60 * (y - x**2), 800 * (u - 0.3), 0.1 * (v + 2)])
    return float(np.float32(value)), slope.astype(np.float32).astype(float)


def test_the_search_ends_at_the_lowest_point_in_fewer_steps():
    calls = [0]

    def counted(at):
        calls[0] += 1
        return banana(at)

    first, width = np.array([0.7, 0.6, 0.1, 0.0]), np.array([1.0, 1.0, 0.5, 3.0])
    found = lowest(counted, first, scale_of(counted, first, width), FREE)
    scaled, calls[0] = calls[0], 0
    minimize(counted, first, jac=True, method="L-BFGS-B")
    assert scaled < calls[0]
    np.testing.assert_allclose(found, [1.0, 1.0, 0.3, -2.0], atol=0.05)


def test_the_search_stays_inside_its_bounds():
    bounds = FREE.copy()
    bounds[1, 0], bounds[0, 3] = 0.5, -1.0
    first, width = np.array([0.2, 0.1, 0.1, 0.0]), np.array([1.0, 1.0, 0.5, 3.0])
    found = lowest(banana, first, scale_of(banana, first, width), bounds)
    np.testing.assert_allclose(found, [0.5, 0.25, 0.3, -1.0], atol=0.01)


def test_the_scale_makes_every_curvature_one_and_none_flatter_than_a_share_of_the_prior():
    bend = np.array([[50.0, 12.0, 0.0], [12.0, 4.0, 0.0], [0.0, 0.0, 0.01]])
    width = np.array([0.5, 2.0, 1.5])
    scale = scale_of(lambda at: (0.5 * at @ bend @ at, bend @ at), np.array([1.0, -1.0, 2.0]), width)
    np.testing.assert_allclose((scale.T @ bend @ scale)[1:, 1:], np.eye(2), atol=1e-6)
    flat = scale[:, 0]
    np.testing.assert_allclose(np.abs(flat), [0.0, 0.0, 1.5 / 0.3**0.5], atol=1e-6)


def test_sums_of_small_numbers():
    far = np.array([[-1000.0, -1001.0], [700.0, 710.0]])
    np.testing.assert_allclose(log_sum(far), [-1000 + np.log1p(np.exp(-1)), 710 + np.log1p(np.exp(-10))], rtol=1e-12)
