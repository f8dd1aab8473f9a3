"""What the drought ledger costs beside the ordinary map of the same season: the kernel alone, and the whole run from Zarr to Zarr.

Both take turns in one process, so that what else runs on the machine slows both; seconds are of the processor, and only ratios mean
something. The same draws, pixels and days; the map keeps what a map keeps (`KEEP`), the ledger what a ledger keeps.

    python benchmarks/bench_drought.py [--model hybrid_water hybrid] [--draws 64] [--members 8] [--size 128] [--rounds 7] [--whole 0]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from bench_map_throughput import DAYS, a_posterior, made_up_weather, season_of

from hybridflux.machine import prepare
from hybridflux.region.drivers.read import read_against_usual

USUAL = {"tair": "-2", "par": "*0.95", "vpd": "*0.7", "rain": "*1.6"}
GREEN = {"hybrid": {"fapar": "+0.03"}, "hybrid_water": {"nirv": "+0.03", "lswi": "+0.05"}}


def main() -> None:
    """Print seconds and ratios."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", nargs="+", choices=sorted(GREEN), default=["hybrid_water", "hybrid"])
    arguments.add_argument("--draws", type=int, default=64)
    arguments.add_argument("--members", type=int, default=8, help="different networks among the draws")
    arguments.add_argument("--size", type=int, default=128, help="pixels along a side")
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--whole", type=int, default=0, help="rounds of whole runs")
    chosen = arguments.parse_args()
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        region = Path(folder) / "region.zarr"
        make_region(region, chosen.size)
        for model in chosen.model:
            pair = Pair(region, model, chosen.draws, chosen.members)
            ratios(f"{model}, kernel", {name: pair.kernel(name) for name in ("map", "ledger")}, chosen.rounds)
            if chosen.whole:
                runs = {name: pair.whole(name, Path(folder) / f"{model}_{name}") for name in ("map", "ledger")}
                ratios(f"{model}, whole run", runs, chosen.whole)


def ratios(title: str, cases: dict, rounds: int) -> None:
    """Run both in turns and print the ratio of each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for run in cases.values():
        run()  # compiles, warms up
    for _ in range(rounds):
        for name, run in cases.items():
            began = time.process_time()
            run()
            seconds[name].append(time.process_time() - began)
    of_turns = [ledger / base for ledger, base in zip(seconds["ledger"], seconds["map"], strict=True)]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    print(
        f"{title}: map {middle['map']:.2f} s, ledger {middle['ledger']:.2f} s of the processor; ratio {statistics.median(of_turns):.2f} "
        f"({min(of_turns):.2f} to {max(of_turns):.2f}), load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


class Pair:
    """The ordinary map of a season and the ledger of it."""

    def __init__(self, region: Path, model: str, draws: int, members: int):
        """Describe both jobs."""
        from hybridflux.products.drought_leaves import LeafTotals, can_be_split
        from hybridflux.products.drought_outputs import KEEP as LEDGER
        from hybridflux.region.drivers.open import open_region
        from hybridflux.region.outputs import KEEP

        first = a_posterior(members, model)
        self.posterior = first.thin(draws) if draws > members else first
        opened = open_region(region)
        usual = USUAL | GREEN[model]
        split = can_be_split(opened, first.model.needs(), [*usual])
        self.cases = {"map": (opened, KEEP), "ledger": (opened.against(usual), (*LEDGER, *((LeafTotals(),) if split else ())))}
        self.options = {"draws": draws, "period": season()}

    def kernel(self, name: str):
        """A function that maps all of one tile from memory."""
        import jax

        from hybridflux.region.kernels.cpu import run_slab
        from hybridflux.region.kernels.kernel_inputs import _prepare
        from hybridflux.region.map import make_job

        region, keep = self.cases[name]
        job = make_job(self.posterior, region, keep=keep, **self.options)
        ready = _prepare(job)
        drivers = read_against_usual(job.region, next(job.region.tiles()), ready.names, ready.window)
        waves = ready.waves(job, drivers)
        held = [pixels for _, pixels in ready.slabs(job, drivers)]

        def run() -> None:
            for pixels in held:
                jax.block_until_ready(run_slab(ready.model, ready.shared, waves, pixels, ready.static))

        return run

    def whole(self, name: str, out: Path):
        """A function that maps the region into a folder."""
        from hybridflux.region.map import map_region

        region, keep = self.cases[name]
        turn = iter(range(1000))
        return lambda: map_region(self.posterior, region, out / str(next(turn)), keep=keep, **self.options)


def season():
    """June to August of the second year."""
    from hybridflux.region.drivers.calendar import Period

    return Period("2018-06-01", "2018-08-31")


def make_region(path: Path, size: int, tile: int = 128) -> None:
    """A made-up region of four plant types with NIRv and LSWI beside fapar, one weather cell, 36 zones, two years."""
    from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
    from hybridflux.region.store.grid import Grid
    from hybridflux.vocabulary import PLANT_TYPES

    random, side = np.random.default_rng(0), -(-size // 21)
    codes = np.array([PLANT_TYPES.index(code) for code in ("CRO", "GRA", "DBF", "ENF")])
    of_blocks = lambda values: values.repeat(21, 0).repeat(21, 1)[:size, :size]  # noqa: E731
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (size, size), tile)
    maps = RegionMaps(
        plant_type=of_blocks(codes[random.integers(0, 4, (side, side))]), soil_capacity=150 + 60 * random.random((size, size)),
        zone=of_blocks(1 + np.arange(side * side).reshape(side, side) % 36), daily={"nirv": {}, "lswi": {}},
    )  # fmt: skip
    days = np.datetime64("2017-01-01") + np.arange(2 * DAYS)
    writer = create_region(path, grid, maps, RegionWeather(days, made_up_weather(2 * DAYS)), warm_up=DAYS, overwrite=True)
    greenness = 0.15 * random.random((size, size)).astype(np.float32)
    for one in grid.tiles():
        fapar = 0.5 + 0.3 * season_of(2 * DAYS)[:, :, None] + greenness[None, one.y, one.x]
        writer.write(one, fapar, nirv=0.4 * fapar, lswi=0.6 * fapar - 0.2)


if __name__ == "__main__":
    main()
