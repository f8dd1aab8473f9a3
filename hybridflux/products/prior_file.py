"""A month of a prior as a netCDF file: coordinates, areas, a summary of the errors, and the fluxes, an hour or day at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from hybridflux.files import Enduring
from hybridflux.products.hours_of_day import HOURS
from hybridflux.products.prior_cells import PriorCells
from hybridflux.products.prior_error import summary
from hybridflux.region.outputs.quantities import Quantity
from hybridflux.region.store import layout
from hybridflux.vocabulary import PLANT_TYPE_NAMES

STANDARD_NAMES = {"GPP": "gross_primary_productivity_of_biomass_expressed_as_carbon"}
"""Of CF. There is none of an upward net flux of an ecosystem, nor of its respiration; that of NEP has the other sign."""
AT_ONCE = 32 << 20  # bytes of the members of a flux in memory
STATISTICS = {"": "mean over the members", "_sd": "standard deviation over the members", "_members": "members"}
"""What follows the name of a flux in that of a variable, and what it is."""


def write_month(stream: Enduring, cells: PriorCells, days: slice, hourly: bool) -> None:
    """Write some days of the fluxes of cells.

    Where there are sectors, a total is the sum of its sectors as they are written, float32, so that it is theirs to its last digit.
    """
    import h5netcdf
    import xarray as xr

    steps = HOURS if hourly else 1
    count, (latitude, longitude) = len(cells.starts), (one[cells.starts] for one in cells.lat_lon)
    errors = summary((lambda some: cells.anomalies(days, some), count), latitude, longitude)
    found = xr.Dataset(_areas(cells) | errors, coords=_coordinates(cells, days, steps), attrs=_attributes(cells, days))
    found.to_netcdf(stream, engine="h5netcdf", encoding={name: {"_FillValue": None} for name in found.variables})
    with h5netcdf.File(stream, "a") as file:
        names = [str(name) for name in cells.data["flux"].values]
        for sector in ("", *cells.sectors):
            for name in names:
                _create(file, cells, name, sector)
        together = max(AT_ONCE // (4 * cells.data.sizes["draw"] * cells.area.size), 1)
        for day in range(days.start, days.stop):
            fluxes = cells.day(day, hourly)
            for hour in range(0, steps, together):
                first = (day - days.start) * steps + hour
                for name in names:
                    _write(file, cells, name, fluxes[name][:, hour : hour + together], first)


def _create(file, cells: PriorCells, name: str, sector: str) -> None:
    """The variables of a flux."""
    packed: dict[str, Any] = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    for statistic, what in STATISTICS.items():
        of_draws, draws = (("realization",), (cells.data.sizes["draw"],)) if statistic == "_members" else ((), ())
        dims, chunks = (*of_draws, "time", *cells.grid.dims), (*draws, 1, *cells.area.shape)
        variable = file.create_variable(_variable(name, sector, statistic), dims, np.float32, chunks=chunks, **packed)
        variable.attrs.update(_about(name, sector, what))
        if cells.grid.dims != ("lat", "lon"):
            variable.attrs["coordinates"] = "lat lon"
        if name in STANDARD_NAMES and statistic != "_sd":
            variable.attrs["standard_name"] = STANDARD_NAMES[name]
        if not statistic:
            variable.attrs["ancillary_variables"] = _variable(name, sector, "_sd")


def _write(file, cells: PriorCells, name: str, values: np.ndarray, first: int) -> None:
    """A flux from one time on, `[draw, time, row of the file]`: its sectors, and their sum."""
    sectors = cells.sectors
    written = {sector: _statistics(values[..., rows]) for sector, rows in sectors.items()}
    for sector, statistics in written.items():
        _put(file, cells, (name, sector), statistics, sectors[sector], first)
    of_cells = cells.starts
    if not sectors:
        return _put(file, cells, (name, ""), _statistics(values), of_cells, first)
    of_rows = {what: np.zeros((*one.shape[:-1], values.shape[-1]), np.float32) for what, one in next(iter(written.values())).items()}
    for sector, statistics in written.items():
        for what, some in statistics.items():
            of_rows[what][..., sectors[sector]] = some
    total = {what: np.add.reduceat(one.astype(float), of_cells, axis=-1) for what, one in of_rows.items()}
    return _put(file, cells, (name, ""), total | {"_sd": total["_members"].std(0)}, of_cells, first)


def _statistics(values: np.ndarray) -> dict[str, np.ndarray]:
    found = {"": values.mean(0), "_sd": values.std(0), "_members": values}
    return {what: one.astype(np.float32) for what, one in found.items()}


def _put(file, cells: PriorCells, of: tuple[str, str], statistics: dict[str, np.ndarray], rows: np.ndarray, first: int) -> None:
    """Write the statistics of some rows of the file into their cells; other cells exchange nothing."""
    row, column = (one[rows] for one in cells.at)
    for statistic, values in statistics.items():
        full = np.zeros((*values.shape[:-1], *cells.area.shape), np.float32)
        full[..., row, column] = values
        file[_variable(*of, statistic)][..., first : first + full.shape[-3], :, :] = full


def _variable(name: str, sector: str, statistic: str) -> str:
    return f"{name}{sector and f'_{sector}'}{statistic}"


def _about(name: str, sector: str, what: str) -> dict[str, str]:
    """Attributes of a flux."""
    sign = {"NEE": "positive to the atmosphere, NEE = RECO - GPP", "GPP": "uptake, not negative", "RECO": "release, not negative"}[name]
    of = f" of {PLANT_TYPE_NAMES[sector]} ({sector})" if sector else ""
    fraction = f"mapped_fraction{sector and f'_{sector}'}"
    return {
        "units": "kg m-2 s-1", "long_name": f"{Quantity.of(name.lower()).long_name}{of}, {what}", "cell_methods": "area: mean time: mean",
        "cell_measures": "area: cell_area",
        "comment": f"mass of carbon, {sign}; over the whole area of the cell, where what is not mapped exchanges nothing: "
        f"flux times cell_area is the carbon of the mapped pixels{of}, flux over {fraction} is theirs per area",
    }  # fmt: skip


def _coordinates(cells: PriorCells, days: slice, steps: int) -> dict:
    """Coordinates and their bounds.

    A day is one of the region's standard time, written in UTC; its middle has the date of the day. The hours of a month are those
    of its days.
    """
    data = cells.data
    day = data["time"].values[days].astype("datetime64[D]").astype(float) * 24 - float(data.attrs["utc_offset"])
    hours = {"units": "hours since 1970-01-01 00:00:00", "calendar": "standard", "bounds": "time_bnds"}
    starts = (day[:, None] + np.arange(steps) * HOURS / steps).ravel()
    what = {"long_name": f"middle of the {'day' if steps == 1 else 'hour'}, UTC"}
    draws = {"standard_name": "realization", "units": "1", "long_name": "posterior draw"}
    return {
        "time": ("time", starts + HOURS / steps / 2, layout.TIME | hours | what),
        "time_bnds": (("time", "bnds"), np.stack([starts, starts + HOURS / steps], 1)),
        "realization": ("realization", data["draw"].values, draws),
    } | cells.grid.coordinates(cells.rows, cells.columns)


def _areas(cells: PriorCells) -> dict:
    """True area of the cells, and the part of it that is mapped, in all and of each sector."""
    what = {"units": "m2", "standard_name": "cell_area", "long_name": "area on the WGS84 ellipsoid"}
    found = {"cell_area": (cells.grid.dims, cells.area, what)}
    mapped = cells.data["area"].values
    for sector, rows in ({"": slice(None)} | cells.sectors).items():
        share = np.zeros(cells.area.shape)
        np.add.at(share, tuple(one[rows] for one in cells.at), mapped[rows] / cells.area[cells.at][rows])
        of = f" of {PLANT_TYPE_NAMES[sector]}" if sector else ""
        about = {"units": "1", "long_name": f"mapped pixels{of}, part of the area of the cell"}
        found[f"mapped_fraction{sector and f'_{sector}'}"] = cells.grid.dims, share, about
    return found


def _attributes(cells: PriorCells, days: slice) -> dict[str, str]:
    """Attributes of the run, with those of the month."""
    data = cells.data
    kept = {name: value for name, value in data.attrs.items() if name not in ("zone_names", "plant_types", "utc_offset")}
    first, last = (str(data["time"].values[day])[:10] for day in (days.start, days.stop - 1))
    pixels = "a pixel counts with its true area in the cell that holds its centre"
    errors = "members and sd hold the spread that is named here, not the structural error of the model"
    apart = f"; sectors by IGBP plant type, {' '.join(cells.sectors)}, add up to the fluxes without one" if cells.sectors else ""
    return kept | {
        "time_coverage_start": first, "time_coverage_end": last, "days": str(days.stop - days.start),
        "summary": f"prior fluxes for atmospheric inversions; {pixels}; {errors}{apart}",
        "history": f"{data.attrs['history']}\nhybridflux export prior",
    }  # fmt: skip
