"""`fill_tile`: from the clear views of a tile to its daily fapar and indices with their standard deviations, as they are stored.

The result of a pixel does not depend on its neighbours, so neither on the tiles nor on who fills them. A block of pixels goes from the
stored views to the stored days without leaving the cache: season, cleaning, smoothing, calibration line and rounding are one program
(`stored_days.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from hybridflux.data.harmonisation import ALL
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.smoother_fit import WHOLE
from hybridflux.ingest.stored_days import fill_stored, line_numbers
from hybridflux.machine import give_back_memory
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.store.create import RegionWriter
from hybridflux.region.store.grid import Tile
from hybridflux.series import SeriesProcess
from hybridflux.series.cleaning import Variances, ViewAxis, variances_of, view_axis
from hybridflux.series.every_day import Between, EachDay, calendar_of
from hybridflux.series.hyperparameters import season_of
from hybridflux.series.lanes import room
from hybridflux.vocabulary import PLANT_TYPES

BLOCK = 4096  # pixels that a core fills at a time
_COMPUTING = threading.Lock()  # one tile computes on all cores while others read and write


class Tables(NamedTuple):
    """What all pixels of a plant type share: season at the views, time steps, days, variances, `line_numbers` of each map."""

    season: np.ndarray
    axis: ViewAxis
    between: Between
    each_day: EachDay
    variances: Variances
    lines: np.ndarray


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
    names = job.maps_of(index)
    maps = np.empty((2 * len(names), len(job.config.period.days), len(kinds)), np.int16)

    def fill_some(unit: tuple[Tables, np.ndarray]) -> tuple[int, int]:
        tables, pixels = unit
        return fill_stored(stored, pixels, *tables, maps, *room(len(stored)))

    with ThreadPoolExecutor(len(jax.local_devices(backend="cpu"))) as pool:  # a worker beside others has its share of the cores
        found = list(pool.map(fill_some, _units(job, index, names, processes, kinds)))
    layers = (name for layer in names for name in (layer, sd_of(layer)))
    return dict(zip(layers, maps, strict=True)), {"views": sum(one for one, _ in found), "rejected": sum(one for _, one in found)}


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
        lines = (line_numbers(name, job.lines[name][key] if name in job.lines else None) for name, key in zip(names, of_lines, strict=True))
        season = season_of(process, when).astype(np.float32)
        tables = Tables(season, view_axis(process, when), *calendar_of(process, when, days), variances_of(process), np.stack([*lines]))
        yield from ((tables, pixels[first : first + BLOCK]) for first in range(0, len(pixels), BLOCK))
