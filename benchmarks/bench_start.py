"""How long a user waits for nothing: the help page, the first result of the kernel, and what is imported on the way.

Each figure is a new process. "first result" is from its start to the annual maps of a tiny region by the kernel: imports, the file of the
posterior, the program compiled (a cache folder of its own) or read (the same folder again), one run. Processor seconds stand beside the
wall, because they feel less of what else runs on the machine.

    python benchmarks/bench_start.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIDE, DRAWS = 32, 64
COMMAND = "from hybridflux.cli import main; main()"
LISTED = """
import sys
from hybridflux.region.drivers.read import read_tile
from hybridflux.cli import main
try:
    main()
except SystemExit:
    pass
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(HEAVY)), file=sys.stderr)
"""
HEAVY = (
    "arviz", "dask", "distributed", "equinox", "h5netcdf", "h5py", "jax", "matplotlib", "numpy", "numpyro", "odc", "optax", "pandas",
    "pydantic", "pyproj", "pystac", "pystac_client", "rasterio", "rich", "scipy", "sklearn", "xarray", "zarr",
)  # fmt: skip
UNNEEDED = {"arviz", "distributed", "matplotlib", "numpyro", "optax", "pystac", "pystac_client", "scipy", "sklearn"}
"""No part of a map."""


def main() -> None:
    """Run everything and print it."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--first", metavar="FOLDER", help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.first:
        first(Path(chosen.first))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, median of {chosen.rounds}")
    print(f"{'':44s} {'wall s':>8s} {'least':>8s} {'processor s':>12s} {'wanted':>8s}")
    starts = {"python, nothing": ["-c", "pass"], "hybridflux --help": ["-c", COMMAND, "--help"]}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in starts}
    for turn in range(chosen.rounds + 1):
        for name, options in starts.items():
            spent = timed(options, os.environ.copy())
            times[name] += [spent] if turn else []  # the first reads the files from the disk
    row("python, nothing", times["python, nothing"])
    row("hybridflux --help", times["hybridflux --help"], 0.3)
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        here = [__file__, "--first", folder]
        cold, warm = [], []
        for turn in range(max(chosen.rounds // 3, 1)):
            clean = {name: value for name, value in os.environ.items() if not name.startswith("JAX_COMPILATION_CACHE")}
            clean["XDG_CACHE_HOME"] = f"{folder}/cache{turn}"
            cold.append(timed(here, clean))
            warm += [timed(here, clean) for _ in range(3)]
        row(f"first result, {DRAWS} draws, empty cache", cold)
        row(f"first result, {DRAWS} draws, warm cache", warm, 3.0)
        print("\nimported by")
        files = ["--posterior", f"{folder}/posterior.nc", "--region", f"{folder}/region.zarr", "--out", f"{folder}/run"]
        for name, options in (("--help", ["--help"]), ("map --help", ["map", "--help"]), ("map --dry-run", ["map", *files, "--dry-run"])):
            found = listed(options)
            extra = found & UNNEEDED
            print(f"{name:14s} {' '.join(sorted(found)) or 'nothing heavy'}{'; needless: ' + ' '.join(sorted(extra)) if extra else ''}")


def row(name: str, times: list[tuple[float, float]], wanted: float | None = None) -> None:
    """Print medians of wall and processor time."""
    walls = [wall for wall, _ in times]
    middle, processor = statistics.median(walls), statistics.median(cpu for _, cpu in times)
    bound = "" if wanted is None else f"{wanted:8.1f}{'' if middle < wanted else ' missed'}"
    print(f"{name:44s} {middle:8.3f} {min(walls):8.3f} {processor:12.3f} {bound}".rstrip())


def timed(options: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and processor seconds of a Python process, from its start to its first line or its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    with subprocess.Popen([sys.executable, *options], env=environment, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        wall = time.perf_counter() - began
        process.stdout.read()
    if process.returncode:
        raise SystemExit(f"`{' '.join(options)}` failed")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def listed(options: list[str]) -> set[str]:
    """Heavy packages that a command imports."""
    code = f"HEAVY = {HEAVY!r}\n{LISTED}"
    done = subprocess.run([sys.executable, "-c", code, *options], check=True, capture_output=True, text=True)
    return set(done.stderr.splitlines()[-1].split())


def write(folder: Path) -> None:
    """A tiny region and a posterior, as files."""
    from bench_map_throughput import a_posterior, make_region


    make_region(folder / "region.zarr", SIDE)
    a_posterior(DRAWS).save(folder / "posterior.nc")


def first(folder: Path) -> None:
    """What `hybridflux map` does up to the first result of its kernel; prints when it is there."""
    from hybridflux.machine import prepare

    prepare()
    import jax

    from hybridflux.inference.posterior import Posterior
    from hybridflux.region.draws.spread import Draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.kernels.cpu import run_slab
    from hybridflux.region.kernels.kernel_inputs import prepare as ready
    from hybridflux.region.map import make_job as describe
    from hybridflux.region.outputs import KEEP

    posterior = Posterior.load(folder / "posterior.nc")
    job = describe(posterior, folder / "region.zarr", draws=Draws(DRAWS, "parameter"), period=Period(), keep=KEEP)
    prepared = ready(job)
    drivers = read_tile(job.region, next(job.region.tiles()), prepared.names, prepared.window)
    _, pixels = next(prepared.slabs(job, drivers))
    jax.block_until_ready(run_slab(prepared.model, prepared.shared, None, pixels, prepared.static))
    print("done", flush=True)


if __name__ == "__main__":
    main()
