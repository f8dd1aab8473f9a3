"""How fast a region is mapped, beside NumPy with the same physics and LightGBM, and how much memory it takes.

The kernel, NumPy and LightGBM take turns in one process, so that what else runs on the machine slows all of them; only the
ratios mean something. Whole runs (read, map, write) follow, each in a process of its own for its peak memory.

    python benchmarks/bench_map_throughput.py [--size 256] [--rounds 5] [--draws 100]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import present

from hybridflux.machine import prepare
from hybridflux.region.drivers.read import read_tile

DAYS = 365
TREES, ROWS = 400, 20_000


def main() -> None:
    """Run everything and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=256, help="pixels along a side")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--draws", type=int, default=100)
    arguments.add_argument("--whole", nargs=3, metavar=("FOLDER", "DRAWS", "DAILY"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    prepare()
    if chosen.whole:
        print(json.dumps(whole_run(Path(chosen.whole[0]), int(chosen.whole[1]), chosen.whole[2] == "daily")))
        return
    with tempfile.TemporaryDirectory() as folder:
        make_region(Path(folder) / "region.zarr", chosen.size)
        processor = platform.processor() or platform.machine()
        print(f"{processor}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {chosen.rounds}")
        in_turns(Path(folder), chosen.rounds, chosen.draws)
        print(f"\nwhole runs of {chosen.size} x {chosen.size} pixels x {DAYS} days, a process each")
        for draws, daily in ((1, "months"), (chosen.draws, "months"), (chosen.draws, "daily")):
            command = [sys.executable, __file__, "--whole", folder, str(draws), daily]
            measured = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
            rate = chosen.size**2 * DAYS * draws / measured["seconds"] / 1e6
            what = f"{draws} draws, {'daily maps too' if daily == 'daily' else 'months and years'}"
            memory = f"peak memory {measured['peak_mb']:.0f} MB"
            print(f"{what:34s} {measured['seconds']:6.1f} s  {rate:8.1f} M pixel-days x draws / s   {memory}")


def in_turns(folder: Path, rounds: int, draws: int) -> None:
    """Kernel, NumPy and LightGBM, one after the other, `rounds` times."""
    competitors = {
        "hybridflux, 1 draw": kernel(folder, 1, daily=False),
        f"hybridflux, {draws} draws": kernel(folder, draws, daily=False),
        f"hybridflux, {draws} draws, daily mean and sd": kernel(folder, draws, daily=True),
        "NumPy float32, 1 draw, same physics": numpy_loop(folder),
    }
    trees = f"LightGBM, {TREES} trees, 1 flux"
    competitors |= {trees: lightgbm_predict()} if present.package("lightgbm", trees) else {}
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    for run in competitors.values():
        run()  # compiles, warms up
    for _ in range(rounds):
        for name, run in competitors.items():
            began = time.perf_counter()
            count = run()
            rates[name].append(count / (time.perf_counter() - began) / 1e6)
    middle = {name: statistics.median(values) for name, values in rates.items()}
    reference = middle["NumPy float32, 1 draw, same physics"]
    print(f"{'':44s} {'M pixel-days x draws / s':>25s} {'over NumPy':>11s}")
    for name, rate in middle.items():
        print(f"{name:44s} {rate:25.2f} {rate / reference:11.2f}")


def make_region(path: Path, size: int, tile: int = 128, outside: float = 0.0, noise: float = 0.0) -> None:
    """A made-up region: five plant types in blocks, a share of them outside, one weather cell, a zone for each block, two years.

    Filled vegetation has a sd of `noise` from day to day, so that it compresses as that of imagery does.
    """
    from hybridflux.region.store import layout
    from hybridflux.region.store.create import RegionMaps, RegionWeather, create_region
    from hybridflux.region.store.grid import Grid
    from hybridflux.vocabulary import PLANT_TYPES

    random = np.random.default_rng(0)
    weather = made_up_weather(2 * DAYS)
    codes = np.array([PLANT_TYPES.index(code) for code in ("CRO", "CRO", "GRA", "DBF", "ENF")])
    side = -(-size // 21)
    blocks = np.where(random.random((side, side)) < outside, layout.OUTSIDE, codes[random.integers(0, 5, (side, side))])
    plant_type = blocks.repeat(21, 0).repeat(21, 1)[:size, :size]
    grid = Grid("EPSG:2154", 638_000.0, 6_851_000.0, 10.0, (size, size), tile)
    zone = (1 + np.arange(side * side).reshape(side, side)).repeat(21, 0).repeat(21, 1)[:size, :size]
    soil = 150 + 60 * random.random((size, size))
    maps = {"plant_type": plant_type, "soil_capacity": soil, "zone": zone}
    days = np.datetime64("2017-01-01") + np.arange(2 * DAYS)
    writer = create_region(path, grid, RegionMaps(**maps), RegionWeather(days, weather), warm_up=DAYS, overwrite=True)
    greenness = 0.15 * random.random((size, size)).astype(np.float32)
    for one in grid.tiles():
        values = 0.5 + 0.3 * season_of(2 * DAYS)[:, :, None] + greenness[None, one.y, one.x]
        writer.write(one, values + noise * np.random.default_rng(1).standard_normal(values.shape, np.float32) if noise else values)


def season_of(days: int) -> np.ndarray:
    """From -1 in winter to 1 in summer `[time, 1]`."""
    return -np.cos(2 * np.pi * np.arange(days) / 365.25)[:, None].astype(np.float32)


def made_up_weather(days: int, cells: int = 1) -> dict[str, np.ndarray]:
    """Weather from the first of January on, name -> `[time, cell]`."""
    random, season = np.random.default_rng(0), season_of(days) + np.zeros((1, cells), np.float32)
    noise = random.normal(size=season.shape).astype(np.float32)
    return {
        "tair": 10 + 9 * season + 3 * noise, "tmin": 5 + 9 * season + 3 * noise, "par": 6 + 4.5 * season, "vpd": 6 + 4 * season,
        "rain": random.gamma(0.3, 7.0, season.shape), "par_potential": 11 + 7 * season, "day_fraction": 0.5 + 0.16 * season,
        "co2": 405 + 0 * season,
    }  # fmt: skip


def a_posterior(draws: int, name: str = "static"):
    """A named model with random draws; no fit is needed to measure time."""
    import jax

    from hybridflux.inference.batch import Indices
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model import compositions
    from hybridflux.model.learned import learned, with_learned, with_places

    model = with_places(compositions.get(name), {"site": 2, "site_year": 2})
    random = np.random.default_rng(1)
    values = {name: jax.numpy.asarray(0.5 * random.normal(size=(draws, *leaf.shape)), "float32") for name, leaf in learned(model).items()}
    return Posterior(with_learned(model, values), indices=Indices(("a", "b"), (2018,)))


def kernel(folder: Path, draws: int, *, daily: bool):
    """A function that maps one tile from memory and gives pixel-days x draws."""
    import jax

    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.kernels.cpu import run_slab
    from hybridflux.region.kernels.kernel_inputs import prepare as ready
    from hybridflux.region.map import make_job as describe
    from hybridflux.region.outputs import KEEP, DailyMaps

    keep = (*KEEP, DailyMaps()) if daily else KEEP
    job = describe(a_posterior(draws), folder / "region.zarr", draws=Draws(draws, "parameter"), period=Period(), keep=keep)
    prepared = ready(job)
    drivers = read_tile(job.region, next(job.region.tiles()), prepared.names, prepared.window)
    held = [pixels for _, pixels in prepared.slabs(job, drivers)]

    def run() -> float:
        for pixels in held:
            jax.block_until_ready(run_slab(prepared.model, prepared.shared, None, pixels, prepared.static))
        return len(drivers.pixel) * DAYS * draws

    return run


def numpy_loop(folder: Path):
    """The physics of `static` at typical parameters as a loop over days in NumPy; two years of states, one of fluxes."""
    import zarr

    from hybridflux.units import LATENT_HEAT, PAR_PER_SHORTWAVE
    from hybridflux.vocabulary import PARAMETERS

    group = zarr.open_group(folder / "region.zarr", mode="r")
    fapar = (group["fapar"][:, :128, :128].reshape(2 * DAYS, -1) * np.float32(1e-4)).astype(np.float32)
    capacity = group["soil_capacity"][:128, :128].reshape(-1)
    weather = {name: group[name][:, 0] for name in ("tair", "tmin", "par", "vpd", "rain")}
    p = {name: np.float32(row.typical) for name, row in PARAMETERS.items()}

    def move(water, snow, day):
        tair, par, rain = (weather[name][day] for name in ("tair", "par", "rain"))
        snowfall = rain * np.clip(0.5 - 0.5 * tair, 0.0, 1.0)
        melt = np.minimum(snow, p["snow_melt"] * max(tair, 0.0))
        available = water + (rain - snowfall) + melt
        slope = 4098.0 * 0.6108 * np.exp(17.27 * tair / (tair + 237.3)) / (tair + 237.3) ** 2
        potential = p["evaporation_scalar"] * slope / (slope + 0.0674) * par / (PAR_PER_SHORTWAVE * LATENT_HEAT)
        cover = p["bare_evaporation"] + (1 - p["bare_evaporation"]) * fapar[day]
        supply = np.clip(water / (capacity * p["rew_evaporation"]), 0.0, 1.0)
        wet = available - np.minimum(np.float32(potential) * cover * supply, available)
        kept = wet - p["drainage_rate"] * np.maximum(wet - np.float32(0.5) * capacity, 0.0)
        return np.minimum(kept, capacity), snow + snowfall - melt

    def run() -> float:
        water, snow = np.float32(0.8) * capacity, np.float32(0.0)
        for day in range(DAYS):
            water, snow = move(water, snow, day)
        for day in range(DAYS):
            water, snow = move(water, snow, day)
        gpp_sum, reco_sum = np.zeros_like(capacity), np.zeros_like(capacity)
        for day in range(DAYS, 2 * DAYS):
            water, snow = move(water, snow, day)
            tair, tmin, par, vpd = (weather[name][day] for name in ("tair", "tmin", "par", "vpd"))
            rew, light = water / capacity, fapar[day] * par
            cold = np.clip((tmin - p["tmin_closed"]) / (p["tmin_open"] - p["tmin_closed"]), 0.0, 1.0)
            dry = np.clip((rew - p["rew_wilting"]) / (p["rew_critical"] - p["rew_wilting"]), 0.0, 1.0)
            gpp = p["light_use_efficiency"] * light / (1 + p["light_saturation"] * light) * cold * np.exp(-p["vpd_sensitivity"] * vpd) * dry
            moist = p["respiration_dry"] + (1 - p["respiration_dry"]) * np.clip(rew / p["rew_respiration"], 0.0, 1.0)
            warm = np.exp(p["activation_temp"] * (1 / 61.02 - 1 / (tair + 46.02)))
            gpp_sum += gpp
            reco_sum += (p["respiration_ref"] + p["respiration_gpp_share"] * gpp) * warm * moist
        return capacity.size * DAYS

    return run


def lightgbm_predict():
    """Prediction of one flux by boosted trees on the 17 predictors of the baseline, trained on toy data."""
    import lightgbm

    random = np.random.default_rng(2)
    table = random.normal(size=(ROWS, 17))
    target = np.sin(table[:, 0]) + table[:, 1] * table[:, 2] + 0.1 * random.normal(size=ROWS)
    trees = lightgbm.train({"num_leaves": 31, "learning_rate": 0.05, "verbosity": -1}, lightgbm.Dataset(table, target), TREES)

    def run() -> float:
        trees.predict(table)
        return ROWS

    return run


def whole_run(folder: Path, draws: int, daily: bool) -> dict:
    """Map the region from store to store."""
    from hybridflux.region.map import map_region
    from hybridflux.region.outputs import KEEP, DailyMaps

    keep = (*KEEP, DailyMaps()) if daily else KEEP
    report = map_region(a_posterior(draws), folder / "region.zarr", folder / f"run{draws}{daily}", draws=draws, keep=keep)
    return {"seconds": report.seconds, "peak_mb": peak_memory()}


def peak_memory() -> float:
    """Largest resident memory of this process [MB]; not `ru_maxrss`, which a child takes over from the process that started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
