"""The scan over days: values and slopes of the plain loop for every memory there is, with less in the loop and no way back."""

from inspect import getmembers

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxprs_in_params

from hybridflux.model.scan_of_days import MOST_FORWARD, scan_of_days, slopes_forward
from hybridflux.process import Memory, deep_water, stress, water
from hybridflux.process.call import arguments, call
from hybridflux.vocabulary import PARAMETERS, VARIABLES

MEMORIES = {
    name: memory
    for module in (water, deep_water, stress)
    for name, memory in getmembers(module, lambda member: isinstance(member, Memory))
    if arguments(memory.step)
}
DAYS, PLACES = 200, 3
each_memory = pytest.mark.parametrize("memory", MEMORIES.values(), ids=MEMORIES)


def asked(memory):
    """Parameters and drivers of a memory, without its states."""
    names = dict.fromkeys((*arguments(memory.start), *arguments(memory.step)))
    parameters = [name for name in names if name in PARAMETERS]
    return parameters, [name for name in names if name in VARIABLES and VARIABLES[name].kind != "state"]


@pytest.fixture
def data():
    """A function that makes parameters `[place]` and drivers `[day, place]` of a memory, weather of all seasons."""

    def of(memory):
        rng, (parameters, drivers) = np.random.default_rng(3), asked(memory)
        rows = {name: PARAMETERS[name] for name in parameters}
        static = {name: row.lower + (row.upper - row.lower) * rng.uniform(0.05, 0.5, PLACES) for name, row in rows.items()}
        season = np.sin(2 * np.pi * np.arange(DAYS) / 200)[:, None] + 0.2 * rng.normal(size=(DAYS, PLACES))
        weather = {"tair": 7 + 10 * season, "par": np.maximum(6 + 5 * season, 0.2), "rain": rng.exponential(2.0, season.shape)}
        seen = {"fapar": np.clip(0.5 + 0.3 * season, 0, 1), "nirv": np.clip(0.2 + 0.15 * season, 0, 1)}
        return static, {name: values for name, values in (weather | seen).items() if name in drivers}

    return of


def walk_of(memory, scan):
    """States of all days from parameters and drivers, by `scan(step, state, daily, static)`."""

    def step(state, today, static):
        moved = call(memory.step, {**today, **static, **state})
        state = {name: moved[name] for name in state}
        return state, state

    def walk(static, daily):
        first = call(memory.start, {**static, **{name: values[0] for name, values in daily.items()}})
        shape = next(iter(daily.values())).shape[1:]
        return scan(step, {name: jnp.broadcast_to(value, shape) for name, value in first.items()}, daily, static)[1]

    return walk


def plain(step, state, daily, static):
    return lax.scan(lambda one, today: step(one, today, static), state, daily)


def weighted_sum(walk, static, daily):
    """A sum over the states of all days in which each has a weight of its own."""
    states = walk(static, daily)
    return sum(jnp.sum(jnp.cos(jnp.arange(values.size).reshape(values.shape)) * values) for values in states.values())


def primitives(jaxpr):
    """All equations, those inside of others too."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jaxprs_in_params(equation.params):
            yield from primitives(inner)


@each_memory
def test_values_and_slopes_are_those_of_the_plain_loop(memory, data):
    with jax.enable_x64(True):
        static, daily = data(memory)

        @jax.jit
        def of(walk):
            of_one = lambda value, name: weighted_sum(walk, {**static, name: value}, daily)  # noqa: E731
            alone = {name: jax.grad(of_one)(static[name], name) for name in static}
            return walk(static, daily), alone, jax.grad(weighted_sum, argnums=(1, 2))(walk, static, daily)

        walks = slopes_forward(walk_of(memory, scan_of_days)), walk_of(memory, plain)
        found, expected = (of(jax.tree_util.Partial(walk)) for walk in walks)
        jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9), found, expected)


@each_memory
def test_slopes_forward_and_of_many_at_once_are_the_same(memory, data):
    with jax.enable_x64(True):
        static, daily = data(memory)
        name = next(iter(static))
        one = lambda value: weighted_sum(slopes_forward(walk_of(memory, scan_of_days)), {**static, name: value}, daily)  # noqa: E731
        slope = jax.jit(jax.grad(one))
        expected = slope(static[name])
        np.testing.assert_allclose(jax.jit(lambda at: jax.jvp(one, (at,), (np.ones(PLACES),))[1])(static[name]), expected.sum(), rtol=1e-9)
        many = np.stack([static[name], 1.1 * static[name]])
        np.testing.assert_allclose(jax.jit(jax.vmap(jax.grad(one)))(many), [slope(value) for value in many], rtol=1e-9)
        shared = jax.jit(jax.grad(lambda value: one(jnp.full(PLACES, value))))(static[name][0])
        np.testing.assert_allclose(shared, slope(np.full(PLACES, static[name][0])).sum(), rtol=1e-9)


def test_what_no_state_enters_is_outside_of_the_loop(data):
    static, daily = data(water.BUCKET)
    jaxpr = jax.make_jaxpr(walk_of(water.BUCKET, scan_of_days))(static, daily).jaxpr
    (loop,) = [one for one in primitives(jaxpr) if one.primitive.name == "scan"]
    inside = {one.primitive.name for one in primitives(loop.params["jaxpr"].jaxpr)}
    assert "exp" in {one.primitive.name for one in primitives(jaxpr)} and "exp" not in inside and "min" in inside


def test_a_few_slopes_need_no_way_back(data):
    static, daily = data(water.BUCKET)
    walk = slopes_forward(walk_of(water.BUCKET, scan_of_days))

    def ways_back(names):
        slope = jax.grad(lambda some: weighted_sum(walk, {**static, **some}, daily))
        jaxpr = jax.make_jaxpr(slope)({name: static[name] for name in names}).jaxpr
        return sum(one.params["reverse"] for one in primitives(jaxpr) if one.primitive.name == "scan")

    assert ways_back(list(static)[:MOST_FORWARD]) == 0
    assert ways_back(list(static)[: MOST_FORWARD + 1]) == 1
