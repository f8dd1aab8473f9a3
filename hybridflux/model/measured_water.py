"""The water of places without sensors: parameters of the bucket with depth that latent heat and soil water of towers gave."""

from __future__ import annotations

from collections.abc import Mapping

from hybridflux.model.sources import AbstractSource, Fixed

MEASURED_WATER: Mapping[str, AbstractSource] = {
    "evaporation_scalar": Fixed(0.70),
    "root_zone_capacity": Fixed(147.0),
    "deep_capacity": Fixed(387.0),
    "rew_evaporation": Fixed(0.65),
    "bare_evaporation": Fixed(0.43),
    "drainage_rate": Fixed(0.011),
    "snow_melt": Fixed(2.9),
    "canopy_storage": Fixed(0.63),
    "wet_canopy_saving": Fixed(0.40),
}
"""Sources of every parameter of `deep_water.DEEP_BUCKET_GREEN`: the mode of the fit of E16 (experiments/results/e16_water.md) to months of
latent heat, closed to the energy balance, and of soil water at 51 European towers. They are not learned from carbon, so that the states of
a fit are computed once."""
