"""The kernel beside a C program with the same physics, the naive formulation, and float64 NumPy.

    python benchmarks/bench_kernel.py [--draws 64] [--rounds 7] [--size 128]

All take turns in one process, so that what else runs on the machine slows all of them; only ratios mean something. The model has the
whole physics, a bucket in each draw, and three networks that give light use, base respiration and root-zone capacity to each pixel and
draw from maps; the C program (`anchor.c`) is given what these networks gave.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import present
from anchor import FIXED, PER_DRAW, PER_PIXEL, WEATHER, Blocks, anchor
from bench_map_throughput import DAYS, make_region

from hybridflux.machine import prepare
from hybridflux.region.drivers.read import read_tile


def main() -> None:
    """Print rates, ratios and differences."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--draws", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--size", type=int, default=128, help="pixels along a side")
    chosen = arguments.parse_args()
    prepare()
    with tempfile.TemporaryDirectory() as folder:
        make_region(Path(folder) / "region.zarr", chosen.size)
        cases = {}
        for daily, what in ((True, "daily mean and sd"), (False, "annual and monthly sums")):
            slabs = Slabs(Path(folder) / "region.zarr", chosen.draws, daily=daily)
            cases[f"kernel, {what}"] = slabs.run
            if present.compiler(f"C anchor, {what}"):
                cases[f"C anchor, {what}"] = slabs.anchor()
            if daily:
                cases["naive: all draws, days and pixels, then mean and sd"] = slabs.naive()
                differences(slabs)
        in_turns(cases, chosen.rounds)


class Slabs:
    """A tile of the region in memory, ready for the kernel and for the anchor."""

    def __init__(self, region: Path, draws: int, *, daily: bool):
        """Prepare a job over a region."""
        from hybridflux.region.kernels.kernel_inputs import prepare as ready

        self.job = make_job(region, draws, daily)
        self.daily = daily
        self.prepared = ready(self.job)
        self.drivers = read_tile(self.job.region, next(self.job.region.tiles()), self.prepared.names, self.prepared.window)
        self.slabs = list(self.prepared.slabs(self.job, self.drivers))
        self.work = len(self.drivers.pixel) * DAYS * draws

    def run(self) -> float:
        """Map the tile; gives pixels x days x draws."""
        import jax

        from hybridflux.region.kernels.cpu import run_slab

        for _, pixels in self.slabs:
            jax.block_until_ready(run_slab(self.prepared.model, self.prepared.shared, None, pixels, self.prepared.static))
        return self.work

    def blocks(self) -> Blocks:
        """The active blocks of all slabs with their parameters, for the anchor."""
        import jax
        import jax.numpy as jnp

        from hybridflux.model.learned import parameters_over_draws
        from hybridflux.vocabulary import PARAMETERS

        model, static, shared = self.prepared.model, self.prepared.static, self.prepared.shared
        of_block = jax.jit(lambda names: parameters_over_draws(model, names, static.constant))
        pixel, draw, fapar, weight = {name: [] for name in PER_PIXEL}, {}, [], []
        for _, pixels in self.slabs:
            for number in np.flatnonzero(np.asarray(pixels.active)):
                names = {name: values[number] for name, values in pixels.static.items()}
                found = of_block(names | {"plant_type": pixels.plant_type[number], "site": jnp.int32(0)})
                for name in PER_PIXEL:
                    pixel[name].append(np.broadcast_to(found[name], (static.draws, static.n)))
                draw = {name: np.asarray(found[name]).reshape(-1) for name in PER_DRAW}
                fapar.append(np.asarray(pixels.daily["fapar"][number]))
                weight.append(np.asarray(pixels.weight[number]))
        bounds = np.asarray(shared.bounds)
        month = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds)).astype(np.int32)
        fixed = {name: float(np.asarray(model.sources[name].value(PARAMETERS[name], {}))) for name in FIXED}
        weather = {name: np.asarray(shared.weather[name])[:, 0] for name in WEATHER}
        return Blocks(
            static.n, int(shared.warm_up), {name: np.stack(values) for name, values in pixel.items()}, draw, fixed, weather,
            np.stack(fapar), month, np.stack(weight),
        )  # fmt: skip

    def anchor(self):
        """The C program on the same blocks."""
        call = anchor(self.blocks(), daily=self.daily)

        def run() -> float:
            call()
            return self.work

        return run

    def naive(self, pixels: int = 512):
        """What a Predictive does: the model of every draw over whole series, all kept, statistics afterwards."""
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        from hybridflux.model.learned import draw_axes
        from hybridflux.region.store import layout

        model, drivers = self.prepared.model, self.drivers
        names = {name: jnp.asarray(values)[:, :1] for name, values in self.prepared.shared.weather.items()}
        names |= {name: jnp.asarray(values[:, :pixels] * np.float32(layout.SCALE)) for name, values in drivers.daily.items()}
        names |= {name: jnp.asarray(values[:pixels]) for name, values in drivers.static.items()}
        names |= {"plant_type": jnp.asarray(drivers.plant_type[:pixels]), "site": jnp.int32(0)}

        @eqx.filter_jit
        def predict(model, names):
            fluxes = eqx.filter_vmap(lambda one: one.fluxes(names), in_axes=(draw_axes(model),))(model)
            kept = [fluxes[name][:, -DAYS:] for name in ("nee", "gpp", "reco")]
            return [(flux.mean(0), flux.std(0)) for flux in kept]

        def run() -> float:
            jax.block_until_ready(predict(model, names))
            return pixels * DAYS * self.job.draws

        return run


def make_job(region: Path, draws: int, daily: bool):
    """A job over the region with the model of this benchmark and random weights."""
    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.map import make_job as describe
    from hybridflux.region.outputs import KEEP, DailyMaps

    keep = (*KEEP, DailyMaps()) if daily else KEEP
    return describe(a_posterior(draws), region, draws=Draws(draws, "parameter"), period=Period(), keep=keep)


def a_posterior(draws: int):
    """The model of this benchmark with random draws; no fit is needed to measure time."""
    import jax

    from hybridflux.inference.batch import Indices
    from hybridflux.inference.posterior import Posterior
    from hybridflux.model.flux import HybridFlux
    from hybridflux.model.learned import learned, with_learned
    from hybridflux.model.sources import Neural, Shared
    from hybridflux.process import light, respiration, stress, water

    maps = ("soil_capacity", "fapar_top", "fapar_base", "plant_type")
    sources = {name: Neural(*maps) for name in PER_PIXEL} | {name: Shared() for name in PER_DRAW}
    model = HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp), memory=(water.BUCKET,), sources=sources,
    )  # fmt: skip
    random = np.random.default_rng(1)
    values = {name: jax.numpy.asarray(0.5 * random.normal(size=(draws, *leaf.shape)), "float32") for name, leaf in learned(model).items()}
    return Posterior(with_learned(model, values), indices=Indices(("a", "b"), (2018,)))


def differences(slabs: Slabs) -> None:
    """How far kernel and anchor are from NumPy in float64, on one block."""
    from hybridflux.region.kernels.cpu import run_slab

    blocks = slabs.blocks()
    exact = reference(blocks, 0)
    result = run_slab(slabs.prepared.model, slabs.prepared.shared, None, slabs.slabs[0][1], slabs.prepared.static)
    sums = [("kernel", *(result.kept["totals"][name][0] for name in ("gpp", "reco")))]
    if present.compiler("anchor, differences from float64"):
        theirs = anchor(blocks, daily=True)()
        sums.append(("anchor", theirs["sums"][0][:, 0], theirs["sums"][0][:, 1]))
    for what, gpp, reco in sums:
        found = {"NEE": np.asarray(reco, float) - np.asarray(gpp, float), "GPP": np.asarray(gpp, float), "RECO": np.asarray(reco, float)}
        far = {name: np.linalg.norm(values - exact[name]) / np.linalg.norm(exact[name]) for name, values in found.items()}
        print(f"{what}: relative difference of monthly sums per draw from float64: " + ", ".join(f"{n} {v:.1e}" for n, v in far.items()))


def reference(blocks: Blocks, number: int) -> dict[str, np.ndarray]:
    """Monthly sums `[month, draw, n]` of one block in float64 NumPy, written from the equations."""
    q, f = {name: values[number].astype(float) for name, values in blocks.pixel.items()}, blocks.fixed
    d = {name: values.astype(float)[:, None] for name, values in blocks.draw.items()}
    w = {name: values.astype(float) for name, values in blocks.weather.items()}
    fapar, capacity = blocks.fapar[number].astype(float) * 1e-4, q["root_zone_capacity"]
    water, snow = 0.8 * capacity, 0.0
    sums = {name: np.zeros((blocks.month[-1] + 1, *capacity.shape)) for name in ("GPP", "RECO")}

    def move(water, snow, day):
        tair, par, rain = w["tair"][day], w["par"][day], w["rain"][day]
        snowfall = rain * np.clip(0.5 - 0.5 * tair, 0, 1)
        melt = min(snow, f["snow_melt"] * max(tair, 0))
        have = water + rain - snowfall + melt
        slope = 4098 * 0.6108 * np.exp(17.27 * tair / (tair + 237.3)) / (tair + 237.3) ** 2
        potential = f["evaporation_scalar"] * slope / (slope + 0.0674) * par / (0.45 * 2.45)
        cover = f["bare_evaporation"] + (1 - f["bare_evaporation"]) * fapar[day]
        wet = have - np.minimum(potential * cover * np.clip(water / (capacity * f["rew_evaporation"]), 0, 1), have)
        kept = wet - f["drainage_rate"] * np.maximum(wet - 0.5 * capacity, 0)
        return np.minimum(kept, capacity), snow + snowfall - melt

    for day in (*range(blocks.spin), *range(blocks.spin)):
        water, snow = move(water, snow, day)
    for position, month in enumerate(blocks.month):
        day = blocks.spin + position
        water, snow = move(water, snow, day)
        rew, absorbed = water / capacity, fapar[day] * w["par"][day]
        gpp = q["light_use_efficiency"] * absorbed / (1 + d["light_saturation"] * absorbed) * np.exp(-d["vpd_sensitivity"] * w["vpd"][day])
        gpp = gpp * np.clip((w["tmin"][day] - f["tmin_closed"]) / (d["tmin_open"] - f["tmin_closed"]), 0, 1)
        gpp = gpp * np.clip((rew - f["rew_wilting"]) / np.maximum(d["rew_critical"] - f["rew_wilting"], 0.01), 0, 1)
        moist = f["respiration_dry"] + (1 - f["respiration_dry"]) * np.clip(rew / f["rew_respiration"], 0, 1)
        warm = np.exp(d["activation_temp"] * (1 / 61.02 - 1 / (w["tair"][day] + 46.02)))
        sums["GPP"][month] += gpp
        sums["RECO"][month] += (q["respiration_ref"] + d["respiration_gpp_share"] * gpp) * warm * moist
    return sums | {"NEE": sums["RECO"] - sums["GPP"]}


def in_turns(cases: dict, rounds: int) -> None:
    """Time all, one after the other, `rounds` times; print rates and what they are of their reference."""
    rates: dict[str, list[float]] = {name: [] for name in cases}
    for run in cases.values():
        run()
    for _ in range(rounds):
        for name, run in cases.items():
            began = time.perf_counter()
            rates[name].append(run() / (time.perf_counter() - began) / 1e6)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {rounds} rounds; million pixels x days x draws per second")
    for name, values in rates.items():
        print(f"{name:52s} {statistics.median(values):9.0f}   ({min(values):.0f} to {max(values):.0f})")
    for what in ("daily mean and sd", "annual and monthly sums"):
        if f"C anchor, {what}" not in rates:
            continue
        pairs = [a / b for a, b in zip(rates[f"kernel, {what}"], rates[f"C anchor, {what}"], strict=True)]
        print(f"{what}: kernel / C anchor {statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})")
    naive = rates["naive: all draws, days and pixels, then mean and sd"]
    pairs = [a / b for a, b in zip(rates["kernel, daily mean and sd"], naive, strict=True)]
    print(f"daily mean and sd: kernel / naive {statistics.median(pairs):.1f} ({min(pairs):.1f} to {max(pairs):.1f})")


if __name__ == "__main__":
    main()
