"""Means over weeks, months and years, and anomalies of them: observed and predicted are averaged over the same, observed days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hybridflux.model.sequences import Sequences

Series = tuple[np.ndarray, np.ndarray, np.ndarray]
"""First day of each period `[period]`, observations `[period]` and draws `[draw, period]`."""


class TimeStep(Protocol):
    """A time step, or a kind of days, at which series are scored."""

    @property
    def units(self) -> str:
        """Units of its values."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Drivers it reads."""
        ...

    def __call__(self, place: Sequences, observed: np.ndarray, draws: np.ndarray) -> Series:
        """Observed and predicted values of one place.

        Args:
            place: sequences of that place alone; their days and drivers are read.
            observed: `[time]` gC m-2 d-1, NaN where nothing was observed.
            draws: `[draw, time]` gC m-2 d-1.
        """
        ...


@dataclass(frozen=True)
class CalendarMean:
    """Means over the observed days of each period of the calendar.

    Attributes:
        unit: numpy unit of the period; a week ends on a Wednesday (numpy counts weeks from 1970-01-01).
        least_days: observed days a period needs.
        factor: factor on the mean over its observed days.
        units: units of the result.
        needs: drivers it reads, none.
    """

    unit: str
    least_days: int
    factor: float
    units: str
    needs: tuple[str, ...] = ()

    def __call__(self, place: Sequences, observed: np.ndarray, draws: np.ndarray) -> Series:
        seen = np.isfinite(observed)
        labels = place.days[seen].astype(f"datetime64[{self.unit}]")
        first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if seen.any() else np.zeros(0, int)
        count = np.diff(np.r_[first, seen.sum()])
        enough = count >= self.least_days
        if not enough.any():
            return place.days[:0], np.zeros(0), np.zeros((len(draws), 0))

        def mean(values):
            return np.add.reduceat(values, first, axis=-1, dtype=float)[..., enough] / count[enough] * self.factor

        return labels[first][enough].astype("datetime64[D]"), mean(observed[seen]), mean(draws[:, seen])


@dataclass(frozen=True)
class Anomaly:
    """Difference of each period from its mean over the years: observations and every draw, each from its own mean.

    With months, the anomaly from the mean seasonal cycle; with years, the interannual variability. A constant error of a site cancels.

    Attributes:
        of: the periods.
        a_year: number of periods in a year.
        least_years: years that a period of the calendar needs for a mean.
    """

    of: CalendarMean
    a_year: int
    least_years: int = 3

    @property
    def units(self) -> str:
        """Units of the periods."""
        return self.of.units

    @property
    def needs(self) -> tuple[str, ...]:
        """Drivers that the periods read."""
        return self.of.needs

    def __call__(self, place: Sequences, observed: np.ndarray, draws: np.ndarray) -> Series:
        starts, y, x = self.of(place, observed, draws)
        like = starts.astype(f"datetime64[{self.of.unit}]").astype(int) % self.a_year
        enough = np.isin(like, np.flatnonzero(np.bincount(like, minlength=self.a_year) >= self.least_years))
        starts, like, y, x = starts[enough], like[enough], y[enough], np.array(x[:, enough])
        for season in np.unique(like):
            same = like == season
            y[same] -= y[same].mean()
            x[:, same] -= x[:, same].mean(axis=1, keepdims=True)
        return starts, y, x


DAY = CalendarMean("D", 1, 1.0, "gC m-2 d-1")
WEEK = CalendarMean("W", 4, 1.0, "gC m-2 d-1")
MONTH = CalendarMean("M", 15, 1.0, "gC m-2 d-1")
YEAR = CalendarMean("Y", 251, 365.0, "gC m-2 yr-1")
"""The mean over the observed days of a calendar year x 365; it needs more than 250 of them.

In the south the calendar cuts the growing season in two: an anomaly of one summer is shared by two years, as in the annual sums of FLUXNET
files, which are calendar years everywhere.
"""
