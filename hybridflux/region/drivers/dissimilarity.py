"""How unlike the days of a fit the conditions of each pixel are: the area of applicability (`inference.training_days`)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hybridflux.inference.training_days import TrainingDays, squares
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.map_periods import bounds_of
from hybridflux.region.drivers.read import TileDrivers
from hybridflux.region.store import layout

EVERY = 15  # d; weather and vegetation are looked at on one day of so many


class Dissimilarity(NamedTuple):
    """Of the pixels of a tile, over the days of each year that were looked at.

    Attributes:
        mean: of the dissimilarity `[year, pixel]`.
        outside: share of the days outside the area of applicability `[year, pixel]`.
        days: mapped days of each year `[year]`.
    """

    mean: np.ndarray
    outside: np.ndarray
    days: np.ndarray

    @property
    def share(self) -> np.ndarray:
        """Share of all mapped days outside `[pixel]`."""
        return self.days @ self.outside / self.days.sum()


def dissimilarity(drivers: TileDrivers, training: TrainingDays, calendar: Calendar) -> Dissimilarity:
    """Dissimilarity of the pixels of a tile to the days of a fit, year by year.

    Args:
        drivers: of the tile.
        training: sample of the days of the fit.
        calendar: of the run.
    """
    first, end = (bounds - calendar.mapped[0].astype(int) + calendar.warm_up for bounds in bounds_of(calendar, "annual"))
    years = [_of_days(drivers, training, np.arange(*of_year)) for of_year in zip(first, end, strict=True)]
    return Dissimilarity(*(np.stack(column) for column in zip(*years, strict=True)), end - first)


def _of_days(drivers: TileDrivers, training: TrainingDays, days: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean dissimilarity and share of days outside `[pixel]`.

    The weather of a day is that of a cell, so the days of the sample that can be nearest to any of its pixels are few: those whose
    distance in the weather alone is no more than the largest distance of a pixel to some other day.

    Args:
        drivers: of the tile.
        training: sample of the days of the fit.
        days: positions of the mapped days in the drivers.
    """
    looked_at = days[EVERY // 2 :: EVERY] if len(days) > EVERY else days[len(days) // 2 :][:1]
    coarse = np.array([name in drivers.weather for name in training.names])
    sample, pixels = training.scaled(training.values), len(drivers.pixel)
    order = np.argsort(drivers.cell, kind="stable")
    cells, first = np.unique(drivers.cell[order], return_index=True)
    total, outside = np.zeros(pixels), np.zeros(pixels)
    for day in looked_at:
        weather, own = _of_day(drivers, training, coarse, day)
        for cell, mine in zip(cells, np.split(order, first[1:]), strict=True):
            away = ((sample[:, coarse] - weather[cell]) ** 2).sum(axis=1)
            here, there = own[mine], sample[:, ~coarse]
            reach = np.maximum(np.abs(there - here.min(axis=0)), np.abs(there - here.max(axis=0)))
            near = away <= (away + (reach**2).sum(axis=1)).min() * (1.0 + 1e-5)
            square = (squares(here, there[near]) + away[near]).min(axis=1)
            found = np.sqrt(np.maximum(square, 0.0)) / training.mean_distance
            total[mine] += found
            outside[mine] += found > training.threshold
    return total / len(looked_at), outside / len(looked_at)


def _of_day(drivers: TileDrivers, training: TrainingDays, coarse: np.ndarray, day: int) -> tuple[np.ndarray, np.ndarray]:
    """Scaled predictors of the weather `[cell, predictor]` and of the pixels `[pixel, predictor]` on a day."""
    weather, own = [], []
    for number, name in enumerate(training.names):
        if coarse[number]:
            values, into = drivers.weather[name][day], weather
        elif name in drivers.daily:
            values, into = drivers.daily[name][day][drivers.pixel], own
            values = values * np.float32(layout.SCALE) if values.dtype == np.int16 else values
        else:
            values, into = drivers.static[name], own
        into.append((values - training.mean[number]) / training.sd[number] * training.weight[number])
    parts = ((weather, drivers.weather[next(iter(drivers.weather))].shape[1]), (own, len(drivers.pixel)))
    return tuple(np.stack(one, axis=1).astype(np.float32) if one else np.zeros((size, 0), np.float32) for one, size in parts)
