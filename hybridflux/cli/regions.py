"""Commands over the drivers of a region: region build, region check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import Resume, Seed
from hybridflux.terminal import progress_of, wrote


def build(
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


def check(
    region: Annotated[Path, typer.Argument(exists=True, help="Region store, *.zarr.")],
    figure: Annotated[
        Path | None, typer.Option(help="PNG to write: land cover, vegetation with the usual range of its year, soil water.")
    ] = None,
    run: Annotated[Path | None, typer.Option(exists=True, help="Run over this region, whose fluxes join the figure.")] = None,
) -> None:
    """What a region store holds, and whether it looks like a region.

    Coverage, gaps, ranges and origin; vegetation by land cover and month, weather and soil held against declared ranges, a line each: ok,
    odd or wrong. The exit code is 2 where one is wrong.
    """
    from hybridflux.ingest.check import check

    found = check(region)
    typer.echo(found)
    if figure:
        from hybridflux.report.region import draw_region

        draw_region(region, figure, run)
        wrote(figure)
    if found.level == "wrong":
        raise typer.Exit(2)
