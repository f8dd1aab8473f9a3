"""Measured and satellite soil moisture of a region against the usual one of the same place and days of the year."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hybridflux.data.gaps import seasonal_mean
from hybridflux.region.drivers.open import Region
from hybridflux.region.drivers.usual_weather import days_of_year
from hybridflux.region.store import layout
from hybridflux.region.store.grid import Tile

LEAST_SEEN = 10
"""Observed days of a season, below which its mean is not known."""
LEAST_YEARS = 3
"""Other years whose season was seen, below which nothing is usual."""


@dataclass(frozen=True)
class MoistureAnomaly:
    """Departure of soil moisture from its usual course.

    Attributes:
        name: dataset and series, `era5-land root_zone`.
        units: `m3 m-3`, or `1`, the share of saturation.
        daily: of each day of the season `[day, cell]`, NaN where not observed.
        season: mean over the observed days `[cell]`, NaN where that or the usual is not known.
        sd: standard deviation of such means over the other years `[cell]`.
        years: other years that say what is usual.
        latitude: of the cells `[cell]`, degrees.
        longitude: of the cells `[cell]`, degrees.
    """

    name: str
    units: str
    daily: np.ndarray
    season: np.ndarray
    sd: np.ndarray
    years: tuple[int, ...]
    latitude: np.ndarray
    longitude: np.ndarray

    def nearest(self, longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
        """The cell nearest to each place `[place]`."""
        from scipy.spatial import cKDTree

        shrink = np.cos(np.radians(self.latitude.mean()))
        return cKDTree(np.stack([self.longitude * shrink, self.latitude], 1)).query(np.stack([longitude * shrink, latitude], 1))[1]

    def at_pixels(self, region: Region, tile: Tile) -> np.ndarray:
        """Mean departure of the season in the nearest cell of each pixel of a tile `[pixel]`."""
        x, y = np.meshgrid(region.grid.x[tile.x], region.grid.y[tile.y])
        longitude, latitude = region.grid.lonlat(x.reshape(-1), y.reshape(-1))
        return self.season[self.nearest(longitude, latitude)]


def moisture_anomalies(region: Region, season: np.ndarray) -> Iterator[MoistureAnomaly]:
    """The departure of each series of soil moisture that `region build` kept beside a region, where its record says what is usual.

    Args:
        region: open.
        season: its days `[day]`.
    """
    if layout.MOISTURE not in region.group:
        return
    for dataset, place in sorted(region.group[layout.MOISTURE].groups()):
        days = layout.EPOCH + place["time"][:].astype("timedelta64[D]")
        for series, array in sorted(place.arrays()):
            if array.metadata.dimension_names == ("time", "cell"):
                name = f"{dataset} {series}"
                at = place["latitude"][:], place["longitude"][:]
                found = departure(name, array.attrs.get("units", "1"), days, array[:].astype(float), season, *at)
                if found is None:
                    warnings.warn(
                        f"{name} in {region.path} does not show the season in {LEAST_YEARS} other years, so what is usual of it is not "
                        f"known, and it is left out; it has {days[0]} to {days[-1]}: give its `moisture` source an earlier `start` and an "
                        "`end` of its own, and build the region again",
                        stacklevel=2,
                    )
                else:
                    yield found


def departure(
    name: str, units: str, days: np.ndarray, values: np.ndarray, season: np.ndarray, latitude: np.ndarray, longitude: np.ndarray
) -> MoistureAnomaly | None:
    """Departure of a record `[time, cell]` on the days of a season from the course of its other years; None without three of these.

    The usual course is the mean of the day of the year over the other years in a window of 15 days (`data.gaps.seasonal_mean`).
    """
    year, day = days.astype("datetime64[Y]").astype(int) + 1970, days_of_year(days)
    events = np.unique(season.astype("datetime64[Y]").astype(int) + 1970)
    of_season = np.isin(day, days_of_year(season))
    others = [
        int(one) for one in np.unique(year)
        if one not in events and np.isfinite(values[of_season & (year == one)]).sum(axis=0).max(initial=0) >= LEAST_SEEN
    ]  # fmt: skip
    if len(others) < LEAST_YEARS:
        return None
    known = np.isin(year, others)
    seen = np.isfinite(values[known]).any(axis=0)
    usual = np.full((366, values.shape[1]), np.nan)
    for cell in np.flatnonzero(seen):
        usual[:, cell] = seasonal_mean(values[known, cell], day[known])
    away = values - usual[day - 1]
    daily = np.full((len(season), values.shape[1]), np.nan)
    place = {one: row for row, one in enumerate(season.tolist())}
    inside = [(place[one], row) for row, one in enumerate(days.tolist()) if one in place]
    if inside:
        rows, records = np.array(inside).T
        daily[rows] = away[records]
    means = np.stack([_mean(away[of_season & (year == one)]) for one in others])
    count = np.isfinite(means).sum(0)
    sd = np.full(len(count), np.nan)
    sd[count >= LEAST_YEARS] = np.nanstd(means[:, count >= LEAST_YEARS], axis=0, ddof=1)
    return MoistureAnomaly(name, units, daily, np.where(count >= LEAST_YEARS, _mean(daily), np.nan), sd, tuple(others), latitude, longitude)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the observed days `[cell]`, NaN where there are too few."""
    known = np.isfinite(values)
    count = known.sum(0)
    return np.where(count >= LEAST_SEEN, np.where(known, values, 0.0).sum(0) / np.maximum(count, 1), np.nan)
