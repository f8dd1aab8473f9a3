"""The response of leaves to missing rain, fitted to towers: a slope of each tower, partially pooled over towers and plant types.

At a tower log NIRv and LSWI, in steps of ten days of the warm season, are regressed on the rain deficit beside the season of the place and
the temperature, light and VPD of the last month, so that the slope is that of missing rain and not of heat; the slopes of these beside
it are fitted alike. Slopes b of towers are b = B(type) + N(0, place_sd) + error, B = centre + N(0, type_sd); both spreads are integrated
over on a grid, all else in closed form.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hybridflux.model.leaf_response import FOLLOWED, MONTH, OTHER, LeafResponse

MEMORIES = (15.0, 30.0, 45.0, 60.0, 90.0, 120.0)
"""Memories of the deficit to choose from [d]."""
SCALE = {"nirv": 0.1, "lswi": 0.03}
"""Prior standard deviation of the centre, and scale of the half-normal priors of the spreads [d mm-1]: a place that loses a tenth of its
NIRv for each mm d-1 of deficit. Weak beside 42 towers."""
CONTROLS: Mapping[str, float] = {"temperature": 0.3, "light": 0.5, "vpd": 0.3}
"""Means of the last month beside the deficit, in the order of `TowerSteps.controls` -> factor of `SCALE` of their slopes, per K,
MJ m-2 d-1 and hPa. Within May to September they depart by 1.3 K, 0.7 MJ m-2 d-1 and 1.5 hPa, the deficit by 0.4 mm d-1 (standard deviations
from the course of the season, mean of 42 towers)."""
SPREADS = np.linspace(0.02, 2.5, 40)  # in units of SCALE
HARMONICS = 5
LEAST_STEPS = 30
WATER = "water"
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
        controls: means of the last month of `CONTROLS` `[step, control]`.
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


def slope(steps: TowerSteps, index: str, memory: float, *, controls: bool = True, of: str = WATER) -> Slope:
    """Least squares of an index on the deficit, beside season and controls; errors of neighbouring steps are correlated.

    The variance of independent errors is multiplied by (1 + r s) / (1 - r s), r and s the lag-one correlations of residuals and deficit.
    `of` names a control whose slope is wanted in place of that of the deficit, which then stands beside it.
    """
    drivers = {WATER: steps.deficit[memory]} | (dict(zip(CONTROLS, steps.controls.T, strict=True)) if controls else {})
    driver = drivers.pop(of)
    beside = np.column_stack([steps.usual_course(), *drivers.values()])
    root = np.sqrt(steps.weight)[:, None]
    both = np.column_stack([steps.values[index], driver]) * root
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
    used = _used(towers)
    found = {memory: _Fit.of(used, memory, controls=controls) for memory in memories}
    memory = max(found, key=lambda one: sum(of.evidence for of in found[one].pooled.values()))
    return found[memory].response(float(memory), source)


def fit_beside_water(towers: Iterable[TowerSteps], memory: float, *, source: str = "towers of the user") -> dict[str, LeafResponse]:
    """Slopes against each of `CONTROLS`, the mean of the last month, beside the deficit of a memory and the other controls.

    Args:
        towers: as of `fit_leaf_response`.
        memory: of the deficit [d], as `fit_leaf_response` chose it.
        source: where the towers come from.

    Raises:
        ValueError: no tower has enough steps.
    """
    used = _used(towers)
    return {name: _Fit.of(used, memory, of=name).response(float(MONTH), source) for name in CONTROLS}


def _used(towers: Iterable[TowerSteps]) -> list[TowerSteps]:
    used = [one for one in towers if len(one) >= LEAST_STEPS]
    if not used:
        raise ValueError(f"no tower has {LEAST_STEPS} steps of ten days with a clear view and measured weather; give longer records")
    return used


class _Fit(NamedTuple):
    """Slopes of towers against one driver of leaves, and what is pooled of them, of each index."""

    kinds: list[str]
    slopes: dict[str, list[Slope]]
    pooled: dict[str, PooledSlopes]

    @classmethod
    def of(cls, used: Sequence[TowerSteps], memory: float, *, controls: bool = True, of: str = WATER) -> _Fit:
        kinds = [one.plant_type for one in used]
        slopes = {index: [slope(one, index, memory, controls=controls, of=of) for one in used] for index in FOLLOWED}
        scale = CONTROLS.get(of, 1.0)
        return cls(kinds, slopes, {index: pool(slopes[index], kinds, scale * SCALE[index]) for index in FOLLOWED})

    def response(self, memory: float, source: str) -> LeafResponse:
        return LeafResponse(
            memory,
            {index: dict(zip(of.types, of.mean.tolist(), strict=True)) for index, of in self.pooled.items()},
            {index: dict(zip(of.types, np.sqrt(np.diag(of.covariance)).tolist(), strict=True)) for index, of in self.pooled.items()},
            {index: _common_sd(of.covariance[:-1, :-1]) for index, of in self.pooled.items()},
            {index: of.place_sd for index, of in self.pooled.items()},
            _correlation(self.slopes, self.pooled, self.kinds),
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
