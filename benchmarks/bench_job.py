"""The whole job: drivers read from Zarr, daily maps, quantiles of months and years and totals per zone and draw written.

    python benchmarks/bench_job.py [--size 1000] [--draws 100] [--dynamic] [--memory] [--keep FOLDER]

The C anchor maps one tile of the region before and after the job, in a process of its own; its rate gives the time it would compute
for, were it given all drivers in memory and asked to write nothing. `--dynamic` runs the model `hybrid` beside it, whose networks read
vegetation and weather of the day. `--memory` runs small jobs of several sizes and draws and tells their peak memory.
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

from bench_map_throughput import DAYS, make_region, peak_memory

from hybridflux.machine import prepare

TILE = 250


def main() -> None:
    """Run the job, or the part of it that was asked for."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--size", type=int, default=1000, help="pixels along a side")
    arguments.add_argument("--draws", type=int, default=100)
    arguments.add_argument("--dynamic", action="store_true")
    arguments.add_argument("--memory", action="store_true")
    arguments.add_argument("--keep", type=Path, help="folder of regions, kept between calls")
    arguments.add_argument("--part", nargs=5, metavar=("WHAT", "FOLDER", "SIZE", "DRAWS", "MODEL"), help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    prepare()
    if chosen.part:
        what, folder, size, draws, model = chosen.part
        print(json.dumps({"anchor": anchor_rate, "job": whole_job}[what](Path(folder), int(size), int(draws), model)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = chosen.keep or Path(scratch)
        if chosen.memory:
            memory(folder)
        else:
            job(folder, chosen.size, chosen.draws, ("networks of maps", "hybrid") if chosen.dynamic else ("networks of maps",))


def job(folder: Path, size: int, draws: int, models: tuple[str, ...]) -> None:
    """Anchor, job, anchor; print the ratio."""
    region_of(folder, size)
    for model in models:
        before = part("anchor", folder, size, draws, model)["rate"]
        told = part("job", folder, size, draws, model)
        after = part("anchor", folder, size, draws, model)["rate"]
        work = size**2 * DAYS * draws / 1e6
        floor = work / ((before + after) / 2)
        print(
            f"{model}: {size} x {size} x {DAYS} days x {draws} draws: {told['seconds']:.1f} s, of which computing {told['computing']:.1f} s, "
            f"with start {told['process']:.1f} s, {work / told['seconds']:.0f} M pixel-days x draws / s, peak memory {told['peak_mb']:.0f} MB"
        )
        print(
            f"   C anchor {before:.0f} and {after:.0f} M / s, {floor:.1f} s: job / anchor {told['seconds'] / floor:.2f}; "
            f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores"
        )


def memory(folder: Path) -> None:
    """Peak memory by draws and by size."""
    for size, draws in ((500, 1), (500, 25), (500, 50), (500, 100), (500, 200), (250, 100), (750, 100), (1000, 100), (1500, 100)):
        region_of(folder, size)
        told = part("job", folder, size, draws, "networks of maps")
        print(f"{size:5d} {draws:4d} draws {told['peak_mb']:6.0f} MB {told['seconds']:6.1f} s", flush=True)


def part(*words) -> dict:
    """Run a part in a process of its own."""
    command = [sys.executable, __file__, "--part", *map(str, words)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1]) | {"process": time.perf_counter() - began}


def region_of(folder: Path, size: int) -> Path:
    """The made-up region of this size, once."""
    path = folder / f"region{size}.zarr"
    if not path.exists():
        make_region(path, size, TILE)
    return path


def posterior_of(model: str, draws: int):
    """Random draws of a model."""
    from bench_kernel import a_posterior as networks
    from bench_map_throughput import a_posterior as named

    return networks(draws) if model == "networks of maps" else named(draws, model)


def anchor_rate(folder: Path, size: int, draws: int, model: str) -> dict:
    """Rate of the C anchor on the first tile, million pixels x days x draws a second."""
    from bench_kernel import Slabs

    slabs = Slabs(region_of(folder, size), draws, daily=True)
    run = slabs.anchor()
    run()
    began = time.perf_counter()
    work = run() + run()
    return {"rate": work / (time.perf_counter() - began) / 1e6}


def whole_job(folder: Path, size: int, draws: int, model: str) -> dict:
    """The job, from store to store."""
    from hybridflux.region.run import map_region

    with tempfile.TemporaryDirectory(dir=folder) as out:
        report = map_region(posterior_of(model, draws), region_of(folder, size), Path(out) / "run", draws=draws, daily=True)
        markers = [json.loads(path.read_text()) for path in (Path(out) / "run" / "tiles").glob("*.json")]
    return {"seconds": report.seconds, "computing": sum(one["compute_s"] for one in markers), "peak_mb": peak_memory()}


if __name__ == "__main__":
    main()
