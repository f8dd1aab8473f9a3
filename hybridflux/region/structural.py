"""The structural error of a region: what the model gets wrong for weeks and years, on the totals of each draw.

One path of errors for the whole region and each draw: what a model misses in a season it misses in all neighbouring fields of a kind
(e-folding lengths of a few tens of km, Kountouris et al. 2015, bg-12-7403; up to 200 km, Chevallier et al. 2012,
10.1029/2010GB003974). A larger region would average part of it out, so intervals of such a one are on the wide side.
"""

from __future__ import annotations

import jax
import numpy as np

from hybridflux.model.structure import YEAR_DAYS, StructuralError, ornstein_uhlenbeck


def monthly_error(error: StructuralError, carbon: np.ndarray, area: np.ndarray, month_of_day: np.ndarray, seed: int) -> np.ndarray:
    """Error of NEE `[cell, month, draw]`, gC; its mean over the draws is zero, so that budgets keep the mean of the maps.

    Args:
        error: of the posterior.
        carbon: GPP and RECO of each cell `[cell, month, 2, draw]`, gC.
        area: of each cell `[cell]`, m2.
        month_of_day: number of the month of each mapped day `[time]`, ascending.
        seed: of the run.
    """
    draws, days = carbon.shape[-1], np.bincount(month_of_day, minlength=carbon.shape[1])
    numbers = {name: np.asarray(values, float) for name, values in error.of_draws(draws).values().items()}
    weeks, years = (_monthly(key, month_of_day, memory) for key, memory in zip(
        jax.random.split(jax.random.key(seed)), (numbers["structural_days"], np.full(draws, YEAR_DAYS)), strict=True
    ))  # fmt: skip
    size = area[:, None, None] * days[:, None]
    activity = carbon.sum(axis=2) / 2.0 / size
    drift = (numbers["structural_floor"] + numbers["structural_slope"] * activity) * weeks + numbers["structural_year"] * activity * years
    return (drift - drift.mean(axis=-1, keepdims=True)) * size


def _monthly(key, month_of_day: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Monthly means `[month, draw]` of unit processes, one a draw."""
    keys = jax.random.split(key, len(memory))
    path = jax.vmap(lambda one, days: ornstein_uhlenbeck(one, (len(month_of_day),), days))(keys, np.asarray(memory, np.float32))
    first = np.flatnonzero(np.r_[True, month_of_day[1:] != month_of_day[:-1]])
    count = np.diff(np.r_[first, len(month_of_day)])
    return (np.add.reduceat(np.asarray(path, float), first, axis=1) / count).T
