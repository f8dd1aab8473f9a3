"""`fill_tile`: from the clear views of a tile to its daily fapar and indices with their standard deviations, as they are stored.

The result of a pixel does not depend on its neighbours, so neither on the tiles nor on who fills them. A block of pixels goes from the
stored views to the stored days without leaving the cache: season, cleaning, smoothing, calibration line and rounding are one program.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.data.harmonisation import ALL, CalibrationLine
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.smoother_fit import WHOLE
from hybridflux.machine import give_back_memory
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.store import layout
from hybridflux.region.store.create import RegionWriter
from hybridflux.region.store.grid import Tile
from hybridflux.series import SeriesProcess
from hybridflux.series.cleaning import Variances, ViewAxis, clean, variances_of, view_axis
from hybridflux.series.every_day import Between, EachDay, calendar_of, every_day
from hybridflux.series.hyperparameters import season_of
from hybridflux.vocabulary import PLANT_TYPES, VARIABLES

BLOCK, FEW = 1024, 128  # pixels of a block and of a smaller one, so that two programs serve groups of pixels of any size
_COMPUTING = threading.Lock()  # one tile computes on all cores while others read and write


class Line(NamedTuple):
    """A calibration line and the bounds of the stored values, as numbers of a compiled program; see `CalibrationLine`.

    Attributes:
        offset, slope, lowest, highest, residual_sd: of the line.
        bounds: least and largest stored value of the map.
        sd_bounds: those of its standard deviation.
    """

    offset: np.ndarray
    slope: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray
    residual_sd: np.ndarray
    bounds: np.ndarray
    sd_bounds: np.ndarray

    @classmethod
    def of(cls, name: str, line: CalibrationLine | None) -> Line:
        """The line of a daily map; None leaves the index as it is."""
        line = CalibrationLine(0.0, 1.0, lowest=-np.inf, highest=np.inf) if line is None else line
        numbers = line.offset, line.slope, line.lowest, line.highest, line.residual_sd
        return cls(*(np.float32(one) for one in numbers), *(np.float32(VARIABLES[one].bounds) for one in (name, sd_of(name))))


class Tables(NamedTuple):
    """What all pixels of a plant type share: their season at the views, the time steps, the days, variances, and a line for each map."""

    season: np.ndarray
    axis: ViewAxis
    between: Between
    each_day: EachDay
    variances: Variances
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class TileFilled:
    """The report of a tile; its record counts the clear views of each index and the rejected ones among them."""

    tile: str
    record: dict

    def __str__(self) -> str:
        return f"tile {self.tile}"


def fill_tile(job: BuildJob, tile: Tile) -> TileFilled:
    """Fill and write the vegetation of a tile, index by index; its marker comes last. One unit of a build, whatever the executor.

    Args:
        job: the build; its views are read and its hyperparameters learned.
        tile: of the grid of the region.
    """
    writer = RegionWriter(job.out, job.config.region_grid, job.config.period.days)
    kinds, record = job.plant_type(tile).reshape(-1), {}
    for index, processes in job.processes.items():
        stored = job.views.stored(index, tile)
        with _COMPUTING:
            maps, record[index] = _filled(job, index, processes, stored, kinds)
        del stored
        for name in list(maps):
            writer.write_layer(tile, name, maps.pop(name).reshape(-1, *tile.shape))
    job.work.write(f"tiles/{tile.id}", record)
    give_back_memory()
    return TileFilled(tile.id, record)


def _filled(job: BuildJob, index: str, processes: dict[str, SeriesProcess], stored: np.ndarray, kinds: np.ndarray) -> tuple[dict, dict]:
    """Name -> stored daily map `[time, pixel]`, and counts of the views."""
    days, names = len(job.config.period.days), job.maps_of(index)
    maps = {name: np.empty((days, len(kinds)), np.int16) for layer in names for name in (layer, sd_of(layer))}
    counts = {"views": 0, "rejected": 0}

    def fill_block(unit: tuple[Tables, np.ndarray]) -> tuple[int, int]:
        tables, pixels = unit
        block = np.full((len(stored), BLOCK if len(pixels) > FEW else FEW), layout.NODATA, np.int16)
        block[:, : len(pixels)] = stored[:, pixels]
        found, views, rejected = _fill_block(block, tables, days=days)
        for name, values in zip(maps, found, strict=True):
            maps[name][:, pixels] = np.asarray(values)[:, : len(pixels)]
        return int(views), int(rejected)

    with ThreadPoolExecutor(len(jax.local_devices())) as pool:
        for views, rejected in pool.map(fill_block, _units(job, index, names, processes, kinds)):
            counts["views"] += views
            counts["rejected"] += rejected
    return maps, counts


def _units(
    job: BuildJob, index: str, names: tuple[str, ...], processes: dict[str, SeriesProcess], kinds: np.ndarray
) -> Iterator[tuple[Tables, np.ndarray]]:
    """Blocks of pixels that share hyperparameters and lines, with their tables."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for code in np.unique(kinds):
        kind = PLANT_TYPES[code] if code < len(PLANT_TYPES) else ""
        keys = kind if kind in processes else WHOLE, *(kind if kind in job.lines.get(name, {}) else ALL for name in names)
        groups.setdefault(keys, []).append(code)
    when, days = job.views.day, len(job.config.period.days)
    for (of_process, *of_lines), codes in groups.items():
        process, pixels = processes[of_process], np.flatnonzero(np.isin(kinds, codes))
        lines = tuple(Line.of(name, job.lines[name][key] if name in job.lines else None) for name, key in zip(names, of_lines, strict=True))
        season = season_of(process, when).astype(np.float32)
        tables = Tables(season, view_axis(process, when), *calendar_of(process, when, days), variances_of(process), lines)
        yield from ((tables, pixels[first : first + BLOCK]) for first in range(0, len(pixels), BLOCK))


@partial(jax.jit, static_argnames="days")
def _fill_block(stored, tables: Tables, *, days: int):
    """Stored maps of a block, mean and sd of each line in turn `[time, pixel]`, number of clear views and of rejected ones."""
    season, axis, between, each_day, variances, lines = tables
    departures = jnp.where(stored == layout.NODATA, jnp.nan, stored.astype(jnp.float32) * jnp.float32(layout.SCALE)) - season[:, None]
    cleaned = clean(departures, axis, variances)
    factor = cleaned.factor * variances.widening

    def write(out, day, mean, variance):
        mean, sd = mean + each_day.season[day], jnp.sqrt(variance * factor) * each_day.season_factor[day]
        found = (one for line in lines for one in _as_stored(line, mean, sd))
        return tuple(jax.lax.dynamic_update_index_in_dim(array, one, day, 0) for array, one in zip(out, found, strict=True))

    empty = jnp.zeros((days, stored.shape[1]), jnp.int16)
    maps = every_day(cleaned, between, each_day, variances, write, (empty,) * (2 * len(lines)))
    clear = stored != layout.NODATA
    return maps, clear.sum(), (clear & jnp.isnan(cleaned.views)).sum()


def _as_stored(line: Line, mean, sd):
    """The calibration line (`CalibrationLine.applied`) and rounding to steps of `layout.SCALE`, int16."""
    mean = jnp.clip(line.offset + line.slope * mean, line.lowest, line.highest)
    sd = jnp.sqrt((line.slope * sd) ** 2 + line.residual_sd**2)
    return (
        jnp.rint(jnp.clip(one, bounds[0], bounds[1]) / jnp.float32(layout.SCALE)).astype(jnp.int16)
        for one, bounds in ((mean, line.bounds), (sd, line.sd_bounds))
    )
