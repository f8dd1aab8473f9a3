"""Water balance with depth: rain held by leaves, a root zone, and a deep store that roots reach when the root zone is dry."""

from __future__ import annotations

import jax.numpy as jnp

from hybridflux.process import water
from hybridflux.process.call import Memory
from hybridflux.process.vegetation import green


def deep_bucket(
    *,
    soil_water,
    deep_water,
    snow,
    tair,
    par,
    rain,
    fapar,
    root_zone_capacity,
    deep_capacity,
    canopy_storage,
    wet_canopy_saving,
    evaporation_scalar,
    bare_evaporation,
    rew_evaporation,
    drainage_rate,
    snow_melt,
):
    """Water of the root zone, below it and in snow at the end of a day [mm], and the water that left [mm d-1].

    Leaves hold min(rainfall, canopy_storage fapar), which evaporates on the same day and takes wet_canopy_saving of itself from the demand
    D = PET (b + (1 - b) fapar), b = bare_evaporation. The root zone meets D clip(rew / rew_evaporation, 0, 1), at most the water there
    is, as in `water.bucket`. Of what it leaves, roots raise fapar clip(deep_water / deep_capacity / rew_evaporation, 0, 1) from the deep
    store. What drains from the root zone, drainage_rate max(W - capacity / 2, 0) and what is above the capacity, fills the deep store;
    what that cannot hold is `drainage`. Closed: change of soil_water, deep_water and snow = rain - evapotranspiration - drainage. Water
    below the soil proper keeps plants evaporating in droughts: Fan et al. 2017, 10.1073/pnas.1712381114; Miguez-Macho & Fan 2021,
    10.1038/s41586-021-03958-6. Rain held by leaves: Gash 1979, 10.1002/qj.49710544304, for single days.

    Returns:
        `soil_water`, `deep_water`, `snow` [mm], `evapotranspiration`, `drainage` [mm d-1].

    >>> day = dict(tair=20.0, par=9.0, rain=0.0, fapar=1.0, evaporation_scalar=0.65, bare_evaporation=0.2, snow_melt=3.0)
    >>> soil = dict(root_zone_capacity=100.0, deep_capacity=300.0, rew_evaporation=0.4, drainage_rate=0.0)
    >>> leaf = dict(canopy_storage=1.0, wet_canopy_saving=0.4, snow=0.0)
    >>> end = deep_bucket(soil_water=0.0, deep_water=60.0, **day, **soil, **leaf)
    >>> [round(float(end[name]), 2) for name in ("soil_water", "deep_water", "evapotranspiration", "drainage")]
    [0.0, 58.19, 1.81, 0.0]
    """
    snow, rainfall, melt = water.melted(snow=snow, tair=tair, rain=rain, snow_melt=snow_melt)
    held = jnp.minimum(rainfall, canopy_storage * fapar)
    available = soil_water + (rainfall - held) + melt

    cover = bare_evaporation + (1.0 - bare_evaporation) * fapar
    potential = water.potential_evaporation(tair=tair, par=par, evaporation_scalar=evaporation_scalar)
    demand = jnp.maximum(potential * cover - wet_canopy_saving * held, 0.0)
    supply = jnp.clip(soil_water / (root_zone_capacity * rew_evaporation), 0.0, 1.0)
    taken = jnp.minimum(demand * supply, available)
    deep_supply = jnp.clip(deep_water / (deep_capacity * rew_evaporation), 0.0, 1.0)
    raised = jnp.minimum((demand - taken) * fapar * deep_supply, deep_water)

    wet = available - taken
    kept = wet - drainage_rate * jnp.maximum(wet - 0.5 * root_zone_capacity, 0.0)
    left = jnp.minimum(kept, root_zone_capacity)
    filled = deep_water - raised + (wet - left)
    deep = jnp.minimum(filled, deep_capacity)
    return {
        "soil_water": left,
        "deep_water": deep,
        "snow": snow,
        "evapotranspiration": held + taken + raised,
        "drainage": filled - deep,
    }


def deep_bucket_green(
    *,
    soil_water,
    deep_water,
    snow,
    tair,
    par,
    rain,
    nirv,
    root_zone_capacity,
    deep_capacity,
    canopy_storage,
    wet_canopy_saving,
    evaporation_scalar,
    bare_evaporation,
    rew_evaporation,
    drainage_rate,
    snow_melt,
):
    """`deep_bucket` [mm, mm d-1] whose cover is the light that NIRv says green leaves absorb, at most all of it, see `vegetation.green`.

    >>> day = dict(tair=20.0, par=9.0, rain=3.0, nirv=0.33, evaporation_scalar=0.65, bare_evaporation=0.2, snow_melt=3.0)
    >>> soil = dict(root_zone_capacity=100.0, deep_capacity=300.0, rew_evaporation=0.4, drainage_rate=0.0)
    >>> leaf = dict(canopy_storage=1.0, wet_canopy_saving=0.4, snow=0.0)
    >>> round(float(deep_bucket_green(soil_water=80.0, deep_water=60.0, **day, **soil, **leaf)["evapotranspiration"]), 2)
    4.22
    """
    day = {"tair": tair, "par": par, "rain": rain, "fapar": jnp.minimum(green(nirv=nirv), 1.0)}
    state = {"soil_water": soil_water, "deep_water": deep_water, "snow": snow}
    soil = {"root_zone_capacity": root_zone_capacity, "deep_capacity": deep_capacity, "drainage_rate": drainage_rate}
    leaf = {"canopy_storage": canopy_storage, "wet_canopy_saving": wet_canopy_saving, "snow_melt": snow_melt}
    demand = {"evaporation_scalar": evaporation_scalar, "bare_evaporation": bare_evaporation, "rew_evaporation": rew_evaporation}
    return deep_bucket(**state, **day, **soil, **leaf, **demand)


def relative(*, soil_water, deep_water, root_zone_capacity, deep_capacity):
    """Water of the root zone and below it over what both can hold [1], in [0, 1].

    >>> relative(soil_water=0.0, deep_water=200.0, root_zone_capacity=100.0, deep_capacity=300.0)
    0.5
    """
    return (soil_water + deep_water) / (root_zone_capacity + deep_capacity)


def volumetric(*, rew_root_zone, swc_wilting, swc_field):
    """`water.volumetric` of the root zone alone, where the sensors are [m3 m-3].

    >>> round(float(volumetric(rew_root_zone=0.5, swc_wilting=0.125, swc_field=0.375)), 3)
    0.25
    """
    return water.volumetric(rew=rew_root_zone, swc_wilting=swc_wilting, swc_field=swc_field)


def _filled(*, root_zone_capacity, deep_capacity, tair):
    none = 0.0 * tair
    full = {"soil_water": root_zone_capacity, "deep_water": deep_capacity}
    return {**{name: water.FIRST_FILLING * capacity + none for name, capacity in full.items()}, "snow": none}


def _read(*, soil_water, deep_water, root_zone_capacity, deep_capacity):
    of_all = relative(soil_water=soil_water, deep_water=deep_water, root_zone_capacity=root_zone_capacity, deep_capacity=deep_capacity)
    return {"rew": of_all, "rew_root_zone": water.relative(soil_water=soil_water, root_zone_capacity=root_zone_capacity)}


DEEP_BUCKET = Memory(start=_filled, step=deep_bucket, read=_read)
"""Water of the root zone, below it and in snow [mm]. Factors see `rew` of all the water that roots reach, and `rew_root_zone`."""

DEEP_BUCKET_GREEN = Memory(start=_filled, step=deep_bucket_green, read=_read)
"""The same where vegetation is seen in NIRv."""
