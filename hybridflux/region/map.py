"""The verbs: map a region with a posterior, plan that, go on with it, do it again. From a store of drivers to a run folder."""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from hybridflux.files import check_folder
from hybridflux.inference.checks import warn_of_sensors
from hybridflux.inference.posterior import Posterior
from hybridflux.progress import Progress
from hybridflux.region.draws.spread import Draws
from hybridflux.region.draws.tower_effects import settled
from hybridflux.region.draws.vegetation_error import sd_of
from hybridflux.region.drivers.calendar import Calendar, Period
from hybridflux.region.drivers.changeable import check_changes, check_leaves
from hybridflux.region.drivers.open import EXTREMES, Region, open_region
from hybridflux.region.drivers.plausible_drivers import warn_of_implausible
from hybridflux.region.kernels.kernel_inputs import walked_model
from hybridflux.region.kernels.pixel_blocks import one_cell_per_block
from hybridflux.region.outputs import KEEP, Output
from hybridflux.region.run.estimate import Estimate, estimate
from hybridflux.region.run.executors import Executor, Serial, Slurm
from hybridflux.region.run.keep import check_outputs
from hybridflux.region.run.lifecycle import POSTERIOR, check, read_run, spec_of
from hybridflux.region.run.report import RunReport
from hybridflux.region.run.run_job import run_job
from hybridflux.region.run.training_range import PLANT_TYPE, check_within
from hybridflux.region.spec import Job, RunSpec, posterior_fingerprint, region_fingerprint
from hybridflux.region.store import checksums
from hybridflux.region.store.layout import LIKE
from hybridflux.vocabulary import VARIABLES, split_history


def map_region(
    posterior: Posterior,
    region: str | Path | Region,
    out: str | Path,
    *,
    draws: int | Draws = 64,
    period: Period = Period(),  # noqa: B008
    keep: Sequence[Output] = KEEP,
    executor: Executor | Slurm | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Map GPP, RECO and NEE of every pixel with their spread, and totals per zone, plant type, month and draw.

    Two runs with the same posterior and equal `draws` share their draws and their effects of places, so their difference is that of the
    drivers (`region.with_changes`).

    Args:
        posterior: fitted model.
        region: store, or an open region, perhaps under other drivers (`with_changes`) or without pixels unlike the towers (`within`).
        out: run folder to write (docs/architecture.md says what is in it).
        draws: as many posterior draws, or `Draws`: how many, of which spread, by which seed.
        period: days that are mapped.
        keep: outputs: `PeriodMaps`, `ZoneTotals`, `DailySeries`, `DailyMaps`, `CoarseDaily`, or those of your own.
        executor: who runs the tiles: `Serial`, `Dask`, a `Share` of them, or `Slurm`, which submits them for later.
        resume: go on with an interrupted run of the same specification.
        progress: called with (tiles done, all, message).

    Raises:
        FileExistsError: `out` holds a run already and `resume` is not set; or another process is at work there.
        ValueError: the region lacks a driver; the period is not covered; the run there has another specification; tiles cannot be
            read, which is reported when all others are done.
        RunStopped: the disk is full, the folder cannot be written, workers died: it says what is done and how to go on.
        RunInterrupted: the same for Ctrl-C.
    """
    began = time.perf_counter()
    check_folder(out)
    job = dataclasses.replace(make_job(posterior, region, draws=draws, period=period, keep=keep), out=Path(out))
    return run_job(job, resume, executor or Serial(), progress, began)


def plan_map(
    posterior: Posterior,
    region: str | Path | Region,
    *,
    draws: int | Draws = 64,
    period: Period = Period(),  # noqa: B008
    keep: Sequence[Output] = KEEP,
    executor: Executor | Slurm | None = None,
) -> Estimate:
    """What `map_region` would take on this machine: tiles, bytes, memory, time; a few tiles are mapped the whole way, nothing is kept.

    Args and errors are those of `map_region`.
    """
    return estimate(make_job(posterior, region, draws=draws, period=period, keep=keep), getattr(executor, "threads", Serial().threads))


def resume_run(
    out: str | Path, *, region: str | Path | None = None, executor: Executor | Slurm | None = None, progress: Progress | None = None
) -> RunReport:
    """Go on with a run from its folder alone: `run.json` and `posterior.nc` hold all that decides its results.

    It is what the tasks of a batch system are given, so that no setting can be lost on the way.

    Args:
        out: run folder of `map_region`.
        region: where the region store is now, if not where it was.
        executor: as for `map_region`.
        progress: as for `map_region`.

    Raises:
        FileNotFoundError: it is not a run folder, or its posterior or region is not there.
        ValueError: the region is not the one that the run was begun with, or the run is of an earlier version.
        RunStopped: as `map_region`.
        RunInterrupted: as `map_region`.
    """
    began, out = time.perf_counter(), Path(out)
    return run_job(job_of_run(out, region), True, executor or Serial(), progress, began)


def map_again(
    run: Path, out: Path, *, keep: Sequence[Output] = (), region: Path | None = None, resume: bool = False, progress: Progress | None = None
) -> Path:
    """Map a finished run once more into another folder, from its own specification and posterior.

    Args:
        run: its folder.
        out: the other folder.
        keep: outputs in place of those of the run; its own where there are none.
        region: where the region store is now, if not where it was.
        resume: `out` may hold a part of it already.
        progress: as for `map_region`.

    Raises:
        FileNotFoundError: as `resume_run`.
        ValueError: the region is not the one that the run was made with.
    """
    job = dataclasses.replace(job_of_run(run, region), out=out)
    job = dataclasses.replace(job, spec=dataclasses.replace(job.spec, keep=tuple(keep) or job.keep))
    run_job(job, resume, Serial(), progress, time.perf_counter())
    return out


def job_of_run(out: Path, region: str | Path | None = None) -> Job:
    """The job of a run folder, of its specification; `resume_run` names what it raises."""
    if not (out / "run.json").exists():
        raise FileNotFoundError(f"{out} is not a run folder: it has no run.json; begin a run with --posterior and --region")
    spec, path = spec_of(out), Path(region or read_run(out)["region"])
    for needed, cure in ((out / POSTERIOR, "give --posterior and --region, and all other options of the run"), (path, "give --region")):
        if not needed.exists():
            raise FileNotFoundError(f"{out} cannot go on: {needed} is not there; {cure}")
    changed = open_region(path).with_changes(dict(change.split("=", 1) for change in spec.changes)).within(*spec.within)
    changed = changed.with_leaves(spec.leaves).against(dict(change.split("=", 1) for change in spec.usual))
    made = make_job(Posterior.load(out / POSTERIOR), changed, draws=spec.draws, period=spec.period, keep=spec.keep)
    job = dataclasses.replace(made, out=out)
    check(job, resume=True)
    return job


def make_job(posterior: Posterior, region: str | Path | Region, *, draws: int | Draws, period: Period, keep: Sequence[Output]) -> Job:
    """A run that has no folder yet; all that can be wrong with its settings is refused here, as `map_region` says."""
    draws = Draws.of(draws)
    region = region if isinstance(region, Region) else open_region(region)
    warn_of_implausible(region)
    uncertain = _uncertain(region, posterior, draws)
    if (region.changes or region.usual) and posterior.of_causes().model is not posterior.model:
        raise ValueError(
            "networks of weather and vegetation know no causes, so a region under changed or usual drivers is mapped by process members "
            "alone: give posterior.of_causes()"
        )
    _check_offered(region, posterior.model.needs())
    if checksums.edited(region.path, region.group):
        warnings.warn(f"{region.path} was {checksums.say(region.path, region.group)}", stacklevel=3)
    ranges, at_towers = posterior.info.get("ranges", {}), posterior.info.get("plant_types")
    check_within(region.limits, ranges, at_towers, lambda name: not (region.is_coarse(name) or region.is_daily(name)))
    sensors = posterior.info.get("sensors", {})
    like = {name: region.group[name].attrs.get(LIKE) for name in sensors if name in region.names}
    cure = "`[vegetation] like` of its configuration brings an index there, where the catalog has a line (E15 says what that is worth)"
    warn_of_sensors(sensors, like, str(region.path), cure)
    calendar = Calendar.of_region(region, period)
    needs = posterior.model.needs()
    walked_model(posterior.model, region.changes)
    check_outputs(tuple(keep), posterior.model, calendar, tuple(name for name in needs if region.has_usual(name)))
    for output in keep:
        output.check(posterior)
    check_changes(region, needs, calendar.days)
    check_leaves(region, needs)
    if region.usual:
        check_changes(region.in_usual_year, needs, calendar.days)
    draws = settled(draws, posterior, region.grid)
    posterior = posterior if draws.number == posterior.draws else posterior.thin(draws.number)
    spec = RunSpec(
        region=region.path.name, region_fingerprint=region_fingerprint(region), posterior_fingerprint=posterior_fingerprint(posterior),
        draws=draws, period=Period(calendar.mapped[0], calendar.mapped[-1]), changes=tuple(str(change) for change in region.changes),
        within={name: tuple(sorted(at_towers) if name == PLANT_TYPE else ranges[name]) for name in region.limits}, keep=tuple(keep),
        usual=tuple(str(change) for change in region.usual), leaves=region.leaves,
    )  # fmt: skip
    return Job(spec, region, posterior, Path(), calendar, one_cell_per_block(region), uncertain)


def _check_offered(region: Region, needs: Sequence[str]) -> None:
    """Refuse a region that lacks what a model reads, running means and quantiles of daily maps by the name of the map.

    Raises:
        ValueError: it names what is missing and how it comes into a region.
    """
    lacking = [split_history(name)[0] for name in needs if not region.offers(name)]
    missing = list(dict.fromkeys(EXTREMES.get(name, (name,))[0] for name in lacking))
    if not missing:
        return
    wanted = [f"{name} ({VARIABLES[name].units})" if name in VARIABLES else f"a map `{name}` (hf.add_map)" for name in missing]
    indices = [name for name in missing if sd_of(name) in VARIABLES]
    build = f": `[vegetation] also = {json.dumps(indices)}` of `hybridflux region build`;" if indices else ""
    raise ValueError(
        f"the model needs {', '.join(missing)}, which {region.path} does not have; add {', '.join(wanted)} to the region{build} "
        f"or fit a model without{' (`hybridflux fit --model hybrid`)' if indices else ''}"
    )


def _uncertain(region: Region, posterior: Posterior, draws: Draws) -> tuple[str, ...]:
    """Daily maps that the model reads, themselves or their running means, where the spread draws their errors.

    Raises:
        ValueError: it reads none, or the region does not hold the standard deviation of one.
    """
    if not draws.spread.has_vegetation_error:
        return ()
    if region.usual:
        raise ValueError(
            f"a run against the usual year draws no errors of the vegetation series; leave `+vegetation` out of `{draws.spread}`"
        )
    read = tuple(dict.fromkeys(split_history(name)[0] for name in posterior.model.needs() if region.is_daily(name)))
    missing = [sd_of(name) for name in read if sd_of(name) not in region.names]
    if missing:
        raise ValueError(
            f"the spread `{draws.spread}` draws the errors of {' and '.join(read)}, and {region.path} does not hold "
            f"{' and '.join(missing)}; build the region with `hybridflux region build`, or leave `+vegetation` out"
        )
    if not read:
        raise ValueError(f"the spread `{draws.spread}` draws errors of daily maps, and this model reads none; leave `+vegetation` out")
    return read
