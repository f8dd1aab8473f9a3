r"""E11 - Do memory and bookkeeping hold for a region of 1e8 pixels?

A region of 10 000 x 10 000 pixels (100 km x 100 km, 1600 tiles of 256 x 256) with 1e5 parcels, of which forty tiles at random places
have vegetation; the rest is outside, without a chunk. It is created tile by tile, opened and checked, and mapped for a year with a
hundred draws: time and largest memory of each step. Beside it, each of these tiles as a region of its own: memory must not be larger
in the large region, and the totals of every parcel must be the same to the last bit. Last, totals of all 1600 tiles and all parcels,
made up, are merged and a budget of them is made. The posterior is made up too: what is asked is how large, not how good.

    python experiments/e11_large_region.py --out runs/e11
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from hybridflux.machine import cores, prepare
from hybridflux.region.draws.spread import Draws

prepare()
sys.path.insert(0, str(Path(__file__).resolve().parent))
from large import Size, make_region, parcel, plant_type, vegetation  # noqa: E402, I001 - the benchmarks folder is found through it
from bench_map_throughput import a_posterior, peak_memory  # noqa: E402, I001

SMOKE = Size(pixels=1000, active=3, draws=4, days=31)
STEPS = {
    "begin": "template and run.json", "_run": "map the tiles",
    "write_totals": "merge totals", "write_cogs": "GeoTIFFs",
}  # fmt: skip
DESCRIBE = "describe the run (hashes of the maps)"
ALONE = "map each tile as a region of its own"
Cells = dict[tuple[int, int], np.ndarray]


@dataclass
class Watch:
    """Seconds and largest memory of steps.

    Attributes:
        steps: (name, seconds, peak memory [MB]).
    """

    steps: list[tuple[str, float, float]] = field(default_factory=list)

    @contextmanager
    def step(self, name: str):
        """Time a step; its peak is its own, not that of steps before it, where the system can forget one."""
        reset = Path("/proc/self/clear_refs")
        if reset.exists():
            reset.write_text("5")
        began = time.perf_counter()
        yield
        self.steps.append((name, time.perf_counter() - began, peak_memory()))
        print(f"{name}: {self.steps[-1][1]:.1f} s, {self.steps[-1][2]:.0f} MB", flush=True)

    def around(self, owner, function: str, name: str) -> None:
        """Watch a function of a module or class from now on."""
        inner = getattr(owner, function)

        def watched(*arguments, **options):
            with self.step(name):
                return inner(*arguments, **options)

        setattr(owner, function, watched)


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/e11"))
    parser.add_argument("--smoke", action="store_true", help="a small region, to see that it runs")
    arguments = parser.parse_args()
    out, size = arguments.out, SMOKE if arguments.smoke else Size()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    load, steps, found = os.getloadavg()[0], [], {}
    for part in (create, each_alone, in_the_large, every_parcel):
        watch, counted = in_a_process(part, out, size)
        steps, found = steps + watch.steps, found | counted
    alone, together = (totals_by_cell(out, runs) for runs in ([f"alone/{tile.id}" for tile in size.tiles()], ["run"]))
    found |= {"cells": len(alone), "equal": sum(np.array_equal(together.get(cell), carbon) for cell, carbon in alone.items())}
    page = table(size, steps, found, f"{cores()} virtual cores, shared with other work, load {load:.1f} when it began")
    (out / "results.md").write_text(page)
    print(page)


def in_a_process(function: Callable, *arguments):
    """The result of a function that has a process, and its memory, for itself."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def settings(size: Size) -> dict:
    """Of every run here."""
    return {"draws": Draws(size.draws, "parameter")}


def create(out: Path, size: Size) -> tuple[Watch, dict]:
    """Write the large region, and each of its tiles as a region of its own."""
    watch = Watch()
    with watch.step("create the region, maps tile by tile"):
        writer = make_region(out / "large.zarr", size, {tile.id for tile in size.tiles()})
    with watch.step("write the vegetation of its tiles"):
        for tile in size.tiles():
            writer.write(tile, vegetation(tile, len(writer.days)))
    (out / "alone").mkdir()
    for tile in size.tiles():
        make_region(out / "alone" / f"{tile.id}.zarr", size, set(), tile).write(moved_home(tile), vegetation(tile, len(writer.days)))
    return watch, {}


def each_alone(out: Path, size: Size) -> tuple[Watch, dict]:
    """Map each tile as a region of its own."""
    from hybridflux.region.map import map_region

    watch, posterior = Watch(), a_posterior(size.draws)
    with watch.step(ALONE):
        for tile in size.tiles():
            map_region(posterior, out / "alone" / f"{tile.id}.zarr", out / "alone" / tile.id, **settings(size))
    return watch, {}


def moved_home(tile):
    """A tile as the only one of its grid."""
    return replace(tile, id="r000_c000", y=slice(0, tile.shape[0]), x=slice(0, tile.shape[1]))


def totals_by_cell(out: Path, runs: list[str]) -> Cells:
    """(zone, plant type) -> GPP and RECO `[flux, month, draw]`, gC, of runs, one added to the other."""
    import xarray as xr

    whole: Cells = {}
    for run in runs:
        with xr.open_dataset(out / run / "totals.nc", engine="h5netcdf") as data:
            carbon = data["total"].sel(flux=["GPP", "RECO"]).transpose("cell", "flux", "month", "draw").values
            cells = zip(data["zone"].values.tolist(), data["plant_type"].values.tolist(), strict=True)
        for cell, one in zip(cells, carbon, strict=True):
            whole[cell] = whole[cell] + one if cell in whole else one
    return whole


def in_the_large(out: Path, size: Size) -> tuple[Watch, dict]:
    """Map the large region, step by step, resume it when it is done, and estimate it."""
    from hybridflux.region import map as verbs
    from hybridflux.region.drivers.open import open_region
    from hybridflux.region.run import run_job as engine

    watch, posterior = Watch(), a_posterior(size.draws)
    with watch.step("open and check"):
        region = open_region(out / "large.zarr")
    kept = {function: getattr(engine, function) for function in STEPS}
    for function, name in STEPS.items():
        watch.around(engine, function, name)
    watch.around(verbs, "make_job", DESCRIBE)
    list_of = engine.TilesToMap.of
    watch.around(engine.TilesToMap, "of", "work list")
    report = verbs.map_region(posterior, region, out / "run", **settings(size))
    for function, inner in kept.items():
        setattr(engine, function, inner)
    engine.TilesToMap.of = list_of
    with watch.step("resume it when it is done (lock, markers, totals, GeoTIFFs)"):
        again = verbs.map_region(posterior, region, out / "run", **settings(size), resume=True)
    with watch.step("plan"):
        estimate = verbs.plan_map(posterior, region, **settings(size))
    written = sum(file.stat().st_size for file in (out / "run").rglob("*") if file.is_file())
    return watch, {"report": report, "again": again, "estimate": estimate, "written": written}


def every_parcel(out: Path, size: Size) -> tuple[Watch, dict]:
    """Merge made-up totals of all tiles and parcels, and make a budget of them."""
    from hybridflux.files import write_json
    from hybridflux.products.budget import budget_table
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.map import make_job
    from hybridflux.region.outputs import KEEP
    from hybridflux.region.outputs.merge_totals import Block, TileTotals
    from hybridflux.region.run.lifecycle import write_totals

    watch = Watch()
    job = replace(make_job(a_posterior(size.draws), out / "large.zarr", **settings(size), period=Period(), keep=KEEP), out=out / "all")
    (job.out / "totals").mkdir(parents=True)
    random, tiles, stored = np.random.default_rng(0), list(size.grid.tiles()), 0
    months, days, expected = len(job.calendar.months), len(job.calendar.mapped), 0.0
    for tile in tiles:
        totals, zones, kinds = TileTotals(), parcel(tile, size.pixels), plant_type(tile)
        for key in np.unique(zones.astype(np.int64) * 256 + kinds).tolist():
            if key % 256 != 255:
                cell = divmod(key, 256)
                totals.area[cell], carbon = 96_100.0, random.random((months, 2, size.draws))
                totals.of_cells.setdefault("totals", {})[cell] = carbon
                expected += float(carbon[:, 0, 0].sum())
        for kind in {kind for _, kind in totals.area}:
            totals.add_to_plant_type("series", random.random((days, 2, size.draws)), Block(kind, np.zeros(0, int), np.zeros(0), 100.0))
        stored += sum(path.stat().st_size for path in totals.save(job.totals(tile.id)))
    with watch.step("merge totals of all tiles and parcels, made up"):
        write_totals(job, tiles, {})
    write_json(job.out / "run.json", {"state": "done"})
    with watch.step("budget of all parcels"):
        budget = budget_table(job.out)
    found = {"tiles": len(tiles), "stored": stored, "rows": len(budget), "zones": budget["zone"].nunique() - 1, "off": _off(job, expected)}
    return watch, found


def _off(job, expected: float) -> float:
    """Relative difference of the sum of all cells, GPP of the first draw, from what the tiles hold."""
    from hybridflux.products.totals import open_totals

    totals = open_totals(job.out)
    every = np.arange(len(totals.area)), np.arange(len(totals.months))
    return abs(totals.sum("GPP", *every)[0] / expected - 1.0)


def table(size: Size, steps: list[tuple[str, float, float]], found: dict, machine: str) -> str:
    """The results as a Markdown page."""
    report, estimate = found["report"], found["estimate"]
    peak = {name: memory for name, _, memory in steps}
    lines = [
        "# E11: a region of 1e8 pixels", "",
        f"{size.pixels:,} x {size.pixels:,} pixels of 10 m, {report.tiles:,} tiles, {size.active} of them with vegetation "
        f"({report.pixels:,} pixels mapped), {size.draws} draws, {size.days} days after a lead of as many. Model `static`, draws made up.",
        f"{machine}. Creating, the tiles alone, the large region and the totals of all parcels have a process each; the peak of a step",
        "is the largest resident memory while it ran, libraries and all.", "",
        "| step | s | peak, MB |", "|---|---|---|",
        *(f"| {name} | {seconds:.1f} | {memory:.0f} |" for name, seconds, memory in steps), "",
        f"* Totals: {found['equal']:,} of {found['cells']:,} cells (parcel and plant type) have the same bits as when each tile is a "
        "region of its own.",
        f"* Memory while tiles are mapped: {peak[STEPS['_run']]:.0f} MB in the large region, {peak[ALONE]:.0f} MB alone; largest of all "
        f"steps {max(peak.values()):.0f} MB.",
        f"* The run took {report.seconds:.0f} s and it wrote {found['written'] / 1e6:.0f} MB; the dry run estimated "
        f"{estimate.seconds:.0f} s, {estimate.bytes_out / 1e6:.0f} MB, and {estimate.memory / 1e6:.0f} MB of memory.",
        f"* All parcels: {found['zones']:,} zones in {found['tiles']:,} tiles, {found['stored'] / 1e9:.1f} GB of totals of tiles; "
        f"{found['rows']:,} rows of a budget; the sum of all cells is off by {found['off']:.0e}.",
        f"* Resumed when done: {found['again'].skipped:,} tiles of {size.active} were known as done.", "",
    ]  # fmt: skip
    return "\n".join(lines)


if __name__ == "__main__":
    main()
