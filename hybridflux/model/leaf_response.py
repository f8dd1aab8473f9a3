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
        common_sd: index -> part of that error which all types share.
        place_sd: index -> spread of the places of one type about their mean.
        correlation: of the deviations of the two indices [1].
        source: where these values come from.
    """

    memory_days: float
    mean: Mapping[str, Mapping[str, float]]
    sd: Mapping[str, Mapping[str, float]]
    common_sd: Mapping[str, float]
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
        normal = np.stack([np.random.default_rng((seed, draw)).standard_normal((2, 1 + len(PLANT_TYPES))) for draw in range(draws)], -1)
        together = {"nirv": normal[0], "lswi": self.correlation * normal[0] + np.sqrt(1.0 - self.correlation**2) * normal[1]}
        found = {}
        for index, (common, *own) in together.items():
            mean, sd = np.array([self.of_type(index, kind) for kind in PLANT_TYPES]).T[:, :, None]
            shared = self.common_sd[index]
            found[index] = (mean + shared * common + np.sqrt(sd**2 - shared**2) * np.array(own)).astype(np.float32)
        return found


LEAF_RESPONSE = LeafResponse(
    memory_days=90.0,
    mean={
        "nirv": {"CRO": -0.0863, "DBF": -0.0471, "EBF": -0.0616, "ENF": -0.0296,
                 "GRA": -0.0797, "MF": -0.0621, "OSH": -0.1095, "WET": -0.0401, "other": -0.0626},
        "lswi": {"CRO": -0.0302, "DBF": -0.0187, "EBF": -0.0240, "ENF": -0.0193,
                 "GRA": -0.0296, "MF": -0.0221, "OSH": -0.0177, "WET": -0.0142, "other": -0.0215},
    },
    sd={
        "nirv": {"CRO": 0.0284, "DBF": 0.0205, "EBF": 0.0344, "ENF": 0.0199,
                 "GRA": 0.0271, "MF": 0.0296, "OSH": 0.0402, "WET": 0.0459, "other": 0.0543},
        "lswi": {"CRO": 0.0093, "DBF": 0.0070, "EBF": 0.0103, "ENF": 0.0056,
                 "GRA": 0.0092, "MF": 0.0087, "OSH": 0.0092, "WET": 0.0130, "other": 0.0143},
    },
    common_sd={"nirv": 0.0084, "lswi": 0.0030},
    place_sd={"nirv": 0.0513, "lswi": 0.0175},
    correlation=0.45,
    source="E23: MODIS at 1 km and weather of 42 European towers, 2000-2018",
)  # fmt: skip
"""Of European ecosystems, beside temperature, light and VPD of the last month (experiments/results/e23_leaf_response.md); fitted by
`inference.fit_leaf_response`, which makes one of other towers."""
