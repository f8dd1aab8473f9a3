"""Quantiles over draws: `region.order`, its whole network, `jnp.sort` and `jnp.quantile`, and what daily ones cost the kernel.

All take turns in one process. Blocks are `[draw, pixel]` of the size of a day step of the kernel, a new one each time.

    python benchmarks/bench_quantiles.py [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_map_throughput import DAYS, a_posterior, make_region

from hybridflux.machine import cores, prepare
from hybridflux.region.drivers.read import read_tile

LEVELS, BLOCKS, SIDE = (0.05, 0.95), 40, 64


def main() -> None:
    """Run everything and print two tables."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    prepare()
    processor = platform.processor() or platform.machine()
    print(f"{processor}, {cores()} cores, load {os.getloadavg()[0]:.1f}, median of {rounds}; levels {LEVELS}")
    for draws in (64, 100):
        print(f"\n{draws} draws: blocks of [{draws}, 256], M values / s")
        in_turns({name: alone(how, draws) for name, how in ways(draws).items()}, rounds)
    with tempfile.TemporaryDirectory() as folder:
        make_region(Path(folder) / "region.zarr", SIDE)
        for draws in (64, 100):
            print(f"\n{draws} draws: kernel, M pixel-days x draws / s")
            kinds = {"daily mean and sd": (), "and quantiles 0.05, 0.95": LEVELS, "and quantiles 0.05, 0.5, 0.95": (0.05, 0.5, 0.95)}
            in_turns({name: inside(Path(folder), draws, levels) for name, levels in kinds.items()}, rounds)


def in_turns(competitors: dict, rounds: int) -> None:
    """Print the median rate of each."""
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    for run in competitors.values():
        run()  # compiles, warms up
    for _ in range(rounds):
        for name, run in competitors.items():
            began = time.perf_counter()
            count = run()
            rates[name].append(count / (time.perf_counter() - began) / 1e6)
    first = statistics.median(next(iter(rates.values())))
    for name, values in rates.items():
        print(f"{name:40s} {statistics.median(values):10.2f} {first / statistics.median(values):8.2f} times slower than the first")


def ways(draws: int) -> dict:
    """Name -> function of a block."""
    import jax.numpy as jnp

    from hybridflux.region.kernels.quantiles import quantiles, sort_draws

    ranks = [int(level * (draws - 1)) for level in LEVELS]
    return {
        "order.quantiles": lambda block: quantiles(block, LEVELS),
        "order.sort_draws, all ranks": lambda block: jnp.stack([sort_draws(block)[rank] for rank in ranks]),
        "jnp.sort": lambda block: jnp.stack([jnp.sort(block, 0)[rank] for rank in ranks]),
        "jnp.quantile": lambda block: jnp.quantile(block, jnp.array(LEVELS), axis=0),
    }


def alone(how, draws: int):
    """A function that takes the quantiles of blocks of random numbers, one after the other on one core, as the kernel does."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    blocks = jnp.asarray(np.random.default_rng(0).normal(size=(BLOCKS, draws, 256)), jnp.float32)
    whole = jax.jit(lambda blocks: lax.map(how, blocks))

    def run() -> float:
        whole(blocks).block_until_ready()
        return blocks.size

    return run


def inside(folder: Path, draws: int, levels: tuple[float, ...]):
    """A function that maps the region from memory with daily quantiles."""
    import jax

    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.kernels.cpu import run_slab
    from hybridflux.region.kernels.kernel_inputs import prepare as ready
    from hybridflux.region.map import make_job as describe
    from hybridflux.region.outputs import KEEP, DailyMaps

    keep, drawn = (*KEEP, DailyMaps(quantiles=levels)), Draws(draws, "parameter")
    job = describe(a_posterior(draws), folder / "region.zarr", draws=drawn, period=Period(), keep=keep)
    prepared = ready(job)
    drivers = read_tile(job.region, next(job.region.tiles()), prepared.names, prepared.window)
    held = [pixels for _, pixels in prepared.slabs(job, drivers)]

    def run() -> float:
        for pixels in held:
            jax.block_until_ready(run_slab(prepared.model, prepared.shared, None, pixels, prepared.static))
        return len(drivers.pixel) * DAYS * draws

    return run


if __name__ == "__main__":
    main()
