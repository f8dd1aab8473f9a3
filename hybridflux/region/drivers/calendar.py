"""Days of a run: what is mapped, the lead before it, months and years."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from hybridflux.process.call import SPIN_UP_DAYS
from hybridflux.region.drivers.open import Region
from hybridflux.time import parse_day


@dataclass(frozen=True)
class Calendar:
    """Days the kernel walks through: a spin-up over the first year, the lead, then the mapped days month by month.

    Attributes:
        days: all days that are read, lead included `[time]`, `datetime64[D]`.
        lead: days before the first mapped one.
        bounds: position in `days` of the first day of each month, and of the end `[month + 1]`.
    """

    days: np.ndarray
    lead: int
    bounds: np.ndarray

    @classmethod
    def of(cls, days: np.ndarray, start: np.datetime64, end: np.datetime64) -> Calendar:
        """The calendar of a run from `start` to `end` in a region with `days`.

        >>> region = np.arange(np.datetime64("2017-06-01"), np.datetime64("2019-01-01"))
        >>> run = Calendar.of(region, np.datetime64("2018-02-10"), np.datetime64("2018-04-30"))
        >>> run.lead, run.month_days.tolist(), run.months.astype(str).tolist()
        (254, [19, 31, 30], ['2018-02', '2018-03', '2018-04'])
        """
        first = max(days[0], start - np.timedelta64(SPIN_UP_DAYS, "D"))
        days = np.arange(first, end + np.timedelta64(1, "D"))
        lead = int((start - first).astype(int))
        months = days[lead:].astype("datetime64[M]")
        turns = np.flatnonzero(months[1:] != months[:-1]) + 1
        return cls(days, lead, np.concatenate([[0], turns, [len(months)]]).astype(np.int32) + np.int32(lead))

    @classmethod
    def of_region(cls, region: Region, start: str | date | None = None, end: str | date | None = None) -> Calendar:
        """The calendar of a run over a region: by default from the first day after its lead to its last one.

        Raises:
            ValueError: no days, a last day before the first one, or days that the region does not have.
        """
        first = np.datetime64(parse_day(start, "start"), "D") if start is not None else region.days[min(region.lead, len(region.days) - 1)]
        last = np.datetime64(parse_day(end, "end"), "D") if end is not None else region.days[-1]
        if last < first:
            after = "" if start is not None else " (after the lead of the region)"
            raise ValueError(f"the last day, {last}, is before the first one, {first}{after}")
        region.window(first, last)
        return cls.of(region.days, first, last)

    @property
    def mapped(self) -> np.ndarray:
        """Mapped days."""
        return self.days[self.lead :]

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
        """Calendar years of all days, lead included."""
        return np.unique(self.days.astype("datetime64[Y]").astype(int) + 1970)

    @property
    def year_of_day(self) -> np.ndarray:
        """Position in `all_years` of each day `[time]`."""
        return (self.days.astype("datetime64[Y]").astype(int) + 1970 - self.all_years[0]).astype(np.int32)
