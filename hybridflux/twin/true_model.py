"""The true physics: the model of the true fluxes, its parameters, and the differences between places.

The model is the composition `static`; what `static` does not learn has its typical value here too, so that a fit
can recover the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import equinox as eqx
import numpy as np

from hybridflux.model import observe
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import Fixed, Given, to_raw
from hybridflux.process import light, respiration, stress, water
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES

SHARED = {
    "light_saturation": 0.045,
    "vpd_sensitivity": 0.020,
    "rew_critical": 0.33,
    "respiration_gpp_share": 0.36,
    "activation_temp": 205.0,
}
"""Parameters that are the same everywhere [units of the vocabulary]."""

BY_CLASS = {
    "light_use_efficiency": {"ENF": 1.85, "DBF": 2.05, "MF": 1.85, "EBF": 1.60, "GRA": 2.10, "CRO": 2.50},
    "respiration_ref": {"ENF": 2.00, "DBF": 2.00, "MF": 2.30, "EBF": 1.60, "GRA": 2.90, "CRO": 1.65},
}
"""Centres of the populations of places; other plant types are at the prior median of the vocabulary."""

SPREAD = {"light_use_efficiency": 0.18, "respiration_ref": 0.20}
"""Standard deviation between places of a type, in the unconstrained space of the model."""

REGIONAL = 0.7
"""Share of that variance that the places of one region and type have in common."""

NOISE = {"noise_floor": 0.35, "noise_slope": 0.12}


@dataclass(frozen=True)
class Places:
    """True parameters of some places.

    Attributes:
        plant_type: index into PLANT_TYPES `[place]`.
        parameters: name -> value `[place]`, or a scalar, in units of the vocabulary.
    """

    plant_type: np.ndarray
    parameters: dict[str, np.ndarray]

    def model(self) -> HybridFlux:
        """The model that makes the true fluxes of these places; needs `soil_capacity` among the drivers."""
        return true_model(self.parameters)


def draw_places(plant_type: np.ndarray, rng: np.random.Generator, *, one_region: bool) -> Places:
    """Parameters of places drawn from the population of their plant types.

    Args:
        plant_type: index into PLANT_TYPES `[place]`.
        rng: source of random numbers.
        one_region: whether places of a type have a part of their departure in common, as neighbours do.
    """
    parameters = {name: np.float32(value) for name, value in SHARED.items()}
    for name, centres in BY_CLASS.items():
        row = PARAMETERS[name]
        centre = np.array([centres.get(code, row.by_class.get(code, row.typical)) for code in PLANT_TYPES])
        own, common = rng.standard_normal(len(plant_type)), rng.standard_normal(len(PLANT_TYPES))
        effect = np.sqrt(1 - REGIONAL) * own + np.sqrt(REGIONAL) * common[plant_type] if one_region else own
        raw = to_raw(centre, row)[plant_type] + SPREAD[name] * effect
        parameters[name] = (row.lower + (row.upper - row.lower) / (1 + np.exp(-raw))).astype(np.float32)
    return Places(np.asarray(plant_type), parameters)


def true_model(parameters: Mapping[str, np.ndarray]) -> HybridFlux:
    """The physics of the twin with known parameters.

    Args:
        parameters: name -> scalar or `[place]`; others have their typical value.
    """
    return HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.low_temperature, stress.vpd_exponential, stress.water_ramp),
        reco=(respiration.lin_gpp, respiration.lloyd_taylor, respiration.moisture_ramp),
        memory=(water.BUCKET,),
        observed=(observe.nee(), observe.nee_night()),
        sources={"root_zone_capacity": Given("soil_capacity"), **{name: Fixed(value) for name, value in parameters.items()}},
    )


@eqx.filter_jit
def true_fluxes(model: HybridFlux, drivers: Mapping[str, np.ndarray]) -> dict:
    """Fluxes and states of whole series `[time, place]`, compiled once for all models and drivers of one shape."""
    return model.fluxes(drivers)
