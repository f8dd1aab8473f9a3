"""How like each other the effects of two places of one plant type are, by their distance.

    correlation(d) = (1 - nugget) M(d / length) + nugget M(d / ECOSYSTEM),   M(r) = (1 + a) exp(-a),  a = sqrt(3) r  (Matern-3/2)

The first part is what neighbours share (climate, soil, management of a landscape), the second what belongs to an ecosystem alone: its
stand, its species, its age. At a distance of some kilometres nothing is left of the second, so that towers see it as a nugget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from jaxtyping import Array

LENGTH = 10_000.0
"""Length of runs whose posterior says nothing of it [m]: model errors of a day are alike over a few tens of km to 200 km, parcels and soils
over far less."""
ECOSYSTEM = 250.0
"""Length of what belongs to an ecosystem alone [m]: a stand or field, and what a tower sees of it (80 % of the flux of 214 AmeriFlux towers
is from areas of 1e3 to 1e7 m2, Chu et al. 2021, 10.1016/j.agrformet.2021.108350; a disc of 250 m has 2e5)."""
REACH = 4.0
"""Lengths beyond which a tower is not asked: there the correlation is below .008."""


@dataclass(frozen=True)
class EffectCorrelation:
    """Correlation of the effects of two places of a plant type.

    Attributes:
        length: of the part that neighbours share [m].
        nugget: share of the variance that belongs to an ecosystem alone, 0 to 1.

    Raises:
        ValueError: a length that is not above 0 m, a share outside 0 to 1.
    """

    length: float = LENGTH
    nugget: float = 0.0

    def __post_init__(self):
        if not (math.isfinite(self.length) and self.length > 0):
            raise ValueError(f"effect_length `{self.length}` is not a distance above 0 m")
        if not 0.0 <= self.nugget <= 1.0:
            raise ValueError(f"effect_nugget `{self.nugget}` is not a share between 0 and 1")

    def parts(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What neighbours share, and what belongs to an ecosystem, at distances [m]; their sum is the correlation."""
        distance = np.asarray(distance, float)
        shared, own = (np.asarray(matern(distance / length)) for length in (self.length, ECOSYSTEM))
        return (1.0 - self.nugget) * shared, self.nugget * own

    def to_json(self) -> dict[str, float]:
        """As plain values, for `Posterior.info`."""
        return asdict(self)

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> EffectCorrelation:
        """What a posterior has learned (`Posterior.info`), or that of runs whose posterior says nothing."""
        found = info.get("effect_correlation") or {}
        return cls(**{name: float(found[name]) for name in ("length", "nugget") if name in found})


def matern(lengths: Array | np.ndarray) -> Array | np.ndarray:
    """Matern-3/2 correlation at a distance in lengths, of numpy or of JAX.

    >>> matern(np.array([0.0, 1.0, 4.0])).round(3).tolist()
    [1.0, 0.483, 0.008]
    """
    xp = lengths.__array_namespace__()
    scaled = math.sqrt(3.0) * lengths
    return (1.0 + scaled) * xp.exp(-scaled)
