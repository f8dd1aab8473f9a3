"""Whether maps and builds of regions cost what `--dry-run` plans: time, and of maps memory and bytes, each the run over its plan.

Five maps and five builds, small to large; each is planned, run, and planned again, each in a process of its own, and the run set beside the
mean of the two, because a machine that others use is not as busy twice: the loads are printed. With `--processor` plan and run take their
times by the clock of the processor, which other work lengthens less. Issue: within 30 %, on a quiet machine (some six minutes for all ten).

    python benchmarks/bench_estimate.py [--what maps builds] [--only 2] [--processor] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import present

from hybridflux.machine import prepare

prepare()
from bench_chain import made_up_place, place_config  # noqa: E402
from bench_map_throughput import a_posterior, make_region, peak_memory  # noqa: E402


@dataclass(frozen=True)
class Map:
    """A map: pixels along a side, of a tile, share outside, model, draws, daily maps."""

    size: int
    tile: int
    outside: float
    model: str
    draws: int
    daily: bool

    def __str__(self) -> str:
        days = "daily" if self.daily else "months"
        return f"map {self.size}^2, tiles of {self.tile}, {self.outside:.0%} outside, {self.model}, {self.draws} draws, {days}"

    def make(self, folder: Path) -> None:
        """The region store."""
        make_region(folder / "region.zarr", self.size, self.tile, self.outside)

    def plan(self, folder: Path) -> dict:
        """Seconds, memory and bytes that are planned."""
        from hybridflux.region.map import plan_map

        planned = plan_map(a_posterior(self.draws, self.model), folder / "region.zarr", **self._settings())
        return {"seconds": planned.seconds, "memory": planned.memory / 1e6, "out": planned.bytes_out / 1e6}

    def run(self, folder: Path) -> dict:
        """The same of the run."""
        from hybridflux.region.map import map_region

        out = folder / "run"
        seconds = map_region(a_posterior(self.draws, self.model), folder / "region.zarr", out, **self._settings()).seconds
        return {"seconds": seconds, "memory": peak_memory() * 1.048576, "out": _megabytes(out)}

    def _settings(self) -> dict:
        from hybridflux.region.draws.spread import Draws
        from hybridflux.region.outputs import KEEP, DailyMaps

        return {"draws": Draws(self.draws, "parameter"), "keep": (*KEEP, DailyMaps()) if self.daily else KEEP}


@dataclass(frozen=True)
class Build:
    """A build: pixels along a side, days between views, indices; a year after one of warm-up."""

    size: int
    every: int
    indices: int

    def __str__(self) -> str:
        return f"build {self.size}^2, a view every {self.every} days, {self.indices} ind{'ices' if self.indices > 1 else 'ex'}"

    @property
    def days(self) -> np.ndarray:
        """Days of the region."""
        return np.datetime64("2018-01-01") + np.arange(730)

    def make(self, folder: Path) -> None:
        """Imagery, weather and land cover."""
        made_up_place(folder, self.size, self.days, self.every)

    def plan(self, folder: Path) -> dict:
        """Seconds and bytes that are planned."""
        from hybridflux.ingest.build import plan_region

        planned = plan_region(self._config(folder), folder / "region.zarr", trial=True)
        print(f"  planned: {planned.compute}", file=sys.stderr)
        return {"seconds": planned.seconds, "out": (planned.stored + planned.views) / 1e6}

    def run(self, folder: Path) -> dict:
        """The same of the build."""
        from hybridflux.ingest.build import build_region

        out = folder / "region.zarr"
        seconds = build_region(self._config(folder), out).seconds
        return {"seconds": seconds, "out": _megabytes(out) + _megabytes(out.with_suffix(".build"))}

    def _config(self, folder: Path):
        return place_config(folder, self.size, self.days, also=["kndvi"][: self.indices - 1])


SETTINGS = {
    "maps": (
        Map(256, 64, 0.0, "static", 64, False),
        Map(512, 128, 0.3, "static", 64, False),
        Map(512, 256, 0.0, "static", 100, True),
        Map(1024, 128, 0.3, "static", 32, False),
        Map(512, 128, 0.3, "hybrid", 8, True),
    ),
    "builds": (Build(64, 10, 1), Build(128, 5, 2), Build(256, 5, 1), Build(512, 5, 2), Build(1000, 5, 1)),
}
QUICK = {"maps": (Map(256, 64, 0.3, "static", 8, False),), "builds": (Build(64, 20, 1),)}
UNITS = {"seconds": ("s", 1), "memory": ("MB", 0), "out": ("MB", 0)}


def main() -> None:
    """Run all settings and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--only", type=int, nargs="*", help="numbers of settings, from 0")
    parser.add_argument("--processor", action="store_true", help="by the clock of the processor")
    parser.add_argument("--quick", action="store_true", help="one small setting of each, to see that it works")
    parser.add_argument("--part", nargs=4, metavar=("VERB", "FOLDER", "WHAT", "SETTING"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        verb, folder, what, setting = chosen.part
        if chosen.processor:
            time.perf_counter = time.process_time
        print(json.dumps(part(verb, Path(folder), what, json.loads(setting))))
        return
    print(f"{os.cpu_count()} cores. What was measured, and in brackets measured / planned\n")
    for what in chosen.what:
        if what == "builds" and not present.package("odc.stac", "builds of regions", "odc-stac"):
            continue
        for number, setting in enumerate((QUICK if chosen.quick else SETTINGS)[what]):
            if not chosen.only or number in chosen.only:
                compare(what, number, setting, chosen.processor)


def compare(what: str, number: int, setting: Map | Build, processor: bool) -> None:
    """Plan, run, plan, and print the line of a setting."""
    with tempfile.TemporaryDirectory() as folder:
        in_a_process("make", folder, what, setting, processor)
        before, found, after = (in_a_process(verb, folder, what, setting, processor) for verb in ("plan", "run", "plan"))
    planned = {name: (before[name] + after[name]) / 2 for name in UNITS if name in before}
    shown = [f"{found[name]:.{UNITS[name][1]}f} {UNITS[name][0]} ({found[name] / one:.2f})" for name, one in planned.items()]
    loads = ", ".join(f"{one['load']:.1f}" for one in (before, found, after))
    times = f"{before['seconds']:.0f} and {after['seconds']:.0f} s planned"
    print(f"{number} {str(setting):72s} {', '.join(shown)}; {times}; load {loads}", flush=True)


def in_a_process(verb: str, folder: str, what: str, setting: Map | Build, processor: bool) -> dict:
    """The result of a part, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--part", verb, folder, what, json.dumps(astuple(setting))]
    done = subprocess.run(command + ["--processor"] * processor, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def part(verb: str, folder: Path, what: str, setting: list) -> dict:
    """Make, plan or run."""
    one = (Map if what == "maps" else Build)(*setting)
    return (getattr(one, verb)(folder) or {}) | {"load": os.getloadavg()[0]}


def _megabytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


if __name__ == "__main__":
    main()
