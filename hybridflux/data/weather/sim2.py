"""SAFRAN-ISBA (SIM2) of Meteo-France: daily tables of the 8 km grid of France."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from pyproj import Transformer

from hybridflux.data.catalog import Dataset
from hybridflux.data.delimited import HEAD_BYTES, Dialect, open_bytes, quoted, sniff
from hybridflux.data.text_dates import parse_dates
from hybridflux.data.weather.air import check_humidity, vpd_of_humidity
from hybridflux.data.weather.border import Extent, assemble, find_band, place_of_days, to_units, wanted_days
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.data.weather.netcdf import files_of
from hybridflux.data.weather.text_tables import numbers
from hybridflux.units import convert

GRID = "EPSG:27572"
"""Lambert II etendu, in which the centres are given in hectometres."""
_HECTOMETRE, _SPACING = 100.0, 8000.0  # m
_KEYS = ("LAMBX", "LAMBY", "DATE")
_ROWS = 1_000_000  # of a table at a time: a decade has 36 million
DAYS = "rain 06 UTC to 06 UTC of the next day; lowest temperature 18 to 18, highest 06 to 06; means and radiation UTC days; not shifted"
"""Days by the parameter list of the product."""


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Weather:
    """SIM2 at the cells of an extent, in vocabulary units; `rain` with snow, `vpd` from the extremes of temperature and the mean humidity.

    Args:
        dataset: entry of the catalog; its bands `T_Q TINF_H_Q TSUP_H_Q SSI_Q PRELIQ_Q PRENEI_Q HU_Q`, in newer files without `_Q`.
        place: folder, file or pattern of tables, `.csv` or `.csv.gz`, as delivered or saved again by a spreadsheet.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included.
        utc_offset: UTC offset of the region's standard days [h], recorded in the origin.

    Raises:
        FileNotFoundError: no file.
        ValueError: a column or day is missing or doubled, a cell is not a number or date (with file, column and row), a quantity has
        another
            unit, or the extent lies outside France.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    box = _box(extent)
    files = files_of(place, (".csv", ".csv.gz"))
    table = pd.concat([part for file in files for part in _rows(dataset, file, box, days)], ignore_index=True)
    if table.empty:
        raise ValueError(
            f"{place}: no row of the extent {' '.join(f'{edge:.2f}' for edge in extent)} between {days[0]} and {days[-1]}; the grid covers "
            "metropolitan France, its LAMBX and LAMBY are hectometres of EPSG:27572"
        )
    centres, cell = np.unique(table[["LAMBX", "LAMBY"]].to_numpy(float), axis=0, return_inverse=True)
    stored = {name: _matrix(table, name, cell.ravel(), len(centres), days, place) for name in bands}
    values = {name: to_units(bands[name], part, None, f"{place}, `{name}`") for name, part in stored.items()}
    warmest, humidity = convert(values["TSUP_H_Q"], bands["TSUP_H_Q"].units, "degC"), convert(values["HU_Q"], bands["HU_Q"].units, "1")
    out = {bands[name].variable: part for name, part in values.items() if bands[name].variable}
    out["rain"] = out["rain"] + convert(values["PRENEI_Q"], bands["PRENEI_Q"].units, "mm d-1")
    out["tmax"] = warmest
    check_humidity(humidity, f"{place}, `HU_Q`")
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
    left, low, right, high = (edge / _HECTOMETRE for edge in (west - _SPACING, south - _SPACING, east + _SPACING, north + _SPACING))
    return left, low, right, high


def _rows(dataset: Dataset, file: Path, box, days: np.ndarray) -> list[pd.DataFrame]:
    """The rows of a table in the box and on the days, columns under the names of the bands, `DATE` as `datetime64`.

    As delivered, or saved again by a spreadsheet: any encoding, delimiter, decimal mark and order of the date that is
    unambiguous.
    """
    try:
        with open_bytes(file) as text:
            dialect = sniff(text.read(HEAD_BYTES), _KEYS, file.name)
        with open_bytes(file) as text:
            options = {"sep": dialect.delimiter, "encoding": dialect.encoding, "decimal": dialect.decimal, "skiprows": dialect.skip}
            options |= {"usecols": lambda name: name.strip().upper() in _KEYS or bool(find_band(dataset, [name.strip()]))}
            table = pd.read_csv(text, dtype={"DATE": str}, chunksize=_ROWS, low_memory=False, skipinitialspace=True, **options)
            with table:
                return [_part(dataset, part, dialect, file, box, days) for part in table]
    except (EOFError, OSError, zlib.error, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{file.name} is damaged or no table ({str(error)[:200]}); download it again") from error


def _part(dataset: Dataset, part: pd.DataFrame, dialect: Dialect, file: Path, box, days: np.ndarray) -> pd.DataFrame:
    """The rows of a piece of a table in the box and on the days."""
    part = part.rename(columns={name: key if (key := name.strip().upper()) in _KEYS else name.strip() for name in part.columns})
    columns = find_band(dataset, part.columns)
    lacking = [name for name in (*_KEYS, *(band.name for band in dataset.bands)) if name not in (*part.columns, *columns)]
    if lacking:
        raise ValueError(f"{file.name} lacks column {', '.join(lacking)}; a daily SIM2 table has {', '.join(_KEYS)} and one a variable")
    part = part[[*_KEYS, *columns.values()]].dropna(how="all").rename(columns={stored: band for band, stored in columns.items()})
    part.index = part.index + dialect.skip + 2  # rows as a spreadsheet counts them
    for name in ("LAMBX", "LAMBY"):
        part[name] = numbers(part, name, dialect, file.name)
    inside = part["LAMBX"].between(box[0], box[2]) & part["LAMBY"].between(box[1], box[3])
    part = part[inside].assign(DATE=_dates(part, file)[inside.to_numpy()])
    part = part[part["DATE"].between(days[0], days[-1])]
    return part.assign(**{name: numbers(part, name, dialect, file.name) for name in columns})


def _dates(part: pd.DataFrame, file: Path) -> np.ndarray:
    """Days `datetime64[D]` of the rows; each spelling is read once.

    Raises:
        ValueError: a cell is not a date, or day and month cannot be distinguished.
    """
    codes, spellings = pd.factorize(part["DATE"].fillna("").str.strip().str.removesuffix(".0"))
    dates, faults = parse_dates(pd.Series(spellings, dtype=object))
    if faults:
        (number, why), *more = faults.items()
        row = part.index[int(np.argmax(codes == number))]
        others = f"; and {len(more)} other dates" if more else ""
        raise ValueError(
            f"{file.name}, column DATE, row {row}: {quoted(spellings[number])} {why} or YYYYMMDD, as Meteo-France does{others}"
        )
    return dates.to_numpy("datetime64[D]")[codes]


def _matrix(table: pd.DataFrame, name: str, cell: np.ndarray, n: int, days: np.ndarray, place) -> np.ndarray:
    """One column as `[time, cell]`; every cell must have every day once."""
    when = table["DATE"].to_numpy("datetime64[D]")
    values, column = np.empty((len(days), n)), table[name].to_numpy(float)
    for number in range(n):
        mine = cell == number
        values[:, number] = column[mine][place_of_days(when[mine], days, f"{place}, `{name}`")]
    return values
