"""Scores of one series from its observations and predictive draws.

Every function leaves out days without an observation (NaN) and gives NaN where a score cannot be computed.
"""

from __future__ import annotations

import numpy as np

LEVELS = (50, 80, 90)  # percent: central predictive intervals
SCORES = ("n", "nse", "r2", "rmse", "bias", "crps", *(f"coverage{level}" for level in LEVELS))
CHUNK = 4_000_000  # numbers sorted at once


def score(observed: np.ndarray, draws: np.ndarray, point: np.ndarray | None = None) -> dict[str, float]:
    """All scores of one series.

    Args:
        observed: `[time]`, NaN where nothing was observed.
        draws: predictive draws `[draw, time]`, observation error included; a single row is a deterministic prediction.
        point: `[time]`, the prediction that `nse`, `r2`, `rmse` and `bias` judge; the mean of the draws by default.

    Returns:
        `n`; `nse`, `r2` (squared Pearson correlation); `rmse`, `bias` (predicted - observed), `crps` in the units of the data;
        `coverage50`, `coverage80`, `coverage90` (share of observations inside the central interval, NaN with too few draws for it).
    """
    seen = np.isfinite(observed)
    n = int(seen.sum())
    if n == 0:
        return dict.fromkeys(SCORES, np.nan) | {"n": 0}
    y = np.asarray(observed, float)[seen]
    x = np.asarray(draws)[:, seen]
    p = x.mean(axis=0, dtype=float) if point is None else np.asarray(point, float)[seen]
    ordered = _sorted(x)
    inside = {f"coverage{level}": _coverage(y, ordered, level / 100) for level in LEVELS}
    return {
        "n": n,
        "nse": nse(y, p),
        "r2": r2(y, p),
        "rmse": float(np.sqrt(np.mean((p - y) ** 2))),
        "bias": float(np.mean(p - y)),
        "crps": float(np.mean(_crps(y, ordered))),
        **inside,
    }


def nse(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Nash-Sutcliffe efficiency, 1 - squared error / variance of the observations; NaN if these are constant.

    >>> nse(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]))
    0.5
    """
    total = np.sum((observed - observed.mean()) ** 2)
    return float(1.0 - np.sum((observed - predicted) ** 2) / total) if total > 0 else np.nan


def r2(observed: np.ndarray, predicted: np.ndarray) -> float:
    """Squared Pearson correlation; NaN if either is constant."""
    a, b = observed - observed.mean(), predicted - predicted.mean()
    total = np.sum(a * a) * np.sum(b * b)
    return float(np.sum(a * b) ** 2 / total) if total > 0 else np.nan


def crps(observed: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score E|X - y| - E|X - X'| / 2 of the draws `[draw, ...]`, each observation `[...]` on its own.

    Exact for the empirical distribution of the draws; of a single draw it is the absolute error. NaN where not observed.
    """
    seen = np.isfinite(observed)
    scores = np.full(np.shape(observed), np.nan)
    scores[seen] = _crps(np.asarray(observed, float)[seen], _sorted(np.asarray(draws)[:, seen]))
    return scores


def coverage(observed: np.ndarray, draws: np.ndarray, level: float) -> float:
    """Share of the observations inside the central interval of probability `level`; NaN with too few draws for it.

    The bounds are at the positions `p (draws + 1)` of the sorted draws: observations that are exchangeable with the draws are then
    inside with probability `level`, however few the draws. That needs `2 / (1 - level) - 1` of them: 3 for 50 %, 19 for 90 %.
    """
    seen = np.isfinite(observed)
    if not seen.any():
        return np.nan
    return _coverage(np.asarray(observed, float)[seen], _sorted(np.asarray(draws)[:, seen]), level)


def interval(ordered: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray] | None:
    """Bounds of the central interval from draws sorted on the last axis, or None with too few of them."""
    m = ordered.shape[-1]
    position = (1.0 - level) / 2.0 * (m + 1) - 1.0
    if position < -1e-9:
        return None
    low = max(int(np.floor(position + 1e-9)), 0)
    share = max(position - low, 0.0)
    up = m - 1 - low
    lower = ordered[..., low] + share * (ordered[..., min(low + 1, m - 1)] - ordered[..., low])
    upper = ordered[..., up] - share * (ordered[..., up] - ordered[..., max(up - 1, 0)])
    return lower, upper


def _sorted(draws: np.ndarray) -> np.ndarray:
    """`[draw, n]` -> sorted `[n, draw]`, a block at a time."""
    out = np.empty(draws.shape[::-1], np.float64)
    step = max(1, CHUNK // max(1, draws.shape[0]))
    for start in range(0, draws.shape[1], step):
        out[start : start + step] = np.sort(draws[:, start : start + step].T, axis=-1)
    return out


def _crps(observed: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    m = ordered.shape[-1]
    weight = (2.0 * np.arange(1, m + 1) - m - 1) / m**2
    out = np.empty(len(observed))
    step = max(1, CHUNK // m)
    for start in range(0, len(observed), step):
        block = slice(start, start + step)
        out[block] = np.abs(ordered[block] - observed[block, None]).mean(axis=-1) - ordered[block] @ weight
    return out


def _coverage(observed: np.ndarray, ordered: np.ndarray, level: float) -> float:
    bounds = interval(ordered, level)
    return np.nan if bounds is None else float(np.mean((bounds[0] <= observed) & (observed <= bounds[1])))
