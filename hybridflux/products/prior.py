"""Fluxes for atmospheric inversions: a prior of NEE, GPP and RECO on a coarse grid, with its members and a summary of its errors.

The axes are those that the Community Inversion Framework reads as `gridded_netcdf/std`: time x latitude x longitude, a coordinate `time`,
files of `file_freq: 1MS`, any `varname` (community-inversion.eu, "Gridded NetCDF surface flux"). Its `datavect` has a parameter, with a
`varname` of its own, for each sector ("Standard CIF data vector"), so that sectors are variables here: `NEE_CRO`. A curvilinear grid has
the dimensions `south_north` and `west_east` and `lat` and `lon` along both, as flux files of CHIMERE do ("Emission inputs"). FLEXINVERT
takes fluxes at the resolution of its footprints, which `grid` gives. Units are kg m-2 s-1 of **carbon**: a mass of CO2 is 44.01 / 12.011
times that.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hybridflux.files import check_folder, whole_stream
from hybridflux.products.coarse_daily import CoarseDaily
from hybridflux.products.prior_cells import PriorCells
from hybridflux.products.prior_file import write_month
from hybridflux.products.totals import file_of
from hybridflux.progress import Progress
from hybridflux.region.map import map_again
from hybridflux.region.run.lifecycle import spec_of

MAPPED_AGAIN = "map"
"""Folder, below that of the prior, of the run that is made where the run keeps no sums of this grid."""


def export_prior(
    run: str | Path,
    out: str | Path,
    *,
    grid: float | str | tuple = 0.1,
    hourly: bool = False,
    sectors: str = "",
    region: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the fluxes of a run on a coarse grid, one netCDF file a month: `prior_2018-06.nc`.

    Of a run that keeps `CoarseDaily(grid)` they are there; another one is mapped once more, with the same posterior, draws and effects of
    places, into the folder `map` of `out`, which may be removed afterwards; an export that was interrupted while it mapped goes on with it.

    Args:
        run: folder of `map_region`.
        out: folder to write.
        grid: step in degrees; a netCDF file with `lat` and `lon` along an axis each, or curvilinear ones of WRF or CHIMERE; or edges or
            corners (`CoarseDaily`).
        hourly: hours in place of days, made of the days by light and temperature (`hours_of_day`), to which they add up.
        sectors: `land_cover` for NEE, GPP and RECO of each plant type too, `NEE_CRO`; those of a cell add up to its total. They are written
            in any case where the run keeps them.
        region: where the region store is now, if not where it was.
        progress: called with (tiles done, all, message), where the run is mapped again.

    Raises:
        FileExistsError: the folder holds a prior.
        FileNotFoundError: no run; or its posterior or region is gone, where it has to be mapped again.
        ValueError: the grid cannot be read, or holds no pixel of the run.
    """
    run, out, output = Path(run), check_folder(out), CoarseDaily(str(grid) if isinstance(grid, Path) else grid, sectors)
    if there := sorted(out.glob("prior_*.nc")):
        raise FileExistsError(f"{out} holds a prior ({there[0].name}); remove its files, or give another folder")
    kept = [one for one in spec_of(run).keep if isinstance(one, CoarseDaily) and one.grid == output.grid]
    if not any(one.sectors == output.sectors or not output.sectors for one in kept):
        again = out / MAPPED_AGAIN
        where = None if region is None else Path(region)
        run = map_again(run, again, keep=(output,), region=where, resume=(again / "run.json").exists(), progress=progress)
    return list(_months(file_of(run, output), output, out, hourly))


def _months(path: Path, output: CoarseDaily, out: Path, hourly: bool) -> Iterator[Path]:
    """Write the months."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(path) as data:
        cells = PriorCells.of(data, output, path)
        month = data["time"].values.astype("datetime64[M]")
        for one in np.unique(month):
            days = np.flatnonzero(month == one)
            name = out / f"prior_{one}.nc"
            with whole_stream(name) as stream:
                write_month(stream, cells, slice(int(days[0]), int(days[-1]) + 1), hourly)
            yield name
