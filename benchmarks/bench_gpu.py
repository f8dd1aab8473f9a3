"""The kernel for GPUs beside the XLA scan and beside what the GPU can do: 1000 x 1000 pixels x 365 days x 100 draws, computing only.

Run on an NVIDIA H100 and an H200 (JAX 0.11.2); what it gave is in `benchmarks/README.md`.

Made-up drivers lie on the device; one slab is computed again and again until the job is done. The floor is counted from the jaxpr of
`advance` and `exchange` and the sums over draws, an instruction an operation (so a multiplication and an addition are two), only where the
result differs from pixel to pixel and from draw to draw; over the measured rates of multiply-adds and of exp, the larger of the two,
because they overlap. The draws that fill up 100 to 128 are not in the floor: they cost the kernel 28 %.

Memory traffic of the kernel by pixel and day, bytes: fapar 2; daily maps 12; daily series of GPP and RECO for each draw, of the 16 pixels
of a program, 8 x 100 / 16 = 50, read once more by the sum over programs; monthly sums for each draw 8 x 100 / 30 = 27, read once more by
the statistics. 170 in all, 1.7 for each pixel, day and draw: 62 GB a job, about 15 ms at 4 TB/s, while the arithmetic of the kernel is
71 to 81 instructions in machine code (`static`, sm_90), 100 ms or more at 33e12 a second with 128 draws. Quantiles of months and years
are XLA's and are timed apart: nothing was done to make them fast.

    python benchmarks/bench_gpu.py [--model static|hybrid|hybrid_water] [--draws 100] [--blocks 264] [--rounds 5]
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import time
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import jaxprs_in_params

JOB = 1_000_000 * 365  # pixels x days
BLOCK = 256  # pixels
CHAIN = 512  # dependent operations of a ceiling
LEAST = 0.2  # seconds of a turn, so that the clock of the GPU is up and launching does not count
ARITHMETIC = {"add", "sub", "mul", "max", "min", "select_n", "clamp", "lt", "le", "gt", "ge", "eq", "neg", "abs", "floor", "integer_pow"}
PIXELS, DRAWS = 2, 3  # of the arrays that are traced to count
LEVELS = {"fapar_base": 0.2, "fapar_top": 0.8, "nirv_base": 0.2, "nirv_top": 0.8}  # of the made-up vegetation in winter and in summer
SPECIAL = {"exp", "log", "div", "logistic", "sqrt", "rsqrt", "tanh"}


def main() -> None:
    """Measure, count and print."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--model", default="static", choices=("static", "hybrid", "hybrid_water"))
    arguments.add_argument("--draws", type=int, default=100)
    arguments.add_argument("--blocks", type=int, default=264, help=f"of {BLOCK} pixels in a slab")
    arguments.add_argument("--rounds", type=int, default=5)
    chosen = arguments.parse_args()
    if jax.default_backend() != "gpu":
        print(f"left out, no GPU: JAX runs on {jax.default_backend()} here; this benchmark needs one and `pip install 'jax[cuda12]'`")
        return
    print(f"{jax.local_devices()[0].device_kind}, jax {jax.__version__}, {chosen.model}, {chosen.draws} draws, median of {chosen.rounds}")
    rates = ceilings(chosen.rounds)
    for name, rate in rates.items():
        print(f"{name:36s} {rate / 1e12:8.2f} T/s")
    slab = made_up(chosen.model, chosen.draws, chosen.blocks)
    counted = count(slab)
    evaluations = JOB * chosen.draws
    floor = evaluations * max(counted["arithmetic"] / rates["multiply-adds"], counted["special"] / rates["exp"])
    print(f"counted by pixel, day and draw: {counted['arithmetic']} instructions, {counted['special']} exp, log, division or root")
    print(f"{'floor of the job':36s} {floor * 1e3:8.1f} ms")
    report(slab, chosen.blocks * BLOCK * 365, floor, chosen.rounds)


def report(slab, pixel_days: int, floor: float, rounds: int) -> None:
    """Times of the kernels over the floor, taking turns, and their difference."""
    from hybridflux.region.kernels.cpu import run_slab
    from hybridflux.region.kernels.gpu.accelerator import run_slab_on_accelerator

    *inputs, static = slab
    bare = without_quantiles(static)
    kernels = {
        "day loop in one program": lambda: run_slab_on_accelerator(*inputs, bare),
        "  with quantiles of months and years": lambda: run_slab_on_accelerator(*inputs, static),
        "XLA scan": lambda: run_slab(*inputs, bare),
    }
    for name, seconds in in_turns(kernels, rounds).items():
        job = seconds * JOB / pixel_days
        print(f"{name:36s} {job * 1e3:8.1f} ms   {job / floor:6.2f} x the floor")
    for line in differences(*(jax.device_get(run(*inputs, bare)) for run in (run_slab_on_accelerator, run_slab))):
        print(line)


def without_quantiles(static):
    """The same outputs, of months and years the mean and the sd alone."""
    return dataclasses.replace(static, outputs=tuple(dataclasses.replace(one, quantiles=()) if one.name == "period_maps" else one
                                                     for one in static.outputs))  # fmt: skip


def differences(found, expected) -> list[str]:
    """How far the results of two kernels are apart, a line for each output."""
    lines = []
    for name, arrays in expected.kept.items():
        both = [(found.kept[name][key], values) for key, values in arrays.items()]
        if all(values.dtype == np.int16 for _, values in both):
            lines.append(f"largest difference of {name}: {max(np.abs(one.astype(int) - other).max() for one, other in both)} steps")
        elif both:
            share = max(np.abs(one - other).max() / max(np.abs(other).max(), 1e-30) for one, other in both)
            lines.append(f"largest difference of {name}: {share:.1e} of the largest value")
    return lines


def in_turns(runs: dict, rounds: int) -> dict[str, float]:
    """Median seconds of each, one after the other, after a first run that compiles; a turn repeats a run until it lasts `LEAST` seconds."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    repeats = {}
    for name, run in runs.items():
        jax.block_until_ready(run())
        began = time.perf_counter()
        jax.block_until_ready(run())
        repeats[name] = max(1, round(LEAST / (time.perf_counter() - began)))
    for _ in range(rounds):
        for name, run in runs.items():
            began = time.perf_counter()
            for _ in range(repeats[name]):
                last = run()
            jax.block_until_ready(last)
            times[name].append((time.perf_counter() - began) / repeats[name])
    return {name: statistics.median(values) for name, values in times.items()}


def ceilings(rounds: int) -> dict[str, float]:
    """Measured multiply-adds and exp a second, float32, and bytes copied a second."""
    values, large = jnp.linspace(0.0, 1.0, 1 << 26), jnp.zeros(1 << 29, jnp.float32)

    def chain(step):
        def run(start):
            for _ in range(CHAIN):
                start = step(start)
            return start

        return jax.jit(run)

    multiply, power, copy = chain(lambda x: x * 0.999 + 0.5), chain(lambda x: jnp.exp(-x)), jax.jit(lambda x: x + 1.0)
    seconds = in_turns({"fma": lambda: multiply(values), "exp": lambda: power(values), "copy": lambda: copy(large)}, rounds)
    return {
        "multiply-adds": values.size * CHAIN / seconds["fma"],
        "exp": values.size * CHAIN / seconds["exp"],
        "bytes read and written": 2 * large.nbytes / seconds["copy"],
    }


def count(slab) -> Counter:
    """Instructions for one pixel, day and draw: networks and sums over draws included, what is the same for all pixels or draws not."""
    model, *_, static = slab
    every = {name: jnp.ones(()) for name in model.needs()}
    by_pixel = {*LEVELS, *daily_maps(model), "soil_capacity"}
    names = every | {name: jnp.ones((PIXELS, 1)) for name in by_pixel}
    parameters = {name: _parameter(source) for name, source in model.sources.items()}
    parameters |= {name: jnp.ones((PIXELS, DRAWS)) for name in static.daily}

    def day(names, parameters):
        state, _ = model.advance(model.start(names, parameters), names, parameters)
        return model.exchange(state, names, parameters)

    counted = operations(jax.make_jaxpr(day)(names, parameters).jaxpr)
    kept = {output.program for output in static.outputs}
    # sums of months, then statistics of maps, then series
    counted["arithmetic"] += 2 + (2 + 3 + 3 * 2 if "maps" in kept else 0) + (4 if "series" in kept else 0)
    for name in static.daily:
        network = _network(model, name)
        of_pixels = sum(one.removesuffix("_phase") in by_pixel for one in network.inputs)
        counted["arithmetic"] += network.width * (of_pixels + 4) + 4  # units; the bounds of the parameter
        counted["special"] += 2 * network.width + 2
    return counted


def daily_maps(model) -> tuple[str, ...]:
    """Vegetation that the model reads of each pixel and day, running means too."""
    from hybridflux.vocabulary import split_history

    return tuple(name for name in sorted(model.needs()) if split_history(name)[0] in ("fapar", "nirv", "lswi"))


def _parameter(source):
    """Ones of the shape a parameter has without effects of places."""
    from hybridflux.model.learned import learned
    from hybridflux.model.sources import Given

    return jnp.ones((1, DRAWS) if learned(source) else (PIXELS, 1) if isinstance(source, Given) else ())


def _network(model, name: str):
    return model.sources[name].network()


def operations(jaxpr) -> Counter:
    """Operations of a jaxpr and of those it calls, `arithmetic` and `special`, that make `[pixel, draw]`."""
    found: Counter = Counter(arithmetic=0, special=0)
    for equation in jaxpr.eqns:
        whole = any(result.aval.shape == (PIXELS, DRAWS) for result in equation.outvars)
        found["arithmetic"] += whole and equation.primitive.name in ARITHMETIC
        found["special"] += whole and equation.primitive.name in SPECIAL
        for inner in jaxprs_in_params(equation.params):
            found += operations(inner)
    return found


def made_up(name: str, draws: int, blocks: int):
    """Arguments of a kernel: random draws of a model, one weather cell, 365 days, four plant types."""
    from hybridflux.model import compositions
    from hybridflux.model.learned import learned, with_learned, with_places
    from hybridflux.region.kernels.contract import Pixels, SharedInputs, Static, on_all_devices, shared_out
    from hybridflux.region.outputs import KEEP, DailyMaps

    random, days = np.random.default_rng(0), 365
    model = with_places(compositions.get(name), {"site": 1, "site_year": 1})
    leaves = {one: jnp.asarray(0.5 * random.normal(size=(draws, *leaf.shape)), jnp.float32) for one, leaf in learned(model).items()}
    season = -np.cos(2 * np.pi * np.arange(days) / days)[:, None].astype(np.float32)
    weather = {
        "tair": 10 + 9 * season, "tmin": 5 + 9 * season, "par": 6 + 4.5 * season, "vpd": 6 + 4 * season,
        "rain": random.gamma(0.3, 7.0, season.shape).astype(np.float32), "par_potential": 11 + 7 * season,
    }  # fmt: skip
    months = np.cumsum([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]).astype(np.int32)
    shape, zero = (blocks, BLOCK), np.int32(0)
    fapar = np.clip(5000 + 3000 * season[None] + random.integers(0, 1000, (blocks, 1, BLOCK)), 0, 10_000).astype(np.int16)
    covariates = {"soil_capacity": 150.0} | LEVELS
    pixels = Pixels(
        daily=dict.fromkeys(daily_maps(model), fapar), cell=np.zeros((blocks, 1), np.int32),
        plant_type=random.integers(0, 4, (blocks, 1)).astype(np.int32),
        static={key: np.full(shape, value, np.float32) for key, value in covariates.items()}, row=np.zeros(shape, np.int32),
        column=np.zeros(shape, np.int32), weight=np.ones(shape, np.float32), active=np.ones(blocks, bool),
    )  # fmt: skip
    shared = SharedInputs(weather, months, zero, zero, np.zeros(days, np.int32), np.zeros(12, np.int32), {})
    daily = tuple(one for one in model.sources if _network(model, one) is not None)
    static = Static(
        draws=draws, n=BLOCK, days=days, months_of_years=((0, 12),), yearly=(), daily=daily, outputs=(*KEEP, DailyMaps()),
        constant=tuple(one for one in model.sources if one not in daily),
    )  # fmt: skip
    effects = {one: jnp.zeros((draws, 1, 1)) for one in leaves if one.endswith("effect")}
    model = on_all_devices(with_learned(model, leaves | effects))
    return model, on_all_devices(shared), None, shared_out(pixels), static


if __name__ == "__main__":
    main()
