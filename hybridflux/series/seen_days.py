"""The views behind a filled series: days on which its standard deviation has a minimum."""

from __future__ import annotations

import numpy as np


def seen_days(mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and days of the views behind a filled series `[view, pixel]`, pixel by pixel from the first row on, NaN beyond the last.

    The standard deviation of a smoothed series grows away from each view, so that its minima are days with a view, or up to two days off
    where views on one side are nearer (at CH-Cha exactly, 334 of 357, E18). A view that was rejected as a cloud is not among them.

    Args:
        mean: filled series `[time, pixel]`.
        sd: its standard deviation `[time, pixel]`.
    """
    least = np.zeros(mean.shape, bool)
    least[1:-1] = (sd[1:-1] <= sd[:-2]) & (sd[1:-1] < sd[2:]) & np.isfinite(mean[1:-1])
    rows = max(int(least.sum(0).max(initial=0)), 1)
    values, days = np.full((rows, mean.shape[1]), np.nan), np.zeros((rows, mean.shape[1]))
    day, pixel = np.nonzero(least)
    row = (np.cumsum(least, 0) - 1)[day, pixel]
    values[row, pixel], days[row, pixel] = mean[day, pixel], day
    return values, days
