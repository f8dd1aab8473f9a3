"""A parameter by a power of a covariate: its prior, its limits, saving it."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.power_of import PowerOf
from hybridflux.model.sources import Given, Pooled
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.process import light, respiration, water
from hybridflux.vocabulary import PARAMETERS, VARIABLES, Covariate

CAPACITY = PARAMETERS["root_zone_capacity"]
MAP = {"soil_capacity": np.array([60.0, 150.0, 400.0], np.float32), "site": np.array([0, -1, 1])}


def test_at_the_prior_median_it_is_the_map():
    """The vocabulary has 150 mm both as centre of the map and as typical capacity."""
    np.testing.assert_allclose(PowerOf("soil_capacity").value(CAPACITY, MAP), Given("soil_capacity").value(CAPACITY, MAP), rtol=1e-5)


def test_a_power_of_one_half_and_of_nothing():
    half = with_learned(PowerOf("soil_capacity"), {"z.factor": jnp.zeros(()), "z.power": jnp.float32(-1.0)})
    np.testing.assert_allclose(half.value(CAPACITY, MAP), 150 * (MAP["soil_capacity"] / 150) ** 0.5, rtol=1e-5)
    none = with_learned(half, {"z.factor": jnp.float32(1.0), "z.power": jnp.float32(-2.0)})
    one = np.asarray(none.value(CAPACITY, MAP))
    logit = np.log((150 - CAPACITY.lower) / (CAPACITY.upper - 150)) + CAPACITY.prior_sd
    np.testing.assert_allclose(one, CAPACITY.lower + (CAPACITY.upper - CAPACITY.lower) / (1 + np.exp(-logit)), rtol=1e-5)


@pytest.mark.parametrize("size", [-60.0, 60.0])
def test_far_off_it_stays_inside_its_bounds_with_a_gradient_that_is_a_number(size):
    def total(source, names):
        return jnp.sum(source.value(CAPACITY, names))

    far = jax.tree.map(lambda leaf: leaf + size, PowerOf("soil_capacity"))
    for values in ([1e-6, 150.0, 1e6], [0.0, -9999.0, 60.0]):
        names = {"soil_capacity": np.array(values, np.float32)}
        found = np.asarray(far.value(CAPACITY, names))
        assert np.all((found > CAPACITY.lower) & (found < CAPACITY.upper))
        assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(jax.grad(total)(far, names)))


def test_a_covariate_needs_a_centre_and_its_name():
    with pytest.raises(ValueError, match=r"PowerOf\('whc'\) has the centre None; give one above 0: PowerOf\('whc', centre=...\)"):
        PowerOf("whc")
    with pytest.raises(ValueError, match="has the centre 0"):
        PowerOf("whc", centre=0.0)
    with pytest.raises(KeyError, match="Did you mean `soil_capacity`"):
        PowerOf("soil_capacty")
    assert PowerOf(Covariate("whc", "mm", centre=240.0)).centre == 240.0 == PowerOf("whc", 240.0).centre
    assert PowerOf("soil_capacity").centre == VARIABLES["soil_capacity"].centre


def test_it_is_saved_with_its_centre():
    drainage = PowerOf(Covariate("soil_capacity2", centre=9.0))
    sources = {"root_zone_capacity": Pooled(PowerOf("whc", centre=200.0), spread=0.3), "drainage_rate": drainage}
    model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), memory=(water.BUCKET,), sources=sources)
    assert {"whc", "soil_capacity2"} <= set(model.needs())
    moved = jax.tree.map(lambda leaf: leaf + 0.4, learned(model))
    back = with_learned(from_spec(json.loads(json.dumps(to_spec(model)))), moved)
    names = {"whc": np.array([100.0, 300.0]), "site": np.array([0, -1])}
    found, expected = (one.sources["root_zone_capacity"].value(CAPACITY, names) for one in (back, with_learned(model, moved)))
    np.testing.assert_array_equal(found, expected)
    assert back.sources["drainage_rate"].centre == 9.0
