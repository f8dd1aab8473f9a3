"""What a day and a season are.

Towers: a day is the tower's local standard day, without daylight saving, as in FLUXNET daily files.
Regions: a day is a day of the region's standard time, which follows from its longitude unless it is declared.
Seasons follow the latitude: `warm_season`.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

import numpy as np

DEGREES_PER_HOUR = 15.0  # the sun's way round the earth in 24 h
LEGAL_OFFSETS = (-12.0, 14.0)  # of standard time from UTC [h]; IANA time zone database
FARTHEST_FROM_SUN = 2.0
"""How far legal standard time lies from the sun [h] before it is reported. Spain is 1.3 h ahead of it, Argentina 1.5 h; western China, by
Beijing's clock 3 h ahead, is reported: its days are not those of the sun."""
TROPIC = 23.44  # degrees; obliquity of the ecliptic
_ZONE = re.compile(r"(UTC|GMT|Z)?((?P<sign>[+-]?)(?P<hours>\d{1,2}(\.\d+)?)(:(?P<minutes>\d{2}))?)?", re.IGNORECASE)
_NORTHERN_SUMMER, _SOUTHERN_SUMMER = (5, 6, 7, 8, 9), (11, 12, 1, 2, 3)


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

    >>> time_zone_name(1), time_zone_name(-3.5)
    ('UTC+01:00', 'UTC-03:30')
    """
    hours, minutes = divmod(round(abs(utc_offset) * 60), 60)
    return f"UTC{'-' if utc_offset < 0 else '+'}{hours:02d}:{minutes:02d}"


def hours_of_zone(text: str) -> float:
    """Hours from UTC of a zone as people write it.

    Raises:
        ValueError: it is no offset; names of zones such as `CET` or `Europe/Paris`, which may have summer time, are none.

    >>> hours_of_zone("UTC+1"), hours_of_zone("GMT-03:30"), hours_of_zone("+5.5"), hours_of_zone("UTC")
    (1.0, -3.5, 5.5, 0.0)
    """
    found = _ZONE.fullmatch(text.replace("\u2212", "-").replace(" ", ""))
    if not found or not text.strip():
        raise ValueError(f"`{text[:40]}` is no offset from UTC; write hours of standard time, without summer time, such as 1 or UTC+01:00")
    hours = float(found["hours"] or 0) + float(found["minutes"] or 0) / 60
    return -hours if found["sign"] == "-" else hours


def zone_of_longitude(longitude: float) -> int:
    """Standard time of the nautical zone of a longitude: whole hours from UTC, nearest to the mean sun.

    What a region's day is where nobody declares it. Whole hours, because the hours of reanalyses are; within half an hour of the sun, so
    that the night, in which little happens, is where one day ends. Legal time may differ by an hour or two and is declared, for instance
    UTC+1 of mainland France, which lies at 5 degrees west to 10 degrees east and has UTC or UTC+1 by this rule.

    Args:
        longitude: degrees east, -180 to 180.

    >>> zone_of_longitude(-122.0), zone_of_longitude(2.3), zone_of_longitude(8.0), zone_of_longitude(179.0)
    (-8, 0, 1, 12)
    """
    return int(np.floor(longitude / DEGREES_PER_HOUR + 0.5))


def hours_from_sun(utc_offset: float, longitude: float) -> float:
    """How far a standard time is ahead of the mean sun of a longitude [h], -12 to 12: the calendar date at the date line is a convention.

    >>> round(hours_from_sun(-3, -58.4), 2), round(hours_from_sun(13, -172.0), 2)  # Buenos Aires; Samoa, west of the date line by law
    (0.89, 0.47)
    """
    return (utc_offset - longitude / DEGREES_PER_HOUR + 12.0) % 24.0 - 12.0


def warm_season(latitude: float) -> tuple[int, ...]:
    """Months of growth and of summer drought at a latitude: May to September in the north, November to March in the south.

    Between the tropics all months: temperature and light have no season there that two halves of the year could be named after, and wet
    and dry seasons follow no latitude.

    Args:
        latitude: degrees north.

    >>> warm_season(48.0), warm_season(-35.0), len(warm_season(5.0))
    ((5, 6, 7, 8, 9), (11, 12, 1, 2, 3), 12)
    """
    if abs(latitude) <= TROPIC:
        return tuple(range(1, 13))
    return _NORTHERN_SUMMER if latitude > 0 else _SOUTHERN_SUMMER
