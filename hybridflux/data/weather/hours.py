"""Hours in UTC to days of a region: sums differenced, hours checked, radiation conserved."""

from __future__ import annotations

import numpy as np

from hybridflux.data.solar import equation_of_time

_HOUR = np.timedelta64(1, "h")
_NOISE = 1e-3  # of the largest value: sums in packed files decrease by less
_FEW, _MANY = 0.005, 0.05  # share of decreasing steps: below, a sum that grows all day; above, single hours
_WET_DAYS, _NEVER_AGAIN = 3, 0.5  # days with values, and their share whose sum does not restart at 01 UTC, from which it never does
_NOON_ERROR = 0.75  # h; clouds of a month shift the centre of the day by less, a wrong time zone by 1 or more
_NOON_DAYS = 5


def check_hours(stamps: np.ndarray, where: str) -> None:
    """Refuse sorted stamps that are not every hour once.

    Args:
        stamps: `[hour]` datetime64[s], sorted.
        where: files and variable, for the message.

    Raises:
        ValueError: an hour comes twice or is missing; names the hour.
    """
    step = np.diff(stamps)
    if (step == np.timedelta64(0, "s")).any():
        hour = stamps[int(np.argmin(step))]
        raise ValueError(f"{where}: the hour {hour} UTC comes twice; keep one file of each period")
    wrong = np.flatnonzero(step != _HOUR)
    usual = np.median(step.astype(int)) / 3600 if len(step) else 1.0
    if usual != 1:
        every = "one value a day" if usual == 24 else f"a value every {usual:g} h"
        raise ValueError(
            f"{where}: holds {every} from {stamps[0]} UTC; hours are needed, since days of the region are made of them: request all 24 "
            "hours of the hourly dataset, not daily statistics"
        )
    if len(wrong):
        raise ValueError(f"{where}: the hour {stamps[wrong[0]] + _HOUR} UTC is missing; request all 24 hours of all days of the month")


def is_accumulated(stamps: np.ndarray, values: np.ndarray) -> bool | None:
    """Whether values grow from 00 UTC through the day (ERA5-Land) instead of holding single hours (ERA5).

    A sum decreases only at 01 UTC, where it restarts; rain and radiation of single hours decrease every day.

    Args:
        stamps: `[hour]` every hour, end of the hour.
        values: `[hour, cell]`.

    Returns:
        True or False; None where zeros or too few values do not show it.
    """
    largest = float(np.nanmax(values, initial=0.0))
    inside = _hour_of(stamps)[1:] != 1
    if largest <= 0 or not inside.any():
        return None
    before, after = values[:-1][inside], values[1:][inside]
    active = (before > _NOISE * largest) | (after > _NOISE * largest)
    if active.sum() < 24:
        return None
    down = float(((before - after > _NOISE * largest) & active).sum() / active.sum())
    return True if down < _FEW else False if down > _MANY else None


def deaccumulate(stamps: np.ndarray, values: np.ndarray, where: str) -> np.ndarray:
    """Amounts of the hour that ends at each stamp, from sums since 00 UTC.

    ERA5-Land: the value of 01 is that of the first hour, the value of 00 the sum of the whole day before (ECMWF, ERA5-Land
    documentation, accumulations). The first stamp of a series is NaN unless it is 01, because the sum before it is not known.

    Args:
        stamps: `[hour]` every hour.
        values: `[hour, cell]` sums.
        where: files and variable, for the message.

    Raises:
        ValueError: a sum decreases by more than the noise of packing, or it continues to grow over midnight.

    >>> day = np.datetime64("2020-01-01T01") + np.arange(24) * np.timedelta64(1, "h")
    >>> deaccumulate(day, np.cumsum(np.ones((24, 1)), axis=0), "a file").ravel().tolist() == [1.0] * 24
    True
    """
    first = _hour_of(stamps) == 1
    steps = np.full(values.shape, np.nan)
    steps[1:] = np.diff(values, axis=0)
    again = np.flatnonzero(first[1:]) + 1
    fallen = values[again - 1] > _NOISE * float(np.nanmax(values, initial=0.0))  # days with an amount above the noise
    if fallen.sum() >= _WET_DAYS and float((values[again] >= values[again - 1])[fallen].mean()) > _NEVER_AGAIN:
        raise ValueError(
            f"{where}: the sums continue to grow from day to day, up to {float(np.nanmax(values)):.3g}; those of ERA5-Land restart after "
            "00 UTC: get the original file of the data store"
        )
    steps[first] = values[first]
    return without_noise(stamps, steps, float(np.nanmax(values, initial=0.0)), where)


def without_noise(stamps: np.ndarray, values: np.ndarray, largest: float, where: str) -> np.ndarray:
    """Rain or radiation of hours, in which packing leaves numbers slightly below 0, from 0 upwards.

    Args:
        stamps: `[hour]`.
        values: `[hour, cell]`.
        largest: number whose thousandth counts as noise.
        where: files and variable, for the message.

    Raises:
        ValueError: a value is further below 0.
    """
    wrong = values < -_NOISE * largest
    if wrong.any():
        hour, cell = np.argwhere(wrong)[0]
        lowest = f"{values[hour, cell]:.3g} in the hour before {stamps[hour]} UTC in cell {cell}"
        raise ValueError(f"{where}: {lowest}; rain and radiation do not fall below 0: get the file again")
    return np.where(values < 0, 0.0, values)


def _hour_of(stamps: np.ndarray) -> np.ndarray:
    return (stamps - stamps.astype("datetime64[D]")) // _HOUR


def check_noon(stamps: np.ndarray, radiation: np.ndarray, longitude: np.ndarray, where: str) -> None:
    """Refuse hours that are not UTC: the centre of the day's radiation must lie at the sun's noon.

    Args:
        stamps: `[hour]` end of the hour, supposed to be UTC.
        radiation: `[hour, cell]` of single hours.
        longitude: `[cell]` degrees east.
        where: files, for the message.

    Raises:
        ValueError: it lies elsewhere; names the difference in hours.
    """
    angle = 2 * np.pi * ((stamps - stamps.astype("datetime64[D]")).astype(float) / 3600 - 0.5) / 24
    total = np.nansum(radiation)
    if len(stamps) < 24 * _NOON_DAYS or total <= 0:
        return
    weight = np.nansum(radiation, axis=0)
    turned = angle[:, None] + 2 * np.pi * longitude[None, :] / 360  # local solar angle
    centre = np.angle(np.nansum(np.where(weight > 0, radiation, 0.0) * np.exp(1j * (turned - np.pi)))) * 24 / (2 * np.pi)
    day_of_year = (stamps.astype("datetime64[D]") - stamps.astype("datetime64[Y]")).astype(int) + 1
    off = float(centre - np.average(-equation_of_time(day_of_year), weights=np.nansum(radiation, axis=1)))
    if abs(off) > _NOON_ERROR:
        raise ValueError(
            f"{where}: the radiation is centred {off:+.1f} h from the sun's noon at {float(np.mean(longitude)):.1f} degrees east; "
            "the stamps are not UTC or not the ends of hours: shift them to UTC"
        )


def day_of(stamps: np.ndarray, days: np.ndarray, utc_offset: float, *, before: float) -> np.ndarray:
    """Index of the day of each hour, -1 for none.

    Args:
        stamps: `[hour]` UTC.
        days: `[time]` consecutive standard days of the region.
        utc_offset: UTC offset of these days [h].
        before: time from the representative moment to the stamp [h]: 0 for instantaneous values, 0.5 for amounts of the hour that
            ends at the stamp.
    """
    local = stamps + np.timedelta64(round((utc_offset - before) * 3600), "s")
    which = (local.astype("datetime64[D]") - days[0]).astype(int)
    return np.where((which >= 0) & (which < len(days)), which, -1)


def sums(which: np.ndarray, values: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum of the known hours of each day `[time, cell]`, and their number.

    Args:
        which: `[hour]` day, -1 for none.
        values: `[hour, cell]`, NaN where unknown.
        n: number of days.
    """
    inside = which >= 0
    known = np.isfinite(values[inside])
    total, count = np.zeros((n, values.shape[1])), np.zeros((n, values.shape[1]), int)
    np.add.at(total, which[inside], np.where(known, values[inside], 0.0))
    np.add.at(count, which[inside], known)
    return total, count


def means(which: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Mean of the known hours of each day `[time, cell]`, NaN where there is none; arguments as in `sums`."""
    total, count = sums(which, values, n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def minima(which: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Lowest of the known hours of each day `[time, cell]`, NaN where there is none; arguments as in `sums`."""
    lowest = np.full((n, values.shape[1]), np.inf)
    np.minimum.at(lowest, which[which >= 0], np.where(np.isfinite(values), values, np.inf)[which >= 0])
    return np.where(np.isfinite(lowest), lowest, np.nan)


def maxima(which: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Highest of the known hours of each day `[time, cell]`, NaN where there is none; arguments as in `sums`."""
    return -minima(which, -values, n)


def halves(which: np.ndarray, values: np.ndarray, light: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Means of the hours of light and of the dark hours of each day `[time, cell]`, NaN where there is none.

    Weighted with their shares of the hours the two give the mean of the day.

    Args:
        which: `[hour]` day, -1 for none.
        values: `[hour, cell]`, NaN where unknown.
        light: `[hour, cell]` 1 with light, 0 without; hours where it is NaN are in neither.
        n: number of days.
    """
    return means(which, np.where(light == 1, values, np.nan), n), means(which, np.where(light == 0, values, np.nan), n)
