import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.region.order import quantiles, sort_draws

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.95, 1.0)


@pytest.mark.parametrize("draws", [1, 2, 3, 7, 16, 50, 64, 100])
def test_as_numpy(draws):
    values = np.random.default_rng(draws).normal(size=(draws, 5, 3)).astype(np.float32)
    values[:, 0, 0] = 2.0  # ties
    np.testing.assert_array_equal(np.asarray(sort_draws(jnp.asarray(values)))[:draws], np.sort(values, 0))
    found = jax.jit(quantiles, static_argnums=1)(jnp.asarray(values), LEVELS)
    np.testing.assert_allclose(found, np.quantile(values, LEVELS, axis=0), rtol=1e-6, atol=1e-6)
