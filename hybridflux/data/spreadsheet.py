"""Tables for spreadsheets, whose texts are not run as formulas."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from hybridflux.files import whole

_FORMULA = re.compile(r"^[=+\-@\t\r]")
_NUMBER = re.compile(r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$")


def write_csv(table: pd.DataFrame, path: str | Path, **options) -> None:
    """Write a table, whole or not at all, without an index and `as_text`; `options` are those of `DataFrame.to_csv`."""
    path = Path(path)
    if path.suffix == ".gz":
        options["compression"] = {"method": "gzip", "mtime": 0}  # the same bytes at any time
    with whole(path) as partial:
        as_text(table).to_csv(partial, index=False, **options)


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """The table with an apostrophe before every text that a spreadsheet would run as a formula, as OWASP advises ("CSV Injection").

    Numbers stay as they are, in cells of numbers and in texts. Names of columns are protected too.

    >>> as_text(pd.DataFrame({"zone": ["=1+1", "a-b", "-3.5"], "mean": [-1.0, 2.0, 3.0]})).zone.tolist()
    ["'=1+1", 'a-b', '-3.5']
    """
    texts = [name for name in table if not pd.api.types.is_numeric_dtype(table[name])]
    return table.assign(**{name: table[name].map(_protected) for name in texts}).rename(columns=_protected)


def _protected(value):
    formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.match(value)
    return f"'{value}" if formula else value
