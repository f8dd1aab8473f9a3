"""Sources: bounds, prior medians, prior spread, composition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sources import Fixed, Given, Neural, PerClass, Pooled, Shared, is_daily, to_raw, to_value
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

LUE = PARAMETERS["light_use_efficiency"]
NAMES = {"plant_type": np.array([0, 9, 11]), "tair_30d": np.array([2.0, 12.0, 18.0], np.float32), "site": np.array([0, -1, 1])}
FREE = [Shared(), PerClass(), Neural("tair_30d"), Neural("tair_30d", "plant_type"), Pooled(PerClass())]


@pytest.mark.parametrize("row", PARAMETERS.values(), ids=lambda row: row.name)
def test_bounds_round_trip(row):
    inside = np.linspace(row.lower, row.upper, 13)[1:-1]
    np.testing.assert_allclose(to_value(to_raw(inside, row), row), inside, rtol=2e-5)


def test_value_outside_bounds_is_refused():
    with pytest.raises(ValueError, match="not inside its bounds"):
        to_raw(LUE.upper, LUE)


@pytest.mark.parametrize("source", FREE, ids=lambda s: type(s).__name__)
def test_values_stay_inside_bounds_however_far_z_goes(source):
    for size in (-50.0, 50.0):
        far = with_learned(source, jax.tree.map(lambda leaf, size=size: leaf + size, learned(source)))
        value = np.asarray(far.value(LUE, NAMES))
        assert np.all((value >= LUE.lower) & (value <= LUE.upper))


@pytest.mark.parametrize(
    "source", [Shared(), PerClass(), Neural("tair_30d", "plant_type"), Pooled(PerClass())], ids=lambda s: type(s).__name__
)
def test_zero_is_the_prior_median(source):
    zero = with_learned(source, jax.tree.map(jnp.zeros_like, learned(source)))
    medians = [LUE.typical] * 3 if isinstance(source, Shared) else [LUE.by_class[PLANT_TYPES[i]] for i in NAMES["plant_type"]]
    np.testing.assert_allclose(np.broadcast_to(zero.value(LUE, NAMES), 3), medians, rtol=1e-5)


@pytest.mark.parametrize("source", [Shared(), PerClass()], ids=lambda s: type(s).__name__)
def test_prior_spread_is_the_one_of_the_row(source):
    keys = jax.random.split(jax.random.key(0), 4000)

    def raw(key):
        leaves = {n: jax.random.normal(jax.random.fold_in(key, i), leaf.shape) for i, (n, leaf) in enumerate(learned(source).items())}
        return jnp.broadcast_to(with_learned(source, leaves).raw(LUE, NAMES), 3)

    spread = np.asarray(jax.vmap(raw)(keys)).std(0)
    np.testing.assert_allclose(spread, LUE.prior_sd, rtol=0.05)


def test_fixed_and_given():
    assert float(Fixed().value(LUE, {})) == pytest.approx(LUE.typical)
    assert float(Fixed(1.5).value(LUE, {})) == 1.5
    capacity = PARAMETERS["root_zone_capacity"]
    given = Given("soil_capacity").value(capacity, {"soil_capacity": np.array([5.0, 100.0, 5000.0])})
    np.testing.assert_allclose(given, [capacity.lower, 100.0, capacity.upper])


def test_unseen_place_sits_at_the_centre_and_known_ones_move():
    pooled = Pooled(Shared(), spread=0.5)
    pooled = with_learned(pooled, {"z.effect": jnp.array([1.0, -2.0]), "z.spread": jnp.zeros(())})
    raw = np.asarray(pooled.raw(LUE, NAMES)) - float(to_raw(LUE.typical, LUE))
    np.testing.assert_allclose(raw, [0.5, 0.0, -1.0], atol=1e-6)


def test_pooled_needs_something_learned():
    with pytest.raises(ValueError, match="learned source"):
        Pooled(Fixed(1.0))


def test_neural_refuses_unknown_and_missing_inputs():
    with pytest.raises(KeyError, match="Did you mean `tair"):
        Neural("tairr")
    with pytest.raises(ValueError, match="at least one input"):
        Neural()


def test_neural_does_not_extrapolate():
    network = Neural("tair_30d")
    hot, hotter = (network.value(LUE, {"tair_30d": np.float32(t)}) for t in (40.0, 90.0))
    assert float(hot) == float(hotter)


def test_which_names_change_daily():
    assert [is_daily(name) for name in ("rain", "fapar_90d", "site_year", "site", "elevation")] == [True, True, True, False, False]
