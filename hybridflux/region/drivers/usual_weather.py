"""The usual weather of a place as a daily series: what `vpd=climatology` or `rain=climatology` puts in place of the weather that was."""

from __future__ import annotations

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


def usual_course(values: np.ndarray, days: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """The mean of each day of the year on every day `[time, cell]`, in the units of the driver.

    Args:
        values: the record `[time, cell]`.
        days: of it, `datetime64[D]`.
        given: long-term mean by day of the year `[366, cell]`, which is taken instead of the mean of the record.
    """
    day = days_of_year(days)
    mean = given if given is not None else np.stack([seasonal_mean(column, day) for column in values.T], 1)
    return mean[day - 1].astype(np.float32)


def usual_rain(values: np.ndarray, days: np.ndarray, given: np.ndarray | None = None) -> np.ndarray:
    """Rain of usual amount that falls as rain does, on wet days with dry ones between `[time, cell]`, mm d-1.

    The mean of a day of the year would fall on every day. Instead each calendar month takes the days of that month in the year of the
    record whose sum, mean of the cells, lies nearest to the mean of the years: a typical meteorological year (Hall et al. 1978, Sandia
    report SAND78-1601; ISO 15927-4) with the sum alone as criterion. One year for all cells, so that a front passes over them together;
    each cell is then scaled to its own mean sum of the month. The 29th of February is dry where that year has none.

    Args:
        values: the record `[time, cell]`, mm d-1.
        days: of it, `datetime64[D]`.
        given: long-term mean by day of the year `[366, cell]`, whose sums are taken instead of those of the record.

    Raises:
        ValueError: the record has no whole month of some name.
    """
    months = days.astype("datetime64[M]")
    name, number = months.astype(int) % 12, (days - months.astype("datetime64[D]")).astype(int)
    lengths = {month: int(((month + 1).astype("datetime64[D]") - month.astype("datetime64[D]")).astype(int)) for month in np.unique(months)}
    whole = {month: np.flatnonzero(months == month) for month, length in lengths.items() if (months == month).sum() == length}
    out = np.zeros(values.shape, np.float32)
    for month in np.unique(name):
        candidates = [where for one, where in whole.items() if one.astype(int) % 12 == month]
        if not candidates:
            raise ValueError(f"the record of {days[0]} to {days[-1]} has no whole month {month + 1}, whose days of rain could be taken")
        means = np.stack([values[where].mean(axis=0) for where in candidates])
        wanted = means.mean(axis=0) if given is None else given[_DAYS_OF_MONTH[month]].mean(axis=0)
        typical = int(np.argmin(np.abs(means.mean(axis=1) - wanted.mean())))
        taken = values[candidates[typical]] * (wanted / np.maximum(means[typical], 1e-9))
        here = np.flatnonzero((name == month) & (number < len(taken)))
        out[here] = taken[number[here]]
    return out
