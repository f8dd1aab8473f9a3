"""Light: potential productivity and its response to the amount and the quality of light."""

from __future__ import annotations

import jax.numpy as jnp

from hybridflux.process.vegetation import green

DARK = 0.01  # MJ m-2 d-1; below this potential radiation the sky has no cloudiness


def absorbed(*, fapar, par, light_use_efficiency):
    """Productivity of the absorbed light without any limitation [gC m-2 d-1].

    light_use_efficiency fapar par. Monteith 1972, 10.2307/2401901.

    >>> absorbed(fapar=0.5, par=8.0, light_use_efficiency=2.0)
    8.0
    """
    return light_use_efficiency * fapar * par


def saturation(*, fapar, par, light_saturation):
    """Loss of efficiency in strong light [1], in (0, 1].

    1 / (1 + light_saturation fapar par). Makela et al. 2008, 10.1111/j.1365-2486.2007.01463.x; Bao et al. 2022.

    >>> saturation(fapar=0.5, par=8.0, light_saturation=0.25)
    0.5
    """
    return 1.0 / (1.0 + light_saturation * fapar * par)


def absorbed_green(*, nirv, par, light_use_efficiency):
    """`absorbed` with the light that NIRv says green leaves absorb, see `vegetation.green` [gC m-2 d-1].

    >>> round(float(absorbed_green(nirv=0.165, par=8.0, light_use_efficiency=2.0)), 4)
    8.0
    """
    return absorbed(fapar=green(nirv=nirv), par=par, light_use_efficiency=light_use_efficiency)


def saturation_green(*, nirv, par, light_saturation):
    """`saturation` with the light that NIRv says green leaves absorb, see `vegetation.green` [1], in (0, 1].

    >>> round(float(saturation_green(nirv=0.165, par=8.0, light_saturation=0.25)), 4)
    0.5
    """
    return saturation(fapar=green(nirv=nirv), par=par, light_saturation=light_saturation)


def cloudiness(*, par, par_potential, cloud_gain):
    """Gain of efficiency in diffuse light [1], at least 1.

    1 + cloud_gain CI, with the cloudiness index CI = clip(1 - par / par_potential, 0, 1), 0 in the polar night. Linear in
    CI, unlike the power law of Bao et al. 2022 (10.1016/j.agrformet.2021.108708), so that a clear day keeps its light use
    and its gradient.

    >>> float(cloudiness(par=4.0, par_potential=8.0, cloud_gain=0.5))
    1.25
    """
    sunny = par_potential > DARK
    clearness = par / jnp.where(sunny, par_potential, 1.0)
    index = jnp.where(sunny, jnp.clip(1.0 - clearness, 0.0, 1.0), 0.0)
    return 1.0 + cloud_gain * index
