"""Limits of light use: temperature, dry air, dry soil, and the response to carbon dioxide."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hybridflux.process.call import Memory

NARROWEST = 0.01  # smallest width of the soil water ramp, where the ranges of its two ends overlap
FAR = 20.0  # widths from the optimum after which the peak is flat: sech(20) = 4e-9


def low_temperature(*, tmin, tmin_closed, tmin_open):
    """Limitation of light use by a cold day [1], in [0, 1].

    clip((tmin - tmin_closed) / (tmin_open - tmin_closed), 0, 1). MOD17, Running & Zhao 2015.

    >>> float(low_temperature(tmin=0.0, tmin_closed=-8.0, tmin_open=8.0))
    0.5
    """
    return jnp.clip((tmin - tmin_closed) / (tmin_open - tmin_closed), 0.0, 1.0)


def peaked_temperature(*, tair_lagged, temp_optimum, temp_width):
    """Response of light use to the acclimated temperature [1], 1 at the optimum.

    sech(x) = 2 e^x / (1 + e^2x), x = (tair_lagged - temp_optimum) / temp_width. Horn & Schulz 2011 (10.5194/bg-8-999-2011),
    rescaled to a maximum of 1; Bao et al. 2022.

    >>> round(float(peaked_temperature(tair_lagged=25.0, temp_optimum=16.0, temp_width=9.0)), 4)
    0.6481
    """
    power = jnp.exp(jnp.clip((tair_lagged - temp_optimum) / temp_width, -FAR, FAR))
    return 2.0 * power / (1.0 + power * power)


def vpd_ramp(*, vpd, vpd_open, vpd_closed):
    """Limitation of light use by dry air, as a ramp [1], in [0, 1].

    clip((vpd_closed - vpd) / (vpd_closed - vpd_open), 0, 1). MOD17, Running & Zhao 2015.

    >>> float(vpd_ramp(vpd=20.0, vpd_open=8.0, vpd_closed=32.0))
    0.5
    """
    return jnp.clip((vpd_closed - vpd) / (vpd_closed - vpd_open), 0.0, 1.0)


def vpd_exponential(*, vpd, vpd_sensitivity):
    """Limitation of light use by dry air, without a threshold [1], in (0, 1].

    exp(-vpd_sensitivity vpd). Makela et al. 2008, 10.1111/j.1365-2486.2007.01463.x.

    >>> round(float(vpd_exponential(vpd=10.0, vpd_sensitivity=0.05)), 4)
    0.6065
    """
    return jnp.exp(-vpd_sensitivity * vpd)


def water_ramp(*, rew, rew_wilting, rew_critical):
    """Limitation of light use by dry soil, as a ramp [1], in [0, 1].

    clip((rew - rew_wilting) / (rew_critical - rew_wilting), 0, 1), a step where the two ends meet. SMAP L4C, Jones et al.
    2017, 10.1109/TGRS.2017.2729343.

    >>> float(water_ramp(rew=0.25, rew_wilting=0.0, rew_critical=0.5))
    0.5
    """
    return jnp.clip((rew - rew_wilting) / jnp.maximum(rew_critical - rew_wilting, NARROWEST), 0.0, 1.0)


def water_ramp_to_floor(*, rew, rew_critical, drought_floor):
    """Limitation of light use by dry soil, as a ramp that does not end at nothing [1], in [drought_floor, 1].

    drought_floor + (1 - drought_floor) clip(rew / rew_critical, 0, 1). `water_ramp` with the floor of Stocker et al. 2020,
    10.5194/gmd-13-1545-2020: some of the plants of a footprint reach other water, or are watered.

    >>> float(water_ramp_to_floor(rew=0.25, rew_critical=0.5, drought_floor=0.5))
    0.75
    """
    return drought_floor + (1.0 - drought_floor) * jnp.clip(rew / rew_critical, 0.0, 1.0)


def water_sigmoid(*, rew, rew_half, rew_slope):
    """Limitation of light use by dry soil, smooth [1], in (0, 1).

    1 / (1 + exp(-rew_slope (rew - rew_half))). Bao et al. 2022, 10.1016/j.agrformet.2021.108708.

    >>> round(float(water_sigmoid(rew=0.36, rew_half=0.26, rew_slope=10.0)), 4)
    0.7311
    """
    return jax.nn.sigmoid(rew_slope * (rew - rew_half))


def water_stocker(*, rew, rew_critical, drought_floor):
    """Limitation of light use by dry soil, quadratic [1], in [drought_floor, 1].

    q (rew - rew_critical)^2 + 1 below rew_critical, else 1, with q = (drought_floor - 1) / rew_critical^2. Stocker et al.
    2020, 10.5194/gmd-13-1545-2020, theta0 = 0.

    >>> round(float(water_stocker(rew=0.2, rew_critical=0.6, drought_floor=0.733)), 3)
    0.881
    """
    deficit = jnp.maximum(1.0 - rew / rew_critical, 0.0)
    return 1.0 - (1.0 - drought_floor) * deficit * deficit


def co2_fertilisation(*, co2, co2_reference, co2_half):
    """Response of light use to carbon dioxide [1], 1 at the reference, in [0, 2).

    1 + c / (c + co2_half), c = co2 - co2_reference, held at -co2_half / 2, where the response is 0. PRELES, ISBN
    978-951-40-2395-8; Bao et al. 2023, 10.1029/2022MS003464.

    >>> float(co2_fertilisation(co2=480.0, co2_reference=380.0, co2_half=100.0))
    1.5
    """
    rise = jnp.maximum(co2 - co2_reference, -0.5 * co2_half)
    return 1.0 + rise / (rise + co2_half)


def _unacclimated(*, tair):
    return {"tair_lagged": tair}


def _acclimate(*, tair, tair_lagged, temp_memory):
    return {"tair_lagged": (1.0 - temp_memory) * tair + temp_memory * tair_lagged}


ACCLIMATION = Memory(start=_unacclimated, step=_acclimate)
"""Temperature the vegetation is acclimated to [degC]: Tf(t) = (1 - temp_memory) tair(t) + temp_memory Tf(t-1). Makela et al.
2008; Bao et al. 2022."""
