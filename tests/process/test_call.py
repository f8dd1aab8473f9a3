"""Calling by name, and the three memories through it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.process import call, product, stress, water
from hybridflux.process.call import Memory, arguments

DAY = dict(tair=jnp.array([5.0, 15.0]), par=8.0, rain=2.0, fapar=0.6, swc=0.2)
SOIL = dict(
    root_zone_capacity=100.0, evaporation_scalar=0.65, bare_evaporation=0.25, rew_evaporation=0.4, drainage_rate=0.02, snow_melt=3.0
)
LEAF = dict(temp_memory=0.75, swc_wilting=0.1, swc_field=0.3)


def test_arguments_are_remembered():
    assert arguments(stress.vpd_ramp) is arguments(stress.vpd_ramp)
    assert arguments(stress.vpd_ramp) == ("vpd", "vpd_open", "vpd_closed")


def test_missing_name_is_explained():
    with pytest.raises(ValueError, match="`water_ramp` needs `rew_critical`.*Did you mean `rew_critcal`?"):
        call(stress.water_ramp, dict(rew=0.5, rew_wilting=0.1, rew_critcal=0.4))


def test_missing_name_without_a_near_one():
    with pytest.raises(ValueError, match="`basal` needs `x`, which is not given.$"):
        call(_needs_x, {})


def _needs_x(*, x):
    return x


_needs_x.__name__ = "basal"


def test_product_multiplies_in_order():
    fns = (stress.vpd_exponential, stress.water_ramp)
    names = dict(vpd=10.0, vpd_sensitivity=0.05, rew=0.2, rew_wilting=0.0, rew_critical=0.4)
    assert float(product(fns, names)) == pytest.approx(0.5 * np.exp(-0.5))


@pytest.mark.parametrize("memory", [stress.ACCLIMATION, water.BUCKET, water.OBSERVED], ids=["acclimation", "bucket", "observed"])
def test_memory_runs_through_call(memory: Memory):
    names = {**DAY, **SOIL, **LEAF}
    state = call(memory.start, names)
    assert all(value.shape == (2,) and bool(jnp.isfinite(value).all()) for value in state.values())
    moved = call(memory.step, {**names, **state})
    assert set(state) <= set(moved)
    assert not set(call(memory.read, {**names, **state})) & set(state)


def test_memory_is_hashable():
    assert len({stress.ACCLIMATION, water.BUCKET, water.OBSERVED}) == 3


def test_acclimation_approaches_a_new_temperature_geometrically():
    state = call(stress.ACCLIMATION.start, {"tair": 0.0})
    for _ in range(3):
        state = call(stress.ACCLIMATION.step, {"tair": 16.0, "temp_memory": 0.5, **state})
    assert float(state["tair_lagged"]) == 16.0 * (1 - 0.5**3)


def test_bucket_starts_filled_and_gives_rew():
    state = call(water.BUCKET.start, {**DAY, **SOIL})
    np.testing.assert_allclose(call(water.BUCKET.read, {**SOIL, **state})["rew"], 0.8, rtol=1e-6)


def test_bucket_scans():
    names = {name: jnp.asarray(value) for name, value in {**DAY, **SOIL}.items()}
    state = call(water.BUCKET.start, names)

    def day(state, _):
        end = call(water.BUCKET.step, {**names, **state})
        return {name: end[name] for name in state}, end["evapotranspiration"]

    _, evapotranspiration = jax.lax.scan(day, state, length=30)
    assert evapotranspiration.shape == (30, 2)


def test_observed_soil_water_has_no_state():
    assert call(water.OBSERVED.start, DAY) == {}
    assert float(call(water.OBSERVED.read, {**DAY, **LEAF})["rew"]) == pytest.approx(0.5, rel=1e-6)
