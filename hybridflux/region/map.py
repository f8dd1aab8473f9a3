"""Map a region with a posterior: from a store of drivers to a run folder."""

from __future__ import annotations

import dataclasses
import time
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from datetime import date
from pathlib import Path

from hybridflux.files import check_folder, write_json
from hybridflux.inference.checks import warn_of_sensors
from hybridflux.inference.posterior import Posterior
from hybridflux.machine import give_back_memory
from hybridflux.provenance import config_hash
from hybridflux.records import read_record, write_record
from hybridflux.region.draws.fapar_error import SD
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.changeable import check_changes
from hybridflux.region.drivers.driver_change import Change, read_changes
from hybridflux.region.drivers.open import Region, open_region
from hybridflux.region.drivers.plausible_drivers import warn_of_implausible
from hybridflux.region.drivers.tiles_to_map import Worklist
from hybridflux.region.kernels.pixel_blocks import one_cell_per_block
from hybridflux.region.outputs import KEEP, Output
from hybridflux.region.outputs.cogs import write_cogs
from hybridflux.region.outputs.flux_store import SPREADS
from hybridflux.region.run import stac_item
from hybridflux.region.run.estimate import estimate
from hybridflux.region.run.executors import Executor, Serial, Slurm
from hybridflux.region.run.keep import check_outputs, outputs_of
from hybridflux.region.run.lifecycle import MADE, NEEDS, POSTERIOR, attributes, begin, check, is_begun, sweep, write_totals
from hybridflux.region.run.lock import WHOLE, Held, hold
from hybridflux.region.run.report import Progress, RunReport, stopping, unreadable
from hybridflux.region.run.settings import check_numbers, names_of
from hybridflux.region.run.tile import done_report
from hybridflux.region.run.training_range import check_within, of_unseen
from hybridflux.region.spec import LENGTH, PLANT_TYPE, Job, region_fingerprint
from hybridflux.region.store import checksums
from hybridflux.region.store.grid import Tile
from hybridflux.region.store.layout import LIKE
from hybridflux.vocabulary import VARIABLES

PATIENCE = 120  # seconds a task waits for another one that prepares the run
Notify = Callable[[int, int, str], None]


def map_region(
    posterior: Posterior,
    region: str | Path | Region,
    out: str | Path,
    *,
    draws: int = 64,
    start: str | date | None = None,
    end: str | date | None = None,
    spread: str = "parameter+random_effects",
    keep: Sequence[Output] = KEEP,
    resume: bool = False,
    dry_run: bool = False,
    change: Mapping[str, str | Change] | None = None,
    executor: Executor | Slurm | None = None,
    seed: int = 0,
    effect_length: float = LENGTH,
    within: str | Sequence[str] = (),
    progress: Notify | None = None,
) -> RunReport:
    """Map GPP, RECO and NEE of every pixel with their spread, and totals per zone, plant type, month and draw.

    Two runs with the same posterior, draws and seed share their draws and their effects of places, so their difference is
    that of the drivers (`change`).

    Args:
        posterior: fitted model.
        region: store, or an open region.
        out: run folder to write (docs/architecture.md says what is in it).
        draws: posterior draws carried through every pixel.
        start: first day; by default the first one after the lead of the region.
        end: last day; by default the last one of the region.
        spread: what the draws contain, a key of `flux_store.SPREADS`.
        keep: what is kept: `PeriodMaps`, `ZoneTotals`, `DailySeries`, `DailyMaps`, or outputs of your own.
        resume: go on with an interrupted run of the same configuration.
        dry_run: only estimate.
        change: driver -> `*0.6`, `+2` or `climatology`, or a `Change`.
        executor: who runs the tiles: `Serial`, `Dask`, a `Share` of them, or `Slurm`, which submits them for later.
        seed: of the effects of places.
        effect_length: distance over which effects are alike [m].
        within: lasting covariates; a pixel where one is outside its range at the towers of the fit is masked.
        progress: called with (tiles done, all, message).

    Raises:
        FileExistsError: `out` holds a run already and `resume` is not set; or another process is at work there.
        ValueError: the region lacks a driver; the period is not covered; the run there has another configuration; tiles cannot be
            read, which is told when all others are done.
        RunStopped: the disk is full, the folder cannot be written, workers died: it says what is done and how to go on.
        RunInterrupted: the same for Ctrl-C.
    """
    began = time.perf_counter()
    executor = executor or Serial()
    job = _job(
        posterior, region, Path(out), draws=draws, start=start, end=end, spread=spread, keep=tuple(keep), change=change or {},
        seed=seed, length=effect_length, within=within,
    )  # fmt: skip
    if dry_run:
        found = estimate(job, getattr(executor, "threads", 1))
        return RunReport(
            job.out, "dry run", found.tiles, pixels=found.pixels, draws=job.draws, days=len(job.calendar.mapped), estimate=found
        )
    return _map(job, resume, executor, progress, began)


def resume_run(
    out: str | Path, *, region: str | Path | None = None, executor: Executor | Slurm | None = None, progress: Notify | None = None
) -> RunReport:
    """Go on with a run from its folder alone: `run.json` and `posterior.nc` say all that decides its results.

    It is what the tasks of a batch system are given, so that no setting can be lost on the way.

    Args:
        out: run folder of `map_region`.
        region: where the region store is now, if not where it was.
        executor: as for `map_region`.
        progress: as for `map_region`.

    Raises:
        FileNotFoundError: it is not a run folder, or its posterior or region is not there.
        ValueError: the region is not the one that the run was begun with.
        RunStopped: as `map_region`.
        RunInterrupted: as `map_region`.
    """
    began, out = time.perf_counter(), Path(out)
    return _map(job_of_run(out, region), True, executor or Serial(), progress, began)


def map_again(run: Path, out: Path) -> Path:
    """Map a finished run once more into another folder, from its own record and posterior.

    Raises:
        FileNotFoundError: as `resume_run`.
        ValueError: the region is not the one that the run was made with.
    """
    job = dataclasses.replace(job_of_run(run), out=out)
    _map(job, False, Serial(), None, time.perf_counter())
    return out


def job_of_run(out: Path, region: str | Path | None = None) -> Job:
    """The job of a run folder, with every setting as recorded; `resume_run` names what it raises."""
    if not (out / "run.json").exists():
        raise FileNotFoundError(f"{out} is not a run folder: it has no run.json; begin a run with --posterior and --region")
    record = read_record(out / "run.json", MADE, NEEDS)
    path, config = Path(region or record["region"]), record["config"]
    for needed, cure in ((out / POSTERIOR, "give --posterior and --region, and all other options of the run"), (path, "give --region")):
        if not needed.exists():
            raise FileNotFoundError(f"{out} cannot go on: {needed} is not there; {cure}")
    settings = {name: config[name] for name in ("draws", "start", "end", "spread", "seed")}
    settings |= {"keep": outputs_of(config["keep"]), "length": config["effect_length"]}
    settings |= {"change": {text: Change.parse(*text.split("=", 1)) for text in config["changes"]}, "within": tuple(config["within"])}
    job = _job(Posterior.load(out / POSTERIOR), path, out, **settings)
    check(job, resume=True)
    return job


def _map(job: Job, resume: bool, executor: Executor | Slurm, progress: Notify | None, began: float) -> RunReport:
    """Map what is left of a run."""
    so_far, whole = Progress(job.out), executor.work == WHOLE
    check(job, resume or not whole)
    with stopping(so_far):
        if not whole:
            _prepared_by_one(job)
        with hold(job.out, executor.work) as held:
            record = begin(job, resume or not whole)
            work = Worklist.of(job.region)
            mine = executor.mine(work.tiles)
            damaged = checksums.damaged_tiles(job.out, [tile.id for tile in mine])
            if damaged:
                warnings.warn(f"{job.out}: {len(damaged)} tiles are mapped again, because what they wrote is damaged or gone: "
                              f"{checksums.list_of(damaged)}", stacklevel=3)
            waiting = [tile for tile in mine if tile.id in damaged or done_report(job, tile.id) is None]
            unseen = work.without_tower(job.at_towers)
            if unseen and PLANT_TYPE not in job.within:
                warnings.warn(of_unseen(unseen, int(work.pixels.sum())), stacklevel=3)
            so_far.markers = tuple(job.marker(tile.id) for tile in mine)
            about = RunReport(job.out, "running", work.all, len(mine) - len(waiting), draws=job.draws, days=len(job.calendar.mapped))
            if isinstance(executor, Slurm):
                return dataclasses.replace(about, state="submitted", note=executor.submit(job, work.tiles, waiting))
            refused = _run(executor, job, waiting, len(mine), progress or (lambda done, total, message: None), held)
            if refused and whole:
                write_record(job.out / "run.json", record | {"state": "incomplete", "refused": refused})
            if refused:
                raise ValueError(unreadable(job.out, refused, so_far))
            if not whole:
                note = f"{executor.work}: {so_far}; when all tasks are done, the same command with --resume and without --task ends the run"
                return dataclasses.replace(about, note=note)
            return _finish(job, work, record, dataclasses.replace(about, seconds=time.perf_counter() - began), began)


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


def _run(executor: Executor, job: Job, waiting: list[Tile], every: int, notify: Notify, held: Held) -> dict[str, str]:
    """Run tiles; tile -> why it was refused."""
    refused, number = {}, every - len(waiting)
    with closing(executor.run(job, waiting)) as reports:  # whatever stops us, tiles in hand are brought to their end
        for report in reports:
            held.check()
            number += 1
            if report.refused:
                refused[report.tile] = report.refused
            notify(number, every, str(report))
    return refused


def _finish(job: Job, work: Worklist, record: dict, about: RunReport, began: float) -> RunReport:
    """What is made of all tiles, and the record of the whole run."""
    give_back_memory()  # what the tiles needed, before the maps for GIS need theirs
    sweep(job)
    checksums.check_maps(job.out)
    write_totals(job, work.tiles, attributes(record))
    write_cogs(job, work.tiles, attributes(record))
    masked, outside, unseen, pixels = Counter(work.masked), Counter(), Counter(), 0
    for tile in work.tiles:
        report = done_report(job, tile.id)
        masked.update(report.masked)
        outside.update(report.outside)
        unseen.update(report.without_tower)
        pixels += report.pixels
    found = {"pixels": pixels, "masked": dict(masked), "outside": {name: round(count, 1) for name, count in outside.items()}}
    found["without_tower"] = None if job.at_towers is None else dict(unseen)
    about = dataclasses.replace(about, state="done", seconds=time.perf_counter() - began, **found)
    found["plant_types"] = {"at_towers": job.at_towers, "without_tower": found.pop("without_tower")}
    tiles = {"all": work.all, "mapped": len(work.tiles)}
    record = {name: value for name, value in record.items() if name != "refused"}
    write_json(job.out / stac_item.FILE, stac_item.item_of(job, record))
    cogs = sorted(f"cog/{path.name}" for path in (job.out / "cog").glob("*.tif"))
    found["checksums"] = checksums.of_files(job.out, (*job.files, POSTERIOR, stac_item.FILE, *cogs))
    write_record(job.out / "run.json", record | {"state": "done", "tiles": tiles, **found, "seconds": round(about.seconds, 1)})
    return about


def _job(posterior, region, out: Path, *, draws, start, end, spread, change, within=(), **settings) -> Job:
    if spread not in SPREADS:
        hint = "; `predictive` adds measurement noise and belongs beside a tower" if spread == "predictive" else ""
        raise ValueError(f"the spread of a map is one of {', '.join(SPREADS)}, not `{spread}`{hint}")
    check_folder(out)
    check_numbers(draws, settings["length"])
    within = names_of(within)
    region = region if isinstance(region, Region) else open_region(region)
    warn_of_implausible(region)
    if "vegetation" in spread and not region.offers(SD):
        raise ValueError(
            f"the spread `{spread}` draws the error of fapar, and {region.path} does not hold its standard deviation ({SD}); "
            "build the region with `hybridflux region build`, or leave `+vegetation` out"
        )
    if "vegetation" in spread and "fapar" not in posterior.model.needs():
        raise ValueError(f"the spread `{spread}` draws the error of fapar, which this model does not read; leave `+vegetation` out")
    missing = [name for name in posterior.model.needs() if not region.offers(name)]
    if missing:
        raise ValueError(
            f"the model needs {', '.join(missing)}, which {region.path} does not have; add "
            + ", ".join(f"{name} ({VARIABLES[name].units})" if name in VARIABLES else f"a map `{name}` (hf.add_map)" for name in missing)
            + " to the region or fit a model without"
        )
    if checksums.edited(region.path, region.group):
        warnings.warn(f"{region.path} was {checksums.say(region.path, region.group)}", stacklevel=3)
    info = posterior.info
    check_within(within, info.get("ranges", {}), info.get("plant_types"), lambda one: not (region.is_coarse(one) or region.is_daily(one)))
    like = {name: region.group[name].attrs.get(LIKE) for name in info.get("sensors", {}) if name in region.names}
    cure = "`[vegetation] like` of its configuration brings an index there, where the catalog has a line (E15 says what that is worth)"
    warn_of_sensors(info.get("sensors", {}), like, str(region.path), cure)
    calendar, changes = Calendar.of_region(region, start, end), read_changes(change)
    check_outputs(settings["keep"], posterior.model, calendar)
    check_changes(region, posterior.model.needs(), calendar.days, changes)
    job = Job(
        region=region.with_changes(changes), posterior=posterior if draws == posterior.draws else posterior.thin(draws), out=out,
        calendar=calendar, spread=spread, within=within, by_cell=one_cell_per_block(region),
        fingerprint=region_fingerprint(region), **settings,
    )  # fmt: skip
    return dataclasses.replace(job, hash=config_hash(job.config()))
