"""What every kernel is given and what it gives back, and what they share: the two day loops differ in layout, not in meaning.

`cpu.py` has the days inside XLA, block by block; `gpu/` has them inside one Pallas program, because XLA starts a program a day. Both take
`Static`, `Shared`, `Waves` and `Pixels`, give a `Result`, and call the processes of the model as they stand. That they agree with each
other, and with the whole-series model of `model/rollout.py`, is tested (`test_kernel.py`, `test_accelerator.py`, `test_run.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import with_learned
from hybridflux.region.draws.fapar_error import VegetationDraws
from hybridflux.region.kernels.networks import Members
from hybridflux.region.store import layout

DAILY_SCALE = 0.002  # gC m-2 d-1, days and months: +- 65 fits into 16 bits
LIMIT = 32767.0  # of a packed value
EXACT = "highest"  # precision of products of matrices: a GPU would round their factors to ten bits


@dataclass(frozen=True)
class Static:
    """What is fixed when the kernel is compiled.

    Attributes:
        draws: of the posterior.
        n: pixels in a block.
        days: that are mapped.
        levels: of the quantiles of months and years.
        months_of_years: first month and end of each year.
        constant: parameters that do not change in time.
        yearly: parameters that change from year to year only.
        daily: parameters that change from day to day.
        maps: write daily maps.
        daily_levels: of the quantiles of days; empty for none.
        scale: of daily maps, gC m-2 d-1.
        series: write daily sums per draw.
    """

    draws: int
    n: int
    days: int
    levels: tuple[float, ...]
    months_of_years: tuple[tuple[int, int], ...]
    constant: tuple[str, ...]
    yearly: tuple[str, ...]
    daily: tuple[str, ...]
    maps: bool
    daily_levels: tuple[float, ...]
    scale: float
    series: bool


class Shared(NamedTuple):
    """The same for all slabs of a run.

    Attributes:
        weather: name -> `[time, cell]`.
        bounds: position of the first day of each month, and of the end `[month + 1]`.
        spin_up: days of the spin-up, from the first one.
        warm_up: days before the first mapped one.
        year: position of the year of each day among the years of the effects `[time]`.
        year_of_month: the same for the mapped months `[month]`.
        effects: table -> weights of the waves `[draw, plant_type, year, 2 wave]`; empty for none.
        vegetation: errors of fapar, one set a draw; None where it is taken as it is.
        networks: parameter that changes from day to day -> its networks.
    """

    weather: dict[str, Array]
    bounds: Array
    spin_up: Array
    warm_up: Array
    year: Array
    year_of_month: Array
    effects: dict[str, Array]
    vegetation: VegetationDraws | None = None
    networks: dict[str, Members] = {}


class Waves(NamedTuple):
    """Phases of the plane waves of the effects in a tile.

    Attributes:
        rows: `[row, wave, (cos, sin)]`.
        columns: `[column, wave, (cos, sin)]`.
    """

    rows: Array
    columns: Array


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
        gpp: sums over each month per draw `[block, month, draw, n]`, gC m-2.
        reco: the same.
        monthly: mean, sd and quantiles of these sums, of one flux of `FLUXES` after the other, `[block, month, n]` each, gC m-2.
        annual: the same of the sums over each year, `[block, year, n]` each.
        maps: the same of each day, over `Static.scale`, int16, `[block, day, n]` each, or none.
        series: sums of GPP and of RECO over the weighted pixels of a block, `[block, day, draw]` each, or none.
    """

    gpp: Array
    reco: Array
    monthly: tuple[Array, ...]
    annual: tuple[Array, ...]
    maps: tuple[Array, ...]
    series: tuple[Array, ...]


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


def with_effects(model, shared: Shared, waves: Waves | None, kind, row, column, static: Static) -> HybridFlux:
    """The model with the effects of the pixels of a block, `[draw, year, n]`."""
    if waves is None:
        return model
    up, along = waves.rows[row], waves.columns[column]
    cosine = along[..., 0] * up[..., 0] - along[..., 1] * up[..., 1]
    sine = along[..., 1] * up[..., 0] + along[..., 0] * up[..., 1]
    wave = jnp.concatenate([cosine, sine], -1)
    tables = {name: jnp.einsum("dyf,nf->dyn", weights[:, kind], wave, precision=EXACT) for name, weights in shared.effects.items()}
    return with_learned(model, tables)


def steady_shape(model, state, today, parameters):
    """The first state, broadcast to the shape it will have."""
    names = list(state)
    for _ in range(2):
        moved = jax.eval_shape(model.advance, state, today, parameters)
        state = {name: jnp.broadcast_to(state[name], jnp.broadcast_shapes(state[name].shape, moved[name].shape)) for name in names}
    return {name: value.astype(jnp.float32) for name, value in state.items()}


def unpacked(values: Array) -> Array:
    """Values of a daily driver as numbers."""
    return values.astype(jnp.float32) * jnp.float32(layout.SCALE) if values.dtype == jnp.int16 else values
