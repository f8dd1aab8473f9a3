"""What a day is.

Towers: a day is the tower's local standard day, without daylight saving, as in FLUXNET daily files.
Regions: a day is a day of the region's standard time; UTC+1 for France.
"""

from __future__ import annotations

from datetime import date, timedelta

FRANCE_UTC_OFFSET = 1  # hours


def days(start: date, end: date) -> list[date]:
    """All days from `start` to `end`, both included.

    Raises:
        ValueError: `end` before `start`.

    >>> len(days(date(2018, 1, 1), date(2018, 12, 31)))
    365
    """
    if end < start:
        raise ValueError(f"the period ends ({end}) before it starts ({start}); swap the two dates")
    return [start + timedelta(i) for i in range((end - start).days + 1)]


def parse_day(day: str | date, name: str = "day") -> date:
    """A day of the calendar.

    Args:
        day: `YYYY-MM-DD`, or a date (also `numpy.datetime64`). A year or month alone is refused: its first or last day may be meant.
        name: what the day is, for the message.

    Raises:
        ValueError: anything else, and days that do not exist.

    >>> parse_day("2018-06-01")
    datetime.date(2018, 6, 1)
    """
    text = str(day)
    try:
        if len(text) > 10 and text[10] in "T ":  # a time of the day says nothing more
            text = text[:10]
        if len(text) != 10:
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} `{text[:40]}` is not a day of the calendar; write YYYY-MM-DD, for instance 2018-06-01") from None


def time_zone_name(utc_offset: float) -> str:
    """The `time_zone` attribute of a product.

    >>> time_zone_name(1)
    'UTC+01:00'
    """
    hours, minutes = divmod(round(abs(utc_offset) * 60), 60)
    return f"UTC{'-' if utc_offset < 0 else '+'}{hours:02d}:{minutes:02d}"
