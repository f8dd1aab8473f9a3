"""SAFRAN-ISBA (SIM2) of Meteo-France: daily tables of the 8 km grid of France."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import Transformer

from hybridflux.data.catalog import Dataset
from hybridflux.data.weather.air import vpd_of_humidity
from hybridflux.data.weather.border import Extent, assemble, find_band, place_of_days, to_units, wanted_days
from hybridflux.data.weather.netcdf import files_of
from hybridflux.data.weather.weather import Weather
from hybridflux.units import convert

GRID = "EPSG:27572"
"""Lambert II etendu, in which the centres are given in hectometres."""
_HECTOMETRE, _SPACING = 100.0, 8000.0  # m
_KEYS = ("LAMBX", "LAMBY", "DATE")
_ROWS = 1_000_000  # of a table at a time: a decade has 36 million
DAYS = "rain 06 UTC to 06 UTC of the next day; lowest temperature 18 to 18, highest 06 to 06; means and radiation UTC days; not shifted"
"""What the parameter list of the product says of its days."""


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Weather:
    """SIM2 at the cells of an extent, in vocabulary units; `rain` with snow, `vpd` from the extremes of temperature and the mean humidity.

    Args:
        dataset: of the catalog; its bands `T_Q TINF_H_Q TSUP_H_Q SSI_Q PRELIQ_Q PRENEI_Q HU_Q`, in newer files without `_Q`.
        place: folder, file or pattern of tables, `.csv` or `.csv.gz`, `;` between columns.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included.
        utc_offset: of the region's standard days [h], told in the origin.

    Raises:
        FileNotFoundError: no file.
        ValueError: a column or day is missing or doubled, or the extent lies outside France.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    box = _box(extent)
    files = files_of(place, (".csv", ".csv.gz"))
    table = pd.concat([part for file in files for part in _rows(dataset, file, box, days)], ignore_index=True)
    if table.empty:
        raise ValueError(f"{place}: no row of the extent {extent} between {days[0]} and {days[-1]}; the grid covers metropolitan France")
    centres, cell = np.unique(table[["LAMBX", "LAMBY"]].to_numpy(float), axis=0, return_inverse=True)
    stored = {name: _matrix(table, name, cell.ravel(), len(centres), days, place) for name in bands}
    values = {name: to_units(bands[name], part, None, f"{place}, `{name}`") for name, part in stored.items()}
    warmest, humidity = convert(values["TSUP_H_Q"], bands["TSUP_H_Q"].units, "degC"), convert(values["HU_Q"], bands["HU_Q"].units, "1")
    out = {bands[name].variable: part for name, part in values.items() if bands[name].variable}
    out["rain"] = out["rain"] + convert(values["PRENEI_Q"], bands["PRENEI_Q"].units, "mm d-1")
    out["tmax"] = warmest
    out["vpd"] = vpd_of_humidity(out["tmin"], warmest, humidity)
    longitude, latitude = Transformer.from_crs(GRID, "EPSG:4326", always_xy=True).transform(*(centres.T * _HECTOMETRE))
    origin = {
        "dataset": dataset.id, "files": [file.name for file in files], "days": DAYS, "days_of_region": False,
        "region_utc_offset": float(utc_offset), "derived": {"vpd": "FAO-56 equations 12 and 19", "rain": "liquid and solid"},
    }  # fmt: skip
    return assemble(days, out, latitude, longitude, np.nan, origin, str(place))


def _box(extent: Extent) -> tuple[float, float, float, float]:
    """The extent on the grid, grown by one cell [hectometre]."""
    west, south, east, north = Transformer.from_crs("EPSG:4326", GRID, always_xy=True).transform_bounds(*extent)
    return tuple(edge / _HECTOMETRE for edge in (west - _SPACING, south - _SPACING, east + _SPACING, north + _SPACING))


def _rows(dataset: Dataset, file: Path, box, days: np.ndarray) -> list[pd.DataFrame]:
    """The rows of a table in the box and on the days, columns under the names of the bands."""
    try:
        header = pd.read_csv(file, sep=";", nrows=0).columns
        found = find_band(dataset, header)
        lacking = [name for name in (*_KEYS, *(band.name for band in dataset.bands)) if name not in (*header, *found)]
        if lacking:
            raise ValueError(f"{file.name} lacks column {', '.join(lacking)}; a daily SIM2 table has {', '.join(_KEYS)} and one a variable")
        names = {stored: band for band, stored in found.items()}
        first, last = (str(day).replace("-", "") for day in days[[0, -1]])
        kept = []
        for part in pd.read_csv(file, sep=";", usecols=[*_KEYS, *names], dtype={"DATE": str}, chunksize=_ROWS):
            inside = part["LAMBX"].between(box[0], box[2]) & part["LAMBY"].between(box[1], box[3]) & part["DATE"].between(first, last)
            kept.append(part[inside].rename(columns=names))
        return kept
    except (EOFError, OSError, zlib.error, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{file.name} is damaged or no table ({error}); download it again") from error


def _matrix(table: pd.DataFrame, name: str, cell: np.ndarray, n: int, days: np.ndarray, place) -> np.ndarray:
    """One column as `[time, cell]`; every cell must have every day once."""
    when = pd.to_datetime(table["DATE"], format="%Y%m%d").to_numpy("datetime64[D]")
    values, column = np.empty((len(days), n)), table[name].to_numpy(float)
    for one in range(n):
        mine = cell == one
        values[:, one] = column[mine][place_of_days(when[mine], days, f"{place}, `{name}`")]
    return values
