"""Covariance of the monthly mean residuals of towers: structural error, effects of places, and measuring error."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybridflux.inference.mean_residuals import Means
from hybridflux.model.structural_covariance import Errors, Periods, covariance, size_of, unit_means

MONTHS, MONTH = 2, 365 / 12  # place in `mean_residuals.PERIODS`, and its length [d]
FEWEST_MONTHS = 12
"""Of a tower, from which on its months are looked at together."""


def errors_of(values: Mapping[str, float], months: Means, rows: np.ndarray) -> np.ndarray:
    """Covariance of the structural error of amplitude one, as if all rows were of one place `[row, row]`.

    Args:
        values: hyperparameters of the structural error.
        months: of all towers.
        rows: numbers of the months.
    """
    number, activity = np.asarray(months.number)[rows], np.asarray(months.activity, float)[rows]
    first, end = (np.floor((number + step) * MONTH).astype(int) for step in (0, 1))
    here = Errors(np.arange(len(rows)), size_of(values, activity), activity)
    return covariance(values, unit_means(values, periods := Periods(first, end), periods), here, here, 1.0)


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
