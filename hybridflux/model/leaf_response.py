"""The response of leaves to missing rain: by how much NIRv and LSWI of a place fall when its rain deficit grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Array

from hybridflux.process import leaves
from hybridflux.vocabulary import PLANT_TYPES

FOLLOWED: Mapping[str, Callable[..., Array]] = {"nirv": leaves.follow_nirv, "lswi": leaves.follow_lswi}
"""Index -> what leaves that follow the water make of it."""
OTHER = "other"
"""Stands for every plant type that no tower of the fit has."""


@dataclass(frozen=True)
class LeafResponse:
    """Slopes of log NIRv [d mm-1] and of LSWI [d mm-1] against `leaves.rain_deficit`, by plant type, of a place that is not known.

    Attributes:
        memory_days: of the rain deficit [d].
        mean: index -> plant type, or `OTHER` -> mean over its places.
        sd: index -> plant type, or `OTHER` -> standard error of this mean.
        place_sd: index -> spread of the places of one type about their mean.
        correlation: of the deviations of the two indices [1].
        source: where these values come from.
    """

    memory_days: float
    mean: Mapping[str, Mapping[str, float]]
    sd: Mapping[str, Mapping[str, float]]
    place_sd: Mapping[str, float]
    correlation: float
    source: str

    def to_json(self) -> dict:
        """As plain values of JSON; `LeafResponse(**...)` is the way back."""
        return asdict(self)

    def of_type(self, index: str, plant_type: str) -> tuple[float, float]:
        """Mean slope of an index over the places of a plant type, and its spread over them, the error of the mean included."""
        kind = plant_type if plant_type in self.mean[index] else OTHER
        return self.mean[index][kind], float(np.hypot(self.sd[index][kind], self.place_sd[index]))

    def drawn(self, draws: int, seed: int) -> dict[str, np.ndarray]:
        """Index -> slope of one unknown place of each plant type `[plant type, draw]`; the first draws are the same for any number of them.

        Args:
            draws: of the posterior, one slope for each.
            seed: of the run.
        """
        normal = np.stack([np.random.default_rng((seed, draw)).standard_normal((2, len(PLANT_TYPES))) for draw in range(draws)], axis=-1)
        deviations = {"nirv": normal[0], "lswi": self.correlation * normal[0] + np.sqrt(1.0 - self.correlation**2) * normal[1]}
        of = {index: np.array([self.of_type(index, kind) for kind in PLANT_TYPES]) for index in FOLLOWED}
        return {index: (of[index][:, :1] + of[index][:, 1:] * deviations[index]).astype(np.float32) for index in FOLLOWED}
