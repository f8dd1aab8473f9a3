"""`Moisture`, the result of every reader of soil moisture: days with observations, with gaps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Moisture:
    """Soil moisture at the centres of cells.

    Attributes:
        days: days with a file or an overpass, sorted, each once; `datetime64[D]`.
        values: name -> `[time, cell]` float32, NaN where not observed or masked. `ssm` is the top few centimetres, `swi_005` the surface
            filtered with a time of 5 days, `root_zone` the first metre, `swvl1` to `swvl4` layers.
        latitude: latitudes of the cells `[cell]`, degrees north.
        longitude: longitudes of the cells `[cell]`, degrees east.
        quality: name -> `[time, cell]` quality by the product, 0 to 1 (best); empty where it gives none.
        origin: files, masks, counts of masked values; JSON-ready.
        units: name -> `1`, the share of saturation (0 driest, 1 wettest of the product), or `m3 m-3`.
    """

    days: np.ndarray
    values: Mapping[str, np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray
    quality: Mapping[str, np.ndarray] = field(default_factory=dict)
    origin: dict = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)

    def mean(self, name: str) -> np.ndarray:
        """Mean over the observed cells `[time]`, NaN without any; on days with few cells it does not represent the region."""
        known = np.isfinite(self.values[name])
        total = np.where(known, self.values[name], 0.0).sum(axis=1, dtype=float)
        return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
