"""What a run will cost: counted from the store, timed on a few of its tiles."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.region.executors import Serial
from hybridflux.region.grid import Tile
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES
from hybridflux.region.outputs import create_store, mapped_days, statistics
from hybridflux.region.prepared import prepare
from hybridflux.region.worklist import Worklist

PACKING = 1.6  # measured size of flux maps over that of their chunks, int16 and Blosc
BASE_MEMORY = 0.5e9  # of a process with JAX and its libraries
TIMED = 5  # tiles, the first of which only warms up
MAPS_RATE = 14e6  # values of maps for GIS a second: measured, two cores, docs/scale.md


@dataclass(frozen=True)
class Estimate:
    """What a run will cost.

    Attributes:
        tiles: in the region.
        pixels: that are not masked by the plant type.
        bytes_in: read from the region.
        bytes_out: of maps, packed.
        memory: of the process at its largest.
        seconds: from beginning to end, on this machine as busy as it is now.
    """

    tiles: int
    pixels: int
    bytes_in: float
    bytes_out: float
    memory: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.tiles} tiles, {self.pixels:,} pixels to map\n"
            f"reads {_size(self.bytes_in)}, writes about {_size(self.bytes_out)}, memory up to about {_size(self.memory)}\n"
            f"about {_duration(self.seconds)} on this machine"
        )


def estimate(job: Job, threads: int) -> Estimate:
    """Count pixels and bytes, and run some tiles of the region into a folder that is thrown away."""
    region, calendar, side = job.region, job.calendar, job.region.grid.tile
    work = Worklist.of(region)
    files = (file for file in region.path.rglob("*") if file.is_file())
    summed = len(mapped_days(calendar, "monthly")) + len(calendar.years)
    values = len(FLUXES) * len(statistics(job.levels)) * summed
    values += len(FLUXES) * len(statistics(job.daily_levels)) * len(calendar.mapped) if job.daily else 0
    prepared = prepare(job)
    daily = sum(region.is_daily(name) for name in prepared.names)
    per_tile = side**2 * (len(calendar.days) * (2 + 4 * daily) + 2 * values)
    maps = 2 * len(FLUXES) * summed * float(np.prod(region.grid.shape)) * len(work.tiles) / work.all / MAPS_RATE
    return Estimate(
        tiles=work.all,
        pixels=int(work.pixels.sum()),
        bytes_in=float(sum(file.stat().st_size for file in files)),
        bytes_out=2.0 * values * float(work.pixels.sum()) / PACKING,
        memory=BASE_MEMORY + threads * per_tile,
        seconds=_seconds(job, work, threads) + maps,
    )


def _seconds(job: Job, work: Worklist, threads: int) -> float:
    """Time of all tiles, from that of a few, spread over the region, run as a run would run them."""
    if not work.tiles:
        return 0.0
    chosen = np.unique(np.linspace(0, len(work.tiles) - 1, TIMED).astype(int))
    with tempfile.TemporaryDirectory(prefix="hybridflux-") as folder:
        trial = dataclasses.replace(job, out=Path(folder))
        for name in ("tiles", "totals"):
            (trial.out / name).mkdir()
        levels = {"monthly": job.levels, "annual": job.levels} | ({"daily": job.daily_levels} if job.daily else {})
        create_store(trial.store, job.region, job.calendar, {"spread": job.spread}, levels=levels)
        started = _timed(trial, [work.tiles[chosen[0]]], threads)
        again = chosen[1:] if len(chosen) > 1 else chosen
        seconds = _timed(trial, [work.tiles[number] for number in again], threads)
    first = max(started - seconds * work.pixels[chosen[0]] / work.pixels[again].sum(), 0.0)  # to load or compile the kernel
    return first + seconds * work.pixels.sum() / work.pixels[again].sum()


def _timed(job: Job, tiles: list[Tile], threads: int) -> float:
    began = time.perf_counter()
    for report in Serial(threads).run(job, tiles):
        if report.refused:
            raise ValueError(report.refused)
    return time.perf_counter() - began


def _size(count: float) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
