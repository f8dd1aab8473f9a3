"""Commands that show what is there: demo, catalog, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import Catalog
from hybridflux.files import check_folder


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("demo"),
    size: Annotated[int, typer.Option(min=16, help="Pixels along one side of the region.")] = 200,
    days: Annotated[int, typer.Option(min=30, help="Days to map.")] = 365,
) -> None:
    """The whole chain on synthetic data, offline.

    Fits synthetic towers, maps their region, dries it out, closes its budget against the truth, writes a report.
    """
    check_folder(out)

    from hybridflux.demo import run_demo

    run_demo(out, size=size, days=days)


def catalog(
    word: Annotated[str | None, typer.Argument(help="Only datasets and regions whose text holds this word: worldcover, soil.")] = None,
    own: Catalog = None,
) -> None:
    """Datasets that hybridflux reads, how to obtain them, and regions that can be built."""
    from hybridflux.data.catalog import describe, load_catalog, matching
    from hybridflux.ingest.config import describe_regions

    datasets, regions = matching(load_catalog(own=own), word or ""), describe_regions(word or "")
    if not datasets and not regions:
        raise ValueError(f"neither a dataset nor a region of the catalog holds `{word[:40]}`; `hybridflux catalog` lists all")
    typer.echo("\n".join(part for part in (describe(datasets), regions) if part))


def info(file: Annotated[Path, typer.Argument(help="A posterior, run folder, Zarr store, netCDF or GeoTIFF of hybridflux.")]) -> None:
    """Provenance of a file of hybridflux.

    Prints the configuration, seed, versions, commit and time written into it; what of a region, a run or a scenario is not as it was
    written is named, with exit code 2.
    """
    import json

    from hybridflux.data.origin import read_origin
    from hybridflux.region.store.checksums import check_product

    typer.echo(json.dumps(read_origin(file), indent=2))
    check_product(file)
