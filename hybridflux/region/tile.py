"""`run_tile`: read the drivers of a tile, run the kernel over it, write maps and totals, then mark it done."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region import layout
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES, Result, run_slab
from hybridflux.region.outputs import mapped_days, packed, scale_of, statistics, write_tile
from hybridflux.region.prepared import Prepared, prepare
from hybridflux.region.reduce import Totals
from hybridflux.region.store import TileDrivers

_COMPUTING = threading.Lock()  # one tile computes on all cores while others read and write


@dataclass(frozen=True)
class TileReport:
    """What was done in a tile.

    Attributes:
        tile: its name.
        pixels: mapped.
        masked: reason -> pixels left out.
        read_s: seconds of reading.
        compute_s: seconds of computing.
        write_s: seconds of writing.
        hash: of the configuration.
    """

    tile: str
    pixels: int
    masked: dict[str, int]
    read_s: float
    compute_s: float
    write_s: float
    hash: str


def run_tile(job: Job, tile: Tile) -> TileReport:
    """Map one tile; the one unit of work, whatever the executor.

    Maps and totals are written first, the done marker last, each whole or not at all: a tile without a marker is run again.

    Args:
        job: the run; its template is written.
        tile: of the region's grid.
    """
    prepared = prepare(job)
    began = time.perf_counter()
    drivers = job.region.read(tile, prepared.names, prepared.window)
    after_reading = time.perf_counter()
    with _COMPUTING:
        started = time.perf_counter()
        maps, totals = _compute(job, prepared, drivers)
    computed = time.perf_counter()
    store = zarr.open_group(job.store, mode="r+")
    for group, arrays in maps.items():
        for name, values in arrays.items():
            write_tile(store[group], tile, name, values)
    totals.save(job.totals(tile.id))
    report = TileReport(
        tile.id, len(drivers.pixel), drivers.masked, round(after_reading - began, 3), round(computed - started, 3),
        round(time.perf_counter() - computed, 3), job.hash,
    )  # fmt: skip
    write_json(job.marker(tile.id), asdict(report))
    return report


def write_json(path: Path, content: dict) -> None:
    """Write a JSON file, whole or not at all."""
    partial = path.with_suffix(".part")
    with open(partial, "w") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _compute(job: Job, prepared: Prepared, drivers: TileDrivers) -> tuple[dict[str, dict[str, np.ndarray]], Totals]:
    """Maps by group and name, int16 `[time, pixel of the tile]`, and totals."""
    levels = {"monthly": job.levels, "annual": job.levels} | ({"daily": job.daily_levels} if job.daily else {})
    days = {group: mapped_days(job.calendar, group) for group in levels}
    size = int(np.prod(drivers.tile.shape))
    maps = {
        group: {
            flux + ending: np.full((len(days[group]), size), layout.NODATA, np.int16)
            for flux in FLUXES
            for ending in statistics(levels[group])
        }
        for group in levels
    }
    totals = Totals()
    waiting = None
    waves = prepared.waves(job, drivers)
    for slab, pixels in prepared.slabs(job, drivers):
        result = run_slab(prepared.model, prepared.shared, waves, pixels, prepared.plan)  # returns at once, computes behind
        if waiting:
            _collect(job, drivers, *waiting, maps, days, totals)
        waiting = slab, result
    if waiting:
        _collect(job, drivers, *waiting, maps, days, totals)
    return maps, totals


def _collect(job: Job, drivers: TileDrivers, slab, result: Result, maps: dict, days: dict, totals: Totals) -> None:
    """Put the result of a slab into the maps and totals of its tile."""
    numbers = [number for number, active in enumerate(slab.active) if active]
    real = slab.real[numbers]
    valid = slab.pixel[numbers][real]
    place = drivers.pixel[valid]
    sources = {"daily": result.maps, "monthly": result.monthly, "annual": result.annual}
    for group, arrays in maps.items():
        over = days[group][:, None] if group == "monthly" else 1.0
        for array, source in zip(arrays.values(), sources[group], strict=True):
            values = np.moveaxis(np.asarray(source)[numbers], 0, 1)[:, real]
            array[:, place] = values if group == "daily" else packed(values / over, scale_of(group))
    gpp, reco = np.asarray(result.gpp), np.asarray(result.reco)
    series = np.stack([np.asarray(flux) for flux in result.series], 2)
    for number in numbers:
        kept, which = slab.real[number], slab.pixel[number]
        kind = int(drivers.plant_type[which[0]])
        totals.add_block(gpp[number], reco[number], kind, drivers.zone[which], np.where(kept, drivers.area[which], 0.0))
        totals.add_series(series[number] * job.region.grid.pixel**2, kind)
