"""Leaves that follow the water: how far rain has fallen behind evaporation, and greenness and leaf water under less or more of it."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from hybridflux.process.water import potential_evaporation

WATER = ("tair", "par", "rain")
"""Weather that the rain deficit is made of."""
REFERENCE_EVAPORATION = 0.65
"""Makkink coefficient of the reference evapotranspiration (de Bruin 1987; KNMI)."""
FIRST_DAYS = 365
"""Days at the beginning of a record whose mean stands for what was before them."""


def rain_deficit(*, tair, par, rain, memory_days: float) -> np.ndarray:
    """By how much reference evapotranspiration has exceeded rain in the weeks before, at least 0 [mm d-1].

    max(sum_k w_k (E - P)_(t-k), 0) with w_k proportional to exp(-k / memory_days) and sum 1. E is potential evaporation after Makkink. The
    deficit is made of drivers alone; where rain is more than evaporation can take it is 0, however much more.

    Args:
        tair: temperature of the day [degC], `[time, ...]`.
        par: photosynthetically active radiation [MJ m-2 d-1].
        rain: precipitation [mm d-1].
        memory_days: e-folding time of the memory [d].

    >>> dry = rain_deficit(tair=np.full(400, 20.0), par=np.full(400, 9.0), rain=np.zeros(400), memory_days=60.0)
    >>> bool(np.allclose(dry, 3.62, atol=0.01))
    True
    """
    from scipy.signal import lfilter  # here: two thirds of a second, which only models with such leaves need

    missing = np.asarray(potential_evaporation(tair=tair, par=par, evaporation_scalar=REFERENCE_EVAPORATION), float) - np.asarray(rain)
    kept = np.exp(-1.0 / memory_days)
    before = kept * missing[:FIRST_DAYS].mean(axis=0, keepdims=True)
    mean, _ = lfilter([1.0 - kept], [1.0, -kept], missing, axis=0, zi=before)
    return np.maximum(mean, 0.0)


def follow_nirv(*, nirv, response):
    """NIRv [1] of leaves that have answered to a change of the deficit, nirv exp(response); elementwise.

    Args:
        nirv: without the change.
        response: change of log NIRv [1]. Of a mean over days it is the mean of their responses, exact but for the covariance of NIRv and
            response within these days.
    """
    return nirv * jnp.exp(response)


def follow_lswi(*, lswi, response):
    """LSWI [1] of leaves that have answered to a change of the deficit, lswi + response; elementwise, exact for means over days."""
    return lswi + response
