"""Commands that show what is there: demo, catalog, info."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import Catalog
from hybridflux.files import check_folder
from hybridflux.terminal import progress_of


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("demo"),
    size: Annotated[int, typer.Option(min=16, help="Pixels along one side of the region.")] = 100,
    years: Annotated[int, typer.Option(min=1, max=7, help="Years to map, of which the last has a drought.")] = 6,
    days: Annotated[int | None, typer.Option(min=30, help="Only so many days, about the drought.")] = None,
) -> None:
    """The whole chain on synthetic data, offline.

    Fits synthetic towers, maps their region over six years with a drought, dries the last one further, compares years, budget and what an
    inventory says of it with the truth, writes a report.
    """
    check_folder(out)

    from hybridflux.demo import run_demo

    run_demo(out, size=size, years=years, days=days)


def catalog(
    word: Annotated[str | None, typer.Argument(help="Only datasets and regions whose text holds this word: worldcover, soil.")] = None,
    own: Catalog = None,
) -> None:
    """Datasets that hybridflux reads, and regions that can be built.

    With the licence of each dataset, how to obtain it and what to cite.
    """
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


def view(
    runs: Annotated[list[Path], typer.Argument(exists=True, file_okay=False, help="Folders of `map` or `scenario`, on one grid.")],
    region: Annotated[Path | None, typer.Option(exists=True, help="Where their region store is now, if it was moved.")] = None,
    ledger: Annotated[Path | None, typer.Option(exists=True, help="Table of `hybridflux ledger` of the first run, shown by zone.")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of this machine; any free one by default.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    export: Annotated[Path | None, typer.Option(help="Write a folder that opens offline instead: index.html and its tiles.")] = None,
) -> None:
    """Look at the maps of runs in a browser.

    Runs of any size, by a server that only this machine reaches: dates, uncertainty, runs and years side by side, the series of a pixel,
    zones, and the budget of a polygon that you draw.
    """
    if export is not None:
        if region or ledger or port:
            raise ValueError("--region, --ledger and --port belong to the server; --export writes the maps of years and months alone")
        check_folder(export)

        from hybridflux.view.static_viewer import write_static

        with progress_of("writing tiles") as progress:
            typer.echo(write_static(runs, export, progress=progress))
        return

    from hybridflux.view.server import serve

    with serve(runs, region=region, ledger=ledger, port=port) as server:
        typer.echo(f"{server.address}\nonly this machine reaches it, with this address; Ctrl-C ends it")
        if browser:
            import webbrowser

            webbrowser.open(server.address)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            typer.echo("ended")
