"""What every reader of weather gives: complete days of a few cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

DAILY = ("tair", "tmin", "par", "vpd", "rain")
"""What a region needs of a weather source; vocabulary names and units."""


@dataclass(frozen=True)
class Weather:
    """Daily weather at the centres of cells.

    Attributes:
        days: every day once, `datetime64[D]`, standard days of the region.
        values: name -> `[time, cell]` float32 in vocabulary units, without gaps: `DAILY`; `tair_night`, `swc` where the source has them.
        latitude: of the cells `[cell]`, degrees north.
        longitude: of the cells `[cell]`, degrees east.
        elevation: to which the temperatures belong `[cell]`, m; NaN where the source does not say.
        origin: files, requests, versions, what was derived or filled; JSON-ready.
    """

    days: np.ndarray
    values: Mapping[str, np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray
    elevation: np.ndarray
    origin: dict = field(default_factory=dict)
