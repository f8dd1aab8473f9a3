"""Tables of text as people and spreadsheets write them: any usual encoding, delimiter and decimal mark; cells checked one by one.

Only unambiguous cells are read. A cell with two possible meanings (`1,100`, `1.100` beside decimal commas, 03/04/2018) is refused with
the cure. For the large tables of data providers, whose dialect is fixed, `pandas.read_csv` is faster; `sniff` gives it the dialect where
that varies.
"""

from __future__ import annotations

import csv
import gzip
import io
import logging
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd

from hybridflux.data.text_dates import parse_dates
from hybridflux.limits import CELLS, LINE, Limited

_LOG = logging.getLogger("hybridflux.data")
_DELIMITERS = (",", ";", "\t")
HEAD_BYTES = 65536
"""Part of a long file that shows its dialect."""
_SHOWN_CELL, _SHOWN_FAULTS = 40, 5
_BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe\x00\x00", "utf-32"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_NOT_TEXT = (
    (b"PK\x03\x04", "a zip or an Excel workbook, not a text table; save it as CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook, not a text table; save it as CSV"),
    (b"\x89HDF", "a netCDF or HDF5 file, not a text table"),
    (b"%PDF", "a PDF, not a text table"),
    (b"<", "a web page, not a table; the download failed or needs a login"),
    (b"version https://git-lfs", "the pointer of a Git LFS file, not the file; fetch it with `git lfs pull`"),
)
_MISSING = re.compile(r"|na|n/a|nan|null|none|#n/a|-|-9999([.,]0*)?", re.IGNORECASE)
_FORMULA = re.compile(r"^#(REF|VALUE|DIV/0|NAME|NUM|NULL)[!?]?$", re.IGNORECASE)
_POINT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)
_COMMA = re.compile(r"[+-]?(\d+,?\d*|,\d+)(e[+-]?\d+)?", re.IGNORECASE)
_GROUPED = re.compile(r"[+-]?\d{1,3}([ .,'\u00a0\u202f\u2009]\d{3})+([.,]\d+)?")
_UNIT = re.compile(r"(?P<number>[+-]?\d+([.,]\d+)?)\s*(?P<unit>[^\d\s.,;].*)")


def quoted(value: object) -> str:
    """A value of the user for a message, in backquotes and shortened.

    >>> quoted("a" * 60)
    '`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...`'
    """
    text = str(value).replace("\n", " ")
    return f"`{text[:_SHOWN_CELL]}{'...' if len(text) > _SHOWN_CELL else ''}`"


@dataclass(frozen=True)
class Dialect:
    """The format of a text table.

    Attributes:
        encoding: encoding of the text, as Python names it.
        delimiter: mark between cells: comma, semicolon or tab.
        decimal: mark of the numbers: a comma only where the delimiter is none, and no number has a point.
        skip: number of lines before the header: comments that begin with `#`, and Excel's `sep=`.
    """

    encoding: str
    delimiter: str
    decimal: str = "."
    skip: int = 0


def sniff(head: bytes, required: Iterable[str] = (), where: str = "the table") -> Dialect:
    """The dialect of a text table from its first bytes.

    Text that is neither UTF nor marked as such is taken for windows-1252, in which spreadsheets of western Europe and America save.

    Args:
        head: the beginning of the file, or all of it.
        required: columns of the header; the delimiter that gives most of them is used.
        where: name of the file, for messages.

    Raises:
        ValueError: empty, or not a text; names its kind.
    """
    for start, what in _NOT_TEXT:
        if head.removeprefix(b"\xef\xbb\xbf").lstrip()[: len(start)] == start:
            raise ValueError(f"{where} is {what}")
    encoding = _encoding(head)
    lines = head.decode(encoding, errors="ignore").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    skip = 0
    while skip < len(lines) and (not lines[skip].strip() or lines[skip].lstrip().startswith("#")):
        skip += 1
    if skip == len(lines):
        raise ValueError(f"{where} is empty; it needs a header and rows")
    declared = re.fullmatch(r'"?sep=(.)"?', lines[skip].strip(" \r;,")) or re.fullmatch(r'"?sep=(\t|;|,)"?', lines[skip].strip(" \r"))
    if declared:
        return _with_decimal(Dialect(encoding, declared[1], ".", skip + 1), lines)
    wanted = {plain_name(name) for name in required}

    def known(delimiter):
        cells = {plain_name(cell) for cell in next(csv.reader([lines[skip]], delimiter=delimiter))}
        return len(cells & wanted), len(cells)

    return _with_decimal(Dialect(encoding, max(_DELIMITERS, key=known), ".", skip), lines)


def _with_decimal(dialect: Dialect, lines: list[str]) -> Dialect:
    if dialect.delimiter == ",":
        return dialect
    cells = [cell.strip().strip('"') for line in lines[dialect.skip + 1 : -1] or lines[-1:] for cell in line.split(dialect.delimiter)]
    return replace(dialect, decimal=_decimal(pd.Series(cells, dtype=object), dialect.delimiter))


def _decimal(cells: pd.Series, delimiter: str) -> str:
    """The decimal mark: some comma must be unambiguous, and no number may have a point that is not a thousands separator.

    Spreadsheets put semicolons between cells where the comma is the decimal mark; after a tab `1,100` alone has two readings.
    """
    if delimiter == ",":
        return "."
    commas = cells.str.fullmatch(r"[+-]?\d*,\d+")
    grouped = cells.str.fullmatch(r"[+-]?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
    points = cells.str.fullmatch(r"[+-]?\d*\.\d+") & ~cells.str.fullmatch(_GROUPED)
    sure = commas if delimiter == ";" else commas & ~grouped
    return "," if sure.any() and not points.any() else "."


def _encoding(content: bytes) -> str:
    for mark, name in _BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return name
    if b"\0" in content[:1000]:
        return "utf-16-le" if content[1:2] == b"\0" else "utf-16-be"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(content) - 3:  # not a character that the end of the head cuts in two
            return "cp1252"
    return "utf-8"


@dataclass(frozen=True)
class Cells:
    """A table of text cells.

    Attributes:
        where: name of the file, for messages.
        text: cells as text without blanks at their ends, `""` where empty; the index is the row as a spreadsheet counts it, header = 1.
        decimal: mark of the numbers, see `Dialect`.
    """

    where: str
    text: pd.DataFrame
    decimal: str = "."

    def __contains__(self, column: str) -> bool:
        return column in self.text

    def missing(self, column: str) -> pd.Series:
        """Whether cells are empty or hold a usual code of missing values: NA, NaN, #N/A, -9999."""
        return self.text[column].str.fullmatch(_MISSING)

    def parsed(self, column: str, cure: str = "write the number alone, with a decimal point") -> tuple[pd.Series, dict[int, str]]:
        """Numbers of a column, NaN where missing, and the faults of ambiguous ones.

        Args:
            column: name of the column.
            cure: advice for a cell that is not a number.

        Returns:
            Numbers by row, NaN where missing or faulty; row -> fault, without the name of the file.
        """
        known = self.text.loc[~self.missing(column), column].str.replace("\u2212", "-", regex=False)
        numbers = pd.Series(np.nan, self.text.index)
        fast = pd.to_numeric(known, errors="coerce")
        plain = np.isfinite(fast) & known.str.fullmatch(_POINT)
        comma = self.decimal == ","
        grouped = plain & known.str.fullmatch(_GROUPED) & comma
        numbers[known.index[plain & ~grouped]] = fast[plain & ~grouped]
        faults = {}
        for row, cell in known[~plain | grouped].items():
            if comma and re.fullmatch(_COMMA, cell):
                numbers[row] = float(cell.replace(",", "."))
            else:
                faults[row] = f"column {column}, row {row}: {quoted(self.text.at[row, column])} {_reason(cell, cure)}"
        return numbers, faults

    def numbers(self, column: str, cure: str = "write the number alone, with a decimal point") -> pd.Series:
        """Numbers of a column by row, NaN where missing.

        Raises:
            ValueError: a cell is not a number; names file, column, row, value and cure.
        """
        numbers, faults = self.parsed(column, cure)
        self.refuse(faults)
        return numbers

    def dates(self, column: str) -> pd.Series:
        """Dates of a column by row: YYYY-MM-DD, or another order of which only one reading is possible for the whole column.

        Raises:
            ValueError: a cell is not a date, or day and month cannot be distinguished; names file, column, row, value and cure.
        """
        dates, faults = parse_dates(self.text[column])
        self.refuse({row: f"column {column}, row {row}: {quoted(self.text.at[row, column])} {why}" for row, why in faults.items()})
        return dates

    def refuse(self, faults: Mapping[int, str]) -> None:
        """Raise a ValueError that lists faults, all in one; nothing where there are none."""
        if faults:
            listed = list(faults.values())
            more = f"; and {len(listed) - _SHOWN_FAULTS} more" if len(listed) > _SHOWN_FAULTS else ""
            raise ValueError(f"{self.where}, {'; '.join(listed[:_SHOWN_FAULTS])}{more}")


def warn_of_unknown_sites(cells: Cells, found: pd.Series, sites: Iterable[str]) -> None:
    """Warn where none of the sites of a table is among those that are read, mostly because they are spelt differently.

    Args:
        cells: with a column `site_id`.
        found: site of each row as sites.csv spells it, NaN where it is not there.
        sites: sites of sites.csv that are read.
    """
    if len(found) and found.isna().all():
        there, wanted = (", ".join(dict.fromkeys(map(str, names)))[:100] for names in (cells.text["site_id"], sites))
        _LOG.warning("%s names no site that is read: it has %s, and sites.csv %s; spell them as there", cells.where, there, wanted)


def _reason(cell: str, cure: str) -> str:
    if _FORMULA.match(cell):
        return "is a formula of the spreadsheet that failed; mend it, or leave the cell empty"
    if _GROUPED.fullmatch(cell):
        return "may have a thousands separator; write the number without it, with a decimal point"
    if re.fullmatch(_COMMA, cell):
        return "has a decimal comma in a table that does not have them throughout; write a decimal point"
    if unit := _UNIT.fullmatch(cell):
        return f"is not a number alone (`{unit['unit'][:_SHOWN_CELL]}` stands behind it); {cure}"
    return f"is not a number; {cure}"


def read_cells(path: Path, required: Iterable[str] = (), aliases: Mapping[str, str] | None = None, example: str = "") -> Cells:
    """A text table, plain or gzipped, as cells; rows and columns without any content are left out.

    Names of columns are compared without regard to case, blanks and underscores: `Site ID` is `site_id`. Others stay as they are.

    Args:
        path: the file.
        required: columns that must be there.
        aliases: other names of columns -> the name here, taken where no column has that name.
        example: a header or row for the message about missing columns.

    Raises:
        ValueError: not a text, damaged, a column missing or named twice, or a row with more cells than the header.
    """
    path, required = Path(path), tuple(required)
    content = _content(path)
    dialect = sniff(content, (*required, *(aliases or {})), path.name)
    records = _records(content, dialect, path.name)
    header = _header(records[0], required, aliases or {})
    width = len(header)
    rows, cells = [], []
    for row, record in enumerate(records[1:], start=dialect.skip + 2):
        stripped = [cell.strip() for cell in record]
        if not any(stripped):
            continue
        if any(stripped[width:]):
            raise ValueError(
                f"{path.name}, row {row} has {len(record)} cells, the header {width}: a cell that holds `{dialect.delimiter}` must be "
                "quoted; decimal commas need semicolons between the cells"
            )
        rows.append(row)
        cells.append((stripped + [""] * width)[:width])
    text = pd.DataFrame(cells, index=pd.Index(rows, dtype=int), columns=range(width), dtype=object)
    unnamed = [position for position, name in enumerate(header) if not name]
    for position in unnamed:
        if text[position].ne("").any():
            raise ValueError(f"{path.name}, column {position + 1} has values but no name in the header; name it or delete it")
    text = text.drop(columns=unnamed).set_axis([name for name in header if name], axis=1)
    if twice := sorted(text.columns[text.columns.duplicated()]):
        raise ValueError(f"{path.name} has the column {twice[0]} twice; keep one")
    if lacking := [name for name in required if name not in text]:
        needed = f"; it must have {example}" if example else ""
        raise ValueError(f"{path.name} lacks column {', '.join(lacking)}; it has {', '.join(map(str, text.columns))[:300]}{needed}")
    return Cells(path.name, text, _decimal(pd.Series(text.to_numpy().ravel(), dtype=object), dialect.delimiter))


def _records(content: bytes, dialect: Dialect, where: str) -> list[list[str]]:
    """Cells from the header on."""
    try:
        text = content.decode(dialect.encoding, errors="replace" if dialect.encoding == "cp1252" else "strict")
    except UnicodeDecodeError as error:
        reason = f"as {dialect.encoding} {error.reason} at byte {error.start}"
        raise ValueError(f"{where} is damaged, or no text: {reason}; save it as UTF-8") from error
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n", dialect.skip)[dialect.skip]
    LINE.check(max(map(len, lines.split("\n"))), f"{where}, the longest line")
    options: dict[str, Any] = {"delimiter": dialect.delimiter, "skipinitialspace": True}
    try:
        return list(csv.reader(io.StringIO(lines), strict=True, **options))
    except csv.Error as error:
        if "expected after" in str(error):  # a quotation mark inside a cell, such as inches
            return list(csv.reader(io.StringIO(lines), **options))
        raise ValueError(f"{where} is not a table of cells ({error}): is a quotation mark not closed?") from error


def _header(names: list[str], required: tuple[str, ...], aliases: Mapping[str, str]) -> list[str]:
    own = {plain_name(name): name for name in (*required, *aliases.values())}
    present = {own[plain_name(name)] for name in names if plain_name(name) in own}
    other = {plain_name(alias): name for alias, name in aliases.items() if name not in present}
    return [own.get(plain_name(name)) or other.get(plain_name(name), name.strip()) for name in names]


def plain_name(name: str) -> str:
    """A name of a column without case, blanks and underscores: two columns of one plain name are the same.

    >>> plain_name("Canopy Height") == plain_name("canopy_height")
    True
    """
    return re.sub(r"[\s_]+", "", name.strip().strip('"').casefold())


def open_bytes(path: Path) -> IO[bytes]:
    """A file of bytes, unpacked where it is gzipped, whatever its name ends with."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _content(path: Path) -> bytes:
    try:
        with open_bytes(path) as file:
            return Limited(file, CELLS, path.name).read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path.name} is damaged or cut short ({error}); make or download it again") from error
