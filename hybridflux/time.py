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


def time_zone_name(utc_offset: float) -> str:
    """The `time_zone` attribute of a product.

    >>> time_zone_name(1)
    'UTC+01:00'
    """
    hours, minutes = divmod(round(abs(utc_offset) * 60), 60)
    return f"UTC{'-' if utc_offset < 0 else '+'}{hours:02d}:{minutes:02d}"
