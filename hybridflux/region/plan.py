"""What a run will cost, from the store and one slab run for time."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jax
import numpy as np

from hybridflux.region import layout
from hybridflux.region.job import Job
from hybridflux.region.kernel import FLUXES, run_slab
from hybridflux.region.outputs import mapped_days, statistics
from hybridflux.region.prepared import prepare
from hybridflux.region.store import UNVEGETATED_CODES

PACKING = 1.6  # measured size of flux maps over that of their chunks, int16 and Blosc
BASE_MEMORY = 0.5e9  # of a process with JAX and its libraries


@dataclass(frozen=True)
class Estimate:
    """What a run will cost.

    Attributes:
        tiles: in the region.
        pixels: that are not masked by the plant type.
        bytes_in: read from the region.
        bytes_out: of maps, packed.
        memory: of the process at its largest.
        seconds: of computing, on this machine.
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
            f"about {_duration(self.seconds)} of computing on this machine"
        )


def estimate(job: Job, threads: int) -> Estimate:
    """Count pixels and bytes, and run one slab of a tile in the middle of the region."""
    region, calendar, side = job.region, job.calendar, job.region.grid.tile
    pixels, fullest = 0, (-1, None)
    for tile in region.tiles():
        kind = region.group["plant_type"][tile.y, tile.x]
        here = int((~np.isin(kind, UNVEGETATED_CODES) & (kind != layout.OUTSIDE)).sum())
        pixels, fullest = pixels + here, max(fullest, (here, tile), key=lambda pair: pair[0])
    files = (file for file in region.path.rglob("*") if file.is_file())
    arrays = len(FLUXES) * len(statistics(job.levels))
    values = arrays * (len(mapped_days(calendar, "monthly")) + len(calendar.years))
    values += len(FLUXES) * len(statistics(job.daily_levels)) * len(calendar.mapped) if job.daily else 0
    prepared = prepare(job)
    daily = sum(region.is_daily(name) for name in prepared.names)
    per_tile = side**2 * (len(calendar.days) * (2 + 4 * daily) + 2 * values)
    seconds = 0.0
    if fullest[0] > 0:
        drivers = region.read(fullest[1], prepared.names, prepared.window)
        slab, inputs = next(prepared.slabs(job, drivers))
        waves = prepared.waves(job, drivers)
        for _ in range(2):  # the first one compiles
            began = time.perf_counter()
            jax.block_until_ready(run_slab(prepared.model, prepared.shared, waves, inputs, prepared.plan))
            seconds = time.perf_counter() - began
        seconds *= pixels / max(int(slab.real.sum()), 1)
    return Estimate(
        tiles=len(region.grid),
        pixels=pixels,
        bytes_in=float(sum(file.stat().st_size for file in files)),
        bytes_out=2.0 * values * float(np.prod(region.grid.shape)) / PACKING,
        memory=BASE_MEMORY + threads * per_tile,
        seconds=seconds,
    )


def _size(count: float) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
