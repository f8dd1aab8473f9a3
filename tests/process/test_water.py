"""The bucket: closed, bounded, and behaving through seasons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.process import water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, VARIABLES

SOIL = dict(
    root_zone_capacity=100.0, evaporation_scalar=0.65, bare_evaporation=0.25, rew_evaporation=0.4, drainage_rate=0.02, snow_melt=3.0
)
SUMMER = dict(tair=20.0, par=9.0, fapar=1.0)


def anywhere(dtype, count=50_000):
    random = np.random.default_rng(1)
    rows = {**{name: VARIABLES[name].bounds for name in VARIABLES}, **{name: (row.lower, row.upper) for name, row in PARAMETERS.items()}}
    rows |= {"tair": (-5.0, 5.0), "snow": (0.0, 50.0), "rain": (0.0, 50.0), "soil_water": (0.0, 600.0)}
    return {name: jnp.asarray(random.uniform(*rows[name], count), dtype) for name in arguments(water.bucket)}


def imbalance(names, end):
    stored = end["soil_water"] - names["soil_water"] + end["snow"] - names["snow"]
    return np.abs(stored - (names["rain"] - end["evapotranspiration"] - end["drainage"])).max()


def test_water_balance_closes():
    with jax.enable_x64(True):
        names = anywhere(jnp.float64)
        assert imbalance(names, water.bucket(**names)) < 1e-12
    names = anywhere(jnp.float32)
    assert imbalance(names, water.bucket(**names)) < 8 * np.finfo(np.float32).eps * 700


def test_states_stay_within_their_limits():
    names = anywhere(jnp.float32)
    end = water.bucket(**names)
    assert all(value.min() >= 0 for value in end.values())
    assert (end["soil_water"] <= names["root_zone_capacity"]).all()


@pytest.mark.parametrize("tair, snow", [(-5.0, 10.0), (-1.0, 10.0), (0.0, 5.0), (0.5, 2.5), (1.0, 0.0)])
def test_rain_turns_to_snow_around_freezing(tair, snow):
    end = water.bucket(soil_water=50.0, snow=0.0, tair=tair, par=0.0, rain=10.0, fapar=0.5, **SOIL)
    assert float(end["snow"]) == pytest.approx(snow)


def test_snow_melts_by_degree_days():
    end = water.bucket(soil_water=50.0, snow=20.0, tair=2.0, par=0.0, rain=0.0, fapar=0.5, **{**SOIL, "drainage_rate": 0.0})
    assert (float(end["snow"]), float(end["soil_water"])) == pytest.approx((14.0, 56.0))


def test_wet_and_green_evaporates_at_the_potential_rate():
    end = water.bucket(soil_water=80.0, snow=0.0, rain=0.0, **SUMMER, **SOIL)
    potential = water.potential_evaporation(tair=20.0, par=9.0, evaporation_scalar=0.65)
    assert float(end["evapotranspiration"]) == pytest.approx(float(potential), rel=1e-6)


def test_dry_soil_evaporates_nothing():
    end = water.bucket(soil_water=0.0, snow=0.0, rain=0.0, **SUMMER, **SOIL)
    assert float(end["evapotranspiration"]) == 0.0


def run(days, soil_water=80.0):
    """Scan over days: dict of `[time]` drivers -> dict of `[time]` outputs of the bucket."""

    def day(state, today):
        end = water.bucket(**state, **today, **SOIL)
        return {name: end[name] for name in state}, end

    return jax.lax.scan(day, {"soil_water": jnp.asarray(soil_water), "snow": jnp.asarray(0.0)}, days)[1]


def test_drought_dries_the_soil_out_slowly():
    days = {name: jnp.full(120, value) for name, value in {**SUMMER, "rain": 0.0}.items()}
    soil_water = np.asarray(run(days)["soil_water"])
    assert (np.diff(soil_water) < 0).all() and 0 < soil_water[-1] < 5
    np.testing.assert_allclose(-np.diff(soil_water[:10]), 3.62 + SOIL["drainage_rate"] * np.maximum(soil_water[:9] - 53.62, 0), atol=0.02)


def test_year_forgets_where_it_started():
    """Three years of a temperate climate: winters refill the soil, so that the start does not matter after the first."""
    season = np.cos(2 * np.pi * (np.arange(3 * 365) - 200) / 365)
    days = {"tair": 10 + 9 * season, "par": 5.0 + 4 * season, "fapar": 0.5 + 0.3 * season, "rain": np.full(3 * 365, 2.2)}
    days = {name: jnp.asarray(value, jnp.float32) for name, value in days.items()}
    full, empty = run(days, 100.0), run(days, 0.0)
    np.testing.assert_allclose(full["soil_water"][365:], empty["soil_water"][365:], atol=0.1)
    year = slice(-365, None)
    assert 350 < float(full["evapotranspiration"][year].sum()) < 700, "mm a year of a temperate lowland"
    assert float(full["soil_water"][year].min()) < 60 < float(full["soil_water"][year].max())
