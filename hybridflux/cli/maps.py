"""Commands that map a region: map, scenario."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import (
    Draws,
    End,
    ExecutorKind,
    InsecureScheduler,
    Kind,
    PosteriorFile,
    Region,
    Resume,
    Sbatch,
    Scheduler,
    Seed,
    Start,
    Task,
    Tasks,
    With,
    Workers,
)  # fmt: skip
from hybridflux.files import check_folder
from hybridflux.region.draws.spread import Spread
from hybridflux.terminal import progress_of, wrote


class Leaves(StrEnum):
    """What leaves do in a scenario."""

    auto = "auto"
    follow = "follow"
    held = "held"


SETTINGS = ("posterior", "out", "draws", "start", "end", "daily", "keep", "spread", "seed", "within", "towers", "resume", "dry_run")
"""Options of `map` that a run folder holds, or that make no sense for one."""


def map_(
    ctx: typer.Context,
    posterior: Annotated[Path | None, typer.Option(exists=True, help="File written by `hybridflux fit`.")] = None,
    region: Annotated[Path | None, typer.Option(exists=True, help="Zarr store of the region's drivers on a 10 m grid.")] = None,
    *,
    out: Annotated[Path | None, typer.Option(help="Run folder to write.")] = None,
    run: Annotated[Path | None, typer.Option(help="Go on with the run of this folder, which holds its settings and its posterior.")] = None,
    draws: Draws = 64,
    start: Start = None,
    end: End = None,
    daily: Annotated[bool, typer.Option("--daily", help="Write daily maps too, not only months and years.")] = False,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            help="Keep more: monthly and annual maps of a quantity of the model (evapotranspiration, rew), ZoneTotals=evapotranspiration "
            "for totals per zone and draw, or an output of your own, by its name or as module:Class. May be repeated."
        ),
    ] = None,
    spread: Annotated[Spread, typer.Option(help="What the draws contain.")] = Spread.random_effects,
    seed: Seed = 0,
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only estimate: tiles, bytes, memory, time.")] = False,
    within: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out pixels outside the towers of the posterior, by plant_type or a covariate: elevation. May be repeated."
        ),
    ] = None,
    towers: Annotated[
        str | None,
        typer.Option(
            help="Folder whose sites.csv says where the towers of the posterior stand, where it does not say so; or `none`. Towers near "
            "the region inform it: effects of places pass through theirs."
        ),
    ] = None,
    executor: Kind = ExecutorKind.serial,
    workers: Workers = None,
    scheduler: Scheduler = None,
    insecure_scheduler: InsecureScheduler = False,
    task: Task = None,
    tasks: Tasks = None,
    sbatch: Sbatch = "",
    own: With = None,
) -> None:
    """Map daily fluxes of a region with their spread.

    GPP, RECO and NEE per pixel, and totals per zone and draw. An interrupted run goes on with --run RUN alone.
    """
    from hybridflux.region.run.executors import choose

    check_folder(run or out or Path())
    who = choose(
        executor.value, workers=workers, scheduler=scheduler, insecure_scheduler=insecure_scheduler, task=task, tasks=tasks, sbatch=sbatch
    )
    _check_options(ctx, run)

    from hybridflux.region.map import map_region, plan_map, resume_run

    if run is not None:
        with progress_of("mapping") as progress:
            typer.echo(resume_run(run, region=region, executor=who, progress=progress))
        return

    from hybridflux.inference.posterior import Posterior
    from hybridflux.region.draws import spread as of_draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.drivers.open import open_region
    from hybridflux.region.outputs import KEEP, DailyMaps
    from hybridflux.region.run.keep import read

    where = open_region(region).within(*(within or ()))
    fitted = Posterior.load(posterior)
    known = None if towers is None else () if towers == "none" else _towers_of(Path(towers), fitted.places)
    settings = {"draws": of_draws.Draws(draws, spread, seed, towers=known), "period": Period(start, end), "executor": who}
    settings |= {"keep": (*KEEP, *((DailyMaps(),) if daily else ()), *(read(text) for text in keep or ()))}
    with progress_of("mapping") as progress:
        done = plan_map(fitted, where, **settings) if dry_run else map_region(
            fitted, where, out, **settings, resume=resume, progress=progress
        )  # fmt: skip
        typer.echo(done)


def _towers_of(folder: Path, places: tuple[str, ...]) -> tuple:
    """Towers of the posterior in the table of sites of a folder.

    Raises:
        FileNotFoundError: no folder or no table.
        ValueError: the rows of these towers are faulty, or it has none of them.
    """
    from hybridflux.data.site_table import read_sites
    from hybridflux.region.draws.known_tower import KnownTower

    table = read_sites(folder)
    names = [name for name in places if name in table.rows.index and name not in table.unusable]
    table.refuse(names)
    if not names:
        raise ValueError(f"--towers: {folder / 'sites.csv'} has none of the towers of the posterior: {', '.join(places)[:200]}")
    return tuple(KnownTower(name, float(row.lat), float(row.lon), row.igbp) for name, row in table.rows.loc[names].iterrows())


def _check_options(ctx: typer.Context, run: Path | None) -> None:
    """Refuse a command that names neither a run nor all that a new one needs, or a run and settings that it holds.

    Raises:
        ValueError: names the options, and what to do.
    """
    missing = [name for name in ("posterior", "region", "out") if ctx.params[name] is None]
    if run is None and missing:
        options = " and ".join("--" + name for name in missing)
        raise ValueError(f"{options} missing: a new run takes --posterior, --region and --out; an interrupted one goes on with --run RUN")
    given = [name for name in SETTINGS if ctx.get_parameter_source(name).name == "COMMANDLINE"]
    if run is not None and given:
        options = ", ".join("--" + name.replace("_", "-") for name in given)
        raise ValueError(f"{options}: the run folder decides this where --run is given; leave it out, or begin a new run without --run")


def scenario(
    posterior: PosteriorFile,
    region: Region,
    change: Annotated[
        list[str],
        typer.Option(
            help="rain=*0.6, tair=+2 or vpd=climatology; for a part of the time rain=*0.6@2018-05-01:2018-09-30, from a day on "
            "rain=*0.6@2018-05-01:. tair moves the lowest, highest, night and day temperature with it; VPD is held. rew=0.8 holds the soil "
            "water that plants see, rew=*0.6 moves it. May be repeated."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the control run, the changed run and their difference.")],
    control: Annotated[
        Path | None, typer.Option(exists=True, help="Folder `control` of another scenario of the same region, draws and days: mapped once.")
    ] = None,
    leaves: Annotated[
        Leaves,
        typer.Option(
            help="Whether NIRv and LSWI follow the rain deficit of the changes or are held as they were; auto: they follow where a change "
            "moves rain, tair or par and the model reads them."
        ),
    ] = Leaves.auto,
    draws: Draws = 64,
    start: Start = None,
    end: End = None,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    insecure_scheduler: InsecureScheduler = False,
    own: With = None,
) -> None:
    """Map a region with and without a change of drivers.

    Both runs use the same draws, so that the difference keeps only what the change does.
    """
    from hybridflux.region.drivers.driver_change import read_changes

    changes = _by_driver(change)
    check_folder(out)
    read_changes(changes)  # a wrong change is refused before anything large is opened

    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.scenario import RECORD, run_scenario
    from hybridflux.records import read_record
    from hybridflux.region.draws import spread as of_draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.run.executors import choose

    kind = "dask" if workers or scheduler else "serial"
    who = choose(kind, workers=workers, scheduler=scheduler, insecure_scheduler=insecure_scheduler)
    options = {"executor": who, "draws": of_draws.Draws(draws, Spread.parameter, seed), "period": Period(start, end)}
    fitted = Posterior.load(posterior)
    with progress_of("mapping") as progress:
        run_scenario(fitted, region, changes, out, **options, control=control, leaves=leaves.value, resume=resume, progress=progress)
    typer.echo(read_record(out / RECORD, "written by `hybridflux scenario`")["leaves"])
    if "stacking" in fitted.info:
        typer.echo("mapped by the process members alone: networks of weather and vegetation know no causes")
    wrote(out)


def _by_driver(changes: Sequence[str], option: str = "--change") -> dict[str, str]:
    """Driver -> change, of texts such as `rain=*0.6`.

    Raises:
        ValueError: no `=`, or one driver twice.
    """
    found: dict[str, str] = {}
    for text in changes:
        name, equals, change = text.partition("=")
        if not equals:
            raise ValueError(f"{option} `{text}`: write a change as rain=*0.6, tair=+2 or vpd=climatology")
        if name.strip() in found:
            raise ValueError(f"{option}: `{name.strip()}` is changed twice")
        found[name.strip()] = change.strip()
    return found


def drought(
    ctx: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder for the run against the usual year and its ledger, or of a finished ledger.")],
    start: Annotated[str | None, typer.Option("--start", help="First day of the season, YYYY-MM-DD.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Last day of the season, YYYY-MM-DD.")] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            help="Run to take posterior, region, the pixels that --within left out, draws, towers and seed from; of a run against a usual "
            "year, that too. A scenario is refused: its drivers are not those that were.",
        ),
    ] = None,
    posterior: Annotated[Path | None, typer.Option(exists=True, help="File written by `hybridflux fit`.")] = None,
    region: Annotated[Path | None, typer.Option(exists=True, help="Zarr store of the region's drivers on a 10 m grid.")] = None,
    *,
    reference: Annotated[
        str | None, typer.Option(help="First and last year that say what is usual: 2001:2017. By default what came with the region.")
    ] = None,
    usual: Annotated[
        list[str] | None,
        typer.Option(help="What is usual of a driver, where the region does not say it: rain=*1.4, nirv=+0.02. May be repeated."),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Losses by class, and the probability that two classes differ: land_cover, zone, mowing, irrigation, a map of the region "
            "(soil_capacity), a raster, or polygons as fields.gpkg:COLUMN; land_cover,soil_capacity crosses two. May be repeated. Of a "
            "finished ledger give --out and --by alone."
        ),
    ] = None,
    pixels: Annotated[
        bool | None, typer.Option(help="Keep the sums of every pixel and draw, of which --by is made; by default up to 1 GB.")
    ] = None,
    draws: Draws = 64,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    insecure_scheduler: InsecureScheduler = False,
    own: With = None,
) -> None:
    """What a dry season took, by cause.

    The change of GPP, RECO and NEE of a season against the usual year of the same place, split into soil water, VPD, temperature, light,
    greenness and the rest, per zone and land cover, with intervals. `hybridflux report --drought OUT` shows it.
    """
    from hybridflux.products.drought_classes import keeps_pixels, write_classes
    from hybridflux.products.pixel_classes import classes_of

    if not (start or end or run or posterior or region) and by:
        for classes in by:
            for path in write_classes(out, classes):
                wrote(path)
        return
    if not (start and end):
        raise ValueError("a ledger takes the first and the last day of the season: --start 2018-06-01 --end 2018-08-31")
    check_folder(out)
    if run is None and (posterior is None or region is None):
        raise ValueError("a ledger takes --run RUN, or --posterior FILE and --region STORE")
    years, what_is_usual = _years(reference), _by_driver(usual or [], "--usual")
    given = [f"--{name}" for name in ("draws", "seed") if ctx.get_parameter_source(name).name == "COMMANDLINE"]
    if run is not None and given:
        raise ValueError(f"{' and '.join(given)}: a ledger of a run has the draws and the seed of the run; leave it out, or give "
                         f"--posterior {run / 'posterior.nc'} and --region in place of --run")  # fmt: skip

    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.drought import check_unchanged, run_drought
    from hybridflux.region.draws import spread as of_draws
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.drivers.driver_change import read_changes
    from hybridflux.region.drivers.open import open_region
    from hybridflux.region.run.executors import choose
    from hybridflux.region.run.lifecycle import POSTERIOR, read_run, spec_of

    if run is not None:
        spec = spec_of(run)
        region, posterior = region or Path(read_run(run)["region"]), posterior or run / POSTERIOR
        towers = spec.draws.towers if spec.draws.spread.has_random_effects else None  # a run without effects names none
        of_run = replace(spec.draws, spread=Spread.random_effects, towers=towers)
        known = {change.name: change for change in read_changes(_by_driver(spec.usual)) if not (years and change.is_usual)}
        what_is_usual = {**known, **what_is_usual}
    kind = "dask" if workers or scheduler else "serial"
    options = {"executor": choose(kind, workers=workers, scheduler=scheduler, insecure_scheduler=insecure_scheduler)}
    options |= {"draws": of_draws.Draws(draws, Spread.random_effects, seed) if run is None else of_run, "years": years}
    options |= {"pixels": True if by and pixels is None else pixels}
    opened, season = open_region(region), Period(start, end)
    if run is not None:
        opened = opened.within(*spec.within).with_changes(_by_driver(spec.changes))
        check_unchanged(opened)
    for classes in by or ():
        classes_of(classes, opened, int(end[:4]))  # what cannot be made is refused before anything is mapped
    with progress_of("mapping") as progress:
        run_drought(
            Posterior.load(posterior), opened, out, period=season, usual=what_is_usual, resume=resume, progress=progress,
            **options,
        )  # fmt: skip
    wrote(out)
    for classes in by or (("land_cover",) if keeps_pixels(out) else ()):
        for path in write_classes(out, classes):
            wrote(path)


def _years(text: str | None) -> tuple[int, int] | None:
    """First and last year of `2001:2017`.

    Raises:
        ValueError: not two years.
    """
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdigit() and last.isdigit() and int(first) <= int(last)):
        raise ValueError(f"--reference `{text}`: write the first and the last year as 2001:2017")
    return int(first), int(last)
