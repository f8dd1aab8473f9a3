"""Dates of mowing and harvest, with probabilities, from irregular clear views of a vegetation index.

Between two neighbouring clear views, three things explain a fall: the canopy was cut on some day of the gap and grew again since; a cloud
that the mask missed dims the later view, or a glint brightens the earlier one; or the vegetation just changed. Each explanation is a normal
distribution of the two views before and the two after the gap, the level being free; their evidences give the probability of a cut, and of
its day, by Bayes' rule. The day is not that of the first low view, which is late by 6 to 11 days on the mean (Schwieder et al. 2022,
10.1016/j.rse.2021.112795). That clouds dim views, and that a view beyond the fall has to confirm it, is common to the published rules
(Kolecka et al. 2018, 10.3390/rs10081221; Reinermann et al. 2022, 10.3390/rs14071647).

Sizes are shares of `span`, so that one set of hyperparameters serves all indices.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

UNKNOWN = 1e6  # variance of a view that is missing
YEAR = 365.25  # days
PLACES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the cut within its gap
MOST, NEVER = 3.0, 1e-300  # largest prior odds of a cut in one gap, and those outside the season
PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


@dataclass(frozen=True)
class CutModel:
    """Hyperparameters of the explanations of a fall; sizes are shares of the span of the index.

    Attributes:
        span: index of a closed canopy minus that of bare soil.
        rate: cuts a year.
        season: first and last day of the year on which there may be a cut.
        view_sd: standard deviation of a clear view about the signal.
        change_sd: standard deviation of the change of uncut vegetation over a day; it grows with the square root of time.
        trend_sd: standard deviation of a steady growth or senescence over a day.
        fall: mean fall at a cut.
        fall_sd: its standard deviation.
        regrowth: mean recovery a day after a cut, until the fall is made up.
        regrowth_sd: its standard deviation.
        dim_share: share of views that are dimmed although they are called clear.
        dim: mean fall of such a view.
        dim_sd: its standard deviation.
        least_days: days between two cuts.
    """

    span: float = 0.95
    rate: float = 5.0
    season: tuple[int, int] = (75, 320)
    view_sd: float = 0.025
    change_sd: float = 0.008
    trend_sd: float = 0.004
    fall: float = 0.3
    fall_sd: float = 0.1
    regrowth: float = 0.01
    regrowth_sd: float = 0.005
    dim_share: float = 0.03
    dim: float = 0.25
    dim_sd: float = 0.2
    least_days: float = 15.0


class Cuts(NamedTuple):
    """What is known of a cut between each view and the clear view before it, `[view, pixel]`.

    Attributes:
        probability: that there was one; 0 where there is no view, and beside a more probable one nearer than `least_days`.
        day: expected day, on the axis of the views.
        sd: standard deviation of the day [d].
        fall: fall of the index over the gap, in its units.
    """

    probability: np.ndarray
    day: np.ndarray
    sd: np.ndarray
    fall: np.ndarray


GRASS = CutModel()
"""Of an intensive meadow; sizes and noise of fapar at 10 to 50 m (E18)."""
CROP = CutModel(rate=1.3, season=(100, 330), trend_sd=0.012, fall=0.4, fall_sd=0.2, regrowth=0.002, regrowth_sd=0.003, least_days=40.0)
"""Of arable land: senescence is as fast as a fall of a meadow, and a crop that ripens yellow has little green left to cut."""


class Neighbours(NamedTuple):
    """Views around a gap, from the last one before it: the second last before, the first after, the second after; each `[view, pixel]`.

    Attributes:
        contrast: their values minus the last before, 0 where missing.
        time: days from the last before.
        lost: `UNKNOWN` where missing, else 0.
        valid: whether there are views on both sides of the gap.
        last: day of the last view before.
    """

    contrast: tuple[np.ndarray, ...]
    time: tuple[np.ndarray, ...]
    lost: tuple[np.ndarray, ...]
    valid: np.ndarray
    last: np.ndarray


def find_cuts(values: np.ndarray, when: np.ndarray, *, first: int = 1, model: CutModel = CutModel()) -> Cuts:  # noqa: B008
    """Probability and day of a cut before each clear view.

    Args:
        values: clear views `[view, pixel]`, NaN where not clear.
        when: day of each view, rising, one view a day: `[view]`, or `[view, pixel]` where each pixel has days of its own.
        first: day of the year of day 0.
        model: hyperparameters.
    """
    near = _neighbours(values, when, model.span)
    plain, cut, elsewhere = _evidences(near, first, model)
    together = np.logaddexp.reduce(cut)
    weight = np.exp(cut - together)
    place = sum(at * one for at, one in zip(PLACES, weight, strict=True))
    spread = sum((at - place) ** 2 * one for at, one in zip(PLACES, weight, strict=True)) + (PLACES[1] - PLACES[0]) ** 2 / 12
    odds = np.where(near.valid, np.exp(np.clip(together - np.logaddexp(plain, elsewhere), -50.0, 50.0)), 0.0)
    day = near.last + place * near.time[1]
    probability, day, sd = _apart(odds, day, near.time[1] * np.sqrt(spread), model.least_days)
    return Cuts(probability, day, sd, -near.contrast[1] * model.span)


def _neighbours(values: np.ndarray, when: np.ndarray, span: float) -> Neighbours:
    """The four views around each gap; arguments as `find_cuts`."""
    value = np.asarray(values, float) / span
    day = np.asarray(when, float)
    day = day if day.ndim == 2 else np.broadcast_to(day[:, None], value.shape)
    before, second = _last_two(value, day)
    after, _ = (part[::-1] for part in _last_two(value[::-1], day[::-1]))
    valid = np.isfinite(value) & np.isfinite(before[..., 0])
    others = (second, np.stack([value, day], -1), after)
    missing = [~(np.isfinite(one[..., 0]) & valid) for one in others]
    contrast = tuple(np.where(gone, 0.0, one[..., 0] - before[..., 0]) for one, gone in zip(others, missing, strict=True))
    time = tuple(np.where(gone, 0.0, one[..., 1] - before[..., 1]) for one, gone in zip(others, missing, strict=True))
    return Neighbours(contrast, time, tuple(np.where(gone, UNKNOWN, 0.0) for gone in missing), valid, before[..., 1])


def _last_two(value: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Value and day of the last, and of the second last, clear view before each row `[2, view, pixel, 2]`, NaN where there is none."""
    last = np.full((2, value.shape[1], 2), np.nan)
    out = np.empty((2, *value.shape, 2))
    for row in range(len(value)):
        out[:, row] = last
        here = np.isfinite(value[row])
        last[1] = np.where(here[:, None], last[0], last[1])
        last[0] = np.where(here[:, None], np.stack([value[row], day[row]], -1), last[0])
    return out


def _evidences(near: Neighbours, first: int, model: CutModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log of prior times evidence: of no cut, of one in the gap at each of `PLACES` `[place, ...]`, of one in a neighbouring gap."""
    second, one, two = near.time
    plain = {}
    for a, b in PAIRS:
        s, t = near.time[a], near.time[b]
        shared = np.minimum(np.abs(s), np.abs(t)) * (s * t > 0)
        plain[a, b] = model.view_sd**2 * (1 + (a == b)) + model.change_sd**2 * shared + model.trend_sd**2 * s * t
        plain[a, b] = plain[a, b] + (near.lost[a] if a == b else 0.0)

    def grown(days: np.ndarray) -> np.ndarray:
        return np.minimum(model.regrowth * np.maximum(days, 0.0), model.fall)

    def evidence(mean: tuple, fallen: tuple, since: tuple) -> np.ndarray:
        """Of a mean, where the views `fallen` (-1, 0, 1) share the error of the fall, and grow since some days with a shared error."""
        varied = {
            (a, b): plain[a, b] + model.fall_sd**2 * fallen[a] * fallen[b] + model.regrowth_sd**2 * since[a] * since[b] for a, b in PAIRS
        }
        return _dimmed_or_not(near, model, mean, varied)

    here = []
    for place in PLACES:
        since = 0.0, (1 - place) * one, np.maximum(two - place * one, 0.0)
        here.append(evidence((0.0, grown(since[1]) - model.fall, grown(since[2]) - model.fall), (0, 1, 1), since))
    before = evidence((model.fall - grown(-0.5 * second), grown(one), grown(two)), (1, 0, 0), (0.0, one, two))
    late = 0.5 * np.maximum(two - one, 0.0)
    after = evidence((0.0, 0.0, grown(late) - model.fall), (0, 0, 1), (0.0, 0.0, late))
    rate = [_log_rate(near.last + middle, days, first, model) for middle, days in ((0.5 * second, -second), (0.5 * one, one),
            (0.5 * (one + two), two - one))]  # fmt: skip
    none = evidence((0.0, 0.0, 0.0), (0, 0, 0), (0.0, 0.0, 0.0))
    return none, np.stack(here) + rate[1] - np.log(len(PLACES)), np.logaddexp(before + rate[0], after + rate[2])


def _log_rate(middle: np.ndarray, days: np.ndarray, first: int, model: CutModel) -> np.ndarray:
    """Log of the expected number of cuts in a gap of some days around a day."""
    of_year = (middle + first - 1) % YEAR
    inside = (of_year >= model.season[0]) & (of_year <= model.season[1])
    expected = model.rate / (model.season[1] - model.season[0]) * np.maximum(days, 0.0)
    return np.log(np.where(inside, np.clip(expected, NEVER, MOST), NEVER))


def _dimmed_or_not(near: Neighbours, model: CutModel, mean, covariance) -> np.ndarray:
    """Log evidence of a mean and covariance, whether or not one of the views is dimmed, or the last one before is too bright."""
    parts = [np.log(1 - 3 * model.dim_share) + _log_density(near.contrast, mean, covariance)]
    for mean, covariance in _with_dimmed(model, mean, covariance):  # noqa: PLR1704, B020
        parts.append(np.log(model.dim_share) + _log_density(near.contrast, mean, covariance))
    return np.logaddexp.reduce(parts)


def _with_dimmed(model: CutModel, mean, covariance) -> Iterator[tuple[tuple, dict]]:
    for row in (1, 2):
        lowered = tuple(one - model.dim * (number == row) for number, one in enumerate(mean))
        yield lowered, covariance | {(row, row): covariance[row, row] + model.dim_sd**2}
    yield mean, {pair: one + (2 * model.view_sd) ** 2 for pair, one in covariance.items()}


def _log_density(x, mean, covariance) -> np.ndarray:
    """Log density of three normal numbers, up to a constant, with the Cholesky factor written out."""
    a = np.sqrt(covariance[0, 0])
    b, d = covariance[0, 1] / a, covariance[0, 2] / a
    c = np.sqrt(covariance[1, 1] - b**2)
    e = (covariance[1, 2] - b * d) / c
    f = np.sqrt(covariance[2, 2] - d**2 - e**2)
    u = (x[0] - mean[0]) / a
    v = (x[1] - mean[1] - b * u) / c
    w = (x[2] - mean[2] - d * u - e * v) / f
    return -0.5 * (u**2 + v**2 + w**2) - np.log(a * c * f)


def _apart(odds: np.ndarray, day: np.ndarray, sd: np.ndarray, least_days: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probability, day and sd of cuts `least_days` apart; gaps that are nearer explain one cut, at the most probable of them."""
    probability, joint, wide = np.zeros(odds.shape), day.copy(), sd.copy()
    left = odds.copy()
    for _ in range(len(odds)):
        top, every = left.argmax(0), np.arange(odds.shape[1])
        found = left[top, every] > 0.0
        if not found.any():
            break
        near = (np.abs(day - day[top, every]) < least_days) & (left > 0.0) & found
        weight = np.where(near, left, 0.0)
        total = np.maximum(weight.sum(0), 1e-300)
        mean = (weight * np.where(near, day, 0.0)).sum(0) / total
        variance = (weight * np.where(near, (day - mean) ** 2 + sd**2, 0.0)).sum(0) / total
        for array, value in ((probability, total / (1.0 + total)), (joint, mean), (wide, np.sqrt(variance))):
            array[top[found], every[found]] = value[found]
        left = np.where(near, 0.0, left)
    return probability, joint, wide
