"""The usual weather of a place as a daily series: what `climatology` and `typical` put in place of the weather that was.

`climatology` is the mean course of the year (of rain, days that are wet or dry). `typical` keeps the days of real weather: of each month
those of the year whose rain is most usual, for all drivers the same ones, moved to the mean of the month. So clouds come with rain, and a
mean over days is not shifted by the bend of a response, as that of a smooth course is (Jensen); E22 says how far it is off.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hybridflux.data.gaps import seasonal_mean

_ANY_YEAR = np.arange("2019-01-01", "2020-01-01", dtype="datetime64[D]")
_DAYS_OF_MONTH = [np.flatnonzero(_ANY_YEAR.astype("datetime64[M]").astype(int) % 12 == month) for month in range(12)]


def days_of_year(days: np.ndarray) -> np.ndarray:
    """Day of the year of each day, from 1.

    >>> days_of_year(np.array(["2018-01-01", "2018-12-31"], "datetime64[D]")).tolist()
    [1, 365]
    """
    return (days - days.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1


Years = tuple[int, int] | frozenset[int]
"""The first and the last of some years, or all of them."""


def within(days: np.ndarray, years: Years | None) -> np.ndarray:
    """Whether a day lies in some years `[time]`; all do where none are named."""
    year = days.astype("datetime64[Y]").astype(int) + 1970
    if isinstance(years, frozenset):
        return np.isin(year, sorted(years))
    return np.ones(len(days), bool) if years is None else (year >= years[0]) & (year <= years[1])


def usual_course(values: np.ndarray, days: np.ndarray, given: np.ndarray | None = None, years: Years | None = None) -> np.ndarray:
    """The mean of each day of the year on every day `[time, cell]`, in the units of the driver.

    Args:
        values: the record `[time, cell]`.
        days: of it, `datetime64[D]`.
        given: long-term mean by day of the year `[366, cell]`, which is taken instead of the mean of the record.
        years: first and last year of the record that count; all by default.
    """
    day, kept = days_of_year(days), within(days, years)
    mean = given if given is not None else np.stack([seasonal_mean(column, day[kept]) for column in values[kept].T], 1)
    return mean[day - 1].astype(np.float32)


def usual_rain(values: np.ndarray, days: np.ndarray, given: np.ndarray | None = None, years: Years | None = None) -> np.ndarray:
    """Rain of usual amount that falls as rain does, on wet days with dry ones between `[time, cell]`, mm d-1.

    The mean of a day of the year would fall on every day. Instead each calendar month takes the days of that month in the year of the
    record whose sum, mean of the cells, lies nearest to the mean of the years: a typical meteorological year (Hall et al. 1978, Sandia
    report SAND78-1601; ISO 15927-4) with the sum alone as criterion. One year for all cells, so that a front passes over them together;
    each cell is then scaled to its own mean sum of the month. The 29th of February is dry where that year has none.

    Args:
        values: the record `[time, cell]`, mm d-1.
        days: of it, `datetime64[D]`.
        given: long-term mean by day of the year `[366, cell]`, whose sums are taken instead of those of the record.
        years: first and last year of the record that count; all by default.

    Raises:
        ValueError: the record has no whole month of some name.
    """
    name, number = _month_and_day(days)
    out = np.zeros(values.shape, np.float32)
    for month, rows, wanted in _typical_months(values, days, given, years):
        taken = values[rows] * (wanted / np.maximum(values[rows].mean(axis=0), 1e-9))
        here = np.flatnonzero((name == month) & (number < len(taken)))
        out[here] = taken[number[here]]
    return out


def typical(
    values: np.ndarray, rain: np.ndarray, light: np.ndarray, days: np.ndarray, *, amounts: bool,
    given: np.ndarray | None = None, given_rain: np.ndarray | None = None, years: Years | None = None,
) -> np.ndarray:  # fmt: skip
    """Days of real weather that are usual in each month `[time, cell]`: those of the year that `usual_rain` takes, moved to the usual mean.

    They stand in the order of light of the days that were, the brightest opposite the brightest: so a day and its usual one differ by what
    was unusual about the month, not by where a front happened to pass.

    Args:
        values: the record of a driver `[time, cell]`.
        rain: that of rain, which says the year.
        light: that of light, which says the order.
        days: of all, `datetime64[D]`.
        amounts: whether the days are scaled to the usual mean, as light and VPD are, or shifted, as temperatures are.
        given: long-term mean by day of the year `[366, cell]`, in place of that of the record.
        given_rain: the same of rain.
        years: first and last year of the record that count; all by default.

    Raises:
        ValueError: as `usual_rain`.
    """
    months, bright = days.astype("datetime64[M]"), light.mean(axis=1)
    name, kept, out = months.astype(int) % 12, within(days, years), np.zeros(values.shape, np.float32)
    for month, rows, _ in _typical_months(rain, days, given_rain, years):
        taken = values[rows]
        wanted = values[kept & (name == month)].mean(axis=0) if given is None else given[_DAYS_OF_MONTH[month]].mean(axis=0)
        mean = taken.mean(axis=0)
        moved = taken * (wanted / np.maximum(mean, 1e-9)) if amounts else taken + (wanted - mean)
        moved = moved[np.argsort(bright[rows], kind="stable")]
        for one in np.unique(months[name == month]):
            here = np.flatnonzero(months == one)
            rank = np.argsort(np.argsort(bright[here], kind="stable"), kind="stable")
            out[here] = moved[rank * len(moved) // len(here)]
    return out


def _month_and_day(days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Month of the year and day of the month of each day, from 0."""
    months = days.astype("datetime64[M]")
    return months.astype(int) % 12, (days - months.astype("datetime64[D]")).astype(int)


def _typical_months(
    rain: np.ndarray, days: np.ndarray, given: np.ndarray | None, years: Years | None
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Each month of the year: its number from 0, the days of the record whose rain is most usual, the usual mean `[cell]`."""
    months = days.astype("datetime64[M]")
    lengths = {month: int(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int)) for month in np.unique(months)}
    of_years = within(days, years)
    whole = {month: np.flatnonzero((months == month) & of_years) for month in lengths}
    whole = {month: rows for month, rows in whole.items() if len(rows) == lengths[month]}
    for month in np.unique(months.astype(int) % 12):
        candidates = [rows for one, rows in whole.items() if one.astype(int) % 12 == month]
        if not candidates:
            raise ValueError(f"the record of {days[0]} to {days[-1]} has no whole month {month + 1}, whose days of rain could be taken")
        means = np.stack([rain[rows].mean(axis=0) for rows in candidates])
        wanted = means.mean(axis=0) if given is None else given[_DAYS_OF_MONTH[month]].mean(axis=0)
        yield int(month), candidates[int(np.argmin(np.abs(means.mean(axis=1) - wanted.mean())))], wanted
