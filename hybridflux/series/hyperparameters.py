"""The hyperparameters of the process behind a vegetation series, which the pixels of a land-cover class share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import SupportsFloat

import numpy as np

YEAR = 365.2425  # days


@dataclass(frozen=True)
class SeriesProcess:
    """Hyperparameters as plain numbers, ready for JSON; in the units of the index unless another unit is given.

    signal = season + fast + slow, view = signal + noise. `fast` is a Matern-3/2 process: smooth growth that leaves and returns to the
    season within weeks. `slow` is an Ornstein-Uhlenbeck process: how a pixel differs from the season for a year or longer. All variances of
    one pixel share an unknown factor, inverse gamma with mean about one, because a meadow varies more than a spruce.

    Attributes:
        season: mean of the class, then cosine and sine of each harmonic of the year, on the axis of days that `learn` was given.
        fast_sd: standard deviation of the fast part.
        fast_days: length scale of the fast part [d]; its correlation after that time is 0.48.
        slow_sd: standard deviation of the slow part.
        slow_days: time after which the correlation of the slow part is 1/e [d].
        view_sd: standard deviation of one clear view about the signal.
        freedom: degrees of freedom of the per-pixel variance factor [1]; large means that all pixels are equally variable.
        widening: factor on the standard deviations that are returned [1], so that intervals hold the share that they claim.
        season_error: covariance of the coefficients of `season`; empty where they are taken as known.
    """

    season: Sequence[SupportsFloat]
    fast_sd: float
    fast_days: float
    slow_sd: float
    slow_days: float
    view_sd: float
    freedom: float = 10.0
    widening: float = 1.0
    season_error: Sequence[Sequence[SupportsFloat]] = ()

    def __post_init__(self):
        object.__setattr__(self, "season", tuple(float(number) for number in self.season))
        object.__setattr__(self, "season_error", tuple(tuple(float(number) for number in row) for row in self.season_error))
        if len(self.season) % 2 == 0 or not np.isfinite(np.array(self.season)).all():
            raise ValueError(f"`season` has {len(self.season)} coefficients, {self.season}; give a finite mean and two for each harmonic")
        for name in ("fast_sd", "fast_days", "slow_sd", "slow_days", "view_sd", "freedom", "widening"):
            number = getattr(self, name)
            if not (np.isfinite(number) and number > 0):
                raise ValueError(f"`{name}` is {number}; it must be a finite number above 0")

    @property
    def signal_sd(self) -> float:
        """Standard deviation about the season of the signal of a pixel without views."""
        return float(np.hypot(self.fast_sd, self.slow_sd))


def harmonics(when: np.ndarray, count: int) -> np.ndarray:
    """Design matrix of the season: columns 1, cos, sin, cos 2, sin 2 ... of the year.

    Args:
        when: day numbers `[n]`.
        count: number of harmonics.

    Returns:
        `[n, 1 + 2 count]`, float64.
    """
    angle = 2 * np.pi * np.asarray(when, float)[:, None] / YEAR * np.arange(1, count + 1)
    waves = np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(len(angle), 2 * count)
    return np.concatenate([np.ones((len(angle), 1)), waves], axis=1)


def season_of(process: SeriesProcess, when: np.ndarray) -> np.ndarray:
    """Season of the class on some days `[n]`, float64."""
    return harmonics(when, len(process.season) // 2) @ np.array(process.season)


def season_sd(process: SeriesProcess, when: np.ndarray) -> np.ndarray:
    """Standard deviation of the season on some days `[n]`, float64; large in the parts of the year without views."""
    if not process.season_error:
        return np.zeros(len(when))
    columns = harmonics(when, len(process.season) // 2)
    return np.sqrt(np.einsum("ni,ij,nj->n", columns, np.array(process.season_error), columns))
