"""Seasons of a place: day of the year, warm season, and the mean seasonal cycle."""

from __future__ import annotations

import numpy as np

from hybridflux.model.sequences import Sequences
from hybridflux.time import warm_season

YEAR = 366
WINDOW = 31  # days of the running mean of a seasonal cycle
_SECOND_HALF = 185  # days from 1 July to the end of a year of 366


def day_of_year(days: np.ndarray) -> np.ndarray:
    """Day of the year, 1 to 366, of `datetime64[D]`."""
    return (days - days.astype("datetime64[Y]")).astype(int) + 1


def month_of(days: np.ndarray) -> np.ndarray:
    """Month, 1 to 12, of `datetime64[D]`."""
    return days.astype("datetime64[M]").astype(int) % 12 + 1


def in_warm_season(sequences: Sequences) -> np.ndarray:
    """Whether a day lies in the warm season of its place (`time.warm_season`), `[time, place]` of bool.

    Raises:
        ValueError: the sequences lack the latitude of their places.
    """
    if sequences.latitude is None:
        names = ", ".join(sequences.places)[:200]
        raise ValueError(f"the warm season of {names} follows from their latitude; give `latitude` to Sequences")
    month = month_of(sequences.days)
    return np.stack([np.isin(month, warm_season(latitude)) for latitude in np.asarray(sequences.latitude, float)], axis=1)


def day_of_season(sequences: Sequences) -> np.ndarray:
    """Day of the year `[time, place]`, 1 to 366, counted in the south from 1 July, so that the same number is the same season everywhere.

    Without the latitude of the places it is the day of the calendar year, which is right as long as all lie in one hemisphere.
    """
    north = np.broadcast_to(day_of_year(sequences.days)[:, None], (len(sequences.days), len(sequences.places)))
    if sequences.latitude is None:
        return north
    return np.where(np.asarray(sequences.latitude) < 0, (north - 1 + _SECOND_HALF) % YEAR + 1, north)


def seasonal_cycle(days: np.ndarray, values: np.ndarray, window: int = WINDOW, number: np.ndarray | None = None) -> np.ndarray:
    """Mean of each day of the year over all years, over a circular window of days.

    Args:
        days: `datetime64[D]` `[time]`.
        values: `[..., time]`, NaN on the days that do not count, the same ones in every row.
        window: days of the running mean, odd.
        number: day of the year `[time]`, 1 to 366; that of the calendar by default.

    Returns:
        `[..., 366]`, NaN where the window holds no value.
    """
    rows = np.asarray(values, float).reshape(-1, len(days))
    seen = np.isfinite(rows[0])
    day = (day_of_year(days) if number is None else number)[seen] - 1
    total = np.zeros((YEAR, len(rows)))
    np.add.at(total, day, rows[:, seen].T)
    count = np.bincount(day, minlength=YEAR).astype(float)[:, None]
    total, count = (sum(np.roll(each, shift, axis=0) for shift in range(-(window // 2), window // 2 + 1)) for each in (total, count))
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return mean.T.reshape(*np.shape(values)[:-1], YEAR)


def years_seen(days: np.ndarray, seen: np.ndarray, window: int = WINDOW) -> np.ndarray:
    """Number of years in which the window around each day of the year holds a day that counts, `[366]`.

    Args:
        days: `datetime64[D]` `[time]`.
        seen: whether a day counts, `[time]`.
        window: days, odd; circular within each year.
    """
    years, row = np.unique(days.astype("datetime64[Y]"), return_inverse=True)
    covered = np.zeros((len(years), YEAR), bool)
    covered[row[seen], day_of_year(days)[seen] - 1] = True
    near = [np.roll(covered, shift, axis=1) for shift in range(-(window // 2), window // 2 + 1)]
    return np.any(near, axis=0).sum(axis=0)
