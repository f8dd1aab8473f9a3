"""Soil water of ERA5-Land: four layers, hours to days of the region."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from hybridflux.data.catalog import Dataset
from hybridflux.data.moisture.daily_moisture import Moisture
from hybridflux.data.weather import hours
from hybridflux.data.weather.border import Extent, check_spelling, find_band, wanted_days
from hybridflux.data.weather.netcdf import WITH_TABLES, parts, same_cells, window

THICKNESS = {"swvl1": 7.0, "swvl2": 21.0, "swvl3": 72.0, "swvl4": 189.0}
"""Layers of the land surface model (cm): 0-7, 7-28, 28-100, 100-289; ECMWF, ERA5-Land documentation."""
_FIRST_METRE = ("swvl1", "swvl2", "swvl3")
_WET = 0.6  # m3 m-3; above the porosity of all textures of the land surface model but organic soil (ECMWF IFS documentation, part IV)
_POROUS = 0.9  # m3 m-3; no mineral soil holds more, a number above is in percent


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Moisture:
    """Layers of ERA5-Land and their first metre at the cells of an extent [m3 m-3], means of standard days of the region.

    Args:
        dataset: entry of the catalog; those of its bands `swvl1` to `swvl4` that are in the files, the first at least.
        place: folder, file or pattern: netCDF or GRIB of any months, or CSV of points, zipped or not.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included; days without an hour are left out.
        utc_offset: UTC offset of the region's standard days [h].

    Raises:
        FileNotFoundError: no file.
        ValueError: no layer, no hour of these days, an hour twice, units differ from the catalog's, or the extent lies outside.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    windows = []
    series: dict[str, tuple[list, list]] = {}
    for where, data in parts(place, WITH_TABLES):
        variables = find_band(dataset, data.data_vars)
        if not variables:
            continue
        cells = window(data, extent, dataset.ground_resolution, where)
        windows.append(cells)
        for band, name in variables.items():
            check_spelling(bands[band], data[name].attrs.get("units"), f"{where}, `{name}`")
            stamps, values = series.setdefault(band, ([], []))
            stamps.append(cells.stamps)
            values.append(cells.values(data[name]))
    if "swvl1" not in series:
        raise ValueError(f"{place}: no netCDF file with swvl1; add `volumetric_soil_water_layer_1` to the request of {dataset.id}")
    cells = same_cells(windows)
    daily = {name: _daily(*both, days, utc_offset, f"{place}, `{name}`") for name, both in series.items()}
    land = np.isfinite(daily["swvl1"]).any(axis=0)
    seen = np.isfinite(daily["swvl1"]).any(axis=1)
    if not seen.any():
        raise ValueError(f"{place}: no hour on land between {days[0]} and {days[-1]}")
    if all(name in daily for name in _FIRST_METRE):
        depth = sum(THICKNESS[name] for name in _FIRST_METRE)
        daily["root_zone"] = sum(THICKNESS[name] * daily[name] for name in _FIRST_METRE) / depth
    values = {name: part[np.ix_(seen, land)].astype(np.float32) for name, part in sorted(daily.items())}
    origin = {"dataset": dataset.id, "files": sorted({piece.where for piece in windows})[:50], "n_files": len(windows),
              "root_zone": "0 to 100 cm, weighted by thickness"}  # fmt: skip
    return Moisture(days[seen], values, cells.latitude[land], cells.longitude[land], {}, origin, dict.fromkeys(values, "m3 m-3"))


def _daily(of_stamps: list, of_values: list, days: np.ndarray, utc_offset: float, where: str) -> np.ndarray:
    stamps, values = np.concatenate(of_stamps), np.concatenate(of_values)
    ordered, count = np.unique(stamps, return_counts=True)
    if (count > 1).any():
        raise ValueError(f"{where}: the hour {ordered[count > 1][0]} UTC comes twice; keep one file of each period")
    highest = float(np.nanmax(values, initial=0.0))
    if highest > _POROUS or float(np.nanmin(values, initial=0.0)) < -1e-3:
        raise ValueError(f"{where} runs up to {highest:.3g}; soil water is 0 to {_POROUS} m3 m-3: is it in percent, or -9999 missing?")
    middle = float(np.nanmedian(values))
    if middle > _WET:
        warnings.warn(
            f"{where}: the median is {middle:.2f} m3 m-3, more than mineral soils hold when full; is it the degree of saturation (0 to 1)?",
            stacklevel=3,
        )
    return hours.means(hours.day_of(stamps, days, utc_offset, before=0.0), values, len(days))
