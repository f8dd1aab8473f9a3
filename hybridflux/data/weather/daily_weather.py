"""`Weather`, the result of every reader of weather: complete days of a few cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

DAILY = ("tair", "tmin", "par", "vpd", "rain")
"""Variables that a region needs of a weather source; vocabulary names and units."""
MORE = ("tmax", "tair_night", "tair_day", "vpd_day", "swc")
"""Further variables that a source may give."""


@dataclass(frozen=True)
class Weather:
    """Daily weather at the centres of cells.

    Attributes:
        days: every day once, `datetime64[D]`, standard days of the region, or the days of a daily product (`other_days`).
        values: name -> `[time, cell]` float32 in vocabulary units, without gaps: `DAILY`, and of `MORE` what the source has.
        latitude: latitudes of the cells `[cell]`, degrees north.
        longitude: longitudes of the cells `[cell]`, degrees east.
        elevation: elevation of the temperatures `[cell]` [m]; NaN where the source does not give it.
        origin: files, requests, versions, derived and filled variables; `days` defines a day in words, `days_of_region` whether that is a
            standard day of the region; JSON-ready.
    """

    days: np.ndarray
    values: Mapping[str, np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray
    elevation: np.ndarray
    origin: dict = field(default_factory=dict)

    @property
    def other_days(self) -> str:
        """Definition of the days where they are not the standard days of the region, else empty."""
        return "" if self.origin.get("days_of_region", True) else self.origin["days"]
