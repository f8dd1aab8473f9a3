"""Derivatives of the physics: right inside, finite at every corner, and none that is always zero. By discovery."""

from inspect import getmembers, isfunction
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from hybridflux.process import Memory, deep_water, light, respiration, stress, water
from hybridflux.process.call import arguments
from hybridflux.vocabulary import PARAMETERS, VARIABLES

MODULES = (light, stress, respiration, water, deep_water)
FUNCTIONS = {
    **{
        f"{module.__name__.rpartition('.')[2]}.{name}": fn
        for module in MODULES
        for name, fn in getmembers(module, isfunction)
        if fn.__module__ == module.__name__ and not name.startswith("_")
    },
    **{f"{name}.step": memory.step for module in MODULES for name, memory in getmembers(module, lambda member: isinstance(member, Memory))},
}
each_function = pytest.mark.parametrize(
    "fn", [fn for fn in FUNCTIONS.values() if arguments(fn)], ids=[n for n, fn in FUNCTIONS.items() if arguments(fn)]
)

CORNERS = {
    "tair": (-1.0, 0.0, 1.0, 15.0, respiration.STANDSTILL, respiration.STANDSTILL + respiration.NEAREST),
    "rew": (0.05, 0.3, 0.4, 0.95),
    "par_potential": (light.DARK, 5.0),
    "soil_water": (8.0, 60.0, 150.0),
    "deep_water": (120.0,),
    "vpd": (6.5, 35.0),
    "tmin": (-8.0, 9.0),
    "swc": (0.1, 0.12, 0.3, 0.35),
}
"""Values at which something switches, beside the bounds, the centre and zero."""
LARGEST_GRID = 60_000


def weighed(fn, asked):
    """One number per element that feels every output, for functions that return one array or several."""

    def scalar(*values):
        outputs = jax.tree.leaves(fn(**dict(zip(asked, values, strict=True))))
        return sum(jnp.sum(output) * weight for weight, output in enumerate(outputs, 1))

    return scalar


def inside(name, random, count):
    """Values away from the bounds: the middle of a parameter's range, the usual range of a variable."""
    if name in PARAMETERS:
        row = PARAMETERS[name]
        return row.lower + (row.upper - row.lower) * random.uniform(0.1, 0.9, count)
    row = VARIABLES[name]
    lower, upper = row.bounds
    if row.scale != 1.0:
        lower, upper = max(lower, row.centre - 2 * row.scale), min(upper, row.centre + 2 * row.scale)
    if name in ("soil_water", "deep_water", "snow"):
        upper = 20.0 if name == "snow" else 0.3 * upper
    return random.uniform(lower, upper, count)


def corners(name):
    if name in PARAMETERS:
        row = PARAMETERS[name]
        return (row.lower, row.typical, row.upper)
    row = VARIABLES[name]
    return tuple(dict.fromkeys((*row.bounds, row.centre, *((0.0,) if row.bounds[0] <= 0 else ()), *CORNERS.get(name, ()))))


@each_function
def test_gradients_inside(fn):
    with jax.enable_x64(True):
        random = np.random.default_rng(0)
        values = [jnp.asarray(inside(name, random, 40)) for name in arguments(fn)]
        check_grads(
            lambda *a: fn(**dict(zip(arguments(fn), a, strict=True))), values, order=1, modes=("fwd", "rev"), eps=1e-6, atol=1e-5, rtol=1e-5
        )


@each_function
def test_gradients_are_finite_at_all_corners(fn):
    asked = arguments(fn)
    points = list(product(*map(corners, asked))) if np.prod([len(corners(name)) for name in asked]) < LARGEST_GRID else None
    if points is None:
        random = np.random.default_rng(0)
        points = np.stack([random.choice(corners(name), LARGEST_GRID) for name in asked], axis=1)
    values = [jnp.asarray(column, jnp.float32) for column in np.asarray(points).T]
    slopes = jax.jit(jax.grad(weighed(fn, asked), argnums=tuple(range(len(asked)))))(*values)
    for name, slope in zip(asked, slopes, strict=True):
        broken = np.flatnonzero(~np.isfinite(slope))
        where = {n: float(v[broken[0]]) for n, v in zip(asked, values, strict=True)} if broken.size else None
        assert not broken.size, f"derivative to `{name}` is {slope[broken[0]]} at {where}"


@each_function
def test_every_argument_is_alive(fn):
    asked, random = arguments(fn), np.random.default_rng(1)
    values = [jnp.asarray(inside(name, random, 500), jnp.float32) for name in asked]
    slopes = jax.grad(weighed(fn, asked), argnums=tuple(range(len(asked))))(*values)
    dead = [name for name, slope in zip(asked, slopes, strict=True) if not np.any(slope)]
    assert not dead, f"{dead} never change the output"
