"""Columns of one FLUXNET table: as downloaded, gzipped, inside a zip, or saved again by a spreadsheet."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
import pandas as pd

from hybridflux.data.archives import Archive
from hybridflux.data.delimited import HEAD_BYTES, open_bytes, quoted, sniff
from hybridflux.data.parquet import read_parquet
from hybridflux.limits import TABLE, Limited, Refused
from hybridflux.vocabulary import MISSING_FLUXNET

MISSING_AMERIFLUX = -6999.0
"""Second code of missing values in older AmeriFlux files; no quantity of a tower reaches it."""
NO_CODES = (-999.0, 9999.0, 99999.0)
"""Codes of missing values in files of other kinds; no quantity of a tower is ever so."""
LONG_ENOUGH = 30
"""Rows from which on it is seen that the last one alone lacks cells."""
_TEXT = ("MET_SOURCE", "TIMESTAMP", "TIMESTAMP_START", "TIMESTAMP_END")
_DAMAGE = (EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError, OSError, RuntimeError, KeyError)
"""RuntimeError: a zip with a password, or of a version that is not known."""


class NoRecord(ValueError):
    """A file that holds nothing to use: no row, or a needed column without a value."""


def read_table(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    """The wanted columns of an archive; -9999 and -6999 become NaN, time stamps stay text.

    Raises:
        NoRecord: the file is empty.
        ValueError: the file is damaged, or a cell is not a number; the message names the file, the column and the row.
    """
    try:
        table = _read(archive, columns)
    except _DAMAGE as error:
        raise ValueError(f"{archive} is damaged or cut short ({error}); download it again") from error
    except (NoRecord, Refused):
        raise
    except ValueError as error:  # pandas and pyarrow: no table at all
        raise ValueError(f"{archive} is not a readable FLUXNET table ({error}); download it again") from error
    if not len(table.columns):
        some = ", ".join(sorted(columns)[:3])
        raise ValueError(f"{archive} is not a readable FLUXNET table (it has none of the columns {some} ...); download it again")
    if {*_TEXT[1:]} & {*table}:
        table = table[~table.isna().all(axis=1)]  # rows that a spreadsheet leaves at the end
    _check_end(table, archive)
    for name in table.columns:
        table[name] = table[name].astype(str).str.removesuffix(".0") if name in _TEXT else _numbers(table[name], archive)
    return table


@contextmanager
def _opened(archive: Archive) -> Iterator[IO[bytes]]:
    """The bytes of the table, unpacked."""
    if archive.member is None:
        with open_bytes(archive.path) as file:
            yield Limited(file, TABLE, str(archive))
    else:
        with zipfile.ZipFile(archive.path) as outer, outer.open(archive.member) as inner:
            yield Limited(gzip.GzipFile(fileobj=inner) if archive.member.lower().endswith(".gz") else inner, TABLE, str(archive))


def _read(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    if archive.path.suffix.lower() == ".parquet":
        return read_parquet(archive.path).to_pandas(ignore_metadata=True).filter(items=sorted(columns))
    with _opened(archive) as file:
        head = file.read(HEAD_BYTES)
    if not head.strip():
        raise NoRecord(f"{archive} is not a readable FLUXNET table (it is empty); download it again")
    if len(head) == HEAD_BYTES and b"\n" not in head and b"\r" not in head:
        raise Refused(f"{archive}: its first line has more than {HEAD_BYTES} bytes, which no header has; it is no table")
    dialect = sniff(head, columns, "the file")
    with _opened(archive) as file:
        return pd.read_csv(
            file, usecols=lambda name: name.strip() in columns, low_memory=False, index_col=False, dtype=dict.fromkeys(_TEXT, str),
            encoding=dialect.encoding, sep=dialect.delimiter, decimal=dialect.decimal, skiprows=dialect.skip, skipinitialspace=True,
        ).rename(columns=str.strip)  # fmt: skip


def _check_end(table: pd.DataFrame, archive: Archive) -> None:
    """Refuse a table whose last row ends before the others do: it was cut within a row, perhaps within a number."""
    if len(table) < LONG_ENOUGH:
        return
    lacking = table.iloc[-1].isna() & ~table.iloc[:-1].isna().any()
    if lacking.any():
        raise ValueError(
            f"{archive}: the last row, {table.index[-1] + 2}, has no {', '.join(table.columns[lacking][:3])}, which every other row has: "
            "the file is cut short; download it again, or delete that row"
        )


def _numbers(column: pd.Series, archive: Archive) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(float, copy=True)
    if not pd.api.types.is_numeric_dtype(column) and (wrong := np.isnan(numbers) & column.notna().to_numpy()).any():
        at = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{archive}, column {column.name}, row {column.index[at] + 2}: {quoted(column.iloc[at])} is not a number"
            f"{f' ({int(wrong.sum())} such cells)' if wrong.sum() > 1 else ''}; write it with a decimal point, missing values as -9999"
        )
    for code in NO_CODES:
        if (odd := numbers == code).any():
            row = column.index[int(np.flatnonzero(odd)[0])] + 2
            raise ValueError(
                f"{archive}, column {column.name}, row {row}: {code:g} is no value of a tower ({int(odd.sum())} such cells); write missing "
                "values as -9999"
            )
    numbers[(numbers <= MISSING_FLUXNET) | (numbers == MISSING_AMERIFLUX)] = np.nan
    return pd.Series(numbers, column.index, name=column.name)
