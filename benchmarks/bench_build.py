"""How fast the series of a region are filled, from stored views to stored daily maps, beside what the machine could do at least.

A made-up region with clouds in patches, clouds that the mask missed, harvests, three plant types and views every fifth day: one index
alone, and two indices with a calibration line. Three rates are given, each by the clock on all cores and by seconds of the processor, which
other work on the machine lengthens less: filling alone, from the views of a tile in memory to its daily maps in memory, cleaned, filled,
with line and rounding; tiles as `region build` does them, with reading and writing; and these with the start of a process, in which
the programs are loaded, or with `--cold` compiled.

The floor is counted: the loops are run once in Python with numbers that count their additions, multiplications, divisions, comparisons and
roots, each as one, at the rate of multiplications with additions of a core; and bytes in and out of memory.

    python benchmarks/bench_build.py [--size 400] [--tile 200] [--rounds 3] [--indices 1] [--cold]
"""

from __future__ import annotations

import argparse
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hybridflux.machine import prepare

DAYS, EVERY, CLEAR = 730, 5, 0.45
CHAIN, LANES = 200_000, 256  # of the multiplications and additions that are timed
COUNT = "--count"  # the process that counts, in which numba compiles nothing


def main() -> None:
    """Fill a made-up region and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=400, help="pixels along a side")
    arguments.add_argument("--tile", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--indices", type=int, choices=(1, 2), help="only one of the two")
    arguments.add_argument("--cold", action="store_true", help="compile all programs anew")
    arguments.add_argument(COUNT, action="store_true", help="print the operations of a pixel-day and no more")
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if chosen.cold:
            os.environ["XDG_CACHE_HOME"] = folder
        prepare()
        if chosen.count:
            print(counted(made_up(Path(folder), LANES // 8, LANES // 8, ("ndvi",))))
            return
        for indices in (chosen.indices,) if chosen.indices else (1, 2):
            job = made_up(Path(folder) / f"{indices}", chosen.size, chosen.tile, ("ndvi", "kndvi")[:indices])
            report(job, chosen.rounds, chosen.cold)


def made_up(folder: Path, size: int, tile: int, indices: tuple[str, ...]):
    """A build whose views are read and whose hyperparameters are learned."""
    from hybridflux.data.catalog import load_catalog
    from hybridflux.ingest.build import lines_of
    from hybridflux.ingest.config import RegionConfig
    from hybridflux.ingest.made_up import made_up_job

    config = RegionConfig.model_validate({
        "id": "made-up", "title": "A made-up region", "utc_offset": 1,
        "grid": {"crs": "EPSG:2154", "west": 600_000, "south": 6_700_000, "east": 700_000, "north": 6_800_000, "tile": tile},
        "period": {"start": "2018-01-01", "end": str(np.datetime64("2018-01-01") + DAYS - 1), "lead": 0},
        "vegetation": {"also": list(indices[1:])}, "imagery": [{"dataset": "sentinel-2-l2a-cube", "place": "."}],
        "weather": {"dataset": "agera5", "place": "."}, "landcover": [{"dataset": "worldcover", "place": "."}], "soil": {"capacity": 120},
    })  # fmt: skip
    catalog = load_catalog()
    return made_up_job(folder, config, catalog, lines_of(config, catalog), tiles=size // tile, tile=tile, scenes=DAYS // EVERY, clear=CLEAR)


def report(job, rounds: int, cold: bool) -> None:
    """Fill all tiles again and again."""
    began = time.perf_counter()
    from hybridflux.ingest.fill_tile import _filled, fill_tile
    from hybridflux.region.run.executors import Serial

    tiles, index = list(job.config.region_grid.tiles()), job.indices[0]
    fill_tile(job, tiles[0])  # loads or compiles
    start = time.perf_counter() - began
    again = _timed(lambda: fill_tile(job, tiles[0]))[0]
    stored, kinds = job.views.stored(index, tiles[0]), job.plant_type(tiles[0]).reshape(-1)
    alone = [_timed(lambda: _filled(job, index, job.processes[index], stored, kinds)) for _ in range(2 * rounds)]
    whole = [_timed(lambda: list(Serial().run(fill_tile, job, tiles))) for _ in range(rounds)]
    size, indices, tile = job.config.region_grid.shape[0], len(job.indices), job.config.region_grid.tile
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n{size} x {size} pixels, tiles of {tile}, {DAYS} days, {DAYS // EVERY} views, indices: {indices}; {machine}; {memory:.0f} MiB")
    print("M pixel-days a second:                                    of the clock, of the processor")
    wall, used = (statistics.median(part) for part in zip(*whole, strict=True))
    wall_alone, used_alone = (statistics.median(part) for part in zip(*alone, strict=True))
    begun, filled, one = max(start - again, 0.0), size**2 * DAYS / 1e6, tile**2 * DAYS / 1e6
    how = "compiled" if cold else "loaded, or compiled where they are new"
    print(f"{'filling alone, one index, memory to memory':56s} {one / wall_alone:13.1f} {one / used_alone:17.1f}")
    print(f"{f'read, filled, written, pixel-days of {indices} at once':56s} {filled / wall:13.1f} {filled / used:17.1f}")
    print(f"{'the same with the start of a process':56s} {filled / (wall + begun):13.1f}   ({begun:.1f} s, programs {how})")
    floor(used_alone / one * 1e3, used / (filled * indices) * 1e3)


def _timed(work) -> tuple[float, float]:
    """Seconds of the clock and of the processor."""
    wall, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - used


def floor(alone: float, whole: float) -> None:
    """Operations and bytes of a pixel-day of one index, how long they take at least, and the ratios of nanoseconds of the processor."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    counting = subprocess.run([sys.executable, __file__, COUNT], env=environment, capture_output=True, text=True, check=True)
    operations = float(counting.stdout)
    rate = multiplications()
    least = {"operations": operations / rate * 1e9, "bytes": (2 / EVERY + 2 * 2) / copied() * 1e9}
    print(f"floor: {operations:.0f} operations a pixel-day and index at {rate / 1e9:.0f} G a second of a core, "
          f"{least['operations']:.2f} ns; bytes {least['bytes']:.2f} ns")  # fmt: skip
    print(f"filling alone {alone:.1f} ns of the processor, {alone / max(least.values()):.1f} times the floor; "
          f"read, filled, written {whole:.1f} ns, {whole / max(least.values()):.1f} times")  # fmt: skip


class Counted(float):
    """A number that counts what is done with it and its kind."""

    __array_ufunc__ = None  # else numbers of numpy would do it uncounted
    done = 0


def _counting(name: str):
    act = getattr(float, name)

    def method(self, *other):
        Counted.done += 1
        found = act(self, *(float(one) for one in other))
        return Counted(found) if isinstance(found, float) else found

    return method


for _name in ("add", "sub", "mul", "truediv", "radd", "rsub", "rmul", "rtruediv", "pow", "lt", "gt", "ge", "ne", "abs"):
    setattr(Counted, f"__{_name}__", _counting(f"__{_name}__"))


def counted(job) -> float:
    """Operations a pixel-day of `fill_stored`, done by Python with numbers that count."""
    from hybridflux.ingest import fill_tile as filling
    from hybridflux.ingest import stored_days
    from hybridflux.series import lanes

    tile, index = next(iter(job.config.region_grid.tiles())), job.indices[0]
    kinds, stored = job.plant_type(tile).reshape(-1), job.views.stored(index, tile)
    tables, pixels = next(filling._units(job, index, job.maps_of(index), job.processes[index], kinds))
    pixels = pixels[: lanes.LANES]
    kept, rows = (np.array([Counted(0.0)] * array.size, object) for array in lanes.room(len(stored)))
    root = math.sqrt
    math.sqrt = lambda number: abs(Counted(root(number)))  # counts as one
    stored_days.fill_stored(stored, pixels, *_numbers(tables), np.zeros((2 * len(tables.lines), DAYS, stored.shape[1])), kept, rows)
    return Counted.done / (len(pixels) * DAYS)


def _numbers(tables):
    """The same tables, of numbers that count; days stay integers."""
    if isinstance(tables, tuple):
        return type(tables)(*map(_numbers, tables))
    if tables.dtype != np.float32:
        return tables
    return np.vectorize(Counted, otypes=[object])(tables) if tables.ndim else Counted(tables)


def multiplications() -> float:
    """Multiplications and additions a second of one core, in chains that stay in the cache; the largest of three."""
    from numba import njit

    @njit(fastmath={"contract"})
    def chain(x, factor, term):
        for _ in range(CHAIN):
            for i in range(LANES):
                one = x[i]
                for _ in range(16):
                    one = one * factor + term
                x[i] = one
        return x

    x, factor, term = np.ones(LANES, np.float32), np.float32(0.999), np.float32(0.001)
    return max(CHAIN * 16 * 2 * LANES / _seconds(lambda given: chain(given, factor, term), x) for _ in range(3))


def copied() -> float:
    """Bytes a second that are read or written by a copy, one core."""
    source = np.ones(1 << 24, np.float32)
    return 2 * source.nbytes / min(_seconds(np.copy, source) for _ in range(3))


def _seconds(run, given) -> float:
    run(given)
    return _timed(lambda: run(given))[1]


if __name__ == "__main__":
    main()
