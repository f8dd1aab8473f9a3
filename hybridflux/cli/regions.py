"""Commands over the drivers of a region: region build, region check, region irrigate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import (
    Catalog,
    ExecutorKind,
    InsecureScheduler,
    Kind,
    Overwrite,
    Resume,
    Sbatch,
    Scheduler,
    Seed,
    Task,
    Tasks,
    With,
    Workers,
)  # fmt: skip
from hybridflux.files import check_folder, check_output, whole
from hybridflux.terminal import progress_of, wrote

FIGURES = (".png", ".svg", ".pdf")


def build(
    config: Annotated[str, typer.Argument(help="Configuration of a region: a TOML file, or an id that `hybridflux catalog` lists.")],
    out: Annotated[Path, typer.Option(help="Region store to write, *.zarr.")],
    data: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Folder of your own files.")] = None,
    catalog: Catalog = None,
    resume: Resume = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the requests and their size, and try out how long the rest takes here.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="With --dry-run, every request in full.")] = False,
    seed: Seed = 0,
    executor: Kind = ExecutorKind.serial,
    workers: Workers = None,
    scheduler: Scheduler = None,
    insecure_scheduler: InsecureScheduler = False,
    task: Task = None,
    tasks: Tasks = None,
    sbatch: Sbatch = "",
    own: With = None,
) -> None:
    """Find, read, clean, fill and align everything that a region needs.

    An interrupted build goes on with --resume. With --task, first the scenes of a share are read and then, when those of all are, the tiles
    of a share filled; the command without --task completes the store.
    """
    from hybridflux.region.run.executors import choose

    check_folder(out)
    who = choose(
        executor.value, workers=workers, scheduler=scheduler, insecure_scheduler=insecure_scheduler, task=task, tasks=tasks, sbatch=sbatch
    )

    from hybridflux.ingest.build import build_region, plan_region

    if dry_run:
        plan = plan_region(config, out, data=data, catalog=catalog, trial=True)
        typer.echo(plan.every_request() if verbose else plan)
        return
    with progress_of("building") as progress:
        report = build_region(config, out, data=data, catalog=catalog, resume=resume, seed=seed, executor=who, progress=progress)
        typer.echo(report)
    if not report.note:
        wrote(out)


def check(
    region: Annotated[Path, typer.Argument(exists=True, help="Region store, *.zarr.")],
    figure: Annotated[
        Path | None, typer.Option(help="PNG to write: land cover, vegetation with the usual range of its year, soil water.")
    ] = None,
    run: Annotated[Path | None, typer.Option(exists=True, help="Run over this region, whose fluxes are added to the figure.")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Content of a region store, compared with usual ranges.

    Coverage, gaps, ranges and origin; vegetation by land cover and month, weather and soil against declared ranges, one line each: ok,
    odd or wrong. The exit code is 2 where one is wrong.
    """
    if figure:
        check_output(figure, overwrite=overwrite)
        if figure.suffix.lower() not in FIGURES:
            raise ValueError(f"{figure}: a figure ends in {', '.join(FIGURES)}; give it such a name")

    from hybridflux.ingest.region_report import check

    report = check(region)
    typer.echo(report)
    if figure:
        from hybridflux.report.region_figure import draw_region

        with whole(figure) as partial:
            draw_region(region, partial, run)
        wrote(figure)
    if report.level == "wrong":
        raise typer.Exit(2)


def irrigate(
    region: Annotated[Path, typer.Argument(exists=True, help="Region store, *.zarr; it is not changed.")],
    water: Annotated[Path, typer.Option(exists=True, help="CSV zone,start,end,mm,sd: a season, or a day where end is empty.")],
    out: Annotated[Path, typer.Option(help="Region store to write, a copy with that water.")],
    shift: Annotated[
        float, typer.Option(help="Standard deviations by which all amounts are moved: -1 and 1 say what their error does.")
    ] = 0.0,
) -> None:
    """Add known irrigation to the rain of its parcels.

    Writes a copy of a region whose irrigated zones get the water of a table, evenly over the days of each row; runs of the copy name it,
    and draw it with its standard deviation where no --shift is given.
    """
    from hybridflux.ingest.irrigate import irrigate

    for row in irrigate(region, water, out, shift=shift)["irrigated"]:
        typer.echo(f"{row['zone'] or 'no zone'} {row['land_cover']}: {row['mm']:.1f} mm (sd {row['sd']:.1f}) on {row['area_ha']:.2f} ha")
    wrote(out)
