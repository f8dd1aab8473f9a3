"""Absorbed radiation of every pixel: the parcel's calendar, texture within parcels, and leaves lost in a drought."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybridflux.twin.landscape import Landscape, smooth_field
from hybridflux.twin.true_model import true_fluxes, true_model
from hybridflux.vocabulary import PLANT_TYPES

LOST_IN_DROUGHT = {"GRA": 0.60, "CRO": 0.35, "DBF": 0.15, "MF": 0.12, "EBF": 0.06, "ENF": 0.05, "URB": 0.50}
"""Largest share of fapar a plant type loses when its soil has no water."""
WILTING_BELOW = 0.35  # relative extractable water
RECOVERY = 15.0  # days of the running mean between dry soil and brown leaves
ROUGHNESS = {"CRO": 0.035, "GRA": 0.05, "DBF": 0.06, "ENF": 0.06, "MF": 0.07, "URB": 0.6, "WAT": 0.3}
"""Relative standard deviation of fapar between the pixels of a parcel: crowns and gaps, gardens between roofs."""
CHUNK = 64  # days computed at once


def water_stress(fapar: np.ndarray, weather: Mapping[str, np.ndarray], soil_capacity: np.ndarray) -> np.ndarray:
    """Water stress of a stand, 0 to 1, smoothed over two weeks `[time, place]`.

    Args:
        fapar: `[time, place]`, without drought.
        weather: drivers `[time, place]`.
        soil_capacity: [mm] `[place]`.
    """
    stand = true_fluxes(true_model({}), {**weather, "fapar": fapar, "soil_capacity": soil_capacity})
    lacking = np.clip(1 - np.asarray(stand["soil_water"]) / soil_capacity / WILTING_BELOW, 0, 1)
    smooth = np.zeros_like(lacking)
    for day in range(1, len(lacking)):
        smooth[day] = smooth[day - 1] + (lacking[day] - smooth[day - 1]) / RECOVERY
    return smooth


def wilt(fapar: np.ndarray, dry: np.ndarray, plant_type: np.ndarray) -> np.ndarray:
    """Fapar after a drought `[time, place]`."""
    lost = np.array([LOST_IN_DROUGHT.get(code, 0.0) for code in PLANT_TYPES], np.float32)[plant_type]
    return fapar * (1 - lost * dry)


def pixel_fapar(land: Landscape, fapar: np.ndarray, dry: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """True fapar `[time, y, x]`, float32.

    Args:
        land: the region.
        fapar: fapar of the parcels without drought `[time, parcel]`.
        dry: `water_stress` of parcels `[time, parcel]`; pixels with less soil than their parcel suffer more.
        rng: source of random numbers.
    """
    size = len(land.parcel)
    rough = np.array([ROUGHNESS.get(str(code), 0.0) for code in land.cover], np.float32)[land.parcel]
    texture = 1 + rough * (0.75 * smooth_field(rng, size, 1.5) + 0.65 * rng.standard_normal((size, size), np.float32))
    lost = np.array([LOST_IN_DROUGHT.get(str(code), 0.0) for code in land.cover], np.float32)[land.parcel]
    sensitivity = lost * np.clip(2 - land.soil_capacity / land.parcel_soil[land.parcel], 0.4, 1.6).astype(np.float32)
    out = np.empty((len(fapar), size, size), np.float32)
    for first in range(0, len(fapar), CHUNK):
        part = slice(first, first + CHUNK)
        leaves = 1 - sensitivity * dry[part].astype(np.float32)[:, land.parcel]
        out[part] = np.clip(fapar[part][:, land.parcel] * texture * leaves, 0.0, 0.98)
    return out
