"""How fast the series of a region are filled, from stored views to stored daily maps, beside what the machine could do at least.

A made-up region with clouds in patches, clouds that the mask missed, harvests, three plant types and views every fifth day: one index
alone, and two indices with a calibration line. `fill_tile` reads, fills, applies the line, rounds and writes, as `region build` does. The
floor is counted: arithmetic operations of the programs, each as one, at the rate of multiplications and additions of the processor, with as
many passes of the cleaning as were needed; and bytes in and out of memory. Seconds of the processor are given beside those of the clock,
because other work on the machine lengthens them less.

    python benchmarks/bench_build.py [--size 400] [--tile 200] [--rounds 3] [--indices 1]
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from hybridflux.machine import prepare

DAYS, EVERY, CLEAR = 730, 5, 0.45
FULL = 2  # passes of the cleaning after which no more than a fourth of the pixels change, with these views
CHAIN, LANES = 4096, 2048  # of the multiplications and additions that are timed


def main() -> None:
    """Fill a made-up region and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=400, help="pixels along a side")
    arguments.add_argument("--tile", type=int, default=200)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--indices", type=int, choices=(1, 2), help="only one of the two")
    chosen = arguments.parse_args()
    prepare()
    for indices in (chosen.indices,) if chosen.indices else (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            job = made_up(Path(folder), chosen.size, chosen.tile, ("ndvi", "kndvi")[:indices])
            report(job, chosen.rounds)


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


def report(job, rounds: int) -> None:
    """Fill all tiles again and again."""
    from hybridflux.ingest.fill_tile import fill_tile
    from hybridflux.region.run.executors import Serial

    tiles = list(job.config.region_grid.tiles())
    fill_tile(job, tiles[0])  # compiles
    walls, processor = [], []
    for _ in range(rounds):
        wall, used = time.perf_counter(), time.process_time()
        list(Serial().run(fill_tile, job, tiles))
        walls.append(time.perf_counter() - wall)
        processor.append(time.process_time() - used)
    size, indices = job.config.region_grid.shape[0], len(job.indices)
    filled, wall, used = size**2 * DAYS / 1e6, statistics.median(walls), statistics.median(processor)
    machine = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}"
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    tile = job.config.region_grid.tile
    print(f"\n{size} x {size} pixels, tiles of {tile}, {DAYS} days, {DAYS // EVERY} views, indices: {indices}; {machine}")
    print(f"{filled / wall:8.1f} M pixel-days a second, {filled * indices / wall:.1f} M of all indices; peak memory {memory:.0f} MiB")
    print(f"{filled / used:8.1f} M pixel-days a second of the processor, {filled * indices / used:.1f} M of all indices")
    floor(job, used / (filled * indices) * 1e3)


def floor(job, nanoseconds: float) -> None:
    """Operations and bytes of a pixel-day of one index, and how long they take at least."""
    operations, passes = counted(job)
    rate = multiplications()
    kept = {"operations": operations / rate * 1e9, "bytes": (2 * DAYS / EVERY / DAYS + 2 * 2) / copied() * 1e9}
    print(f"{operations:8.0f} operations a pixel-day and index with {passes} passes, at {rate / 1e9:.1f} G a second of one core: "
          f"{kept['operations']:.1f} ns; bytes {kept['bytes']:.1f} ns; used {nanoseconds:.1f} ns, {nanoseconds / max(kept.values()):.1f} "
          "times the floor")  # fmt: skip


def counted(job) -> tuple[float, int]:
    """Floating-point operations a pixel-day of the programs of a block, and the passes of the cleaning that its pixels took."""
    import jax
    import jax.numpy as jnp

    from hybridflux.ingest import fill_tile as filling
    from hybridflux.series import cleaning

    tile = next(iter(job.config.region_grid.tiles()))
    kinds, index = job.plant_type(tile).reshape(-1), job.indices[0]
    tables, pixels = next(iter(filling._units(job, index, job.maps_of(index), job.processes[index], kinds)))
    block = job.views.stored(index, tile)[:, pixels]
    whole = jax.make_jaxpr(lambda *a: filling._fill_block(*a, days=DAYS))(block, tables)
    views = jnp.asarray(np.where(block < -30000, np.nan, block * 1e-4) - tables.season[:, None], jnp.float32)
    passes = next(number for number in range(1, cleaning.PASSES + 2) if _settled(views, tables, number))
    return _operations(whole.jaxpr, passes, days=DAYS) / (DAYS * block.shape[1]), passes


def _settled(views, tables, passes: int) -> bool:
    """Whether a further pass changes nothing."""
    from hybridflux.series import cleaning

    before, most = cleaning.PASSES, []
    for cleaning.PASSES in (passes - 1, passes):
        most.append(np.asarray(cleaning.clean(views, tables.axis, tables.variances).views))
    cleaning.PASSES = before
    return np.array_equal(np.isnan(most[0]), np.isnan(most[1])) or passes == before + 1


def _operations(jaxpr, passes: int, days: int, inside: bool = False, few: bool = False) -> float:
    """Floating-point operations: a loop of known length so often, that of the days in all `days`.

    `FULL` passes of the cleaning are of all pixels, the others of those put side by side, in the branch that has fewer operations.
    """
    total = 0.0
    for equation in jaxpr.eqns:
        name, size = equation.primitive.name, max((int(np.prod(out.aval.shape)) for out in equation.outvars), default=0)
        if name == "scan":
            body, length = equation.params["jaxpr"].jaxpr, equation.params["length"]
            total += length * _operations(body, passes, days / length, inside=True, few=few)
        elif name == "while":
            times = days if inside else passes - FULL if few else FULL
            total += times * _operations(equation.params["body_jaxpr"].jaxpr, passes, days, inside, few)
        elif name == "cond":
            total += min(_operations(branch.jaxpr, passes, days, inside, few=True) for branch in equation.params["branches"])
        elif inner := equation.params.get("jaxpr"):
            total += _operations(getattr(inner, "jaxpr", inner), passes, days, inside, few)
        elif name in ("add", "sub", "mul", "div", "max", "min", "select_n", "sqrt", "rsqrt", "exp", "gt", "ge", "lt", "and", "ne", "abs"):
            total += size
    return total


def multiplications() -> float:
    """Multiplications and additions a second of one core, in chains that stay in the cache; the largest of three."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def chain(x):
        def step(_, x):
            for _ in range(16):
                x = x * jnp.float32(0.999) + jnp.float32(0.001)
            return x

        return jax.lax.fori_loop(0, CHAIN, step, x)

    return max(CHAIN * 16 * 2 * LANES / _seconds(chain, jnp.ones(LANES)) for _ in range(3))


def copied() -> float:
    """Bytes a second that are read or written by a copy, one core."""
    source = np.ones(1 << 24, np.float32)
    return 2 * source.nbytes / min(_seconds(np.copy, source) for _ in range(3))


def _seconds(run, given) -> float:
    np.asarray(run(given))
    began = time.process_time()
    np.asarray(run(given))
    return time.process_time() - began


if __name__ == "__main__":
    main()
