"""The course of the year: the day of the year, the months of growth, and the smoothed mean of each day."""

from __future__ import annotations

import numpy as np

YEAR = 366
WINDOW = 31  # days of the running mean of a seasonal cycle
GROWING = (5, 6, 7, 8, 9)  # months of growth and of drought between 35 and 70 degrees north


def day_of_year(days: np.ndarray) -> np.ndarray:
    """Day of the year, 1 to 366, of `datetime64[D]`."""
    return (days - days.astype("datetime64[Y]")).astype(int) + 1


def month_of(days: np.ndarray) -> np.ndarray:
    """Month, 1 to 12, of `datetime64[D]`."""
    return days.astype("datetime64[M]").astype(int) % 12 + 1


def seasonal_cycle(days: np.ndarray, values: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Mean of each day of the year over all years, over a circular window of days.

    Args:
        days: `datetime64[D]` `[time]`.
        values: `[..., time]`, NaN on the days that do not count, the same ones in every row.
        window: days of the running mean, odd.

    Returns:
        `[..., 366]`, NaN where the window holds no value.
    """
    rows = np.asarray(values, float).reshape(-1, len(days))
    seen = np.isfinite(rows[0])
    day = day_of_year(days)[seen] - 1
    total = np.zeros((YEAR, len(rows)))
    np.add.at(total, day, rows[:, seen].T)
    count = np.bincount(day, minlength=YEAR).astype(float)[:, None]
    total, count = (sum(np.roll(each, shift, axis=0) for shift in range(-(window // 2), window // 2 + 1)) for each in (total, count))
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.T.reshape(*np.shape(values)[:-1], YEAR)


def years_seen(days: np.ndarray, seen: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """In how many years the window around each day of the year holds a day that counts, `[366]`.

    Args:
        days: `datetime64[D]` `[time]`.
        seen: whether a day counts, `[time]`.
        window: days, odd; circular within each year.
    """
    years, row = np.unique(days.astype("datetime64[Y]"), return_inverse=True)
    there = np.zeros((len(years), YEAR), bool)
    there[row[seen], day_of_year(days)[seen] - 1] = True
    near = [np.roll(there, shift, axis=1) for shift in range(-(window // 2), window // 2 + 1)]
    return np.any(near, axis=0).sum(axis=0)
