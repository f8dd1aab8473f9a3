"""What instruments show of a day: functions of its fluxes, states and diagnostics, for operators of `model.observe`.

Beside the names of a day they may ask for `gpp_at` and `reco_at`, which give that flux at other inputs: `reco_at(tair=tair_night)`.
"""

from __future__ import annotations

import jax.numpy as jnp

from hybridflux.units import LATENT_HEAT, SECONDS_PER_DAY

SHORTEST_DAY = 0.02  # share of the day below which day and night are not separated


def exchange(*, nee):
    """Net ecosystem exchange of the whole day [gC m-2 d-1].

    >>> exchange(nee=-2.0)
    -2.0
    """
    return nee


def productivity(*, gpp):
    """Gross primary productivity of the day, as partitioning gives it [gC m-2 d-1].

    >>> productivity(gpp=5.0)
    5.0
    """
    return gpp


def respiration(*, reco):
    """Ecosystem respiration of the day, as partitioning gives it [gC m-2 d-1].

    >>> respiration(reco=3.0)
    3.0
    """
    return reco


def exchange_at_night(*, reco_at, tair_night):
    """Net exchange while the sun is down, as a daily rate [gC m-2 d-1]: respiration at the temperature of the night.

    >>> exchange_at_night(reco_at=lambda tair: 0.5 * tair, tair_night=6.0)
    3.0
    """
    return reco_at(tair=tair_night)


def exchange_by_day(*, nee, reco_at, tair_night, day_fraction):
    """Net exchange while the sun is up, as a daily rate [gC m-2 d-1]: what the night leaves of the whole day.

    nee = day_fraction nee_day + (1 - day_fraction) nee_night.

    >>> float(exchange_by_day(nee=-1.0, reco_at=lambda tair: 3.0, tair_night=6.0, day_fraction=0.5))
    -5.0
    """
    up = jnp.clip(day_fraction, SHORTEST_DAY, 1.0 - SHORTEST_DAY)
    return (nee - (1.0 - up) * exchange_at_night(reco_at=reco_at, tair_night=tair_night)) / up


def latent_heat(*, evapotranspiration):
    """Latent heat flux, mean of the day [W m-2].

    evapotranspiration times the latent heat of vaporisation at 20 degC, 2.45 MJ kg-1. Allen et al. 1998 (FAO-56).

    >>> round(latent_heat(evapotranspiration=3.0), 2)
    85.07
    """
    return evapotranspiration * (LATENT_HEAT * 1e6 / SECONDS_PER_DAY)
