"""The whole job: drivers read from Zarr, daily maps, quantiles of months and years and totals per zone and draw written.

    python benchmarks/bench_job.py [--size 1000] [--draws 100] [--dynamic] [--threads 2 8] [--memory FIGURE] [--keep FOLDER]
    python benchmarks/bench_job.py --size 600 --rounds 2 --in-turns static "hybrid, all different"
    python benchmarks/bench_job.py --size 1000 --draws 1 --noise 0.02 --rounds 2 --in-turns static --outputs daily
    python benchmarks/bench_job.py --size 1024 --draws 4 --tile 512 --noise 0.02 --rounds 1 --in-turns static

The C anchor maps one tile of the region before and after the job, in a process of its own; its rate gives the time it would compute for,
were it given all drivers in memory and asked to write nothing. `--dynamic` runs the model `hybrid` too, whose networks read vegetation and
weather of the day: eight members of an ensemble, repeated, and as many different networks as draws. `--memory` runs jobs of several sizes
and draws and draws their peak memory. `--in-turns` runs the jobs of some models one after the other, without the anchor; of one draw
beside what the bytes of its daily maps take alone. `--outputs daily` keeps these maps and nothing else. `--threads` runs each job with
these numbers of tiles in flight. Processor time stands beside wall time: other work on the machine changes it less.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import present
from bench_map_throughput import DAYS, make_region, peak_memory

from hybridflux.machine import prepare
from hybridflux.region.outputs import KEEP, DailyMaps
from hybridflux.region.run.executors.serial import Serial

OUTPUTS = {"all": (*KEEP, DailyMaps()), "daily": (DailyMaps(),)}
MODELS = ("networks of maps", "hybrid, 8 members", "hybrid, all different", "static")


def main() -> None:
    """Run the job, or the part of it that was asked for."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=1000, help="pixels along a side")
    arguments.add_argument("--draws", type=int, default=100)
    arguments.add_argument("--tile", type=int, default=200, help="pixels along the side of a tile, of --in-turns")
    arguments.add_argument("--noise", type=float, default=0.0, help="sd of the vegetation from day to day, of --in-turns")
    arguments.add_argument("--dynamic", action="store_true")
    arguments.add_argument("--in-turns", nargs="+", choices=MODELS, metavar="MODEL", help="jobs of models beside that of the first")
    arguments.add_argument("--outputs", choices=OUTPUTS, default="all", help="of the job, of --in-turns")
    arguments.add_argument("--rounds", type=int, default=2, help="turns of --in-turns")
    arguments.add_argument("--memory", type=Path, metavar="FIGURE", help="PNG to write")
    arguments.add_argument("--threads", type=int, nargs="+", default=[Serial().threads], help="tiles in flight")
    arguments.add_argument("--keep", type=Path, help="folder of regions, kept between calls")
    arguments.add_argument("--part", nargs=5, metavar=("WHAT", "FOLDER", "SIZE", "DRAWS", "MODEL"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    prepare()
    if chosen.part:
        what, folder, size, draws, model = chosen.part
        about = Path(folder), int(size), int(draws), model
        print(json.dumps(anchor_rate(*about) if what == "anchor" else whole_job(*about, *chosen.threads, OUTPUTS[chosen.outputs])))
        return
    if not (chosen.memory or chosen.in_turns) and not present.compiler("the job beside the C anchor"):
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        if chosen.memory:
            memory(folder, chosen.memory)
        elif chosen.in_turns:
            in_turns(folder, chosen)
        else:
            for threads in chosen.threads:
                job(folder, chosen.size, chosen.draws, MODELS[:3] if chosen.dynamic else MODELS[:1], threads)


def job(folder: Path, size: int, draws: int, models: tuple[str, ...], threads: int) -> None:
    """Anchor, job, anchor; print the ratio."""
    region_of(folder, size)
    work, first = size**2 * DAYS * draws / 1e6, None
    for model in models:
        before = part("anchor", folder, size, draws, "networks of maps")
        measured = part("job", folder, size, draws, model, "--threads", threads)
        after = part("anchor", folder, size, draws, "networks of maps")
        first = first or measured
        floor, cpu = (work / ((before[name] + after[name]) / 2) for name in ("rate", "cpu_rate"))
        print(
            f"{model}: {size} x {size} x {DAYS} days x {draws} draws, {threads} tiles in flight: "
            f"{measured['seconds']:.1f} s ({measured['cpu']:.1f} s of the processor), of which computing {measured['computing']:.1f} s, "
            f"with start {measured['process']:.1f} s; {work / measured['seconds']:.0f} M / s; "
            f"peak memory {measured['peak_mb']:.0f} MiB\n"
            f"   C anchor {before['rate']:.0f} and {after['rate']:.0f} M / s, {floor:.1f} s ({cpu:.1f} s of the processor): "
            f"job / anchor {measured['seconds'] / floor:.2f} (processor {measured['cpu'] / cpu:.2f}), over the first model "
            f"{measured['seconds'] / first['seconds']:.2f} ({measured['cpu'] / first['cpu']:.2f}); "
            f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores",
            flush=True,
        )


def in_turns(folder: Path, chosen: argparse.Namespace) -> None:
    """Jobs of some models in turns; seconds of each and their ratio to those of the first in the same turn."""
    size, draws, folder = chosen.size, chosen.draws, folder / f"tiles of {chosen.tile}, noise {chosen.noise:g}"
    region_of(folder, size, chosen.tile, chosen.noise)
    for number in range(chosen.rounds):
        first = None
        for model in chosen.in_turns:
            measured = part("job", folder, size, draws, model, "--threads", chosen.threads[0], "--outputs", chosen.outputs)
            first = first or measured
            ratio = [measured[name] / first[name] for name in ("seconds", "cpu")]
            print(
                f"turn {number + 1}, {model:22s} {size} x {size} x {DAYS} days x {draws} draws: {measured['seconds']:6.1f} s "
                f"({measured['cpu']:6.1f} s of the processor), over the first {ratio[0]:.2f} ({ratio[1]:.2f}); "
                f"peak memory {measured['peak_mb']:.0f} MiB; load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
            if draws == 1:
                days, floor = size**2 * DAYS / 1e9, measured["floor"]
                each = ", ".join(f"{name} {seconds / days:.1f}" for name, seconds in (floor | {"job": measured["cpu"]}).items())
                all_of_it = sum(floor.values())
                print(f"   nanoseconds of the processor a pixel-day: {each}; job / floor {measured['cpu'] / all_of_it:.2f}; "
                      f"{measured['stored'] / days / 1e9:.2f} bytes a pixel-day stored", flush=True)  # fmt: skip


def memory(folder: Path, figure: Path) -> None:
    """Peak memory by draws and by size, as numbers and as a figure."""
    import matplotlib.pyplot as plt

    by_draws = [(400, draws) for draws in (1, 10, 100)]
    by_size = [(size, 10) for size in (200, 400, 800, 1200)]
    peaks = {}
    for size, draws in dict.fromkeys(by_draws + by_size):
        region_of(folder, size)
        peaks[size, draws] = part("job", folder, size, draws, "networks of maps")["peak_mb"]
        print(f"{size:5d} x {size} pixels, {draws:4d} draws: {peaks[size, draws]:6.0f} MiB", flush=True)
    panels, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
    for axis, cases, at, title in zip(
        axes, (by_draws, by_size), (1, 0), ("draws, at 400 x 400 pixels", "pixels along a side, at 10 draws"), strict=True
    ):
        axis.plot([case[at] for case in cases], [peaks[case] for case in cases], "o-")
        axis.set_xlabel(title)
        axis.axhline(1300, color="grey", linestyle=":")
    axes[0].set_ylim(0, 1500)
    axes[0].set_ylabel("peak memory of the process [MiB]")
    panels.savefig(figure, dpi=120)
    print(f"wrote {figure}")


def part(*words) -> dict:
    """Run a part in a process of its own."""
    command = [sys.executable, __file__, "--part", *map(str, words)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_WAIT_POLICY": "passive"})
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - began}


def region_of(folder: Path, size: int, tile: int = 200, noise: float = 0.0) -> Path:
    """The made-up region of this size, once."""
    path = folder / f"region{size}.zarr"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        make_region(path, size, tile, noise=noise)
    return path


def posterior_of(model: str, draws: int):
    """Random draws of a model."""
    from bench_kernel import a_posterior as networks
    from bench_map_throughput import a_posterior as named

    match model:
        case "networks of maps":
            return networks(draws)
        case "static":
            return named(draws, "static")
        case "hybrid, 8 members":
            return named(8, "hybrid").thin(draws)
        case _:
            return named(draws, "hybrid")


def anchor_rate(folder: Path, size: int, draws: int, model: str) -> dict:
    """Rate of the C anchor on the first tile, million pixels x days x draws a second, of the clock and of two processors."""
    from bench_kernel import Slabs

    slabs = Slabs(region_of(folder, size), draws, daily=True)
    run = slabs.anchor()
    run()
    began, cpu = time.perf_counter(), time.process_time()
    work = (run() + run()) / 1e6
    return {"rate": work / (time.perf_counter() - began), "cpu_rate": work / (time.process_time() - cpu)}


def whole_job(folder: Path, size: int, draws: int, model: str, threads: int, keep: tuple) -> dict:
    """The job, from store to store."""
    from hybridflux.region.map import map_region

    del sys.argv[1:]  # as from a notebook: a run notes the checksums of what the command line names, here all regions of the folder
    posterior, cpu = posterior_of(model, draws), time.process_time()
    with tempfile.TemporaryDirectory(dir=folder) as out:
        report = map_region(posterior, region_of(folder, size), Path(out) / "run", draws=draws, keep=keep, executor=Serial(threads))
        markers = [json.loads(path.read_text()) for path in (Path(out) / "run" / "tiles").glob("*.json")]
        found = {"seconds": report.seconds, "cpu": time.process_time() - cpu, "peak_mb": peak_memory()}
        found["computing"] = sum(one["compute_s"] for one in markers)
        if draws == 1 and present.package("numcodecs", "the bytes alone"):
            found |= bytes_alone(region_of(folder, size), Path(out) / "run" / "fluxes.zarr", Path(out))
        return found


def bytes_alone(region: Path, maps: Path, scratch: Path) -> dict:
    """Seconds of the processor that the bytes of daily maps take alone: decode drivers once, compress finished maps, write them."""
    import zarr
    from numcodecs import Blosc

    codec = Blosc("zstd", clevel=1, shuffle=Blosc.BITSHUFFLE)  # as `layout.codecs`
    took, stored, daily = dict.fromkeys(("read", "compress", "write"), 0.0), 0, zarr.open_group(maps, mode="r")["daily"]
    fapar = zarr.open_array(region / "fapar", mode="r")
    took["read"], _ = _timed(lambda: [fapar.blocks[place].shape for place in np.ndindex(fapar.cdata_shape)])
    for name in (name for name, array in daily.arrays() if array.ndim == 3):
        for place in np.ndindex(daily[name].cdata_shape):
            chunk = daily[name].blocks[place]
            seconds, compressed = _timed(lambda: codec.encode(chunk))  # noqa: B023
            file = scratch / f"{name} {'.'.join(map(str, place))}"  # a new one: pages of a file that is written again are there already
            written, _ = _timed(lambda: file.write_bytes(compressed))  # noqa: B023
            took["compress"], took["write"], stored = took["compress"] + seconds, took["write"] + written, stored + len(compressed)
    return {"floor": took, "stored": stored}


def _timed(work) -> tuple[float, object]:
    """Seconds of the processor, and what it gave."""
    began = time.process_time()
    found = work()
    return time.process_time() - began, found


if __name__ == "__main__":
    main()
