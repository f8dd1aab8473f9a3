"""What a process keeps between the tiles of a run: the model and the weather on the devices, what is fixed for the kernel."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.causes import SOIL_WATER, USUAL
from hybridflux.model.effect_correlation import ECOSYSTEM
from hybridflux.model.flux import HybridFlux
from hybridflux.model.held_water import with_soil_water
from hybridflux.model.learned import learned, physics_effects, with_learned
from hybridflux.process.call import SPIN_UP_DAYS
from hybridflux.region.draws import random_effects, tower_effects
from hybridflux.region.draws.followed_leaves import change_of, deficit_changes, leaf_departures
from hybridflux.region.draws.irrigation_error import declared_water, factors, water_of
from hybridflux.region.draws.vegetation_error import VegetationError, VegetationErrorDraws, draw_vegetation_error, sd_of
from hybridflux.region.drivers.driver_change import Change
from hybridflux.region.drivers.map_periods import mapped_days
from hybridflux.region.drivers.open import Region
from hybridflux.region.drivers.read import TileDrivers
from hybridflux.region.kernels import contract
from hybridflux.region.kernels.networks import Members, members_of
from hybridflux.region.kernels.pixel_blocks import Slab, slabs
from hybridflux.region.spec import Job
from hybridflux.vocabulary import PLANT_TYPES, split_history

SLABS = {"cpu": (24 << 20, 32), "gpu": (400 << 20, 256)}
"""Bytes that a slab gives back, and its blocks, at most: small enough to stay in the cache of the
allocator of a CPU, enough to fill a GPU (an H200 has 132 processors)."""
ALIGNMENT = 64  # bytes
STEP_SIZE = 1 << 14  # draws times pixels in a day step: states and parameters then stay in the second-level cache
_LATEST: dict[str, KernelInputs] = {}
_PREPARING = threading.Lock()  # two tiles begin a run side by side


@dataclass(frozen=True)
class KernelInputs:
    """Ready to run tiles of a job.

    Attributes:
        model: with a draw axis and the effects of no place yet.
        shared: weather, calendar and weights of the effects, on the devices.
        static: what is fixed for the kernel.
        blocks: in a slab.
        names: the model needs of a tile.
        window: days of the region that are read.
        frequency: of the waves `[wave, (x, y)]`; None where the spread has no effects.
        towers: on the map, those that the effects pass through `[tower, (x, y)]`, m.
    """

    model: HybridFlux
    shared: contract.SharedInputs
    static: contract.Static
    blocks: int
    names: tuple[str, ...]
    window: slice
    frequency: np.ndarray | None
    towers: np.ndarray

    def slabs(self, job: Job, drivers: TileDrivers, *, by_row: bool = False) -> Iterator[tuple[Slab, contract.Pixels]]:
        """Slabs of a tile with their drivers; `by_row` as in `pixel_blocks.slabs`."""
        width, mean_area = drivers.tile.shape[1], job.region.grid.pixel**2
        for slab in slabs(drivers, n=self.static.n, blocks=self.blocks, by_cell=job.by_cell, by_row=by_row):
            place = drivers.pixel[slab.pixel]
            pixels = contract.Pixels(
                daily={name: _by_block(values, place) for name, values in drivers.daily.items()},
                cell=drivers.cell[slab.pixel[:, :1] if job.by_cell else slab.pixel].astype(np.int32),
                plant_type=drivers.plant_type[slab.pixel[:, :1]],
                static={name: values[slab.pixel].astype(np.float32) for name, values in drivers.static.items()},
                row=place // width,
                column=place % width,
                weight=np.where(slab.real, drivers.area[slab.pixel] / mean_area, 0.0).astype(np.float32),
                active=slab.active,
            )
            yield slab, contract.shared_out(pixels)

    def waves(self, job: Job, drivers: TileDrivers) -> contract.Waves | None:
        """Phases and distances of the effects over a tile, padded to the size of a whole tile."""
        if self.frequency is None:
            return None
        grid, tile = job.region.grid, drivers.tile
        found, away = [], []
        for axis, at in ((1, grid.y[tile.y]), (0, grid.x[tile.x])):
            phases = random_effects.phases(at, self.frequency[:, axis])
            found.append(np.pad(phases, ((0, grid.tile - len(at)), (0, 0), (0, 0))))
            away.append(np.pad(at[:, None] - self.towers[None, :, axis], ((0, grid.tile - len(at)), (0, 0))).astype(np.float32))
        lengths = np.array([job.spec.draws.correlation.length, ECOSYSTEM], np.float32)
        return contract.Waves(*contract.on_all_devices([*found, *away, lengths]))


def _by_block(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """`[time, place in the tile]` as `[block, time, n]`, aligned so that JAX takes the memory over without a copy."""
    shape = (len(place), len(values), place.shape[1])
    room = np.empty(int(np.prod(shape)) * values.itemsize + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    out = room[start : start + int(np.prod(shape)) * values.itemsize].view(values.dtype).reshape(shape)
    for block, columns in zip(out, place, strict=True):
        np.take(values, columns, axis=1, out=block, mode="clip")  # `clip` writes into `out` without a buffer
    return out


def prepare(job: Job) -> KernelInputs:
    """The latest job of this process, or a new one."""
    with _PREPARING:
        if job.hash not in _LATEST:
            _LATEST.clear()
            _LATEST[job.hash] = _prepare(job)
        return _LATEST[job.hash]


def block_size(draws: int, tile: int) -> int:
    """Pixels in a block: a power of two, so that draws times pixels is `STEP_SIZE` to twice that, and a tile has some blocks.

    Args:
        draws: of the run.
        tile: pixels along the side of a tile.

    >>> block_size(1, 128), block_size(64, 128), block_size(100, 128), block_size(1, 64)
    (4096, 256, 256, 1024)
    """
    most = min(4096, max(1 << (tile * tile // 4).bit_length() - 1, 64))
    return int(np.clip(1 << (-(-STEP_SIZE // draws) - 1).bit_length(), 64, most))


def _prepare(job: Job) -> KernelInputs:
    region, calendar, model = job.region, job.calendar, walked_model(job.posterior.model, job.region.changes)
    names = model.needs()
    coarse = tuple(dict.fromkeys((*(name for name in names if region.is_coarse(name)), "tair")))
    window = region.window(calendar.days[0], calendar.days[-1])
    tables = physics_effects(model)
    years = {"site": None, "site_year": calendar.all_years}
    drawn = job.spread.has_random_effects and bool(tables)
    errors = _vegetation_errors(job, names)
    moved = deficit_changes(region, names, window) | leaf_departures(region, {one for of in job.keep for one in of.reads}, window)
    water = declared_water(region, names, window)
    slopes = _leaf_slopes(job, [name for name in names if change_of(name) in moved])
    names = (*names, *map(sd_of, errors))
    towers = job.spec.draws.towers or ()
    weights = {name: _weights(job, name, by, years[by]) for name, by in tables.items()} if drawn else {}
    if not drawn:
        rows = {"site": 1, "site_year": len(calendar.all_years)}
        model = with_learned(model, {name: jnp.zeros((job.draws, rows[by], 1)) for name, by in tables.items()})
    static = _static(job, model, tuple(slopes), tuple(name for name in names if water_of(name) in water))
    shared = contract.SharedInputs(
        weather=_weather(region, coarse, window) | moved | water,
        bounds=calendar.bounds,
        spin_up=np.int32(min(SPIN_UP_DAYS, len(calendar.days)) if model.memory else 0),
        warm_up=np.int32(calendar.warm_up if model.memory else 0),
        year=calendar.year_of_day,
        year_of_month=calendar.year_of_day[calendar.bounds[:-1]],
        effects=weights,
        vegetation_errors=errors,
        networks=_networks(model, static, apart=bool(errors or slopes or water)),
        leaf_slopes=slopes,
        irrigation=factors(region, calendar.all_years, job.draws, job.seed) if water else (),
    )
    per_block = static.n * sum(output.cost(calendar, static.draws) for output in static.outputs)
    share = jax.local_device_count()
    enough = -(-min(region.grid.tile**2, int(np.prod(region.grid.shape))) // static.n)
    most_bytes, most_blocks = SLABS.get(jax.default_backend(), SLABS["cpu"])
    blocks = -(-int(np.clip(min(most_bytes // max(per_block, 1), enough), 1, most_blocks)) // share) * share
    return KernelInputs(
        model=contract.on_all_devices(model),
        shared=contract.on_all_devices(shared),
        static=static,
        blocks=blocks,
        names=names,
        window=window,
        frequency=random_effects.frequencies(job.spec.draws.correlation) if drawn else None,
        towers=tower_effects.positions(towers, region.grid),
    )


def walked_model(model: HybridFlux, changes: Sequence[Change]) -> HybridFlux:
    """The model with the soil water of a scenario.

    Raises:
        ValueError: it has none.
    """
    held = next((change for change in changes if change.name == SOIL_WATER), None)
    return model if held is None else with_soil_water(model, held.of_soil_water)


def _weather(region: Region, names: Sequence[str], window: slice) -> dict[str, np.ndarray]:
    """Weather of a run `[time, cell]`, and the usual one beside it where the region has a usual year."""
    usual = region.in_usual_year.weather([name for name in names if region.has_usual(name)], window)
    return region.weather(names, window) | {USUAL + name: values for name, values in usual.items()}


def _vegetation_errors(job: Job, names: Iterable[str]) -> dict[str, VegetationErrorDraws]:
    """Errors of the daily maps among the names that a model needs, and of their running means, where the spread draws them."""
    drawn = {}
    for base in job.uncertain:
        error = VegetationError.of(job.region.group[sd_of(base)].attrs)
        drawn[base] = draw_vegetation_error(base, error, job.calendar.days, job.draws, job.seed)
    read = {name: split_history(name) for name in names}
    return {name: drawn[base].of_history(days) if days else drawn[base] for name, (base, days) in read.items() if base in drawn}


def _leaf_slopes(job: Job, followed: Iterable[str]) -> dict[str, np.ndarray]:
    """Slopes of daily maps and of their running means `[plant_type, draw]`, which have the same; without those that are 0 everywhere."""
    drawn = job.region.leaves.drawn(job.draws, job.seed) if job.region.leaves else {}
    return {name: slope for name in followed if (slope := drawn[split_history(name)[0]]).any()}


def _weights(job: Job, name: str, by: str, years: np.ndarray | None) -> np.ndarray:
    """Weights of the waves of a table of effects, and of the towers that it passes through."""
    draws, grid, table = job.spec.draws, job.region.grid, learned(job.posterior.model)[name]
    weights = random_effects.weights(job.seed, name, job.draws, years, draws.correlation.nugget)
    if not draws.towers:
        return weights
    known = tower_effects.effects_at(job.posterior, table, by, draws.towers, years)
    kind = np.array([PLANT_TYPES.index(tower.plant_type) for tower in draws.towers])
    return tower_effects.conditioned(weights, known, kind, tower_effects.positions(draws.towers, grid), draws.correlation)


def _networks(model: HybridFlux, static: contract.Static, *, apart: bool) -> dict[str, Members]:
    """Networks of the parameters that change from day to day."""
    found = {name: model.sources[name].network() for name in static.daily}
    return {name: members_of(network, apart=apart) for name, network in found.items() if network is not None}


def _static(job: Job, model: HybridFlux, followed: tuple[str, ...], irrigated: tuple[str, ...]) -> contract.Static:
    """Sort the parameters by how often they change."""
    several_years = len(job.calendar.all_years) > 1
    rhythm: dict[str, list[str]] = {"constant": [], "yearly": [], "daily": []}
    for name, source in model.sources.items():
        reads = source.reads()
        if any(job.region.is_coarse(one) or job.region.is_daily(one) for one in reads):
            rhythm["daily"].append(name)
        elif "site_year" in reads and several_years:
            rhythm["yearly"].append(name)
        else:
            rhythm["constant"].append(name)
    usual = tuple(name for name in model.needs() if job.region.has_usual(name))
    return contract.Static(
        draws=job.draws,
        n=block_size(job.draws * (2 if usual else 1), job.region.grid.tile),  # of two runs
        days=len(job.calendar.mapped),
        months_of_years=job.calendar.months_of_years,
        years=tuple(job.calendar.years.tolist()),
        days_of_years=tuple(mapped_days(job.calendar, "annual").tolist()),
        constant=tuple(rhythm["constant"]),
        yearly=tuple(rhythm["yearly"]),
        daily=tuple(rhythm["daily"]),
        outputs=job.keep,
        usual=usual,
        followed=followed,
        irrigated=irrigated,
    )
