"""What every reader of weather gives: complete days of a few cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

DAILY = ("tair", "tmin", "par", "vpd", "rain")
"""What a region needs of a weather source; vocabulary names and units."""
MORE = ("tmax", "tair_night", "tair_day", "vpd_day", "swc")
"""What a source may give besides."""


@dataclass(frozen=True)
class Weather:
    """Daily weather at the centres of cells.

    Attributes:
        days: every day once, `datetime64[D]`, standard days of the region, or what daily products take for them (`other_days`).
        values: name -> `[time, cell]` float32 in vocabulary units, without gaps: `DAILY`, and of `MORE` what the source has.
        latitude: latitudes of the cells `[cell]`, degrees north.
        longitude: longitudes of the cells `[cell]`, degrees east.
        elevation: to which the temperatures belong `[cell]`, m; NaN where the source does not say.
        origin: files, requests, versions, what was derived or filled; `days` says in words what a day is, `days_of_region` whether that is
            a standard day of the region; JSON-ready.
    """

    days: np.ndarray
    values: Mapping[str, np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray
    elevation: np.ndarray
    origin: dict = field(default_factory=dict)

    @property
    def other_days(self) -> str:
        """What its days are where they are not the standard days of the region; empty where they are."""
        return "" if self.origin.get("days_of_region", True) else self.origin["days"]
