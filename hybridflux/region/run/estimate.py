"""What a run will cost: counted from the store, timed on a few of its tiles."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hybridflux.region.drivers.tiles_to_map import Worklist
from hybridflux.region.outputs.cogs import files
from hybridflux.region.run.training_range import PLANT_TYPE, of_unseen
from hybridflux.region.run.trial import Trial
from hybridflux.region.spec import Job

FEWEST, MOST = 3, 6  # tiles to be timed
EMPTY_RATE = 150e6  # values a second of maps for GIS where nothing is mapped: assumed for a quiet machine; E11 saw 40e6 under load
MERGE_RATE = 300e6  # bytes of totals of tiles a second: measured, E11
MARGIN = 1.1  # of memory: what a long run has more than a short one


@dataclass(frozen=True)
class Estimate:
    """What a run will cost on this machine, with one process.

    Nothing is known of: other executors and what starting them takes; a machine that is busier or less busy later; a file system
    other than that of temporary files; tiles that are much denser than those tried; and tiles that are done already.

    Attributes:
        tiles: in the region.
        pixels: that are not masked by the plant type.
        bytes_in: read from the region.
        bytes_out: of the run folder: maps, totals, maps for GIS.
        memory: of the process at its largest.
        seconds: from beginning to end, on this machine as busy as it is now.
        without_tower: plant type that no tower of the fit has -> pixels, unless they are left out.
    """

    tiles: int
    pixels: int
    bytes_in: float
    bytes_out: float
    memory: float
    seconds: float
    without_tower: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.tiles} tiles, {self.pixels:,} pixels to map\n"
            f"reads {_size(self.bytes_in)}, writes about {_size(self.bytes_out)}, memory up to about {_size(self.memory)}\n"
            f"about {_duration(self.seconds)} on this machine"
        ) + (f"\n{of_unseen(self.without_tower, self.pixels)}" if self.without_tower else "")


def estimate(job: Job, threads: int) -> Estimate:
    """Count pixels and bytes, and run some tiles of the region into a folder that is thrown away."""
    began, grid = time.perf_counter(), job.region.grid
    work = Worklist.of(job.region)
    looked = time.perf_counter() - began
    bytes_in = float(sum(file.stat().st_size for file in job.region.path.rglob("*") if file.is_file()))
    if not work.tiles:
        return Estimate(work.all, 0, bytes_in, 0.0, 0.0, looked)
    number = int(np.clip(len(work.tiles) // 4, FEWEST, MOST))
    chosen = np.unique(np.linspace(0, len(work.tiles) - 1, number).astype(int))
    with tempfile.TemporaryDirectory(prefix="hybridflux-") as folder:
        apart = dataclasses.replace(job, out=Path(folder))
        trial = Trial.of(apart, [work.tiles[one] for one in chosen], work.pixels[chosen].tolist(), threads)
    pixels, mapped = int(work.pixels.sum()), float(sum(np.prod(tile.shape) for tile in work.tiles))
    values = sum(len(file.bands) for file in files(job))
    merged = trial.totals * len(work.tiles)
    empty = values * (float(np.prod(grid.shape)) - mapped) / EMPTY_RATE
    return Estimate(
        tiles=work.all,
        pixels=pixels,
        without_tower=work.without_tower(job.at_towers) if PLANT_TYPE not in job.spec.within else {},
        bytes_in=bytes_in,
        bytes_out=trial.stored * pixels + merged,
        memory=MARGIN * trial.memory,
        seconds=looked + trial.begin + trial.pace * pixels + merged / MERGE_RATE + trial.maps_begin + trial.maps * mapped + empty,
    )


def _size(count: float) -> str:
    for unit, step in (("GB", 1e9), ("MB", 1e6)):
        if count >= step:
            return f"{count / step:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
