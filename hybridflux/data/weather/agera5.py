"""AgERA5: daily agrometeorological indicators, the original files of the data store or cut-outs of them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hybridflux.data.catalog import Dataset
from hybridflux.data.weather.air import check_vapour, vpd_of_extremes
from hybridflux.data.weather.border import Extent, assemble, find_band, place_of_days, to_units, wanted_days
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.data.weather.netcdf import Window, parts, same_cells, window
from hybridflux.data.weather.weather_checks import check_bounds
from hybridflux.units import convert

DAYS = "days of local time as the product defines them (00-00 LT), not shifted to the region's"
"""By the product user guide every daily variable runs from 00 to 00 local time."""
_WARMEST, _VAPOUR = "temperature_max", "vapour_pressure"


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Weather:
    """AgERA5 at the cells of an extent, in vocabulary units; `vpd` from the extremes of temperature and the mean vapour pressure.

    Args:
        dataset: entry of the catalog; its bands `temperature_max` and `vapour_pressure` and those with a variable are read.
        place: folder or file of netCDF, with one or all variables in a file, any number of days, zipped or not; other netCDF is skipped.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included.
        utc_offset: UTC offset of the region's standard days [h], recorded in the origin beside the days of the product.

    Raises:
        FileNotFoundError: no file.
        ValueError: a variable or day is missing or doubled, units differ from the catalog's, a file is damaged, the extent lies outside.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    series, windows, units = _collect(dataset, place, extent)
    lacking = [name for name in (*(band.name for band in dataset.bands if band.variable), _WARMEST, _VAPOUR) if name not in series]
    if lacking:
        other = ", ".join((bands[name].aliases or (name,))[0] if name in bands else name for name in lacking)
        raise ValueError(f"{place}: no {other}; add these variables to the request of {dataset.id}")
    cells = same_cells(windows)
    stored = {}
    for name, (when, values) in series.items():
        when, values = np.concatenate(when), np.concatenate(values)
        stored[name] = values[place_of_days(when, days, f"{place}, `{name}`")]
    converted = {name: to_units(bands[name], values, units[name], f"{place}, `{name}`") for name, values in stored.items()}
    values = {bands[name].variable: part for name, part in converted.items() if bands[name].variable}
    check_bounds("tair", values["tair"], days, str(place))
    warmest = convert(converted[_WARMEST], bands[_WARMEST].units, "degC")
    vapour = convert(converted[_VAPOUR], bands[_VAPOUR].units, "hPa")
    check_vapour(vapour, values["tair"], f"{place}, `{_VAPOUR}`")
    values["tmax"] = warmest
    values["vpd"] = vpd_of_extremes(values["tmin"], warmest, vapour)
    origin = {
        "dataset": dataset.id, "files": sorted({piece.where for piece in windows})[:50], "n_files": len(windows), "days": DAYS,
        "days_of_region": False, "region_utc_offset": float(utc_offset),
        "derived": {"vpd": "FAO-56 equation 12 of the extremes, less the mean vapour pressure"},
    }  # fmt: skip
    return assemble(days, values, cells.latitude, cells.longitude, np.nan, origin, str(place))


def _collect(dataset: Dataset, place, extent: Extent) -> tuple[dict, list[Window], dict]:
    """Band -> (days, values) of every file, the windows of the files, and their units."""
    series: dict[str, tuple[list, list]] = {}
    windows, units = [], {}
    for where, data in parts(place):
        variables = find_band(dataset, data.data_vars)
        if not variables:
            continue
        cells = window(data, extent, dataset.ground_resolution, where)
        windows.append(cells)
        for band, name in variables.items():
            when, values = series.setdefault(band, ([], []))
            when.append(cells.stamps.astype("datetime64[D]"))
            values.append(cells.values(data[name]))
            units[band] = data[name].attrs.get("units")
    if silent := sorted(band for band, declared in units.items() if not declared):
        warnings.warn(f"{place}: {', '.join(silent)} have no units; those of the catalog are used", stacklevel=3)
    if not windows:
        raise ValueError(f"{place}: no netCDF file with a band of {dataset.id}; variables are called like {dataset.bands[0].name}")
    return series, windows, units
