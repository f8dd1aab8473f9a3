"""From days to months and years: observations and predictions averaged over the same, observed days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Step = Literal["day", "month", "year"]


@dataclass(frozen=True)
class Period:
    """How days make a period.

    Attributes:
        unit: numpy unit of the period.
        least_days: observed days a period needs.
        factor: what the mean over its observed days is multiplied by.
        units: of the result.
    """

    unit: str
    least_days: int
    factor: float
    units: str


PERIODS: dict[str, Period] = {
    "day": Period("D", 1, 1.0, "gC m-2 d-1"),
    "month": Period("M", 15, 1.0, "gC m-2 d-1"),
    "year": Period("Y", 251, 365.0, "gC m-2 yr-1"),
}
"""A year is the mean over its observed days x 365, and needs more than 250 of them."""


def aggregate(days: np.ndarray, observed: np.ndarray, draws: np.ndarray, step: Step) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Averages over the observed days of each period.

    Args:
        days: `datetime64[D]` `[time]`, ascending.
        observed: `[time]` gC m-2 d-1, NaN where nothing was observed.
        draws: `[draw, time]` gC m-2 d-1.
        step: `day`, `month` or `year`.

    Returns:
        First day of each period with enough observed days `[period]`, observations `[period]` and draws `[draw, period]`.
    """
    period = PERIODS[step]
    seen = np.isfinite(observed)
    labels = days[seen].astype(f"datetime64[{period.unit}]")
    first = np.flatnonzero(np.r_[True, labels[1:] != labels[:-1]]) if seen.any() else np.zeros(0, int)
    count = np.diff(np.r_[first, seen.sum()])
    enough = count >= period.least_days
    if not enough.any():
        return days[:0], np.zeros(0), np.zeros((len(draws), 0))

    def mean(values):
        return np.add.reduceat(values, first, axis=-1, dtype=float)[..., enough] / count[enough] * period.factor

    return labels[first][enough].astype("datetime64[D]"), mean(observed[seen]), mean(draws[:, seen])
