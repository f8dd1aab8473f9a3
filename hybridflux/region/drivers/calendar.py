"""Days of a run: what is mapped, the warm-up before it, months and years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from hybridflux.process.call import SPIN_UP_DAYS
from hybridflux.region.drivers.open import Region
from hybridflux.time import parse_day


@dataclass(frozen=True)
class Period:
    """The days that are mapped.

    Attributes:
        start: first day; that after the warm-up of the region where it is None.
        end: last day; that of the region where it is None.

    Raises:
        ValueError: not a day of the calendar.
    """

    start: str | date | None = None
    end: str | date | None = None

    def __post_init__(self):
        for name in ("start", "end"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, parse_day(getattr(self, name), name))


@dataclass(frozen=True)
class Calendar:
    """Days the kernel walks through: a spin-up over the first year, the warm-up, then the mapped days month by month.

    Attributes:
        days: all days that are read, warm-up included `[time]`, `datetime64[D]`.
        warm_up: days before the first mapped one.
        bounds: position in `days` of the first day of each month, and of the end `[month + 1]`.
    """

    days: np.ndarray
    warm_up: int
    bounds: np.ndarray

    @classmethod
    def of(cls, days: np.ndarray, start: np.datetime64, end: np.datetime64) -> Calendar:
        """The calendar of a run from `start` to `end` in a region with `days`.

        >>> region = np.arange(np.datetime64("2017-06-01"), np.datetime64("2019-01-01"))
        >>> run = Calendar.of(region, np.datetime64("2018-02-10"), np.datetime64("2018-04-30"))
        >>> run.warm_up, run.month_days.tolist(), run.months.astype(str).tolist()
        (254, [19, 31, 30], ['2018-02', '2018-03', '2018-04'])
        """
        first = max(days[0], start - np.timedelta64(SPIN_UP_DAYS, "D"))
        days = np.arange(first, end + np.timedelta64(1, "D"))
        warm_up = int((start - first).astype(int))
        months = days[warm_up:].astype("datetime64[M]")
        turns = np.flatnonzero(months[1:] != months[:-1]) + 1
        return cls(days, warm_up, np.concatenate([[0], turns, [len(months)]]).astype(np.int32) + np.int32(warm_up))

    @classmethod
    def of_region(cls, region: Region, period: Period = Period()) -> Calendar:  # noqa: B008
        """The calendar of a run over a region.

        Raises:
            ValueError: no days, a last day before the first one, or days that the region does not have.
        """
        first = np.datetime64(period.start or region.days[min(region.warm_up, len(region.days) - 1)], "D")
        last = np.datetime64(period.end or region.days[-1], "D")
        if last < first:
            after = "" if period.start else " (after the warm-up of the region)"
            raise ValueError(f"the last day, {last}, is before the first one, {first}{after}")
        region.window(first, last)
        return cls.of(region.days, first, last)

    @property
    def mapped(self) -> np.ndarray:
        """Mapped days."""
        return self.days[self.warm_up :]

    @property
    def months(self) -> np.ndarray:
        """`datetime64[M]` of each month, `[month]`."""
        return self.days[self.bounds[:-1]].astype("datetime64[M]")

    @property
    def month_days(self) -> np.ndarray:
        """Mapped days in each month."""
        return np.diff(self.bounds)

    @property
    def years(self) -> np.ndarray:
        """Calendar years of the mapped days."""
        return np.unique(self.months.astype("datetime64[Y]").astype(int) + 1970)

    @property
    def months_of_years(self) -> tuple[tuple[int, int], ...]:
        """First month and end of each year, positions in `months`."""
        year = self.months.astype("datetime64[Y]").astype(int) + 1970
        return tuple((int(np.searchsorted(year, one)), int(np.searchsorted(year, one, "right"))) for one in self.years)

    @property
    def all_years(self) -> np.ndarray:
        """Calendar years of all days, warm-up included."""
        return np.unique(self.days.astype("datetime64[Y]").astype(int) + 1970)

    @property
    def year_of_day(self) -> np.ndarray:
        """Position in `all_years` of each day `[time]`."""
        return (self.days.astype("datetime64[Y]").astype(int) + 1970 - self.all_years[0]).astype(np.int32)
