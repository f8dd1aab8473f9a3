"""Fluxes for atmospheric inversions: a prior of NEE, GPP and RECO on a coarse grid, with its members and a summary of its errors.

The axes are those that the Community Inversion Framework reads as `gridded_netcdf/std`: time x latitude x longitude, a coordinate `time`,
files of `file_freq: 1MS`, any `varname` (community-inversion.eu, "Gridded NetCDF surface flux"). FLEXINVERT takes fluxes at the resolution
of its footprints, which `grid` gives. Units are kg m-2 s-1 of **carbon**: a mass of CO2 is 44.01 / 12.011 times that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hybridflux.files import Enduring, check_folder, whole_stream
from hybridflux.products.hours_of_day import HOURS, light_shares, temperature_shares
from hybridflux.products.prior_error import summary
from hybridflux.products.totals import file_of
from hybridflux.progress import Progress
from hybridflux.region.map import map_again
from hybridflux.region.outputs import CoarseDaily
from hybridflux.region.outputs.quantities import Quantity
from hybridflux.region.run.lifecycle import spec_of
from hybridflux.region.store import layout
from hybridflux.region.store.coarse_grid import CoarseGrid

FLUXES = ("NEE", "GPP", "RECO")
PER_SECOND = 1 / 86_400 / 1000
"""Of a gram in a day: kilograms in a second."""
STANDARD_NAMES = {"GPP": "gross_primary_productivity_of_biomass_expressed_as_carbon"}
"""Of CF. There is none of an upward net flux of an ecosystem, nor of its respiration; that of NEP has the other sign."""
MAPPED_AGAIN = "map"
"""Folder, below that of the prior, of the run that is made where the run keeps no sums of this grid."""


def export_prior(
    run: str | Path,
    out: str | Path,
    *,
    grid: float | str | tuple = 0.1,
    hourly: bool = False,
    region: str | Path | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Write the fluxes of a run on a coarse grid, one netCDF file a month: `prior_2018-06.nc`.

    Of a run that keeps `CoarseDaily(grid)` they are there; another one is mapped once more, with the same posterior, draws and effects of
    places, into the folder `map` of `out`, which may be removed afterwards; an export that was interrupted while it mapped goes on with it.

    Args:
        run: folder of `map_region`.
        out: folder to write.
        grid: step in degrees; a netCDF file with `lat` and `lon`; or edges (`CoarseDaily`).
        hourly: hours in place of days, made of the days by light and temperature (`hours_of_day`), to which they add up.
        region: where the region store is now, if not where it was.
        progress: called with (tiles done, all, message), where the run is mapped again.

    Raises:
        FileExistsError: the folder holds a prior.
        FileNotFoundError: no run; or its posterior or region is gone, where it has to be mapped again.
        ValueError: the grid cannot be read, or holds no pixel of the run.
    """
    run, out, output = Path(run), check_folder(out), CoarseDaily(str(grid) if isinstance(grid, Path) else grid)
    if there := sorted(out.glob("prior_*.nc")):
        raise FileExistsError(f"{out} holds a prior ({there[0].name}); remove its files, or give another folder")
    if output not in spec_of(run).keep:
        again = out / MAPPED_AGAIN
        where = None if region is None else Path(region)
        run = map_again(run, again, keep=(output,), region=where, resume=(again / "run.json").exists(), progress=progress)
    return list(_months(file_of(run, output), output, out, hourly))


def _months(path: Path, output: CoarseDaily, out: Path, hourly: bool) -> Iterator[Path]:
    """Write the months."""
    from hybridflux.data.hdf5 import open_netcdf

    with open_netcdf(path) as data:
        rows, columns, cells = _box(data, output, path)
        grid = CoarseGrid.of(output.grid)
        edges = grid.latitude[rows.start : rows.stop + 1], grid.longitude[columns.start : columns.stop + 1]
        area = grid.area()[rows, columns]
        month = data["time"].values.astype("datetime64[M]")
        for one in np.unique(month):
            days = np.flatnonzero(month == one)
            name = out / f"prior_{one}.nc"
            with whole_stream(name) as stream:
                _write(stream, data, slice(int(days[0]), int(days[-1]) + 1), cells, edges, area, hourly)
            yield name


def _box(data, output: CoarseDaily, path: Path) -> tuple[slice, slice, dict[str, np.ndarray]]:
    """Rows and columns that are written, and the cells of the run in them: all of a grid from a file, else those around the run.

    Raises:
        ValueError: no pixel of the run lies in the grid, or some do not: their carbon would be lost.
    """
    row, column, mapped = (data[name].values for name in ("row", "column", "area"))
    inside = row >= 0
    if not inside.all():
        lost = mapped[~inside].sum() / mapped.sum()
        raise ValueError(f"{path}: {100 * lost:.3g} % of the mapped area lies outside the grid; give one that holds the whole region")
    if isinstance(output.grid, tuple):
        rows, columns = (slice(0, count) for count in CoarseGrid.of(output.grid).shape)
    else:
        rows, columns = (slice(int(at.min()), int(at.max()) + 1) for at in (row, column))
    return rows, columns, {"row": row - rows.start, "column": column - columns.start, "mapped": mapped}


def _write(stream: Enduring, data, days: slice, cells: Mapping[str, np.ndarray], edges: tuple, area: np.ndarray, hourly: bool) -> None:
    """A month: the coordinates and the summary of its errors first, then the fluxes, a day at a time."""
    import h5netcdf
    import xarray as xr

    at, draws = (cells["row"], cells["column"]), data.sizes["draw"]
    of_cell = PER_SECOND / area[at]
    centres = tuple(0.5 * (one[1:] + one[:-1]) for one in edges)
    names, steps, where = [str(one) for one in data["flux"].values], HOURS if hourly else 1, (centres[0][at[0]], centres[1][at[1]])
    coordinates, variables = _coordinates(data, days, centres, edges, steps), _areas(area, at, cells["mapped"])
    errors = summary(_anomalies(data, days, names.index("NEE"), of_cell), *where)
    found = xr.Dataset(variables | errors, coords=coordinates, attrs=_attributes(data, days))
    found.to_netcdf(stream, engine="h5netcdf", encoding={name: {"_FillValue": None} for name in found.variables})
    with h5netcdf.File(stream, "a") as file:
        packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
        written = {}
        for name in names:
            mean, sd = (file.create_variable(one, ("time", "lat", "lon"), np.float32, chunks=(1, *area.shape), **packed)
                        for one in (name, f"{name}_sd"))  # fmt: skip
            members = file.create_variable(
                f"{name}_members", ("realization", "time", "lat", "lon"), np.float32, chunks=(draws, 1, *area.shape), **packed
            )
            for variable, what in ((mean, "mean over the members"), (sd, "standard deviation over the members"), (members, "members")):
                variable.attrs.update(_about(name, what))
            if name in STANDARD_NAMES:
                mean.attrs["standard_name"] = members.attrs["standard_name"] = STANDARD_NAMES[name]
            mean.attrs["ancillary_variables"] = f"{name}_sd"
            written[name] = mean, sd, members
        for day in range(days.start, days.stop):
            fluxes = {name: data["total"][number, :, :, day].values.T[:, None] * of_cell for number, name in enumerate(names)}
            fluxes = _hours(fluxes, data, day, *where) if hourly else fluxes
            steps_of_day = slice((day - days.start) * steps, (day - days.start + 1) * steps)
            for name, values in fluxes.items():
                for variable, some in zip(written[name], (values.mean(0), values.std(0), values), strict=True):
                    full = np.zeros((*some.shape[:-1], *area.shape), np.float32)
                    full[(..., *at)] = some
                    variable[(..., steps_of_day, slice(None), slice(None))] = full


def _hours(fluxes: Mapping[str, np.ndarray], data, day: int, latitude: np.ndarray, longitude: np.ndarray) -> dict[str, np.ndarray]:
    """The hours `[draw, hour, cell]` of the fluxes of a day `[draw, 1, cell]`."""
    offset, date = float(data.attrs["utc_offset"]), data["time"].values[day].astype("datetime64[D]")
    gpp = fluxes["GPP"] * HOURS * light_shares(date, latitude, longitude, offset)
    reco = fluxes["RECO"] * HOURS * temperature_shares(float(data["tair"][day]), float(data["tmin"][day]), longitude, offset)
    return {"NEE": reco - gpp, "GPP": gpp, "RECO": reco}


def _anomalies(data, days: slice, flux: int, of_cell: np.ndarray):
    """Function of some cells that gives the departures of NEE from the mean over the draws `[draw, day, cell]`."""

    def of(cells: np.ndarray) -> np.ndarray:
        values = np.stack([data["total"][flux, :, :, day].values[cells].T for day in range(days.start, days.stop)], 1) * of_cell[cells]
        return values - values.mean(0)

    return of, len(of_cell)


def _about(name: str, what: str) -> dict[str, str]:
    """Attributes of a flux."""
    sign = {"NEE": "positive to the atmosphere, NEE = RECO - GPP", "GPP": "uptake, not negative", "RECO": "release, not negative"}[name]
    return {
        "units": "kg m-2 s-1", "long_name": f"{Quantity.of(name.lower()).long_name}, {what}", "cell_methods": "area: mean time: mean",
        "cell_measures": "area: cell_area",
        "comment": f"mass of carbon, {sign}; over the whole area of the cell, where what is not mapped exchanges nothing: "
        "flux times cell_area is the carbon of the mapped pixels, flux over mapped_fraction is theirs per area",
    }  # fmt: skip


def _coordinates(data, days: slice, centres: tuple, edges: tuple, steps: int) -> dict:
    """Coordinates and their bounds.

    A day is one of the region's standard time, written in UTC; its middle has the date of the day. The hours of a month are those
    of its days.
    """
    day = data["time"].values[days].astype("datetime64[D]").astype(float) * 24 - float(data.attrs["utc_offset"])
    hours = {"units": "hours since 1970-01-01 00:00:00", "calendar": "standard", "bounds": "time_bnds"}
    starts = (day[:, None] + np.arange(steps) * HOURS / steps).ravel()
    what = {"long_name": f"middle of the {'day' if steps == 1 else 'hour'}, UTC"}
    found = {
        "time": ("time", starts + HOURS / steps / 2, layout.TIME | hours | what),
        "time_bnds": (("time", "bnds"), np.stack([starts, starts + HOURS / steps], 1)),
        "realization": ("realization", data["draw"].values, {"standard_name": "realization", "units": "1", "long_name": "posterior draw"}),
    }
    axes = ("lat", "latitude", "degrees_north", "Y"), ("lon", "longitude", "degrees_east", "X")
    for (name, word, units, letter), centre, edge in zip(axes, centres, edges, strict=True):
        found[name] = (name, centre, {"standard_name": word, "long_name": word, "units": units, "axis": letter, "bounds": f"{name}_bnds"})
        found[f"{name}_bnds"] = ((name, "bnds"), np.stack([edge[:-1], edge[1:]], 1))
    return found


def _areas(area: np.ndarray, at: tuple[np.ndarray, np.ndarray], mapped: np.ndarray) -> dict:
    """True area of the cells, and the part of it that is mapped."""
    share = np.zeros(area.shape)
    share[at] = mapped / area[at]
    return {
        "cell_area": (("lat", "lon"), area, {"units": "m2", "standard_name": "cell_area", "long_name": "area on the WGS84 ellipsoid"}),
        "mapped_fraction": (("lat", "lon"), share, {"units": "1", "long_name": "mapped pixels, part of the area of the cell"}),
    }


def _attributes(data, days: slice) -> dict[str, str]:
    """Attributes of the run, with those of the month."""
    kept = {name: value for name, value in data.attrs.items() if name not in ("zone_names", "plant_types", "utc_offset")}
    first, last = (str(data["time"].values[day])[:10] for day in (days.start, days.stop - 1))
    pixels = "a pixel counts with its true area in the cell that holds its centre"
    errors = "members and sd hold the spread that is named here, not the structural error of the model"
    return kept | {
        "time_coverage_start": first, "time_coverage_end": last, "days": str(days.stop - days.start),
        "summary": f"prior fluxes for atmospheric inversions; {pixels}; {errors}",
        "history": f"{data.attrs['history']}\nhybridflux export prior",
    }  # fmt: skip
