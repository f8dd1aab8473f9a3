"""The water of places without sensors: parameters of the bucket with depth that latent heat and soil water of towers gave."""

from __future__ import annotations

from collections.abc import Mapping

from hybridflux.model.sources import AbstractSource, Fixed
from hybridflux.model.tabulated import Tabulated

EVAPORATION = {"ENF": 0.745, "EBF": 0.53, "DBF": 0.666, "MF": 0.666, "OSH": 0.53, "CSH": 0.53, "GRA": 0.765, "WET": 0.676, "CRO": 0.631}
MEASURED_WATER: Mapping[str, AbstractSource] = {
    "evaporation_scalar": Tabulated(EVAPORATION),
    "root_zone_capacity": Fixed(148.0),
    "deep_capacity": Fixed(392.0),
    "rew_evaporation": Fixed(0.63),
    "bare_evaporation": Fixed(0.45),
    "drainage_rate": Fixed(0.012),
    "snow_melt": Fixed(2.4),
    "canopy_storage": Fixed(0.54),
    "wet_canopy_saving": Fixed(0.43),
}
"""Sources of every parameter of `deep_water.DEEP_BUCKET_GREEN`: modes of the fit of E16 (experiments/results/e16_water.md) to months of
latent heat, closed to the energy balance, and of soil water at 51 European towers. They are not learned from carbon, so that the states of
a fit are computed once."""
