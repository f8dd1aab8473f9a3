"""The response of leaves to missing rain: by how much NIRv and LSWI of a place fall when its rain deficit grows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


FITTED = ("CRO", "DBF", "EBF", "ENF", "GRA", "MF", "OSH", "WET", OTHER)
"""Plant types of the towers of E23, in the order of the values below."""
SOURCE = "E23: MODIS at 1 km and weather of 42 European towers, 2000-2018"
Values = tuple[Sequence[float], Sequence[float], float, float]


def _of_e23(memory_days: float, correlation: float, values: Mapping[str, Values]) -> LeafResponse:
    """A response of index -> means of `FITTED`, their standard errors, the part that all types share, the spread of places."""
    mean = {index: dict(zip(FITTED, of, strict=True)) for index, (of, *_) in values.items()}
    sd = {index: dict(zip(FITTED, of, strict=True)) for index, (_, of, _, _) in values.items()}
    common, place = {index: of for index, (*_, of, _) in values.items()}, {index: of for index, (*_, of) in values.items()}
    return LeafResponse(memory_days, mean, sd, common, place, correlation, SOURCE)


LEAF_RESPONSE = _of_e23(
    90.0, 0.45, {
        "nirv": ((-0.0863, -0.0471, -0.0616, -0.0296, -0.0797, -0.0621, -0.1095, -0.0401, -0.0626),
                 (0.0284, 0.0205, 0.0344, 0.0199, 0.0271, 0.0296, 0.0402, 0.0459, 0.0543),
                 0.0084, 0.0513),
        "lswi": ((-0.0302, -0.0187, -0.0240, -0.0193, -0.0296, -0.0221, -0.0177, -0.0142, -0.0215),
                 (0.0093, 0.0070, 0.0103, 0.0056, 0.0092, 0.0087, 0.0092, 0.0130, 0.0143),
                 0.003, 0.0175),
    },
)  # fmt: skip
"""Of European ecosystems, beside temperature, light and VPD of the last month (experiments/results/e23_leaf_response.md); fitted by
`inference.fit_leaf_response`, which makes one of other towers."""

BESIDE_WATER: Mapping[str, LeafResponse] = {
    "temperature": _of_e23(float(MONTH), 0.81, {
        "nirv": ((0.0181, 0.0176, 0.0167, 0.0182, 0.0173, 0.0180, 0.0148, 0.0181, 0.0172),
                 (0.0055, 0.0051, 0.0067, 0.0042, 0.0051, 0.0059, 0.0074, 0.0071, 0.0078),
                 0.0033, 0.0149),
        "lswi": ((0.0048, 0.0043, 0.0041, 0.0049, 0.0054, 0.0048, 0.0039, 0.0052, 0.0046),
                 (0.0017, 0.0018, 0.0023, 0.0012, 0.0017, 0.0019, 0.0022, 0.0023, 0.0026),
                 0.0009, 0.0042),
    }),
    "light": _of_e23(float(MONTH), 0.65, {
        "nirv": ((0.0273, 0.0072, 0.0083, 0.0012, 0.0191, 0.0103, 0.0132, 0.0119, 0.0121),
                 (0.0152, 0.0074, 0.0106, 0.0064, 0.0083, 0.0101, 0.0095, 0.0143, 0.0180),
                 0.0031, 0.0069),
        "lswi": ((0.0165, 0.0054, 0.0031, 0.0009, 0.0088, 0.0050, 0.0047, 0.0057, 0.0061),
                 (0.0060, 0.0033, 0.0050, 0.0021, 0.0030, 0.0040, 0.0034, 0.0051, 0.0083),
                 0.0008, 0.0037),
    }),
    "vpd": _of_e23(float(MONTH), 0.73, {
        "nirv": ((-0.0295, -0.0194, -0.0115, -0.0076, -0.0231, -0.0117, -0.0020, -0.0157, -0.0146),
                 (0.0113, 0.0068, 0.0111, 0.0061, 0.0086, 0.0102, 0.0112, 0.0138, 0.0175),
                 0.0026, 0.0143),
        "lswi": ((-0.0137, -0.0063, -0.0024, -0.0036, -0.0156, -0.0059, -0.0017, -0.0083, -0.0067),
                 (0.0036, 0.0025, 0.0044, 0.0018, 0.0031, 0.0035, 0.0030, 0.0047, 0.0077),
                 0.0006, 0.0038),
    }),
}  # fmt: skip
"""Driver of leaves -> response to its mean over the last month, beside the rain deficit and the other two; of the same fit."""
