"""Text tables of weather: numbers column by column, and the point series that the Climate Data Store gives as CSV."""

from __future__ import annotations

import io
from math import prod
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.delimited import HEAD_BYTES, Cells, Dialect, quoted, sniff
from hybridflux.limits import PIXELS

ENDING = ".csv"
_TIME, _PLACE = ("valid_time", "time"), ("latitude", "longitude")


def numbers(table: pd.DataFrame, name: str, dialect: Dialect, where: str) -> pd.Series:
    """Numbers of a column, NaN where empty; cells that pandas did not recognise are read one by one.

    Args:
        table: result of `pandas.read_csv`; its index counts rows as a spreadsheet does.
        name: name of the column.
        dialect: dialect of the table.
        where: name of the file.

    Raises:
        ValueError: a cell is not a number; names file, column, row, value and cure.
    """
    if pd.api.types.is_numeric_dtype(table[name]):
        return table[name]
    text = table[[name]].astype(object).fillna("").astype(str).apply(lambda column: column.str.strip())
    return Cells(where, text, dialect.decimal).numbers(name)


def points(content: Path | bytes, name: str) -> xr.Dataset | None:
    """Hourly series of one or several points, columns `valid_time`, `latitude`, `longitude` and one for each variable.

    The layout of `reanalysis-era5-land-timeseries` and `reanalysis-era5-single-levels-timeseries`, several CSV files in a zip.

    Args:
        content: path of a file, or its content.
        name: name of the file, for messages.

    Returns:
        A dataset on `valid_time`, `latitude`, `longitude`, NaN where the grid has no point; None for another kind of table.

    Raises:
        ValueError: no place, an hour or number that cannot be read, or an hour of a point twice.
    """
    content = content if isinstance(content, bytes) else Path(content).read_bytes()
    dialect = sniff(content[:HEAD_BYTES], (*_TIME, *_PLACE), name)
    options = {"sep": dialect.delimiter, "encoding": dialect.encoding, "decimal": dialect.decimal, "skiprows": dialect.skip}
    try:
        table = pd.read_csv(io.BytesIO(content), skipinitialspace=True, low_memory=False, **options)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeError) as error:
        raise ValueError(f"{name} is not a table ({str(error)[:200]}); download it again") from error
    table = table.rename(columns=lambda column: str(column).strip()).dropna(how="all")
    table.index = table.index + dialect.skip + 2
    time = next((column for column in _TIME if column in table), None)
    if time is None:
        return None
    lacking = [column for column in _PLACE if column not in table]
    if lacking:
        raise ValueError(f"{name} has no column {' and '.join(lacking)}; keep the file as it was delivered, or add the position")
    stamps = pd.to_datetime(table[time].astype(str), errors="coerce", format="ISO8601", utc=True)
    if stamps.isna().any():
        row = table.index[int(np.argmax(stamps.isna()))]
        raise ValueError(f"{name}, column {time}, row {row}: {quoted(table.at[row, time])} is not an hour in UTC; write YYYY-MM-DD HH:MM")
    keys = [stamps.dt.tz_localize(None).rename("valid_time"), *(numbers(table, place, dialect, name) for place in _PLACE)]
    index = pd.MultiIndex.from_arrays(keys)
    if index.has_duplicates:
        hour, latitude, longitude = index[index.duplicated()][0]
        raise ValueError(f"{name}: the hour {hour} UTC comes twice at {latitude} N {longitude} E; keep one")
    PIXELS.check(prod(len(level) for level in index.levels), f"{name}, points on a grid,")
    series = {column: numbers(table, column, dialect, name).to_numpy(float) for column in table if _holds_numbers(table[column], column)}
    return xr.Dataset.from_dataframe(pd.DataFrame(series, index=index))


def _holds_numbers(column: pd.Series, name: str) -> bool:
    """Whether a column is a variable; texts such as the name of a station are skipped."""
    known = column.dropna()
    return name not in (*_TIME, *_PLACE) and (pd.api.types.is_numeric_dtype(column) or known.astype(str).str.contains(r"\d").any())
