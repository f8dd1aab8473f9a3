"""Corners of the data: measured days of the growing season that are nearest to quantiles of several drivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hybridflux.model.sequences import Sequences

GROWING = 5.0  # degC: days on average warmer than this
GREENNESS = ("fapar", "nirv")  # the first that is there says which days are green
LOW, HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Corner:
    """Days at a corner.

    Attributes:
        name: in words.
        at: driver -> the quantile that its days are near; drivers that a model does not read count nothing; none takes a sample of all.
        days: most days.
    """

    name: str
    at: Mapping[str, float] = field(default_factory=dict)
    days: int = 50

    def choose(self, drivers: Mapping[str, np.ndarray], seed: int) -> np.ndarray:
        """Positions of its days among days whose drivers `[day]` are given, in their order.

        Days are as near as the sum of squared differences of the rank of each driver, as a share of all days, from its quantile.
        """
        count = len(next(iter(drivers.values())))
        known = {name: quantile for name, quantile in self.at.items() if name in drivers}
        if not known:
            return np.sort(np.random.default_rng(seed).choice(count, min(self.days, count), replace=False))
        ranks = {name: np.argsort(np.argsort(drivers[name], kind="stable"), kind="stable") / max(count - 1, 1) for name in known}
        apart = sum((ranks[name] - quantile) ** 2 for name, quantile in known.items())
        return np.sort(np.argsort(apart, kind="stable")[: self.days])


GROWTH = Corner("growing season", days=200)
DRY_HOT = Corner("dry and hot", {"tair": HIGH, "vpd": HIGH, "rew": LOW, "lswi": LOW})
WET_COOL = Corner("wet and cool", {"tair": LOW, "vpd": LOW, "rew": HIGH, "lswi": HIGH})
CORNERS = (GROWTH, DRY_HOT, WET_COOL)


def days_of_growth(here: Sequences, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (time, place) of measured days warmer than 5 degC on which fapar or NIRv is above its median at the tower."""
    growing = measured.copy()
    if "tair" in here.drivers:
        growing &= here.drivers["tair"] > GROWING
    greenness = next((here.drivers[name] for name in GREENNESS if name in here.drivers), None)
    if greenness is not None:
        growing &= greenness >= np.median(greenness, axis=0)
    return tuple(np.argwhere(growing).T)
