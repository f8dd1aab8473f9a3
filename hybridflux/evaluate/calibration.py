"""Calibration of predictive intervals: rank histograms and coverage curves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hybridflux.evaluate.metrics import coverage

BINS = 10
PIT = tuple(f"pit{number}" for number in range(1, BINS + 1))
"""Columns of a table of scores that hold how many observations fall into each tenth of their predictive distribution."""

CURVE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


def pit(observed: np.ndarray, draws: np.ndarray, seed: int = 0) -> np.ndarray:
    """Probability integral transform: the rank of each observation among its predictive draws, as a number in (0, 1).

    Ranks are randomised within their step, so values are exactly uniform if observations and draws come from the same distribution.

    Args:
        observed: any shape, NaN where nothing was observed.
        draws: `[draw, ...]`, observation error included.
        seed: seed of the random part.

    Returns:
        Shape of `observed`, NaN where nothing was observed.
    """
    random = np.random.default_rng(seed).random(np.shape(observed))
    below = (draws < observed).sum(axis=0)
    ties = (draws == observed).sum(axis=0)
    return np.where(np.isfinite(observed), (below + random * (ties + 1)) / (len(draws) + 1), np.nan)


def pit_counts(observed: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    """How many observations fall into each tenth of their predictive distribution: `PIT` -> count; counts of parts add up.

    Args:
        observed: `[period]`.
        draws: `[draw, period]`; a single row is a deterministic prediction, and all counts are NaN.
    """
    if len(draws) < 2:
        return dict.fromkeys(PIT, np.nan)
    return dict(zip(PIT, pit_histogram(pit(observed, draws), BINS).n.astype(float), strict=True))


def pit_histogram(values: np.ndarray, bins: int = BINS) -> pd.DataFrame:
    """Histogram of `pit` values: flat if calibrated, a U if intervals are too narrow, a hump if too wide, a slope if biased.

    Args:
        values: from `pit`; NaN is left out.
        bins: number of equal bins of [0, 1].

    Returns:
        Columns `left`, `right`, `n`, `density` (1 if calibrated).
    """
    seen = values[np.isfinite(values)]
    n, edges = np.histogram(seen, bins=bins, range=(0.0, 1.0))
    return pd.DataFrame({"left": edges[:-1], "right": edges[1:], "n": n, "density": n * bins / max(len(seen), 1)})


def coverage_curve(observed: np.ndarray, draws: np.ndarray, levels: Sequence[float] = CURVE) -> pd.DataFrame:
    """Share of observations inside central intervals of several probabilities.

    Args:
        observed: any shape, NaN where nothing was observed.
        draws: `[draw, ...]`, observation error included.
        levels: probabilities of the intervals.

    Returns:
        Columns `level` and `covered` (NaN where there are too few draws), equal if calibrated.
    """
    return pd.DataFrame({"level": list(levels), "covered": [coverage(observed, draws, level) for level in levels]})
