"""Periods of the maps of a run: days, months, calendar years and the whole record, and how much of each the run covers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.store import layout

_CALENDAR = {"daily": "D", "monthly": "M", "annual": "Y", "record": "Y"}


class MapPeriod(NamedTuple):
    """One period of a group of maps.

    Attributes:
        first: first mapped day, `datetime64[D]`.
        last: last mapped day, `datetime64[D]`.
        calendar: the calendar day, month or year it lies in.
    """

    first: np.datetime64
    last: np.datetime64
    calendar: np.datetime64

    @property
    def days(self) -> int:
        """Number of mapped days."""
        return int((self.last - self.first).astype(int)) + 1

    @property
    def whole(self) -> bool:
        """Whether all days of the calendar period are mapped."""
        return self.days == int(((self.calendar + 1).astype("datetime64[D]") - self.calendar.astype("datetime64[D]")).astype(int))

    def __str__(self) -> str:
        return str(self.calendar) if self.whole else f"{self.first}..{self.last} ({self.days} day{'s' if self.days > 1 else ''})"


def bounds_of(calendar: Calendar, group: str) -> tuple[np.ndarray, np.ndarray]:
    """First mapped day and the day after the last one of each period, days since 1970, int32.

    Args:
        calendar: of the run.
        group: `daily`, `monthly`, `annual` or `record`.
    """
    days = (calendar.mapped - layout.EPOCH).astype(np.int32)
    bounds = calendar.bounds - calendar.warm_up
    if group == "daily":
        return days, days + 1
    if group == "record":
        bounds = bounds[[0, -1]]
    if group == "annual":
        bounds = bounds[[0, *(end for _, end in calendar.months_of_years)]]
    return days[bounds[:-1]], days[bounds[1:] - 1] + 1


def periods_of(calendar: Calendar, group: str) -> list[MapPeriod]:
    """The periods of a group of maps.

    >>> region = np.arange(np.datetime64("2017-01-01"), np.datetime64("2019-01-01"))
    >>> run = Calendar.of(region, np.datetime64("2017-12-30"), np.datetime64("2018-12-31"))
    >>> [str(period) for period in periods_of(run, "annual")]
    ['2017-12-30..2017-12-31 (2 days)', '2018']
    """
    first, end = (layout.EPOCH + bound.astype("timedelta64[D]") for bound in bounds_of(calendar, group))
    return [MapPeriod(*days, days[0].astype(f"datetime64[{_CALENDAR[group]}]")) for days in zip(first, end - 1, strict=True)]


def mapped_days(calendar: Calendar, group: str) -> np.ndarray:
    """Number of mapped days in each period, int32."""
    first, end = bounds_of(calendar, group)
    return end - first
