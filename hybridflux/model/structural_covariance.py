"""Covariance of the structural error between periods, and what measured periods say of others.

The processes of `model.structural_error` as Gaussian processes of variance one, with lag l [d]:

    weeks(l) = (1 - recurring) exp(-l / transient) + recurring exp(-l / changing) exp(-around(l) / days)
    years(l) = exp(-l / YEAR_DAYS),     place(l) = 1

`around` is the distance to the same season. Means over periods are sums over pairs of days. With the size s = floor + slope a and the
activity a of a place, and the correlation rho of places (`model.effect_correlation`), the error of period j at place p has

    cov(e_pj, e_qk) = rho_pq (s_pj s_qk weeks_jk + a_pj a_qk (year^2 years_jk + place^2))

where s and a are multiplied by the amplitude of their place. That is drawn first, given all that the place measured
(`inference.place_amplitude`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from hybridflux.model.structural_error import SEASONS, YEAR_DAYS, memory_of

JITTER = 1e-7
"""Added to the diagonal of a covariance of unit processes before its root: equal periods make it singular."""


class Periods(NamedTuple):
    """Periods of whole days.

    Attributes:
        first: first day of each, days since any epoch `[period]`.
        end: day after the last one `[period]`.
    """

    first: np.ndarray
    end: np.ndarray

    def and_then(self, other: Periods) -> Periods:
        """These, then others."""
        return Periods(np.concatenate([self.first, other.first]), np.concatenate([self.end, other.end]))


def of_weeks(lag: np.ndarray, days: float, recurring: float, transient: float, changing: float) -> np.ndarray:
    """Correlation of what the model gets wrong for weeks; arguments as of `structural_error.of_weeks`.

    >>> of_weeks(np.array([0.0, 30.0, 365.0]), 30.0, 0.8, 30.0, 3650.0).round(3).tolist()
    [1.0, 0.365, 0.724]
    """
    around = np.minimum(lag % SEASONS, SEASONS - lag % SEASONS)
    return (1.0 - recurring) * np.exp(-lag / transient) + recurring * np.exp(-lag / changing - around / days)


def of_years(lag: np.ndarray) -> np.ndarray:
    """Correlation of the part that lasts about a year."""
    return np.exp(-lag / YEAR_DAYS)


def of_means(correlation, periods: Periods, others: Periods) -> np.ndarray:
    """Covariance of the means of a process of variance one over periods `[period, other]`.

    The sum over all pairs of days of two periods is a second difference of the twice summed correlation.

    Args:
        correlation: function of the lag [d].
        periods: of the rows.
        others: of the columns.
    """
    most = int(max(periods.end.max() - others.first.min(), others.end.max() - periods.first.min())) + 2
    twice = np.cumsum(np.cumsum(correlation(np.abs(np.arange(-most, most + 1)).astype(float))))
    summed = lambda end, start: twice[np.subtract.outer(end, start) + most - 1]  # noqa: E731
    pairs = summed(periods.end, others.first) - summed(periods.first, others.first)
    pairs += summed(periods.first, others.end) - summed(periods.end, others.end)
    return pairs / np.multiply.outer(periods.end - periods.first, others.end - others.first)


def unit_means(values: Mapping[str, float], periods: Periods, others: Periods) -> tuple[np.ndarray, np.ndarray]:
    """`of_means` of weeks and of years, for one draw of the hyperparameters."""
    memory = [float(one) for one in memory_of(values)]
    return of_means(lambda lag: of_weeks(lag, *memory), periods, others), of_means(of_years, periods, others)


class Errors(NamedTuple):
    """Where and when errors are asked for, or were measured; one row each.

    Attributes:
        period: index among some periods `[row]`.
        size: floor + slope activity there, gC m-2 d-1 `[row]`.
        activity: (GPP + RECO) / 2 there, gC m-2 d-1 `[row]`.
    """

    period: np.ndarray
    size: np.ndarray
    activity: np.ndarray


def covariance(
    values: Mapping[str, float], units: tuple[np.ndarray, np.ndarray], here: Errors, there: Errors, correlation: np.ndarray | float
) -> np.ndarray:
    """Covariance of errors `[row, row of the others]`, (gC m-2 d-1)^2.

    Args:
        values: hyperparameters.
        units: `unit_means` of the periods of both.
        here: rows.
        there: columns.
        correlation: of the places of rows and columns `[row, row of the others]`, or a number.
    """
    weeks, years = (one[np.ix_(here.period, there.period)] for one in units)
    lasting = values["structural_year"] ** 2 * years + values["structural_place"] ** 2
    return correlation * (np.multiply.outer(here.size, there.size) * weeks + np.multiply.outer(here.activity, there.activity) * lasting)


def size_of(values: Mapping[str, float] | Mapping[str, np.ndarray], activity: np.ndarray) -> np.ndarray:
    """Size of the error of weeks at an activity, gC m-2 d-1."""
    return values["structural_floor"] + values["structural_slope"] * activity


def roots(covariances: np.ndarray) -> np.ndarray:
    """Lower triangular root of covariances of unit processes; leading rows do not depend on those that follow."""
    return np.linalg.cholesky(covariances + JITTER * np.eye(covariances.shape[-1]))
