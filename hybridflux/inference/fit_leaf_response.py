"""The response of leaves to missing rain, fitted to towers: a slope of each tower, partially pooled over towers and plant types.

At a tower log NIRv and LSWI, in steps of ten days of the warm season, are regressed on the rain deficit beside the season of the place and
the temperature, light and VPD of the last month, so that the slope is that of missing rain and not of heat. Slopes b of towers are
b = B(type) + N(0, place_sd) + error, B = centre + N(0, type_sd); both spreads are integrated over on a grid, all else in closed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybridflux.model.leaf_response import FOLLOWED, OTHER, LeafResponse

MEMORIES = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0)
"""Memories of the deficit to choose from [d]."""
SCALE = {"nirv": 0.1, "lswi": 0.03}
"""Prior standard deviation of the centre, and scale of the half-normal priors of the spreads [d mm-1]: a place that loses a tenth of its
NIRv for each mm d-1 of deficit. Weak beside 42 towers."""
SPREADS = np.linspace(0.02, 2.5, 40)  # in units of SCALE
HARMONICS = 5
LEAST_STEPS = 30
NOTHING = 1e-6  # sum of squares of a deficit that never is: its slope is not known


@dataclass(frozen=True)
class TowerSteps:
    """A tower in steps of ten days, those with a clear view alone, in order of time.

    Attributes:
        place: its name.
        plant_type: code.
        year: of each step `[step]`.
        season: position in the warm season, 0 to 1 `[step]`.
        weight: clear views of a step, bounded `[step]`.
        values: `nirv` -> its logarithm, `lswi` -> itself `[step]`.
        deficit: memory [d] -> mean rain deficit [mm d-1] `[step]`.
        controls: temperature, light and VPD of the last month `[step, control]`.
    """

    place: str
    plant_type: str
    year: np.ndarray
    season: np.ndarray
    weight: np.ndarray
    values: Mapping[str, np.ndarray]
    deficit: Mapping[float, np.ndarray]
    controls: np.ndarray

    def __len__(self) -> int:
        return len(self.year)

    def only(self, steps: np.ndarray) -> TowerSteps:
        """Some of its steps."""
        return TowerSteps(
            self.place, self.plant_type, self.year[steps], self.season[steps], self.weight[steps],
            {index: one[steps] for index, one in self.values.items()}, {memory: one[steps] for memory, one in self.deficit.items()},
            self.controls[steps],
        )  # fmt: skip

    def usual_course(self) -> np.ndarray:
        """What the mean course of the season is made of `[step, harmonic]`."""
        return np.cos(np.pi * self.season[:, None] * np.arange(HARMONICS + 1))


class Slope(NamedTuple):
    """Of a tower: estimate and variance of its error."""

    value: float
    variance: float


def slope(steps: TowerSteps, index: str, memory: float, *, controls: bool = True) -> Slope:
    """Least squares of an index on the deficit, beside season and controls; errors of neighbouring steps are correlated.

    The variance of independent errors is multiplied by (1 + r s) / (1 - r s), r and s the lag-one correlations of residuals and deficit.
    """
    beside = np.column_stack([steps.usual_course(), steps.controls]) if controls else steps.usual_course()
    root = np.sqrt(steps.weight)[:, None]
    both = np.column_stack([steps.values[index], steps.deficit[memory]]) * root
    own, water = _without(both, beside * root).T
    information = max(float(water @ water), NOTHING)
    value = float(water @ own) / information
    rest = own - value * water
    neighbours = (np.diff(steps.year) == 0) & (np.diff(steps.season) < 0.1)
    together = float(np.clip(_lag_one(rest, neighbours) * _lag_one(water, neighbours), 0.0, 0.95))
    freedom = max(len(steps) - beside.shape[1] - 1, 1)
    return Slope(value, float(rest @ rest) / freedom / information * (1.0 + together) / (1.0 - together))


def _without(values: np.ndarray, beside: np.ndarray) -> np.ndarray:
    return values - beside @ np.linalg.lstsq(beside, values, rcond=None)[0]


def _lag_one(values: np.ndarray, neighbours: np.ndarray) -> float:
    return float((values[1:] * values[:-1])[neighbours].sum() / max((values[:-1] ** 2)[neighbours].sum(), 1e-12))


class PooledSlopes(NamedTuple):
    """Slopes of an index: means and covariance by plant type, the last for `OTHER`; spread of places; log evidence against no response."""

    types: tuple[str, ...]
    mean: np.ndarray
    covariance: np.ndarray
    place_sd: float
    evidence: float


def pool(slopes: Sequence[Slope], plant_types: Sequence[str], scale: float) -> PooledSlopes:
    """Partial pooling of the slopes of towers.

    Args:
        slopes: of the towers.
        plant_types: of the same towers.
        scale: of the priors.
    """
    types = (*sorted(set(plant_types)), OTHER)
    value = np.array([one.value for one in slopes]) / scale
    error = np.array([one.variance for one in slopes]) / scale**2
    of = np.array([[kind == one for one in types] for kind in plant_types], float)  # [tower, type]
    found = []
    for place in SPREADS:
        for between in SPREADS:
            prior = between**2 * np.eye(len(types)) + 1.0  # centre N(0, 1)
            total = np.linalg.inv(of @ prior @ of.T + np.diag(error + place**2))
            gain = prior @ of.T @ total
            _, size = np.linalg.slogdet(total)
            log = 0.5 * size - 0.5 * value @ total @ value - 0.5 * (place**2 + between**2)
            found.append((log, place, gain @ value, prior - gain @ of @ prior))
    log = np.array([one[0] for one in found])
    weight = np.exp(log - log.max())
    evidence = log.max() + np.log(weight.mean()) + 0.5 * np.sum(value**2 / error + np.log(error))
    weight /= weight.sum()
    places, means, covariances = (np.array([one[part] for one in found]) for part in (1, 2, 3))
    mean = weight @ means
    away = means - mean
    covariance = np.tensordot(weight, covariances, 1) + (away * weight[:, None]).T @ away
    return PooledSlopes(types, scale * mean, scale**2 * covariance, scale * float(np.sqrt(weight @ places**2)), float(evidence))


def fit_leaf_response(
    towers: Iterable[TowerSteps], *, memories: Sequence[float] = MEMORIES, controls: bool = True, source: str = "towers of the user"
) -> LeafResponse:
    """Slopes of an unknown place by plant type, with the memory of the deficit that has the largest evidence over both indices.

    Args:
        towers: with some years each; those of fewer than `LEAST_STEPS` steps do not count.
        memories: to choose from [d].
        controls: whether temperature, light and VPD stand beside the deficit.
        source: where the towers come from.

    Raises:
        ValueError: no tower has enough steps.
    """
    used = [one for one in towers if len(one) >= LEAST_STEPS]
    if not used:
        raise ValueError(f"no tower has {LEAST_STEPS} steps of ten days with a clear view and measured weather; give longer records")
    kinds = [one.plant_type for one in used]
    found = {}
    for memory in memories:
        slopes = {index: [slope(one, index, memory, controls=controls) for one in used] for index in FOLLOWED}
        found[memory] = slopes, {index: pool(slopes[index], kinds, SCALE[index]) for index in FOLLOWED}
    memory = max(found, key=lambda one: sum(of.evidence for of in found[one][1].values()))
    slopes, pooled = found[memory]
    return LeafResponse(
        float(memory),
        {index: dict(zip(of.types, of.mean.tolist(), strict=True)) for index, of in pooled.items()},
        {index: dict(zip(of.types, np.sqrt(np.diag(of.covariance)).tolist(), strict=True)) for index, of in pooled.items()},
        {index: _common_sd(of.covariance[:-1, :-1]) for index, of in pooled.items()},
        {index: of.place_sd for index, of in pooled.items()},
        _correlation(slopes, pooled, kinds),
        source,
    )


def _common_sd(covariance: np.ndarray) -> float:
    """Part of the errors of the means of plant types that they share."""
    pairs = covariance[~np.eye(len(covariance), dtype=bool)]
    return float(np.sqrt(max(pairs.mean(), 0.0))) if pairs.size else 0.0


def _correlation(slopes: Mapping[str, list[Slope]], pooled: Mapping[str, PooledSlopes], kinds: Sequence[str]) -> float:
    """Of the deviations of towers from their types, each weighed by how well it is known."""
    away, weight = [], np.ones(len(kinds))
    for index, of in pooled.items():
        mean = dict(zip(of.types, of.mean, strict=True))
        away.append(np.array([one.value - mean[kind] for one, kind in zip(slopes[index], kinds, strict=True)]))
        weight /= np.array([one.variance for one in slopes[index]]) + of.place_sd**2
    first, second = away
    return float((weight * first * second).sum() / np.sqrt((weight * first**2).sum() * (weight * second**2).sum()))
