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
MONTH = 30  # days of the means of temperature, light and VPD that leaves follow beside the deficit
OTHER = "other"
"""Stands for every plant type that no tower of the fit has."""


@dataclass(frozen=True)
class LeafResponse:
    """Slopes of log NIRv [d mm-1] and of LSWI [d mm-1] against `leaves.rain_deficit`, by plant type, of a place that is not known.

    Of another driver of leaves (`BESIDE_WATER`) they are per K, MJ m-2 d-1 or hPa of its mean over the last month.

    Attributes:
        memory_days: of the rain deficit, or of the mean [d].
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

    def drawn(self, draws: int, seed: int, stream: tuple[int, ...] = ()) -> dict[str, np.ndarray]:
        """Index -> slope of one unknown place of each plant type `[plant type, draw]`; the first draws are the same for any number of them.

        Args:
            draws: of the posterior, one slope for each.
            seed: of the run.
            stream: of random numbers; responses, or places, of different streams are independent.
        """
        streams = (np.random.default_rng((seed, draw, *stream)) for draw in range(draws))
        normal = np.stack([one.standard_normal((2, 1 + len(PLANT_TYPES))) for one in streams], -1)
        together = {"nirv": normal[0], "lswi": self.correlation * normal[0] + np.sqrt(1.0 - self.correlation**2) * normal[1]}
        found = {}
        for index, (common, *own) in together.items():
            mean, sd = np.array([self.of_type(index, kind) for kind in PLANT_TYPES]).T[:, :, None]
            shared = self.common_sd[index]
            found[index] = (mean + shared * common + np.sqrt(sd**2 - shared**2) * np.array(own)).astype(np.float32)
        return found


SOURCE = "E23: MODIS at 1 km and weather of 42 European towers, 2000-2018"

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
    source=SOURCE,
)  # fmt: skip
"""Of European ecosystems, beside temperature, light and VPD of the last month (experiments/results/e23_leaf_response.md); fitted by
`inference.fit_leaf_response`, which makes one of other towers."""

BESIDE_WATER: Mapping[str, LeafResponse] = {
    "temperature": LeafResponse(
        memory_days=30.0,
        mean={
            "nirv": {"CRO": 0.0181, "DBF": 0.0176, "EBF": 0.0167, "ENF": 0.0182,
                     "GRA": 0.0173, "MF": 0.018, "OSH": 0.0148, "WET": 0.0181, "other": 0.0172},
            "lswi": {"CRO": 0.0048, "DBF": 0.0043, "EBF": 0.0041, "ENF": 0.0049,
                     "GRA": 0.0054, "MF": 0.0048, "OSH": 0.0039, "WET": 0.0052, "other": 0.0046},
        },
        sd={
            "nirv": {"CRO": 0.0055, "DBF": 0.0051, "EBF": 0.0067, "ENF": 0.0042,
                     "GRA": 0.0051, "MF": 0.0059, "OSH": 0.0074, "WET": 0.0071, "other": 0.0078},
            "lswi": {"CRO": 0.0017, "DBF": 0.0018, "EBF": 0.0023, "ENF": 0.0012,
                     "GRA": 0.0017, "MF": 0.0019, "OSH": 0.0022, "WET": 0.0023, "other": 0.0026},
        },
        common_sd={"nirv": 0.0033, "lswi": 0.0009},
        place_sd={"nirv": 0.0149, "lswi": 0.0042},
        correlation=0.81,
        source=SOURCE,
    ),
    "light": LeafResponse(
        memory_days=30.0,
        mean={
            "nirv": {"CRO": 0.0273, "DBF": 0.0072, "EBF": 0.0083, "ENF": 0.0012,
                     "GRA": 0.0191, "MF": 0.0103, "OSH": 0.0132, "WET": 0.0119, "other": 0.0121},
            "lswi": {"CRO": 0.0165, "DBF": 0.0054, "EBF": 0.0031, "ENF": 0.0009,
                     "GRA": 0.0088, "MF": 0.005, "OSH": 0.0047, "WET": 0.0057, "other": 0.0061},
        },
        sd={
            "nirv": {"CRO": 0.0152, "DBF": 0.0074, "EBF": 0.0106, "ENF": 0.0064,
                     "GRA": 0.0083, "MF": 0.0101, "OSH": 0.0095, "WET": 0.0143, "other": 0.018},
            "lswi": {"CRO": 0.006, "DBF": 0.0033, "EBF": 0.005, "ENF": 0.0021,
                     "GRA": 0.003, "MF": 0.004, "OSH": 0.0034, "WET": 0.0051, "other": 0.0083},
        },
        common_sd={"nirv": 0.0031, "lswi": 0.0008},
        place_sd={"nirv": 0.0069, "lswi": 0.0037},
        correlation=0.65,
        source=SOURCE,
    ),
    "vpd": LeafResponse(
        memory_days=30.0,
        mean={
            "nirv": {"CRO": -0.0295, "DBF": -0.0194, "EBF": -0.0115, "ENF": -0.0076,
                     "GRA": -0.0231, "MF": -0.0117, "OSH": -0.002, "WET": -0.0157, "other": -0.0146},
            "lswi": {"CRO": -0.0137, "DBF": -0.0063, "EBF": -0.0024, "ENF": -0.0036,
                     "GRA": -0.0156, "MF": -0.0059, "OSH": -0.0017, "WET": -0.0083, "other": -0.0067},
        },
        sd={
            "nirv": {"CRO": 0.0113, "DBF": 0.0068, "EBF": 0.0111, "ENF": 0.0061,
                     "GRA": 0.0086, "MF": 0.0102, "OSH": 0.0112, "WET": 0.0138, "other": 0.0175},
            "lswi": {"CRO": 0.0036, "DBF": 0.0025, "EBF": 0.0044, "ENF": 0.0018,
                     "GRA": 0.0031, "MF": 0.0035, "OSH": 0.003, "WET": 0.0047, "other": 0.0077},
        },
        common_sd={"nirv": 0.0026, "lswi": 0.0006},
        place_sd={"nirv": 0.0143, "lswi": 0.0038},
        correlation=0.73,
        source=SOURCE,
    ),
}  # fmt: skip
"""Driver of leaves -> response to its mean over the last month, beside the rain deficit and the other two; of the same fit."""
