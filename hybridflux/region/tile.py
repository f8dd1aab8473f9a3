"""`run_tile`: read the drivers of a tile, run the kernel over it, write maps and totals, then mark it done."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass, field
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
from hybridflux.region.store import TileDrivers, UnreadableTile
from hybridflux.region.training import only_within, outside

_COMPUTING = threading.Lock()  # one tile computes on all cores while others read and write


class NotANumber(ValueError):
    """A flux that is no number, though all its drivers are."""


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
        outside: covariate -> pixels outside the range of the towers (`training.outside`).
        refused: why the tile was not mapped; empty where it was.
    """

    tile: str
    pixels: int
    masked: dict[str, int]
    read_s: float
    compute_s: float
    write_s: float
    hash: str
    outside: dict[str, float] = field(default_factory=dict)
    refused: str = ""

    def __str__(self) -> str:
        if self.refused:
            return f"tile {self.tile} refused: {self.refused}"
        times = f"read {self.read_s:.1f} s, computed {self.compute_s:.1f} s, written {self.write_s:.1f} s"
        return f"tile {self.tile}, {self.pixels:,} pixels, {times}"


def run_tile(job: Job, tile: Tile) -> TileReport:
    """Map one tile; the one unit of work, whatever the executor.

    Maps and totals are written first, the done marker last, each whole or not at all: a tile without a marker is run again. A tile
    that cannot be read, or whose fluxes are not numbers, is refused: nothing of it is written or marked, and its report says why.

    Args:
        job: the run; its template is written.
        tile: of the region's grid.
    """
    prepared = prepare(job)
    began = time.perf_counter()
    try:
        drivers = job.region.read(tile, prepared.names, prepared.window)
        drivers = only_within(drivers, job.ranges, job.within) if job.within else drivers
        after_reading = time.perf_counter()
        with _COMPUTING:
            started = time.perf_counter()
            maps, totals = _compute(job, prepared, drivers)
    except (UnreadableTile, NotANumber) as error:
        return TileReport(tile.id, 0, {}, 0.0, 0.0, 0.0, job.hash, refused=str(error))
    computed = time.perf_counter()
    store = zarr.open_group(job.store, mode="r+")
    for group, arrays in maps.items():
        for name, values in arrays.items():
            write_tile(store[group], tile, name, values)
    totals.save(job.totals(tile.id))
    report = TileReport(
        tile.id, len(drivers.pixel), drivers.masked, round(after_reading - began, 3), round(computed - started, 3),
        round(time.perf_counter() - computed, 3), job.hash, outside(drivers, job.ranges),
    )  # fmt: skip
    write_json(job.marker(tile.id), asdict(report))
    return report


def done_report(job: Job, tile_id: str) -> TileReport | None:
    """The report of a tile that was finished by this configuration, else None; a marker that is not whole does not count."""
    try:
        report = TileReport(**json.loads(job.marker(tile_id).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return report if report.hash == job.hash else None


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
    if not np.isfinite(np.moveaxis(np.asarray(result.annual[0])[numbers], 0, 1)[:, real]).all():
        raise NotANumber(f"the fluxes of tile {drivers.tile.id} are not all numbers, though its drivers are; look at the posterior")
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
