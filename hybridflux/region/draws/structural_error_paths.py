"""The structural error of a region: what the model gets wrong for weeks and years, on the totals of each draw.

One path of errors for the whole region and each draw: what a model misses in a season it misses in all neighbouring fields of a kind
(e-folding lengths of a few tens of km, Kountouris et al. 2015, bg-12-7403; up to 200 km, Chevallier et al. 2012,
10.1029/2010GB003974). A larger region would average part of it out, so intervals of such a one are on the wide side.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from hybridflux.model.structural_error import YEAR_DAYS, StructuralError, ornstein_uhlenbeck


@dataclass(frozen=True)
class ErrorPaths:
    """What each draw gets wrong in each month, the same in all cells.

    Attributes:
        numbers: of the structural error, name -> `[draw]`.
        weeks: monthly means of a unit process with a memory of weeks `[month, draw]`.
        years: of one with a memory of about a year `[month, draw]`.
        days: mapped days in each month `[month]`.
    """

    numbers: dict[str, np.ndarray]
    weeks: np.ndarray
    years: np.ndarray
    days: np.ndarray

    @classmethod
    def of(cls, error: StructuralError, draws: int, month_of_day: np.ndarray, seed: int) -> ErrorPaths:
        """The paths of a run.

        Args:
            error: of the posterior.
            draws: of the run.
            month_of_day: number of the month of each mapped day `[time]`, ascending.
            seed: of the run.
        """
        numbers = {name: np.asarray(values, float) for name, values in error.of_draws(draws).values().items()}
        weeks, years = (_monthly(key, month_of_day, memory) for key, memory in zip(
            jax.random.split(jax.random.key(seed)), (numbers["structural_days"], np.full(draws, YEAR_DAYS)), strict=True
        ))  # fmt: skip
        return cls(numbers, weeks, years, np.bincount(month_of_day))

    def monthly_error(self, carbon: np.ndarray, area: np.ndarray) -> np.ndarray:
        """Error of NEE of some cells `[cell, month, draw]`, gC; its mean over the draws is zero, so that budgets keep the mean of the maps.

        Args:
            carbon: GPP and RECO of each cell `[cell, month, 2, draw]`, gC.
            area: of each cell `[cell]`, m2.
        """
        size = area[:, None, None] * self.days[:, None]
        activity = carbon.sum(axis=2) / 2.0 / size
        drift = (self.numbers["structural_floor"] + self.numbers["structural_slope"] * activity) * self.weeks
        drift += self.numbers["structural_year"] * activity * self.years
        return (drift - drift.mean(axis=-1, keepdims=True)) * size


def _monthly(key, month_of_day: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Monthly means `[month, draw]` of unit processes, one a draw."""
    keys = jax.random.split(key, len(memory))
    path = jax.vmap(lambda one, days: ornstein_uhlenbeck(one, (len(month_of_day),), days))(keys, np.asarray(memory, np.float32))
    first = np.flatnonzero(np.r_[True, month_of_day[1:] != month_of_day[:-1]])
    count = np.diff(np.r_[first, len(month_of_day)])
    return (np.add.reduceat(np.asarray(path, float), first, axis=1) / count).T
