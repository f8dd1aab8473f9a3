"""Commands that show what is there: demo, catalog, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


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


def catalog() -> None:
    """Datasets hybridflux knows and how to get them, and regions that can be built."""
    from hybridflux.data.catalog import describe, load_catalog
    from hybridflux.ingest.config import describe_regions

    typer.echo(describe(load_catalog()))
    typer.echo(describe_regions())


def info(file: Annotated[Path, typer.Argument(help="A posterior, run folder, Zarr store, netCDF or GeoTIFF of ours.")]) -> None:
    """Where a file of ours comes from.

    Prints the configuration, seed, versions, commit and time written into it.
    """
    import json

    from hybridflux.data.origin import read_origin

    typer.echo(json.dumps(read_origin(file), indent=2))
