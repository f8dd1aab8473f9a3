"""Dryness of the soil at a place from the weather alone: one measure for all models and towers, without fitted parameters."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.model.sequences import Sequences
from hybridflux.process.call import SPIN_UP_DAYS
from hybridflux.process.water import FIRST_FILLING, bucket
from hybridflux.vocabulary import PARAMETERS

NEEDS = ("tair", "par", "rain", "fapar")
SOIL = {
    name: PARAMETERS[name].typical
    for name in ("root_zone_capacity", "evaporation_scalar", "bare_evaporation", "rew_evaporation", "drainage_rate", "snow_melt")
}


def dryness(sequences: Sequences) -> np.ndarray:
    """Share of the root-zone water that is missing at the end of each day [1], `[time, place]`, 0 = full.

    1 - relative extractable water of `process.water.bucket` with every parameter at its typical value of the vocabulary: Makkink
    potential evaporation against rain and melt, with the first year run twice as spin-up. It ranks the days of one
    place; its level means little, because the true capacity is unknown. Unlike a cumulative water deficit it does not grow without end
    where potential evaporation exceeds rain for years.

    Args:
        sequences: sequences with the drivers `tair`, `par`, `rain`, `fapar`.

    Raises:
        ValueError: a driver is missing.
    """
    missing = [name for name in NEEDS if name not in sequences.drivers]
    if missing:
        raise ValueError(f"dryness reads {', '.join(missing)}, which these sequences lack; ask for them when opening the towers")
    shape = (len(sequences.days), len(sequences.places))
    daily = {name: jnp.broadcast_to(jnp.asarray(sequences.drivers[name], jnp.float32), shape) for name in NEEDS}
    return 1.0 - np.asarray(_soil_water(daily)) / SOIL["root_zone_capacity"]


@jax.jit
def _soil_water(daily):
    """Water in the root zone [mm] at the end of each day."""

    def day(state, today):
        end = bucket(**state, **today, **SOIL)
        state = {name: end[name] for name in state}
        return state, state["soil_water"]

    none = jnp.zeros(daily["tair"].shape[1:], jnp.float32)
    start = {"soil_water": none + FIRST_FILLING * SOIL["root_zone_capacity"], "snow": none}
    spun, _ = jax.lax.scan(day, start, {name: values[:SPIN_UP_DAYS] for name, values in daily.items()})
    return jax.lax.scan(day, spun, daily)[1]
