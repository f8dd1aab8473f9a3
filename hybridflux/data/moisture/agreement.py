"""Agreement of observed soil moisture with modelled water, by ranks because units and depths differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEWEST = 30  # days with both; fewer do not cover a season
WINDOW = 35  # d; Albergel et al. 2009, Hydrology and Earth System Sciences 13, 115-124: anomalies from five weeks around a day
_IN_WINDOW = 5  # days with both within the window, as in that paper


@dataclass(frozen=True)
class Agreement:
    """Rank agreement of two series.

    Attributes:
        n: number of days with both.
        rank: Spearman correlation; None where there are too few days or one series does not vary.
        n_anomaly: number of days whose departure from the weeks around them is known in both.
        rank_anomaly: Spearman correlation of these departures, free of the seasonal cycle.
    """

    n: int
    rank: float | None
    n_anomaly: int
    rank_anomaly: float | None


def against_bucket(days: np.ndarray, observed: np.ndarray, model_days: np.ndarray, water: np.ndarray, fewest: int = FEWEST) -> Agreement:
    """Rank agreement of observed moisture with the relative water of a bucket.

    Args:
        days: days of the observations `[time]`, each once.
        observed: `[time]` in any unit, NaN where not observed.
        model_days: consecutive days `[model time]`.
        water: modelled relative extractable water `[model time]`.
        fewest: least number of days with both.

    Returns:
        Agreement of the days on which both are known, and of their departures from the mean of 35 days around.

    Raises:
        ValueError: lengths differ, or a day of the observations comes twice.
    """
    if len(days) != len(observed) or len(model_days) != len(water):
        lengths = f"{len(days)} days and {len(observed)} observations, {len(model_days)} days and {len(water)} values of the model"
        raise ValueError(f"{lengths}: give one value for each day")
    if len(np.unique(days)) < len(days):
        raise ValueError("a day of the observations comes twice; average it first")
    both, seen, modelled = np.intersect1d(days, model_days, return_indices=True)
    known = np.isfinite(observed[seen]) & np.isfinite(water[modelled])
    both, satellite, bucket = both[known], observed[seen][known].astype(float), water[modelled][known].astype(float)
    near = np.abs((both[:, None] - both[None, :]).astype(int)) <= WINDOW // 2
    enough = near.sum(axis=1) >= _IN_WINDOW
    first, second = ((part - near @ part / near.sum(axis=1))[enough] for part in (satellite, bucket))
    return Agreement(len(satellite), _rank(satellite, bucket, fewest), int(enough.sum()), _rank(first, second, fewest))


def _rank(first: np.ndarray, second: np.ndarray, fewest: int) -> float | None:
    if len(first) < max(fewest, 3) or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    from scipy.stats import spearmanr  # here: two thirds of a second, which every command that reads a region would wait

    return float(spearmanr(first, second).statistic)
