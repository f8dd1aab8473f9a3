"""A few tiles of a run, mapped as the run would map them, and their GeoTIFFs: what a tile, a pixel and a value cost here and now."""

from __future__ import annotations

import dataclasses
import resource
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zarr

from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.cogs import write_cogs
from hybridflux.region.outputs.flux_store import create_store, write_tile
from hybridflux.region.run.executors import Serial, tiles_at_once
from hybridflux.region.run.lifecycle import write_totals
from hybridflux.region.run.tile import run_tile
from hybridflux.region.spec import Job
from hybridflux.region.store.grid import Tile

STATUS = Path("/proc/self/status")
LOOK = 0.02  # seconds between two looks at the memory


@dataclasses.dataclass(frozen=True)
class Trial:
    """What some tiles of a run cost.

    Attributes:
        begin: seconds until tiles come at their pace: to write the template, load or compile the kernel, fill the pipeline.
        pace: seconds a pixel, while neighbours are read and written.
        maps_begin: seconds of GeoTIFFs that do not depend on the pixels.
        maps: seconds of GeoTIFFs a pixel of a tile, vegetation or not.
        stored: bytes of the store and of the GeoTIFFs a pixel.
        totals: bytes of the totals of a tile, in its file and in those of the outputs.
        memory: of the process at its largest [bytes].
    """

    begin: float
    pace: float
    maps_begin: float
    maps: float
    stored: float
    totals: float
    memory: float

    @classmethod
    def of(cls, job: Job, tiles: Sequence[Tile], pixels: Sequence[int], threads: int) -> Trial:
        """Run some tiles, the first of which only warms up, into the folder of `job`, which is empty.

        Args:
            job: of the run, in a folder of its own.
            tiles: spread over the region.
            pixels: with vegetation in each of them.
            threads: tiles in flight.

        Raises:
            ValueError: a tile cannot be read.
        """
        began, done = time.perf_counter(), []
        with _watched() as memory:
            create_store(job.store, job.region, job.calendar, {"spread": job.spread.value}, arrays_of(job.keep, job.calendar))
            template = _size(job.store)
            for name in ("tiles", "totals"):
                (job.out / name).mkdir()
            for report in Serial(threads).run(run_tile, job, tiles, at_once=tiles_at_once(job.tile_size)):
                if report.refused:
                    raise ValueError(report.refused)
                done.append(time.perf_counter() - began)
            write_totals(job, tiles, {})
            times = [_maps_for_gis(job, tiles[:count], name) for count, name in ((1, "warm"), (1, "one"), (len(tiles), "all"))]
        area = [int(np.prod(tile.shape)) for tile in tiles]
        pace = (done[-1] - done[0]) / sum(pixels[1:]) if len(tiles) > 1 else done[0] / pixels[0]
        maps = max((times[2] - times[1]) / sum(area[1:]), 0.0) if len(tiles) > 1 else times[1] / area[0]
        return cls(
            begin=max(done[0] - pace * pixels[0], 0.0),
            pace=pace,
            maps_begin=max(times[1] - maps * area[0], 0.0),
            maps=maps,
            stored=(_size(job.store) - template + _size(job.out / "all" / "cog")) / sum(pixels),
            totals=(_size(job.out / "totals") + sum((job.out / name).stat().st_size for name in job.files)) / len(tiles),
            memory=memory[0],
        )


def _maps_for_gis(job: Job, tiles: Sequence[Tile], name: str) -> float:
    """Seconds to write the GeoTIFFs of some tiles, put side by side as if they were a region."""
    side, source = job.region.grid.tile, zarr.open_group(job.store, mode="r")
    region = dataclasses.replace(job.region, grid=dataclasses.replace(job.region.grid, shape=(side, side * len(tiles))))
    apart = dataclasses.replace(job, region=region, out=job.out / name)
    (apart.out / "cog").mkdir(parents=True)
    arrays = {group: [one for one in found if one.geotiff] for group, found in arrays_of(job.keep, job.calendar).items()}
    create_store(apart.store, region, job.calendar, {"spread": job.spread.value}, arrays)
    store, places = zarr.open_group(apart.store, mode="r+"), []
    for number, tile in enumerate(tiles):
        height, width = tile.shape
        places.append(Tile(f"r000_c{number:03d}", slice(0, height), slice(number * side, number * side + width)))
        for array in (one for found in arrays.values() for one in found):
            write_tile(store[array.key], apart.store / array.key, places[-1], source[array.key][:, tile.y, tile.x])
    began = time.perf_counter()
    write_cogs(apart, places, {"title": "", "spread": job.spread.value})
    return time.perf_counter() - began


@contextmanager
def _watched() -> Iterator[list[float]]:
    """Memory of this process while something runs [bytes], looked at again and again; without /proc its largest so far."""
    found, over = [_resident()], threading.Event()

    def look() -> None:
        while not over.wait(LOOK):
            found[0] = max(found[0], _resident())

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        over.set()
        watcher.join()


def _resident() -> float:
    """Resident memory [bytes]."""
    if STATUS.exists():
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
        return 1024.0 * int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1.0 if sys.platform == "darwin" else 1024.0)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
