"""The command line: each command is a few lines over the public API; heavy imports stand inside the commands."""

from __future__ import annotations

import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hybridflux.machine import prepare
from hybridflux.terminal import is_for_user, progress_of, wrote

app = typer.Typer(
    name="hybridflux",
    help="Hybrid carbon-flux model: fitted to eddy-covariance towers, mapped at 10 m. NEE = RECO - GPP, positive to the atmosphere.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # the rich help page doubles the start-up time
    pretty_exceptions_enable=False,
)

region_app = typer.Typer(name="region", help="Build and check the store of a region's drivers.", no_args_is_help=True)
app.add_typer(region_app)

Towers = Annotated[Path, typer.Option("--towers", exists=True, help="Folder with sites.csv, fluxnet_dd/ and satellite/.")]
Sites = Annotated[str | None, typer.Option("--sites", help="Only these sites: FR-Pue,DE-Tha")]
PosteriorFile = Annotated[Path, typer.Option("--posterior", exists=True, help="File written by `hybridflux fit`.")]
Region = Annotated[Path, typer.Option("--region", exists=True, help="Zarr store of the region's drivers on a 10 m grid.")]
Draws = Annotated[int, typer.Option("--draws", min=1, help="Posterior draws carried through every pixel.")]
Start = Annotated[str | None, typer.Option("--start", help="First day, YYYY-MM-DD.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of all random numbers.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run.")]
End = Annotated[str | None, typer.Option("--end", help="Last day, YYYY-MM-DD.")]


class Method(StrEnum):
    """Inference methods."""

    map = "map"
    ensemble = "ensemble"
    laplace = "laplace"
    svi = "svi"
    nuts = "nuts"


class Spread(StrEnum):
    """What the draws of a map contain."""

    parameter = "parameter"
    random_effects = "parameter+random_effects"
    vegetation = "parameter+random_effects+vegetation"


class ExecutorKind(StrEnum):
    """Who runs the tiles of a map."""

    serial = "serial"
    dask = "dask"
    slurm = "slurm"


Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes of a local dask cluster, or tasks of a SLURM array.")]
Scheduler = Annotated[str | None, typer.Option("--scheduler", help="Address of a dask cluster that runs: tcp://host:8786")]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        typer.echo(f"hybridflux {metadata.version('hybridflux')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    pass


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("demo"),
    size: Annotated[int, typer.Option(min=16, help="Pixels along one side of the region.")] = 200,
    days: Annotated[int, typer.Option(min=30, help="Days to map.")] = 365,
) -> None:
    """The whole chain on synthetic data, offline.

    Fits synthetic towers, maps their region, dries it out, closes its budget against the known truth, writes a report.
    """
    from hybridflux.demo import run_demo

    run_demo(out, size=size, days=days)


@app.command()
def fit(
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Posterior file to write (netCDF).")],
    sites: Sites = None,
    years: Annotated[str | None, typer.Option(help="First and last year: 2001:2010")] = None,
    model: Annotated[
        str | None, typer.Option(help="hybrid (the default for map, ensemble), static (for laplace, svi, nuts), or a .py or .json file.")
    ] = None,
    method: Annotated[Method, typer.Option(help="How to fit.")] = Method.ensemble,
    seed: Seed = 0,
) -> None:
    """Fit a model to towers and write its posterior."""
    from hybridflux import inference
    from hybridflux.data.towers import open_towers
    from hybridflux.model import compositions

    fitted = compositions.get(model or compositions.DEFAULT[method])
    sequences = open_towers(towers, sites=sites, years=years).sequences(fitted.needs_at_towers())
    methods = {
        "map": inference.MAP,
        "ensemble": inference.Ensemble,
        "laplace": inference.LaplaceApproximation,
        "svi": inference.SVI,
        "nuts": inference.NUTS,
    }
    with progress_of("fitting") as progress:
        posterior = methods[method]().fit(fitted, sequences, seed=seed, progress=progress)
    posterior.save(out)
    wrote(out)


@app.command()
def evaluate(
    posterior: PosteriorFile,
    towers: Towers,
    out: Annotated[Path, typer.Option(help="Table to write: one row per site and variable.")],
    sites: Sites = None,
) -> None:
    """Score a posterior at towers.

    A site that the fit has not seen is predicted as unseen. One row per site and variable.
    """
    from hybridflux.data.towers import open_towers
    from hybridflux.evaluate.scores import evaluate as score
    from hybridflux.inference.posterior import Posterior

    score(Posterior.load(posterior), open_towers(towers, sites=sites)).to_csv(out, index=False)
    wrote(out)


@app.command("map")
def map_(
    posterior: PosteriorFile,
    region: Region,
    out: Annotated[Path, typer.Option(help="Run folder to write.")],
    draws: Draws = 64,
    start: Start = None,
    end: End = None,
    daily: Annotated[bool, typer.Option("--daily", help="Write daily maps too, not only months and years.")] = False,
    spread: Annotated[Spread, typer.Option(help="What the draws contain.")] = Spread.random_effects,
    seed: Seed = 0,
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done: tiles, bytes, memory, time.")] = False,
    within: Annotated[
        list[str] | None,
        typer.Option(help="Leave out pixels whose covariate is outside its range at the towers: elevation. May be repeated."),
    ] = None,
    executor: Annotated[ExecutorKind, typer.Option(help="Who runs the tiles.")] = ExecutorKind.serial,
    workers: Workers = None,
    scheduler: Scheduler = None,
    task: Annotated[int | None, typer.Option(min=0, help="Run one share of the tiles, the first one is 0; with --tasks.")] = None,
    tasks: Annotated[int | None, typer.Option(min=1, help="How many shares there are.")] = None,
    sbatch: Annotated[str, typer.Option(help="Options of sbatch: '--time=2:00:00 --mem=4G --cpus-per-task=8'")] = "",
) -> None:
    """Map daily fluxes of a region with their spread.

    GPP, RECO and NEE per pixel, and totals per zone and draw. An interrupted run goes on with --resume.
    """
    from hybridflux.region.executors import choose

    who = choose(executor.value, workers=workers, scheduler=scheduler, task=task, tasks=tasks, sbatch=sbatch)

    from hybridflux.inference.posterior import Posterior
    from hybridflux.region.run import map_region

    fitted = Posterior.load(posterior)
    options = {"draws": draws, "start": start, "end": end, "spread": spread.value, "daily": daily, "seed": seed, "resume": resume}
    options |= {"within": within or (), "executor": who}
    with progress_of("mapping") as progress:
        typer.echo(map_region(fitted, region, out, **options, dry_run=dry_run, progress=progress))


@app.command()
def scenario(
    posterior: PosteriorFile,
    region: Region,
    change: Annotated[list[str], typer.Option(help="rain=*0.6, tair=+2 or vpd=climatology; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder for the control run, the changed run and their difference.")],
    draws: Draws = 64,
    start: Start = None,
    end: End = None,
    seed: Seed = 0,
    resume: Resume = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
) -> None:
    """Map a region with and without a change of drivers.

    Both runs use the same draws, so that the difference keeps only what the change does.
    """
    from hybridflux.region.change import read_changes

    changes = _by_driver(change)
    read_changes(changes)  # a slip of the pen is told before anything large is opened

    from hybridflux.inference.posterior import Posterior
    from hybridflux.products.scenario import run_scenario
    from hybridflux.region.executors import choose

    kind = "dask" if workers or scheduler else "serial"
    options = {"executor": choose(kind, workers=workers, scheduler=scheduler), "draws": draws, "start": start, "end": end, "seed": seed}
    fitted = Posterior.load(posterior)
    with progress_of("mapping") as progress:
        run_scenario(fitted, region, changes, out, **options, resume=resume, progress=progress)
    wrote(out)


@app.command()
def budget(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="Table to write.")],
    zones: Annotated[Path | None, typer.Option(exists=True, help="CSV with columns zone,group: zones of the region put together.")] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes and exports to compare with.")] = None,
) -> None:
    """Totals per zone and land cover, with intervals.

    With --inventory, compared with independently measured stock changes.
    """
    from hybridflux.products.budget import budget_table

    budget_table(run, zones=zones, inventory=inventory).to_csv(out, index=False)
    wrote(out)


@app.command()
def report(
    run: Annotated[Path, typer.Option(exists=True, help="Run folder of `hybridflux map`.")],
    out: Annotated[Path, typer.Option(help="HTML page to write.")],
    posterior: Annotated[Path | None, typer.Option(exists=True, help="Of the run: its parameters, prior and posterior.")] = None,
    towers: Annotated[Path | None, typer.Option(exists=True, help="Towers folder: fits at towers, with --posterior.")] = None,
    scenario: Annotated[Path | None, typer.Option(exists=True, help="Folder of `hybridflux scenario`: the effect of the change.")] = None,
    inventory: Annotated[Path | None, typer.Option(exists=True, help="CSV of measured stock changes: the closure.")] = None,
) -> None:
    """One HTML page of a run, readable offline.

    Maps, seasons, budget and origin of the run; what else is named adds its section.
    """
    from hybridflux.data.towers import open_towers
    from hybridflux.inference.posterior import Posterior
    from hybridflux.report.page import write_report

    write_report(
        run,
        out,
        posterior=Posterior.load(posterior) if posterior else None,
        towers=open_towers(towers) if towers else None,
        scenario=scenario,
        inventory=inventory,
    )
    wrote(out)


@app.command()
def catalog() -> None:
    """Datasets hybridflux knows and how to get them, and regions that can be built."""
    from hybridflux.data.catalog import describe, load_catalog
    from hybridflux.ingest.config import describe_regions

    typer.echo(describe(load_catalog()))
    typer.echo(describe_regions())


@region_app.command("build")
def region_build(
    config: Annotated[str, typer.Argument(help="Configuration of a region: a TOML file, or an id that `hybridflux catalog` lists.")],
    out: Annotated[Path, typer.Option(help="Region store to write, *.zarr.")],
    data: Annotated[Path | None, typer.Option(help="Folder that stands for {data} in the configuration.")] = None,
    resume: Resume = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print every request, its size and its time; ask for nothing.")] = False,
    seed: Seed = 0,
) -> None:
    """Find, read, clean, fill and align everything a region needs.

    An interrupted build goes on with --resume.
    """
    from hybridflux.ingest.build import build_region, plan_region

    if dry_run:
        typer.echo(plan_region(config, out, data=data))
        return
    with progress_of("building") as progress:
        typer.echo(build_region(config, out, data=data, resume=resume, seed=seed, progress=progress))
    wrote(out)


@region_app.command("check")
def region_check(
    region: Annotated[Path, typer.Argument(exists=True, help="Region store, *.zarr.")],
    figure: Annotated[Path | None, typer.Option(help="PNG to write: land cover, vegetation and its sd, soil water.")] = None,
    run: Annotated[Path | None, typer.Option(exists=True, help="Run over this region, whose fluxes join the figure.")] = None,
) -> None:
    """What a region store holds: coverage, gaps, ranges and origin."""
    from hybridflux.ingest.check import check_text

    typer.echo(check_text(region))
    if figure:
        from hybridflux.report.region import draw_region

        draw_region(region, figure, run)
        wrote(figure)


@app.command()
def info(file: Annotated[Path, typer.Argument(help="A posterior, run folder, Zarr store, netCDF or GeoTIFF of ours.")]) -> None:
    """Where a file of ours comes from.

    Prints the configuration, seed, versions, commit and time written into it.
    """
    import json

    from hybridflux.data.origin import read_origin

    typer.echo(json.dumps(read_origin(file), indent=2))


def _by_driver(changes: list[str]) -> dict[str, str]:
    """Driver -> change, of texts such as `rain=*0.6`.

    Raises:
        ValueError: no `=`, or one driver twice.
    """
    found: dict[str, str] = {}
    for text in changes:
        name, equals, change = text.partition("=")
        if not equals:
            raise ValueError(f"--change `{text}`: write a change as rain=*0.6, tair=+2 or vpd=climatology")
        if name.strip() in found:
            raise ValueError(f"--change: `{name.strip()}` is changed twice")
        found[name.strip()] = change.strip()
    return found


def main() -> None:
    """Entry point: 0 done, 1 a fault of ours (traceback), 2 something the user can mend (one line)."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    prepare()
    try:
        app(arguments)
    except (ValueError, KeyError, OSError) as error:
        if debug or not is_for_user(error):
            raise
        message = error.args[0] if isinstance(error, KeyError) else error
        typer.echo(f"{typer.style('error:', fg='red', bold=True)} {message}", err=True)
        sys.exit(2)
