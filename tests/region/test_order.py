import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.region.kernels.quantiles import ends, quantiles, sort_draws

pytestmark = pytest.mark.long

LEVELS = (0.0, 0.05, 0.25, 0.5, 0.95, 1.0)


@pytest.mark.parametrize("draws", [1, 2, 3, 7, 16, 50, 64, 100])
def test_as_numpy(draws):
    values = np.random.default_rng(draws).normal(size=(draws, 5, 3)).astype(np.float32)
    values[:, 0, 0] = 2.0  # ties
    rising, found = jax.jit(lambda values: (sort_draws(values), quantiles(values, LEVELS)))(jnp.asarray(values))
    np.testing.assert_array_equal(np.asarray(rising)[:draws], np.sort(values, 0))
    np.testing.assert_allclose(found, np.quantile(values, LEVELS, axis=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("levels", [(0.05, 0.95), (0.0, 1.0), (0.05,), (0.5,), LEVELS], ids=str)
@pytest.mark.parametrize("draws", [1, 2, 3, 5, 20, 63, 64, 65, 100, 256])
def test_few_ranks_as_numpy(draws, levels):
    random = np.random.default_rng(draws)
    values = random.normal(size=(draws, 4, 6)).astype(np.float32)
    values[:, 0] = random.integers(0, 3, (draws, 6))  # ties
    values[:, 1] = -7.0  # nothing but ties
    found = jax.jit(quantiles, static_argnums=1)(jnp.asarray(values), levels)
    np.testing.assert_allclose(found, np.quantile(values, levels, axis=0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("draws", [1, 2, 3, 64, 100])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_ends_are_exact(draws, count):
    random = np.random.default_rng(draws)
    values = random.normal(size=(draws, 7)).astype(np.float32)
    values[random.integers(0, draws, 3), 0] = np.inf
    values[random.integers(0, draws, 3), 1] = -np.inf
    low, high = jax.jit(ends, static_argnums=1)(jnp.asarray(values), count)
    known = min(count, draws)
    np.testing.assert_array_equal(low[:known], np.sort(values, 0)[:known])
    np.testing.assert_array_equal(high[:known], np.sort(values, 0)[::-1][:known])


@pytest.mark.parametrize("levels", [(0.05, 0.95), (0.5,)], ids=str)
def test_what_is_no_number_stays_so(levels):
    values = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
    values[17, 1] = np.nan
    found = np.asarray(jax.jit(quantiles, static_argnums=1)(jnp.asarray(values), levels))
    np.testing.assert_array_equal(np.isnan(found), [[False, True, False]] * len(levels))
