"""What must hold everywhere: ranges, monotone responses, darkness, dtypes. Grids reach to the bounds of the vocabulary."""

from inspect import getmembers, isfunction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.process import call, deep_water, direct, light, product, respiration, stress, water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, VARIABLES

FUNCTIONS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": fn
    for module in (light, stress, respiration, water, deep_water, direct)
    for name, fn in getmembers(module, isfunction)
    if fn.__module__ == module.__name__ and not name.startswith("_")
}
each_function = pytest.mark.parametrize("fn", FUNCTIONS.values(), ids=FUNCTIONS)


def bounds(name):
    return (PARAMETERS[name].lower, PARAMETERS[name].upper) if name in PARAMETERS else VARIABLES[name].bounds


def anywhere(fn, count=20_000, seed=0):
    """Random names within their bounds, a third of each at one of the ends."""
    random = np.random.default_rng(seed)
    names = {}
    for name in arguments(fn):
        lower, upper = bounds(name)
        inside, end = random.uniform(lower, upper, count), random.choice([lower, upper], count)
        names[name] = np.where(random.random(count) < 1 / 3, end, inside).astype(np.float32)
    return names


RANGES = {
    light.saturation: (0.0, 1.0),
    light.cloudiness: (1.0, 1.0 + PARAMETERS["cloud_gain"].upper),
    stress.co2_fertilisation: (0.0, 2.0),
    respiration.moisture_ramp: (0.0, 1.0),
    water.observed: (0.0, 1.0),
    water.potential_evaporation: (0.0, 30.0),
}


@pytest.mark.parametrize(
    "fn", {**RANGES, **{fn: (0.0, 1.0) for name, fn in FUNCTIONS.items() if name.startswith("stress.")}}, ids=lambda fn: fn.__name__
)
def test_range(fn):
    lower, upper = RANGES.get(fn, (0.0, 1.0))
    value = np.asarray(call(fn, anywhere(fn)))
    assert lower <= value.min() and value.max() <= upper


@each_function
def test_finite_and_not_negative(fn):
    for value in jax.tree.leaves(call(fn, anywhere(fn))):
        assert np.isfinite(value).all() and value.min() >= 0


MONOTONE = [
    (light.absorbed, "par", +1), (light.absorbed, "fapar", +1), (light.saturation, "par", -1), (light.saturation, "fapar", -1),
    (light.cloudiness, "par", -1), (light.cloudiness, "par_potential", +1),
    (stress.low_temperature, "tmin", +1), (stress.vpd_ramp, "vpd", -1), (stress.vpd_exponential, "vpd", -1),
    (stress.water_ramp, "rew", +1), (stress.water_sigmoid, "rew", +1), (stress.water_stocker, "rew", +1),
    (stress.water_stocker, "rew_critical", -1), (stress.water_ramp_to_floor, "rew", +1), (stress.water_ramp_to_floor, "rew_critical", -1),
    (stress.co2_fertilisation, "co2", +1),
    (respiration.lin_gpp, "gpp", +1), (respiration.lloyd_taylor, "tair", +1), (respiration.q10_response, "tair", +1),
    (respiration.moisture_ramp, "rew", +1),
    (water.potential_evaporation, "tair", +1), (water.potential_evaporation, "par", +1), (water.relative, "soil_water", +1),
    (water.observed, "swc", +1), (deep_water.relative, "deep_water", +1),
]  # fmt: skip


@pytest.mark.parametrize("fn, name, sign", MONOTONE, ids=lambda value: getattr(value, "__name__", value))
def test_monotone(fn, name, sign):
    names = {key: value[:, None] for key, value in anywhere(fn, count=200).items()}
    names[name] = np.linspace(*bounds(name), 400, dtype=np.float32)[None, :]
    value = np.asarray(call(fn, names))
    assert (sign * np.diff(value, axis=1) >= -2e-6 * np.abs(value[:, 1:])).all()
    assert (sign * (value[:, -1] - value[:, 0])).max() > 0


@each_function
def test_strict_dtypes_and_broadcasting(fn):
    """float32 in, float32 out; `[draw, 1]` parameters against `[1, place]` drivers."""
    asked = arguments(fn)
    names = {name: jnp.full((2, 1) if name in PARAMETERS else (1, 3), np.mean(bounds(name)), jnp.float32) for name in asked}
    shape = np.broadcast_shapes(*(value.shape for value in names.values()))
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        outputs = call(fn, names)
    shapes = {value.shape for value in jax.tree.leaves(outputs)}
    assert all(value.dtype == jnp.float32 for value in jax.tree.leaves(outputs))
    assert np.broadcast_shapes(*shapes) == shape


def test_no_productivity_in_the_dark():
    factors = (light.absorbed, light.saturation, light.cloudiness, stress.low_temperature, stress.vpd_exponential, stress.water_ramp)
    names = {name: value for fn in factors for name, value in anywhere(fn).items()}
    assert (product(factors, {**names, "par": jnp.zeros_like(names["par"])}) == 0).all()


@pytest.mark.parametrize("response", [respiration.lloyd_taylor, respiration.q10_response])
def test_respiration_is_positive(response):
    factors = (respiration.lin_gpp, response)
    names = {name: value for fn in factors for name, value in anywhere(fn).items()}
    assert (product(factors, {**names, "tair": np.maximum(names["tair"], -30.0)}) > 0).all()


def test_respiration_stops_at_t0():
    tair = jnp.array([-60.0, respiration.STANDSTILL, respiration.STANDSTILL + 1e-6])
    assert (respiration.lloyd_taylor(tair=tair, activation_temp=30.0) == 0).all()


def test_polar_night_is_not_cloudy():
    assert float(light.cloudiness(par=0.0, par_potential=0.0, cloud_gain=2.0)) == 1.0


@pytest.mark.parametrize("rew, expected", [(0.29, 0.0), (0.31, 1.0)])
def test_water_ramp_with_crossed_ends_is_a_step(rew, expected):
    assert float(stress.water_ramp(rew=rew, rew_wilting=0.3, rew_critical=0.1)) == pytest.approx(expected, abs=1e-5)
