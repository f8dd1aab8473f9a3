"""A run from its beginning to its end, in its folder: prepared once, tile by tile by an executor, finished."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from contextlib import closing

from hybridflux.files import sweep, write_json
from hybridflux.machine import give_back_memory
from hybridflux.progress import Progress
from hybridflux.records import write_record
from hybridflux.region.drivers.tiles_to_map import TilesToMap
from hybridflux.region.kernels.contract import LIMIT
from hybridflux.region.outputs.base import arrays_of
from hybridflux.region.outputs.cogs import write_cogs
from hybridflux.region.run import stac_item
from hybridflux.region.run.executors import Executor, Share, Slurm, tiles_at_once
from hybridflux.region.run.lifecycle import POSTERIOR, attributes, begin, check, is_begun, write_totals
from hybridflux.region.run.lock import WHOLE, Held, hold
from hybridflux.region.run.report import DoneSoFar, RunReport, stopping, unreadable
from hybridflux.region.run.tile import done_report, run_tile
from hybridflux.region.run.training_range import PLANT_TYPE, of_unseen
from hybridflux.region.spec import Job
from hybridflux.region.store import checksums
from hybridflux.region.store.grid import Tile

PATIENCE = 120  # seconds a task waits for another one that prepares the run


def run_job(job: Job, resume: bool, executor: Executor | Slurm, progress: Progress | None, began: float) -> RunReport:
    """Begin a run or go on with it, map the tiles that are left, and finish it.

    Args:
        job: the run.
        resume: the folder may hold the run already.
        executor: who runs the tiles.
        progress: called with (tiles done, all, message).
        began: when the call began, of `time.perf_counter`.
    """
    so_far, whole = DoneSoFar(job.out), executor.work == WHOLE
    check(job, resume or not whole)
    with stopping(so_far):
        if not whole:
            _prepared_by_one(job)
        with hold(job.out, executor.work) as held:
            record = begin(job, resume or not whole)
            work = TilesToMap.of(job.region)
            mine = executor.mine(work.tiles)
            damaged = checksums.damaged_tiles(job.out, [tile.id for tile in mine])
            if damaged:
                warnings.warn(f"{job.out}: {len(damaged)} tiles are mapped again, because what they wrote is damaged or gone: "
                              f"{checksums.list_of(damaged)}", stacklevel=3)
            waiting = [tile for tile in mine if tile.id in damaged or done_report(job, tile.id) is None]
            unseen = work.without_tower(job.at_towers)
            if unseen and PLANT_TYPE not in job.spec.within:
                warnings.warn(of_unseen(unseen, int(work.pixels.sum())), stacklevel=3)
            so_far.markers = tuple(job.marker(tile.id) for tile in mine)
            about = RunReport(job.out, "running", work.all, len(mine) - len(waiting), towers=job.spec.draws.towers or (), draws=job.draws,
                              days=len(job.calendar.mapped))
            if isinstance(executor, Slurm):
                return dataclasses.replace(about, state="submitted", note=_submit(job, executor, work.tiles, waiting))
            refused = _run(executor, job, waiting, len(mine), progress or (lambda done, total, message: None), held)
            if refused and whole:
                write_record(job.out / "run.json", record | {"state": "incomplete", "refused": refused})
            if refused:
                raise ValueError(unreadable(refused, so_far))
            if not whole:
                note = f"{executor.work}: {so_far}; when all tasks are done, `hybridflux map --run {job.out}` ends the run"
                return dataclasses.replace(about, note=note)
            return _finish(job, work, record, dataclasses.replace(about, seconds=time.perf_counter() - began), began)


def _submit(job: Job, executor: Slurm, tiles: list[Tile], waiting: list[Tile]) -> str:
    """Submit the tasks that have something left to do, and the job that finishes the run behind them."""
    left = {tile.id for tile in waiting}
    shares = [number for number in range(executor.tasks) if left & {tile.id for tile in Share(number, executor.tasks).mine(tiles)}]
    return f"{len(waiting)} of {len(tiles)} tiles are left; " + executor.submit(job.out, ("map", "--run", str(job.out.resolve())), [shares])


def _prepared_by_one(job: Job) -> None:
    """Let one of several tasks prepare the run, and wait for it."""
    until = time.monotonic() + PATIENCE
    while not is_begun(job):
        try:
            with hold(job.out):
                begin(job, resume=True)
        except FileExistsError:
            if time.monotonic() > until:
                raise
            time.sleep(1.0)


def _run(executor: Executor, job: Job, waiting: list[Tile], every: int, notify: Progress, held: Held) -> dict[str, str]:
    """Run tiles; tile -> why it was refused."""
    refused, number = {}, every - len(waiting)
    reports = executor.run(run_tile, job, waiting, at_once=tiles_at_once(job.tile_size))
    with closing(reports):  # whatever stops us, tiles in flight are brought to their end
        for report in reports:
            held.check()
            number += 1
            if report.refused:
                refused[report.tile] = report.refused
            notify(number, every, str(report))
    return refused


def _finish(job: Job, work: TilesToMap, record: dict, about: RunReport, began: float) -> RunReport:
    """What is made of all tiles, and the record of the whole run."""
    give_back_memory()  # what the tiles needed, before the GeoTIFFs need theirs
    sweep(job.out, "tiles", "totals", "cog", job.store.name)
    checksums.check_maps(job.out)
    write_totals(job, work.tiles, attributes(job, record))
    write_cogs(job, work.tiles, attributes(job, record))
    masked, outside, unseen, clipped, pixels = Counter(work.masked), Counter(), Counter(), Counter(), 0
    for tile in work.tiles:
        report = done_report(job, tile.id)
        masked.update(report.masked)
        outside.update(report.outside)
        unseen.update(report.without_tower)
        clipped.update(report.clipped)
        pixels += report.pixels
    found = {"pixels": pixels, "masked": dict(masked), "outside": {name: round(count, 1) for name, count in outside.items()}}
    found["without_tower"] = None if job.at_towers is None else dict(unseen)
    about = dataclasses.replace(about, state="done", seconds=time.perf_counter() - began, **found)
    found["plant_types"] = {"at_towers": job.at_towers, "without_tower": found.pop("without_tower")}
    if clipped:
        found["clipped"] = dict(clipped)
        warnings.warn(f"{job.store}: {_message_about_clipped(job, clipped)}", stacklevel=4)
    tiles = {"all": work.all, "mapped": len(work.tiles)}
    record = {name: value for name, value in record.items() if name != "refused"}
    write_json(job.out / stac_item.FILE, stac_item.item_of(job, record))
    cogs = sorted(f"cog/{path.name}" for path in (job.out / "cog").glob("*.tif"))
    found["checksums"] = checksums.of_files(job.out, (*job.files, POSTERIOR, stac_item.FILE, *cogs))
    write_record(job.out / "run.json", record | {"state": "done", "tiles": tiles, **found, "seconds": round(about.seconds, 1)})
    return about


def _message_about_clipped(job: Job, clipped: Mapping[str, int]) -> str:
    """Warning about values that exceed the range of their map."""
    arrays = {spec.key: spec for specs in arrays_of(job.keep, job.calendar).values() for spec in specs}
    values = [f"{clipped[key]:,} of {key} ({LIMIT * arrays[key].scale:.6g} {arrays[key].units_of(False)})" for key in sorted(clipped)]
    return (
        f"values larger than their map can hold are stored as the largest: {', '.join(values)}; `ZoneTotals` and `DailySeries` have no "
        "such limit, and an array of an output of your own takes a larger `largest`"
    )
