"""Felling: a sudden fall of a vegetation index that lasts, with its date and probability.

A step on any day between two views is added to the process of the series (season, fast and slow part, noise), in which the level and the
first harmonic of a pixel may differ from the season of its class. The evidence of each step, its size integrated out, over that of none is
a ratio of two normal densities; with a prior rate it gives the probability of one felling in the series, and of the gap it fell into. A cut
meadow or a dry summer does not last; a storm or a fire does, and is not distinguished from felling.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybridflux.series.gap_filling import fill
from hybridflux.series.hyperparameters import YEAR, SeriesProcess, harmonics, season_of

AT_ONCE = 256  # pixels
GREENS = 1000.0  # days after which a clear-cut has made up 1 - 1/e of its fall
TAKES = (1.0, 60.0, 150.0)  # days over which a stand is felled and its slash dries
MISSING = 1e4  # variance of a view that is not used


@dataclass(frozen=True)
class FellingModel:
    """Prior of a felling.

    Attributes:
        rate: fellings a year; European forests turn over in about a century (Senf and Seidl 2021, 10.1038/s41893-020-00609-y).
        fall: mean fall of the index.
        fall_sd: its standard deviation.
        least_fall: a smaller expected fall is none.
        own_season: standard deviation of the level, and of the cosine and sine of the year, of a pixel about those of its class.
    """

    rate: float = 0.01
    fall: float = 0.35
    fall_sd: float = 0.15
    least_fall: float = 0.25
    own_season: float = 0.1


class Fellings(NamedTuple):
    """One felling of each pixel, `[pixel]`.

    Attributes:
        probability: that it was felled within the series.
        day: expected day of the felling, if there was one.
        sd: standard deviation of the day [d].
        fall: expected fall of the index, if there was one.
    """

    probability: np.ndarray
    day: np.ndarray
    sd: np.ndarray
    fall: np.ndarray


def find_fellings(values: np.ndarray, when: np.ndarray, *, process: SeriesProcess, model: FellingModel = FellingModel()) -> Fellings:  # noqa: B008
    """Probability and day of a felling in a series of several years.

    Args:
        values: clear views `[view, pixel]`, NaN where not clear; clouds that the mask missed are rejected as in `fill`.
        when: day of each view `[view]`, rising, integers from 0.
        process: season, memory and noise of the class, from `learn`.
        model: prior.
    """
    when = np.asarray(when)
    used = fill(values, when, int(when[-1]) + 1, process=process).used
    departure = np.where(used, values - season_of(process, when)[:, None], 0.0)
    covariance = _covariance(process, when.astype(float), model.own_season)
    middle = 0.5 * (when[1:] + when[:-1])
    steps = np.concatenate([_falls(when, middle, days) for days in TAKES], 1)
    gaps, middle = np.tile(np.diff(when), len(TAKES))[:, None], np.tile(middle, len(TAKES))[:, None]
    prior = np.log(model.rate * np.maximum(gaps, 1e-9) / YEAR / len(TAKES))
    parts = []
    for start in range(0, values.shape[1], AT_ONCE):
        block = slice(start, start + AT_ONCE)
        size, precision = _steps(departure[:, block], used[:, block], covariance, steps)
        wide = 1 / np.maximum(precision, 1e-9) + model.fall_sd**2
        ratio = 0.5 * (size**2 * precision - (size - model.fall) ** 2 / wide - np.log(wide * np.maximum(precision, 1e-9)))
        log = np.where(precision > 1.0, prior + ratio, -50.0)
        best = (size * precision + model.fall / model.fall_sd**2) / (precision + 1 / model.fall_sd**2)
        total = np.logaddexp.reduce(np.where(best > model.least_fall, log, -50.0))
        weight = np.exp(log - log.max(0))
        weight /= weight.sum(0)
        day = (weight * middle).sum(0)
        sd = np.sqrt((weight * ((middle - day) ** 2 + gaps**2 / 12)).sum(0))
        parts.append((1 / (1 + np.exp(-np.clip(total, -50, 50))), day, sd, (weight * best).sum(0)))
    return Fellings(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def _falls(when: np.ndarray, middle: np.ndarray, days: float) -> np.ndarray:
    """A fall of one about each gap, which takes some days and is made up over `GREENS` `[view, gap]`."""
    since = when[:, None] - middle
    return -np.clip(since / days + 0.5, 0.0, 1.0) * np.exp(-np.maximum(since, 0.0) / GREENS)


def _covariance(process: SeriesProcess, when: np.ndarray, own_season: float) -> np.ndarray:
    """Covariance of the departures of the views of one pixel from the season of its class `[view, view]`."""
    apart = np.abs(when[:, None] - when)
    x = np.sqrt(3.0) * apart / process.fast_days
    columns = harmonics(when, 1)
    slow = process.slow_sd**2 * np.exp(-apart / process.slow_days)
    noise = process.view_sd**2 * np.eye(len(when))
    return process.fast_sd**2 * (1 + x) * np.exp(-x) + slow + noise + own_season**2 * columns @ columns.T


def _steps(departure, used, covariance, steps) -> tuple[np.ndarray, np.ndarray]:
    """Size of a step at each gap, by generalised least squares, and its precision `[gap, pixel]`."""
    full = covariance[None] + MISSING * np.eye(len(covariance)) * ~used.T[:, None, :]
    right = np.concatenate([np.broadcast_to(steps, (len(full), *steps.shape)), departure.T[..., None]], -1)
    solved = np.linalg.solve(full, right)
    precision = np.einsum("vg,pvg->gp", steps, solved[..., :-1])
    return np.einsum("vg,pv->gp", steps, solved[..., -1]) / np.maximum(precision, 1e-9), precision
