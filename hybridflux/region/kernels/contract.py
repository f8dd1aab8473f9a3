"""The contract of the kernels: what each takes, what each gives, and what an output has to do inside.

The day loop is written three times, because three machines want three shapes of the same loop: `cpu.py` walks whole rows of draws and
pixels through XLA, `gpu/` keeps a few pixels in the registers of one program from the first day to the last, and
`model.rollout` keeps whole series for a fit, where gradients are needed. The physics are those of the model in all three.
`tests/region/test_loops.py` holds them against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from hybridflux.model.attribution import AgainstUsual
from hybridflux.model.effect_correlation import matern
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import with_learned
from hybridflux.model.sources import EXACT
from hybridflux.region.draws.vegetation_error import VegetationErrorDraws
from hybridflux.region.kernels.networks import Members
from hybridflux.region.store import layout

LIMIT = 32767.0

Carry = Any
"""What an output carries from day to day: a tree of arrays, none with the axes draw, day and pixel together."""
Kept = Mapping[str, Array]
"""Name -> what an output gives back of a block."""


class Today(NamedTuple):
    """Of a mapped day.

    Attributes:
        row: its position among the mapped days.
        weight: of each pixel in sums over a block, 0 where a pixel only fills it up `[n]`.
    """

    row: Array
    weight: Array


@runtime_checkable
class Accumulator(Protocol):
    """What a kernel asks of an output, all of it traced: `outputs.base.Output` has it with defaults.

    Attributes:
        name: unlike that of any other output of the run.
        reads: quantities of a day it wants, by the names of the model: `gpp`, `rew`, `evapotranspiration`.
        sums: those of them whose sums over each month it wants.
        program: the part of the program for GPUs that does its days: `maps`, mean and sd of NEE, GPP and RECO by the names and steps of
            `scales`, of which those are kept that `made` names; `series`, sums of GPP and RECO over the pixels; empty where it has none.
    """

    name: str
    reads: tuple[str, ...]
    sums: tuple[str, ...]
    program: str

    def begin(self, static: Static) -> Carry:
        """What is carried before the first mapped day."""

    def day(self, carry: Carry, values: Mapping[str, Array], today: Today) -> Carry:
        """Add a day; `values` are float32 `[draw, n]`, one for each of `reads`."""

    def month(self, carry: Carry, sums: Mapping[str, Array]) -> tuple[Carry, Kept]:
        """End a month; `sums` are `[draw, n]`."""

    def end(self, carry: Carry, months: Kept, sums: Mapping[str, Array], static: Static) -> Kept:
        """End the run: `months` is what `month` kept, `sums` are all sums, both with the axis month before the others."""


@dataclass(frozen=True)
class Static:
    """What is fixed when a kernel is compiled.

    Attributes:
        draws: of the posterior.
        n: pixels in a block.
        days: that are mapped.
        months_of_years: first month and end of each year.
        constant: parameters that do not change in time.
        yearly: parameters that change from year to year only.
        daily: parameters that change from day to day.
        outputs: what is kept.
        years: calendar years of `months_of_years`.
        days_of_years: days of each year that are mapped.
        usual: drivers that have a usual value beside the one that was; a model is walked against its usual year where there are some.
        followed: daily maps that move with the rain deficit of changed weather.
        irrigated: rain and running means of it that hold declared water with an error.
    """

    draws: int
    n: int
    days: int
    months_of_years: tuple[tuple[int, int], ...]
    constant: tuple[str, ...]
    yearly: tuple[str, ...]
    daily: tuple[str, ...]
    outputs: tuple[Accumulator, ...]
    years: tuple[int, ...] = ()
    days_of_years: tuple[int, ...] = ()
    usual: tuple[str, ...] = ()
    followed: tuple[str, ...] = ()
    irrigated: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Quantities of a day that some output wants, each once."""
        return tuple(dict.fromkeys(name for output in self.outputs for name in output.reads))

    @property
    def sums(self) -> tuple[str, ...]:
        """Quantities whose sums over each month some output wants, each once; all, if no output wants any.

        A flux that is no number is found in them.
        """
        return tuple(dict.fromkeys(name for output in self.outputs for name in output.sums)) or self.reads


class SharedInputs(NamedTuple):
    """The same for all slabs of a run.

    Attributes:
        weather: name -> `[time, cell]`.
        bounds: position of the first day of each month, and of the end `[month + 1]`.
        spin_up: days of the spin-up, from the first one.
        warm_up: days before the first mapped one.
        year: position of the year of each day among the years of the effects `[time]`.
        year_of_month: the same for the mapped months `[month]`.
        effects: table -> weights of the waves and of the towers `[draw, plant_type, year, 2 wave + 2 tower]`; empty for none.
        vegetation_errors: daily map of vegetation -> its errors, one set a draw; empty where all are taken as they are.
        networks: parameter that changes from day to day -> its networks.
        irrigation: error of declared water, F - 1 `[draw, year, cell]`; empty where none is drawn.
        leaf_slopes: daily map that follows the rain deficit -> its slope `[plant_type, draw]`; the weather has the deficit's change.
    """

    weather: dict[str, Array]
    bounds: Array
    spin_up: Array
    warm_up: Array
    year: Array
    year_of_month: Array
    effects: dict[str, Array]
    vegetation_errors: dict[str, VegetationErrorDraws] = {}
    networks: dict[str, Members] = {}
    leaf_slopes: dict[str, Array] = {}
    irrigation: Array | tuple = ()


class Waves(NamedTuple):
    """What the effects in a tile are made of: phases of plane waves, and how far the towers are.

    Attributes:
        rows: `[row, wave, (cos, sin)]`.
        columns: `[column, wave, (cos, sin)]`.
        north: distance to the towers along y `[row, tower]`, m.
        east: along x `[column, tower]`, m.
        lengths: of what neighbours share, and of what belongs to an ecosystem alone `[2]`, m.
    """

    rows: Array
    columns: Array
    north: Array
    east: Array
    lengths: Array


class Pixels(NamedTuple):
    """Drivers of a slab.

    Attributes:
        daily: name -> `[block, time, n]`, float32 or scaled int16.
        cell: weather cell `[block, 1]` or `[block, n]`.
        plant_type: `[block, 1]`.
        static: covariates, name -> `[block, n]`.
        row: in the tile `[block, n]`.
        column: in the tile `[block, n]`.
        weight: of a pixel in the daily sums, 0 where it repeats another `[block, n]`.
        active: `[block]`.
    """

    daily: dict[str, Array]
    cell: Array
    plant_type: Array
    static: dict[str, Array]
    row: Array
    column: Array
    weight: Array
    active: Array


class Result(NamedTuple):
    """What a slab gives.

    Attributes:
        kept: name of an output -> what its `end` gave, with the axis block before the others.
        sound: whether every flux of a pixel is a number in every draw `[block, n]`.
    """

    kept: dict[str, dict[str, Array]]
    sound: Array


Kernel = Callable[[HybridFlux, SharedInputs, "Waves | None", Pixels, Static], Result]


def are_numbers(sums: Mapping[str, Array]) -> Array:
    """Whether sums `[month, draw, n]` are numbers in every month and draw `[n]`."""
    return jnp.stack([jnp.isfinite(values.sum((0, 1))) for values in sums.values()]).all(0)


@cache
def devices() -> Mesh:
    """All devices of this process, side by side."""
    return Mesh(np.array(jax.local_devices()), ("device",))


def on_all_devices(tree):
    """Put arrays on every device, whole."""
    return jax.device_put(tree, NamedSharding(devices(), PartitionSpec()))


def shared_out(pixels: Pixels) -> Pixels:
    """Put each device's blocks on it."""
    return jax.device_put(pixels, NamedSharding(devices(), PartitionSpec("device")))


def with_effects(model: HybridFlux, shared: SharedInputs, waves: Waves | None, kind, row, column) -> HybridFlux:
    """The model with the effects of the pixels of a block, `[draw, year, n]`."""
    if waves is None:
        return model
    up, along = waves.rows[row], waves.columns[column]
    cosine = along[..., 0] * up[..., 0] - along[..., 1] * up[..., 1]
    sine = along[..., 1] * up[..., 0] + along[..., 0] * up[..., 1]
    distance = jnp.hypot(waves.north[row], waves.east[column])[..., None, :] / waves.lengths[:, None]
    towers = matern(distance).reshape(*distance.shape[:-2], -1)
    wave = jnp.concatenate([cosine, sine, towers], -1)
    tables = {name: jnp.einsum("dyf,nf->dyn", weights[:, kind], wave, precision=EXACT) for name, weights in shared.effects.items()}
    return with_learned(model, tables)


def steady_shape(model: HybridFlux | AgainstUsual, state, today, parameters):
    """The first state, broadcast to the shape it will have."""
    names = list(state)
    for _ in range(2):
        moved = jax.eval_shape(model.warm_up, state, today, parameters)
        state = {name: jnp.broadcast_to(state[name], jnp.broadcast_shapes(state[name].shape, moved[name].shape)) for name in names}
    return {name: value.astype(jnp.float32) for name, value in state.items()}


def walk(
    model: HybridFlux | AgainstUsual, reads: tuple[str, ...], shape: tuple[int, ...], state: dict, today: dict, parameters: dict, fence=dict
):
    """A day in the one order of all loops: the state that the fluxes see, the fluxes, the state at the end of the day.

    Args:
        model: what is walked.
        reads: quantities that outputs want of the day.
        shape: of draws and pixels in a loop.
        state: at the end of the day before.
        today: drivers and covariates.
        parameters: of the day.
        fence: keeps a compiler from computing the quantities again for all that is made of them.

    Returns:
        The state, and the quantities, float32 of that shape.
    """
    state, diagnostics = model.advance(state, today, parameters)
    today = today | diagnostics
    fluxes = model.exchange(state, today, parameters)
    known = fluxes if {*reads} <= {*fluxes} else {**model.seen(state, today, parameters), **fluxes}
    wanted = (*reads, *(name for name in ("gpp", "reco") if model.settles and name not in reads))
    asked = {name: jnp.asarray(known[name], jnp.float32) for name in wanted}
    asked |= fence({name: value for name, value in asked.items() if value.ndim})  # a zero, of a cause that never acts, stays in sight
    values = {name: jnp.broadcast_to(asked[name], shape) for name in wanted}
    if model.settles:
        fluxes = {"gpp": values["gpp"], "reco": values["reco"], "nee": values["reco"] - values["gpp"]}
        state = model.settle(state, fluxes, today, parameters)
    return state, values


def unpacked(values: Array) -> Array:
    """Numbers of drivers, which may be scaled integers."""
    return values.astype(jnp.float32) * jnp.float32(layout.SCALE) if values.dtype == jnp.int16 else values


def packed(values: Array, scale: float) -> Array:
    """Scaled integers, int16; halves go to the even neighbour."""
    return jnp.clip(jnp.round(values / scale), -LIMIT, LIMIT).astype(jnp.int16)
