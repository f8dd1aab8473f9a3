"""Covariance of the monthly mean residuals of towers: structural error, effects of places, and measuring error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache

import numpy as np

from hybridflux.inference.mean_residuals import Means
from hybridflux.model.structural_covariance import Errors, Periods, covariance, of_means, of_weeks, of_years, size_of
from hybridflux.model.structural_error import memory_of

MONTHS, MONTH = 2, 365 / 12  # place in `mean_residuals.PERIODS`, and its length [d]
FEWEST_MONTHS = 12
"""Of a tower, from which on its months are looked at together."""
MEMORIES = 16
"""Memories of which the covariances of months are kept: more than a group of hyperparameters looks at (`fit_months_together.NODES`)."""


def errors_of(cases: Sequence[Mapping[str, float]], months: Means, rows: np.ndarray) -> np.ndarray:
    """Covariances of the structural error of amplitude one, as if all rows were of one place `[case, row, row]`.

    Args:
        cases: hyperparameters of the structural error.
        months: of all towers.
        rows: numbers of the months.
    """
    number, activity = np.asarray(months.number), np.asarray(months.activity, float)[rows]
    count, period, here = int(number.max()) + 1, number[rows], np.ix_(number[rows], number[rows])
    passing, again = cache(lambda memory: _passing(count, memory)[here]), cache(lambda *memory: _recurring(count, *memory)[here])
    years, local = _years(count)[here], np.arange(len(period))
    found = np.empty((len(cases), len(rows), len(rows)))
    for case, values in enumerate(cases):
        days, recurring, transient, changing = (float(one) for one in memory_of(values))
        weeks = (1.0 - recurring) * passing(transient) + recurring * again(days, changing)
        of_rows = Errors(local, size_of(values, activity), activity)
        found[case] = covariance(values, (weeks, years), of_rows, of_rows, 1.0)
    return found


def _months(count: int) -> Periods:
    first, end = (np.floor((np.arange(count) + step) * MONTH).astype(int) for step in (0, 1))
    return Periods(first, end)


@lru_cache(MEMORIES)
def _passing(count: int, transient: float) -> np.ndarray:
    """Covariance of the means over months of what passes."""
    return of_means(lambda lag: of_weeks(lag, 1.0, 0.0, transient, 1.0), _months(count), _months(count))


@lru_cache(MEMORIES)
def _recurring(count: int, days: float, changing: float) -> np.ndarray:
    """Covariance of the means over months of what comes again."""
    return of_means(lambda lag: of_weeks(lag, days, 1.0, 1.0, changing), _months(count), _months(count))


@lru_cache(1)
def _years(count: int) -> np.ndarray:
    """Covariance of the means over months of what lasts about a year."""
    return of_means(of_years, _months(count), _months(count))


def effects_of(variance: np.ndarray, months: Means, rows: np.ndarray) -> np.ndarray:
    """Covariance that the effects of a place give its months `[row, row]`.

    Args:
        variance: of each population effect, in units of its prior.
        months: of all towers.
        rows: numbers of the months.
    """
    slope = np.asarray(months.slope, float)[:, rows]
    return (slope * variance[:, None]).T @ slope


def noise_of(values: Mapping[str, float], months: Means, rows: np.ndarray) -> np.ndarray:
    """Variance of the measuring errors of months `[row]`, see `StructuralError.variance_of_mean`."""
    known_sq, flux, flux_sq, count = (np.asarray(one, float)[rows] for one in (months.known_sq, months.flux, months.flux_sq, months.count))
    floor, rising = values["noise_floor"], values["noise_slope"]
    return (known_sq + floor**2 + 2.0 * floor * rising * flux + rising**2 * flux_sq) / count
