"""The bucket with depth: closed, bounded, the old bucket where nothing is deep, and steady in a drought where that runs dry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model import observe
from hybridflux.model.flux import HybridFlux
from hybridflux.model.measured_water import MEASURED_WATER
from hybridflux.model.sources import Fixed
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.process import call, deep_water, light, respiration, stress, water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, VARIABLES

STEP = deep_water.deep_bucket
STORES = ("soil_water", "deep_water", "snow")
TYPICAL = {name: row.typical for name, row in PARAMETERS.items()}


def anywhere(dtype, count=50_000):
    random = np.random.default_rng(1)
    rows = {**{name: VARIABLES[name].bounds for name in VARIABLES}, **{name: (row.lower, row.upper) for name, row in PARAMETERS.items()}}
    rows |= {"tair": (-5.0, 5.0), "snow": (0.0, 50.0), "rain": (0.0, 50.0)}
    names = {name: jnp.asarray(random.uniform(*rows[name], count), dtype) for name in arguments(STEP)}
    stores = {"soil_water": "root_zone_capacity", "deep_water": "deep_capacity"}
    return names | {store: names[capacity] * jnp.asarray(random.uniform(0, 1, count), dtype) for store, capacity in stores.items()}


def test_water_balance_closes_and_states_stay_within_their_limits():
    with jax.enable_x64(True):
        names = anywhere(jnp.float64)
        end = STEP(**names)
        stored = sum(end[name] - names[name] for name in STORES)
        assert np.abs(stored - (names["rain"] - end["evapotranspiration"] - end["drainage"])).max() < 1e-11
        assert all(value.min() >= 0 for value in end.values())
        assert (end["soil_water"] <= names["root_zone_capacity"]).all() and (end["deep_water"] <= names["deep_capacity"]).all()


def test_without_depth_and_without_rain_on_leaves_it_is_the_bucket():
    names = anywhere(jnp.float32) | {"deep_water": 0.0, "canopy_storage": 0.0}
    deep, flat = STEP(**names), call(water.bucket, names)
    for name in ("soil_water", "snow", "evapotranspiration"):
        np.testing.assert_array_equal(deep[name], flat[name])


def test_green_cover_is_the_light_that_nirv_says_leaves_absorb():
    names = anywhere(jnp.float32)
    nirv = names.pop("fapar") * 0.33
    seen, green = STEP(fapar=jnp.minimum(nirv / 0.33, 1.0), **names), deep_water.deep_bucket_green(nirv=nirv, **names)
    for name, value in seen.items():
        np.testing.assert_allclose(green[name], value, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("days, meets", [(60, 0.95), (400, 0.1)])
def test_a_drought_is_met_from_the_deep_store_until_that_is_empty(days, meets):
    """Of the demand of one dry day after another: nearly all after two months, next to nothing after a year."""
    day = {"tair": 20.0, "par": 9.0, "rain": 0.0, "fapar": 1.0, **TYPICAL}
    state = call(deep_water.DEEP_BUCKET.start, day)
    flat = call(water.BUCKET.start, day)

    def step(state, _):
        deep, flat = state
        end, other = call(STEP, {**day, **deep}), call(water.bucket, {**day, **flat})
        took = (end["evapotranspiration"], other["evapotranspiration"])
        return ({name: end[name] for name in deep}, {name: other[name] for name in flat}), took

    start = jax.tree.map(jnp.float32, (state, flat))
    deep, flat = jax.lax.scan(step, start, None, length=days)[1]
    demand = water.potential_evaporation(tair=20.0, par=9.0, evaporation_scalar=TYPICAL["evaporation_scalar"])
    assert (deep[-1] >= meets * demand) == (days == 60) and (deep >= flat - 1e-5).all()


def test_sensors_see_the_root_zone_alone_and_factors_all_water():
    soil = observe.soil_water(wilting=Fixed(0.1), field=Fixed(0.3), of=deep_water.volumetric)
    seen = call(deep_water.DEEP_BUCKET.read, TYPICAL | {"soil_water": 75.0, "deep_water": 0.0})
    assert seen["rew"] == pytest.approx(75.0 / 450.0) and seen["rew_root_zone"] == pytest.approx(0.5)
    assert float(soil.expected(seen)) == pytest.approx(0.2)
    model = HybridFlux(gpp=(light.absorbed, stress.water_ramp_to_floor), reco=(respiration.basal,), memory=(deep_water.DEEP_BUCKET,),
                       sources=MEASURED_WATER, observed=(soil,))  # fmt: skip
    assert to_spec(from_spec(to_spec(model))) == to_spec(model)
