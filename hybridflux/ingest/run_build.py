"""A build from its beginning to its end: prepared once, its scenes and then its tiles done by an executor, completed."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import zarr

from hybridflux.files import sweep
from hybridflux.ingest import views
from hybridflux.ingest.build_job import BuildJob
from hybridflux.ingest.fill_tile import fill_tile
from hybridflux.ingest.read_scene import blocks, read_scene
from hybridflux.ingest.region_report import OTHER_DAYS
from hybridflux.ingest.region_store import complete, write_template
from hybridflux.ingest.smoother_fit import learn_processes
from hybridflux.progress import Progress
from hybridflux.region.drivers.open import open_region
from hybridflux.region.drivers.plausible_drivers import Finding, findings
from hybridflux.region.run.executors import Executor, Share, Slurm, tiles_at_once
from hybridflux.region.run.lock import WHOLE, Held, hold
from hybridflux.region.store import layout

SCENES_AT_ONCE = 4  # in flight in a process: while one is decoded, others arrive; a service gets no more requests than that at once
PATIENCE = 1.0  # seconds between two looks whether another task has prepared the build


@dataclass(frozen=True)
class BuildReport:
    """Summary of a build.

    Attributes:
        out: region store.
        scenes: number of scenes read.
        clear: share of the pixels of the region that were clear, mean over the scenes.
        tiles: number of tiles.
        days: number of days of the store.
        seconds: duration of this call.
        other_days: definition of the days of the weather; empty where they are those of the region.
        unusual: findings that are odd or wrong by the declared ranges.
        note: what there is left to do, where this call was one of several tasks or submitted them; empty where the store is complete.
    """

    out: Path
    scenes: int
    clear: float
    tiles: int
    days: int
    seconds: float
    other_days: str = ""
    unusual: tuple[Finding, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            return f"{self.out}: {self.note}"
        views = f"{self.scenes} scenes, {100 * self.clear:.0f} % clear on average"
        summary = f"{self.out}: {views}; {self.tiles} tile{'s' if self.tiles != 1 else ''} x {self.days} days in {self.seconds:.0f} s"
        lines = [f"{OTHER_DAYS}: {self.other_days}"] if self.other_days else []
        return "\n".join([summary, *lines, *(str(finding) for finding in self.unusual)])


def run_build(job: BuildJob, resume: bool, executor: Executor | Slurm, notify: Progress, command: Sequence[str] = ()) -> BuildReport:
    """Begin a build or go on with it, do the units that are left, and complete the store.

    Args:
        job: the build.
        resume: its folder may be there already.
        executor: who does the units.
        notify: called with (done, all, message).
        command: words that go on with it on the command line, for SLURM.

    Raises:
        FileExistsError: as `work.check`; or another process is at work there.
        ValueError: as `build_region`.
    """
    began, whole = time.perf_counter(), executor.work == WHOLE
    job.work.check(resume or not whole, job.out)
    if not whole:
        _prepared_by_one(job)
    with hold(job.work.folder, executor.work, resumed=resume or not whole) as held:
        _prepare(job, resume or not whole)
        scenes, tiles = list(range(len(job.scenes))), list(job.config.region_grid.tiles())
        report = BuildReport(job.out, len(scenes), float("nan"), len(tiles), len(job.config.period.days), 0.0)
        if isinstance(executor, Slurm):
            return _noted(report, _submit(job, executor, command, scenes, tiles), began)
        _run(executor, read_scene, job, executor.mine(scenes), notify, held, SCENES_AT_ONCE)
        if not all(_is_read(job, number) for number in scenes):
            return _noted(report, f"{executor.work}: its scenes are read; start it again when those of all tasks are", began)
        learn_processes(job.config, job.views, zarr.open_array(job.out / "plant_type", mode="r")[:], job.work, job.seed)
        mine = executor.mine(tiles)
        waiting = [tile for tile in mine if job.work.read(f"tiles/{tile.id}") is None]
        size = 2 * 2 * job.config.region_grid.tile**2 * len(job.config.period.days)  # mean and sd of an index, int16
        _run(executor, fill_tile, job, waiting, notify, held, tiles_at_once(size), before=len(mine) - len(waiting))
        if not whole:
            return _noted(report, f"{executor.work}: its tiles are filled; without --task the build is completed", began)
        sweep(job.work.folder, "views", "tiles", job.work.views.name)
        sweep(job.out)
        clear = complete(job)
    other_days = zarr.open_group(job.out, mode="r").attrs.get(layout.WEATHER_DAYS, "")
    unusual = tuple(finding for finding in findings(open_region(job.out, check=False)) if finding.level != "ok")
    return dataclasses.replace(report, clear=clear, seconds=time.perf_counter() - began, other_days=other_days, unusual=unusual)


def _noted(report: BuildReport, note: str, began: float) -> BuildReport:
    return dataclasses.replace(report, note=note, seconds=time.perf_counter() - began)


def _prepare(job: BuildJob, resume: bool) -> None:
    """Everything that is done once: the record of the build, its scenes, static maps and weather."""
    job.work.start(job.record, resume, job.out)
    found = job.scenes
    write_template(job)
    views.begin(found, job.indices, job.config.region_grid, job.work)


def _prepared_by_one(job: BuildJob) -> None:
    """Let one of several tasks prepare the build, and wait for it as long as it lives."""
    while job.work.read("scenes") is None:
        try:
            with hold(job.work.folder):
                _prepare(job, resume=True)
        except FileExistsError:
            time.sleep(PATIENCE)


def _run(executor: Executor, work, job: BuildJob, units: list, notify: Progress, held: Held, at_once: int, before: int = 0) -> None:
    """Do units; `before` of them were done."""
    with closing(executor.run(work, job, units, at_once=at_once)) as reports:  # whatever stops us, units in flight come to their end
        for number, report in enumerate(reports, before + 1):
            held.check()
            notify(number, before + len(units), str(report))


def _is_read(job: BuildJob, number: int) -> bool:
    """Whether all blocks of a scene are read."""
    return all(job.work.read(f"views/{number:05d}_{name}") is not None for name, *_ in blocks(job.config.region_grid.geobox))


def _submit(job: BuildJob, executor: Slurm, command: Sequence[str], scenes: list, tiles: list) -> str:
    """Submit two arrays, of scenes and of tiles, each with those of its tasks that have something left, and the job that ends the build."""
    if not command:
        raise ValueError("SLURM starts tasks by their command: give the configuration as a file or an id, not as an object")
    unread = {number for number in scenes if not _is_read(job, number)}
    unfilled = {tile.id for tile in tiles if job.work.read(f"tiles/{tile.id}") is None}
    shares = [Share(number, executor.tasks) for number in range(executor.tasks)]
    reading = [share.task for share in shares if unread & set(share.mine(scenes))]
    filling = [share.task for share in shares if unfilled & {tile.id for tile in share.mine(tiles)}]
    jobs = executor.submit(job.work.folder, command, [reading, filling])
    return f"{len(unread)} scenes and {len(unfilled)} tiles are left; {jobs}"
