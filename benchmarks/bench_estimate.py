"""Whether a run costs what `--dry-run` told: time, memory, bytes, each the run over its estimate.

Each setting is estimated, run, and estimated again, each in a process of its own, and the run set beside the mean of the two, because
a machine that others use is not as busy twice: the loads are printed. Runs above 20 s count. Issue: within 30 %.

    python benchmarks/bench_estimate.py [--only 64] [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass
from pathlib import Path

from hybridflux.machine import prepare

prepare()
from bench_map_throughput import a_posterior, make_region, peak_memory  # noqa: E402


@dataclass(frozen=True)
class Setting:
    """One run: pixels along a side, of a tile, share outside, model, draws, daily maps."""

    size: int
    tile: int
    outside: float
    model: str
    draws: int
    daily: bool

    def __str__(self) -> str:
        days = "daily" if self.daily else "months"
        return f"{self.size}^2, tiles of {self.tile}, {self.outside:.0%} outside, {self.model}, {self.draws} draws, {days}"


SETTINGS = (
    Setting(1024, 128, 0.3, "static", 8, False),
    Setting(1024, 256, 0.0, "static", 8, True),
    Setting(512, 128, 0.3, "static", 64, False),
    Setting(1024, 256, 0.3, "static", 64, True),
    Setting(512, 256, 0.0, "static", 100, False),
    Setting(1024, 128, 0.3, "static", 100, False),
    Setting(512, 128, 0.3, "hybrid", 8, True),
    Setting(512, 128, 0.0, "hybrid", 64, False),
    Setting(1024, 256, 0.3, "hybrid", 64, False),
)


def main() -> None:
    """Run all settings and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", type=int, nargs="*", help="numbers of settings, from 0")
    parser.add_argument("--quick", action="store_true", help="runs of 256 x 256 pixels, to see that it works")
    parser.add_argument("--part", nargs=3, metavar=("WHAT", "FOLDER", "SETTING"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.part:
        print(json.dumps(part(chosen.part[0], Path(chosen.part[1]), Setting(*json.loads(chosen.part[2])))))
        return
    print(f"{os.cpu_count()} cores. What was measured, and in brackets measured / estimated\n")
    for number, setting in enumerate(SETTINGS):
        if chosen.only and number not in chosen.only:
            continue
        if chosen.quick:
            setting = Setting(256, 64, *astuple(setting)[2:])
        with tempfile.TemporaryDirectory() as folder:
            make_region(Path(folder) / "region.zarr", setting.size, setting.tile, setting.outside)
            before, found, after = (in_a_process(what, folder, setting) for what in ("estimate", "run", "estimate"))
        told = {name: (before[name] + after[name]) / 2 for name in before}
        shown = [f"{found[name]:.{digits}f} {unit} ({found[name] / told[name]:.2f})" for name, unit, digits in (
            ("seconds", "s", 1), ("memory", "MB", 0), ("out", "MB", 0)
        )]  # fmt: skip
        loads = ", ".join(f"{one['load']:.1f}" for one in (before, found, after))
        times = f"{before['seconds']:.0f} and {after['seconds']:.0f} s told"
        print(f"{number} {str(setting):68s} {', '.join(shown)}; {times}; load {loads}", flush=True)


def in_a_process(what: str, folder: str, setting: Setting) -> dict:
    """The result of a part, in a process of its own."""
    command = [sys.executable, "-W", "ignore", __file__, "--part", what, folder, json.dumps(astuple(setting))]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def part(what: str, folder: Path, setting: Setting) -> dict:
    """Estimate, or run."""
    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.map import map_region, plan_map
    from hybridflux.region.outputs import KEEP, DailyMaps

    posterior, region, out = a_posterior(setting.draws, setting.model), folder / "region.zarr", folder / "run"
    settings = {"draws": Draws(setting.draws, "parameter"), "keep": (*KEEP, DailyMaps()) if setting.daily else KEEP}
    if what == "estimate":
        told = plan_map(posterior, region, **settings)
        seconds, memory, size = told.seconds, told.memory / 1e6, told.bytes_out
    else:
        seconds, memory = map_region(posterior, region, out, **settings).seconds, peak_memory() * 1.048576
        size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return {"seconds": seconds, "memory": memory, "out": size / 1e6, "load": os.getloadavg()[0]}


if __name__ == "__main__":
    main()
