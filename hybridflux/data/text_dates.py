"""Dates of a column of text, in the order of day and month that the whole column shows."""

from __future__ import annotations

import pandas as pd

_CURE = "write YYYY-MM-DD"
_YEAR_FIRST = r"(?P<year>\d{4})(?P<mark>[-/.]?)(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?Z?)?"
_YEAR_LAST = r"(?P<first>\d{1,2})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})( \d{1,2}:\d{2}(:\d{2})?)?"


def parse_dates(text: pd.Series) -> tuple[pd.Series, dict[int, str]]:
    """Dates, NaT where faulty, and index -> fault.

    Dates with the year first are read as they are. Dates with the year last (31/12/2018) are read where the column shows the day: a number
    exceeds 12 somewhere, or they are separated by points, which only countries with the day first do.

    >>> parse_dates(pd.Series(["03/04/2018", "31/12/2018"]))[0].dt.strftime("%Y-%m-%d").tolist()
    ['2018-04-03', '2018-12-31']
    >>> parse_dates(pd.Series(["03/04/2018"]))[1]
    {0: 'may be day/month or month/day; write YYYY-MM-DD'}
    """
    first, last = text.str.extract(f"^{_YEAR_FIRST}$"), text.str.extract(f"^{_YEAR_LAST}$")
    parts = first[["year", "month", "day"]].copy()
    year_last = first["year"].isna() & last["year"].notna()
    faults = {}
    if year_last.any():
        one, other = (last.loc[year_last, name].astype(int) for name in ("first", "second"))
        day_first, month_first = bool((one > 12).any() or (last["mark"] == ".").any()), bool((other > 12).any())
        if day_first != month_first:
            day, month = (one, other) if day_first else (other, one)
            parts.loc[year_last] = pd.DataFrame({"year": last["year"], "month": month, "day": day}).loc[year_last].astype(str)
        else:
            why = "mixes day/month and month/day with other rows" if day_first else "may be day/month or month/day"
            faults = dict.fromkeys(text.index[year_last], f"{why}; {_CURE}")
    dates = pd.to_datetime(parts.astype(float), errors="coerce")
    return dates, {row: faults.get(row) or _reason(text[row]) for row in text.index[dates.isna()]}


def _reason(cell: str) -> str:
    if cell.isdecimal() and 20_000 <= int(cell) < 60_000:
        return f"is the number by which a spreadsheet counts days; give the cells the format of a date, {_CURE}"
    return f"is not a date; {_CURE}"
