"""Ecosystem respiration: bases [gC m-2 d-1] at 15 degC, temperature responses equal to 1 there, and a limit by dry soil."""

from __future__ import annotations

import jax.numpy as jnp

from hybridflux.units import FREEZING_KELVIN

REFERENCE = 15.0  # degC, where every response is 1
STANDSTILL = 227.13 - FREEZING_KELVIN  # degC, T0 of Lloyd & Taylor 1994: respiration stops
NEAREST = 1.0  # K above T0 under which respiration is taken as 0: the response is below 1e-12 there


def basal(*, respiration_ref):
    """Respiration at 15 degC, not linked to productivity [gC m-2 d-1].

    >>> basal(respiration_ref=2.0)
    2.0
    """
    return respiration_ref


def lin_gpp(*, respiration_ref, respiration_gpp_share, gpp):
    """Respiration at 15 degC, with a share of today's productivity [gC m-2 d-1].

    respiration_ref + respiration_gpp_share gpp. Migliavacca et al. 2011, 10.1111/j.1365-2486.2010.02243.x.

    >>> lin_gpp(respiration_ref=1.0, respiration_gpp_share=0.25, gpp=8.0)
    3.0
    """
    return respiration_ref + respiration_gpp_share * gpp


def lloyd_taylor(*, tair, activation_temp):
    """Response of respiration to temperature, sensitivity falling with warmth [1], 1 at 15 degC.

    exp(activation_temp (1 / (Tref - T0) - 1 / (T - T0))), Tref = 288.15 K, T0 = 227.13 K, 0 near T0 and below. Lloyd & Taylor
    1994, 10.2307/2389824.

    >>> round(float(lloyd_taylor(tair=25.0, activation_temp=200.0)), 3)
    1.586
    """
    above = tair - STANDSTILL
    alive = above > NEAREST
    inverse = 1.0 / jnp.where(alive, above, REFERENCE - STANDSTILL)
    return jnp.where(alive, jnp.exp(activation_temp * (1.0 / (REFERENCE - STANDSTILL) - inverse)), 0.0)


def q10_response(*, tair, q10):
    """Response of respiration to temperature, constant factor per 10 K [1], 1 at 15 degC.

    q10^((tair - 15) / 10). van 't Hoff 1898; Mahecha et al. 2010, 10.1126/science.1189587.

    >>> float(q10_response(tair=25.0, q10=1.5))
    1.5
    """
    return jnp.exp(jnp.log(q10) * (tair - REFERENCE) / 10.0)


def moisture_ramp(*, rew, respiration_dry, rew_respiration):
    """Limitation of respiration by dry soil [1], in [respiration_dry, 1].

    respiration_dry + (1 - respiration_dry) clip(rew / rew_respiration, 0, 1). SMAP L4C, Jones et al. 2017,
    10.1109/TGRS.2017.2729343.

    >>> float(moisture_ramp(rew=0.25, respiration_dry=0.5, rew_respiration=0.5))
    0.75
    """
    return respiration_dry + (1.0 - respiration_dry) * jnp.clip(rew / rew_respiration, 0.0, 1.0)
