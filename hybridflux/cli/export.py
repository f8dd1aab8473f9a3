"""Commands that write a run for other programs: export prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hybridflux.cli.options import With
from hybridflux.files import check_folder
from hybridflux.terminal import progress_of, wrote


def prior(
    run: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Run folder of `map`.")],
    *,
    grid: Annotated[str, typer.Option(help="Step in degrees, or a netCDF file with lat and lon, of WRF or CHIMERE too.")] = "0.1",
    out: Annotated[Path, typer.Option(help="Folder to write: a file for each month.")],
    hourly: Annotated[bool, typer.Option("--hourly", help="Hours that add up to the days: GPP by light, RECO by temperature.")] = False,
    sectors: Annotated[str, typer.Option(help="`land_cover`: NEE, GPP and RECO of each plant type too, NEE_CRO.")] = "",
    region: Annotated[Path | None, typer.Option(exists=True, help="Where the region store is now, if it was moved.")] = None,
    own: With = None,
) -> None:
    """NEE, GPP and RECO of every day or hour on a coarse grid for atmospheric inversions.

    With members, standard deviation and correlation lengths, kg m-2 s-1 of carbon; NEE is positive to the atmosphere. A run that was not
    mapped with `--keep CoarseDaily=0.1`, or `CoarseDaily=0.1,land_cover`, is mapped once more, with the same draws.
    """
    check_folder(out)

    from hybridflux.products.prior import export_prior

    with progress_of("mapping again") as progress:
        export_prior(run, out, grid=grid, hourly=hourly, sectors=sectors, region=region, progress=progress)
    wrote(out)
