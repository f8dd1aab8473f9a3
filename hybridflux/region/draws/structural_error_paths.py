"""The structural error of a region: what the model gets wrong for weeks, years and for good, on the totals of each draw.

One path of errors for each plant type of the region and each draw: what a model misses in a season it misses in all neighbouring fields of
a kind (e-folding lengths of a few tens of km, Kountouris et al. 2015, bg-12-7403; up to 200 km, Chevallier et al. 2012,
10.1029/2010GB003974). Plant types err independently: monthly anomalies of left-out towers of different types correlate by .06 within 150 km
and by .00 to .02 beyond, those of one type by .3 within 50 km (E12). A region larger than some tens of km would average more of it out, so
intervals of such a one are on the wide side.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from hybridflux.model.structural_error import YEAR_DAYS, StructuralError, of_weeks


@dataclass(frozen=True)
class ErrorPaths:
    """What each draw gets wrong in each month, the same in all cells of a plant type.

    Attributes:
        hyperparameters: of the structural error, name -> `[draw]`.
        weeks: monthly means of a unit process with a memory of weeks, a part of which comes again every year `[kind, month, draw]`.
        years: of one with a memory of about a year `[kind, month, draw]`.
        place: what is wrong in all years, standard normal `[kind, draw]`.
        kinds: plant types, rising `[kind]`.
        days: mapped days in each month `[month]`.
    """

    hyperparameters: dict[str, np.ndarray]
    weeks: np.ndarray
    years: np.ndarray
    place: np.ndarray
    kinds: np.ndarray
    days: np.ndarray

    @classmethod
    def of(cls, error: StructuralError, draws: int, month_of_day: np.ndarray, seed: int, plant_types: np.ndarray) -> ErrorPaths:
        """The paths of a run.

        Args:
            error: of the posterior.
            draws: of the run.
            month_of_day: number of the month of each mapped day `[time]`, ascending.
            seed: of the run.
            plant_types: of the cells, in any order.
        """
        found = {name: np.asarray(values, float) for name, values in error.of_draws(draws).values().items()}
        years, kinds = np.full(draws, YEAR_DAYS), np.unique(plant_types)
        keys = [jax.random.split(jax.random.fold_in(jax.random.key(seed), int(kind)), 3) for kind in kinds]
        weeks = [_monthly(key[0], month_of_day, found["structural_days"], found["structural_recurring"]) for key in keys]
        of_years = [_monthly(key[1], month_of_day, years, np.zeros(draws)) for key in keys]
        place = [np.asarray(jax.random.normal(key[2], (draws,)), float) for key in keys]
        return cls(found, np.array(weeks), np.array(of_years), np.array(place), kinds, np.bincount(month_of_day))

    def monthly_error(self, carbon: np.ndarray, area: np.ndarray, plant_type: np.ndarray) -> np.ndarray:
        """Error of NEE of some cells `[cell, month, draw]`, gC; its mean over the draws is zero, so that budgets keep the mean of the maps.

        Args:
            carbon: GPP and RECO of each cell `[cell, month, 2, draw]`, gC.
            area: of each cell `[cell]`, m2.
            plant_type: of each cell `[cell]`.
        """
        size = area[:, None, None] * self.days[:, None]
        activity = carbon.sum(axis=2) / 2.0 / size
        of, at = self.hyperparameters, np.searchsorted(self.kinds, plant_type)
        drift = (of["structural_floor"] + of["structural_slope"] * activity) * self.weeks[at]
        drift += (of["structural_year"] * self.years[at] + of["structural_place"] * self.place[at, None]) * activity
        return (drift - drift.mean(axis=-1, keepdims=True)) * size


def _monthly(key, month_of_day: np.ndarray, memory: np.ndarray, recurring: np.ndarray) -> np.ndarray:
    """Monthly means `[month, draw]` of unit processes, one a draw."""
    keys = jax.random.split(key, len(memory))
    of_draw = jax.vmap(lambda one, days, again: of_weeks(one, (len(month_of_day),), days, again))
    path = of_draw(keys, np.asarray(memory, np.float32), np.asarray(recurring, np.float32))
    first = np.flatnonzero(np.r_[True, month_of_day[1:] != month_of_day[:-1]])
    count = np.diff(np.r_[first, len(month_of_day)])
    return (np.add.reduceat(np.asarray(path, float), first, axis=1) / count).T
