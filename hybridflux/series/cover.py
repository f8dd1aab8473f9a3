"""Green cover in winter and number of crops a year, from a daily series with its standard deviation."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

GREEN = 0.3  # fapar above which a soil counts as covered; stubble and bare soil stay below
BARE, GROWN = 0.35, 0.6  # fapar that a crop starts below and grows beyond
SURE = 0.5  # probability from which a day counts as bare or grown


def winter_cover(mean: np.ndarray, sd: np.ndarray, days: np.ndarray, *, green: float = GREEN) -> np.ndarray:
    """Expected share of the given days on which the ground is green `[pixel]`; each day counts with its probability.

    Args:
        mean: index `[time, pixel]`.
        sd: its standard deviation `[time, pixel]`.
        days: whether a day is one of winter `[time]`, for instance November to February.
        green: index above which the ground is green.

    Raises:
        ValueError: no day is chosen.
    """
    if not np.any(days):
        raise ValueError("no day of winter is chosen; give a mask with at least one day")
    return ndtr((mean[days] - green) / np.maximum(sd[days], 1e-9)).mean(0)


def crops_grown(mean: np.ndarray, sd: np.ndarray, *, bare: float = BARE, grown: float = GROWN) -> np.ndarray:
    """Days on which a crop has grown up `[time, pixel]`: the series passes from surely bare to surely grown; their sum counts crops.

    What lies between the two levels, or is not sure, changes nothing, so that noise about one level is never counted as crops.

    Args:
        mean: index `[time, pixel]`.
        sd: its standard deviation `[time, pixel]`.
        bare: index below which a crop starts.
        grown: index beyond which it counts as grown.
    """
    low = ndtr((bare - mean) / np.maximum(sd, 1e-9)) > SURE
    high = ndtr((mean - grown) / np.maximum(sd, 1e-9)) > SURE
    waiting, found = np.zeros(mean.shape[1], bool), np.zeros(mean.shape, bool)
    for day in range(len(mean)):
        waiting |= low[day]
        found[day] = waiting & high[day]
        waiting &= ~high[day]
    return found
