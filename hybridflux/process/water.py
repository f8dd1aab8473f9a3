"""Water balance: a bucket with snow, stepped once a day, and soil water as the factors read it."""

from __future__ import annotations

import jax.numpy as jnp

from hybridflux.process.call import Memory
from hybridflux.process.vegetation import green
from hybridflux.units import LATENT_HEAT, PAR_PER_SHORTWAVE

PSYCHROMETRIC = 0.0674  # kPa degC-1 at 101.3 kPa, FAO-56 eq. 8
NARROWEST = 0.01  # m3 m-3, smallest range between wilting point and field capacity, where their bounds overlap
FIRST_FILLING = 0.8  # share of the capacity before the first day; a run starts with a spin-up


def potential_evaporation(*, tair, par, evaporation_scalar):
    """Potential evaporation after Makkink [mm d-1], at least 0.

    evaporation_scalar s / (s + gamma) SW / lambda, SW = par / 0.45, s the slope of saturation vapour pressure (FAO-56 eq. 13).
    de Bruin 1987; Allen et al. 1998.

    >>> round(float(potential_evaporation(tair=20.0, par=9.0, evaporation_scalar=0.65)), 3)
    3.62
    """
    inverse = 1.0 / (tair + 237.3)
    slope = 4098.0 * 0.6108 * jnp.exp(17.27 * tair * inverse) * inverse * inverse
    return evaporation_scalar * (slope / (slope + PSYCHROMETRIC) * par * (1.0 / (PAR_PER_SHORTWAVE * LATENT_HEAT)))


def melted(*, snow, tair, rain, snow_melt):
    """Snow at the end of a day [mm], rain that falls on it and melt [mm d-1].

    Precipitation is snow below -1 degC, rain above +1 degC, and mixed linearly between. Snow of former days melts by
    min(snow, snow_melt max(tair, 0)). Form of Bao et al. 2022, 10.1016/j.agrformet.2021.108708.

    >>> [float(value) for value in melted(snow=20.0, tair=0.0, rain=10.0, snow_melt=3.0)]
    [25.0, 5.0, 0.0]
    """
    snowfall = rain * jnp.clip(0.5 - 0.5 * tair, 0.0, 1.0)
    melt = jnp.minimum(snow, snow_melt * jnp.maximum(tair, 0.0))
    return snow + snowfall - melt, rain - snowfall, melt


def bucket(
    *,
    soil_water,
    snow,
    tair,
    par,
    rain,
    fapar,
    root_zone_capacity,
    evaporation_scalar,
    bare_evaporation,
    rew_evaporation,
    drainage_rate,
    snow_melt,
):
    """Soil water and snow at the end of a day [mm], and the water that left [mm d-1].

    Snow falls and melts as in `melted`. Evapotranspiration is PET (b + (1 - b) fapar) clip(rew / rew_evaporation, 0, 1),
    b = bare_evaporation, at most the water there is. Then drainage_rate max(W - capacity / 2, 0) drains, and what is above
    the capacity runs over. Closed: change of soil_water and snow = rain - evapotranspiration - drainage. Form of Bao et al.
    2022, 10.1016/j.agrformet.2021.108708.

    Returns:
        `soil_water`, `snow` [mm], `evapotranspiration`, `drainage` (overflow included) [mm d-1].

    >>> day = dict(tair=20.0, par=0.0, rain=10.0, fapar=0.5, evaporation_scalar=0.65, bare_evaporation=0.2, snow_melt=3.0)
    >>> soil = dict(root_zone_capacity=100.0, rew_evaporation=0.4, drainage_rate=0.0)
    >>> end = bucket(soil_water=96.0, snow=2.0, **day, **soil)
    >>> [float(end[name]) for name in ("soil_water", "snow", "evapotranspiration", "drainage")]
    [100.0, 0.0, 0.0, 8.0]
    """
    snow, rainfall, melt = melted(snow=snow, tair=tair, rain=rain, snow_melt=snow_melt)
    available = soil_water + rainfall + melt

    potential = potential_evaporation(tair=tair, par=par, evaporation_scalar=evaporation_scalar)
    cover = bare_evaporation + (1.0 - bare_evaporation) * fapar
    supply = jnp.clip(soil_water / (root_zone_capacity * rew_evaporation), 0.0, 1.0)
    evapotranspiration = jnp.minimum(potential * cover * supply, available)

    wet = available - evapotranspiration
    kept = wet - drainage_rate * jnp.maximum(wet - 0.5 * root_zone_capacity, 0.0)
    left = jnp.minimum(kept, root_zone_capacity)
    return {
        "soil_water": left,
        "snow": snow,
        "evapotranspiration": evapotranspiration,
        "drainage": wet - left,
    }


def bucket_green(
    *,
    soil_water,
    snow,
    tair,
    par,
    rain,
    nirv,
    root_zone_capacity,
    evaporation_scalar,
    bare_evaporation,
    rew_evaporation,
    drainage_rate,
    snow_melt,
):
    """`bucket` [mm, mm d-1] whose cover is the light that NIRv says green leaves absorb, at most all of it, see `vegetation.green`.

    >>> day = dict(tair=20.0, par=9.0, rain=0.0, nirv=0.33, evaporation_scalar=0.65, bare_evaporation=0.2, snow_melt=3.0)
    >>> soil = dict(root_zone_capacity=100.0, rew_evaporation=0.4, drainage_rate=0.0)
    >>> round(float(bucket_green(soil_water=80.0, snow=0.0, **day, **soil)["evapotranspiration"]), 2)
    3.62
    """
    day = {"soil_water": soil_water, "snow": snow, "tair": tair, "par": par, "rain": rain, "fapar": jnp.minimum(green(nirv=nirv), 1.0)}
    soil = {"root_zone_capacity": root_zone_capacity, "drainage_rate": drainage_rate, "snow_melt": snow_melt}
    demand = {"evaporation_scalar": evaporation_scalar, "bare_evaporation": bare_evaporation, "rew_evaporation": rew_evaporation}
    return bucket(**day, **soil, **demand)


def relative(*, soil_water, root_zone_capacity):
    """Relative extractable water of the bucket [1], in [0, 1].

    >>> relative(soil_water=50.0, root_zone_capacity=200.0)
    0.25
    """
    return soil_water / root_zone_capacity


def observed(*, swc, swc_wilting, swc_field):
    """Relative extractable water from measured volumetric water [1], in [0, 1].

    clip((swc - swc_wilting) / (swc_field - swc_wilting), 0, 1). Granier et al. 1999, 10.1016/S0304-3800(98)00205-1.

    >>> round(float(observed(swc=0.25, swc_wilting=0.125, swc_field=0.375)), 3)
    0.5
    """
    return jnp.clip((swc - swc_wilting) / jnp.maximum(swc_field - swc_wilting, NARROWEST), 0.0, 1.0)


def volumetric(*, rew, swc_wilting, swc_field):
    """Volumetric water of a soil with relative extractable water `rew` [m3 m-3].

    swc_wilting + rew (swc_field - swc_wilting), the inverse of `observed`. Granier et al. 1999, 10.1016/S0304-3800(98)00205-1.

    >>> round(float(volumetric(rew=0.5, swc_wilting=0.125, swc_field=0.375)), 3)
    0.25
    """
    return swc_wilting + rew * jnp.maximum(swc_field - swc_wilting, NARROWEST)


def _filled(*, root_zone_capacity, tair):
    none = 0.0 * tair
    return {"soil_water": FIRST_FILLING * root_zone_capacity + none, "snow": none}


def _read_bucket(*, soil_water, root_zone_capacity):
    return {"rew": relative(soil_water=soil_water, root_zone_capacity=root_zone_capacity)}


def _no_state():
    return {}


def _read_observed(*, swc, swc_wilting, swc_field):
    return {"rew": observed(swc=swc, swc_wilting=swc_wilting, swc_field=swc_field)}


BUCKET = Memory(start=_filled, step=bucket, read=_read_bucket)
"""Soil water and snow that the model keeps itself [mm]; the factors see `rew`."""

BUCKET_GREEN = Memory(start=_filled, step=bucket_green, read=_read_bucket)
"""The same where vegetation is seen in NIRv."""

OBSERVED = Memory(start=_no_state, read=_read_observed)
"""Measured soil water; the factors see `rew` and there is no state."""
