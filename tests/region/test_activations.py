"""tanh and the logistic function of networks in a block, against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.region.kernels.activations import logistic, weighted_tanh

X = np.concatenate([np.linspace(-12, 12, 100_001), [-1e30, -90.0, 90.0, 1e30, -np.inf, np.inf]]).astype(np.float32)


def test_tanh():
    found = np.asarray(jax.jit(lambda x: weighted_tanh([x], [1.0]))(X), float)
    np.testing.assert_allclose(found, np.tanh(X.astype(float)), atol=6e-7)
    np.testing.assert_allclose(found[np.abs(X) < 0.01], np.tanh(X.astype(float))[np.abs(X) < 0.01], rtol=1e-6)


@pytest.mark.parametrize("units", [1, 2, 3, 5, 7, 8, 16])
def test_units_share_a_division(units):
    random = np.random.default_rng(units)
    arguments, weights = random.normal(scale=6.0, size=(units, 1000)), random.normal(size=units)
    found = weighted_tanh(list(jnp.asarray(arguments, jnp.float32)), list(jnp.asarray(weights, jnp.float32)))
    np.testing.assert_allclose(found, weights @ np.tanh(arguments), atol=2e-6 * units**0.5)


def test_all_units_at_their_limit():
    assert float(weighted_tanh([jnp.float32(1e9)] * 16, [1.0] * 16)) == pytest.approx(16.0, rel=1e-6)
    assert float(weighted_tanh([jnp.float32(0.0)] * 16, [1.0] * 16)) == 0.0


def test_logistic():
    inside = np.abs(X) < 80
    expected = 1.0 / (1.0 + np.exp(-X[inside].astype(float)))
    found = np.asarray(jax.jit(logistic)(X), float)
    np.testing.assert_allclose(found[inside], expected, rtol=1e-6)
    np.testing.assert_allclose(found[~inside], X[~inside] > 0, atol=1e-30)


def test_what_is_no_number_stays_none():
    nothing = jnp.float32(np.nan)
    assert np.isnan(weighted_tanh([jnp.float32(1.0), nothing, jnp.float32(1.0)], [1.0] * 3)) and np.isnan(logistic(nothing))
