"""How much the structural error differs between places, how much of it comes again every year, how long it lasts, and what is of a year.

All monthly residuals of a tower together are Gaussian given its amplitude b (`model.structural_error.amplitude`):

    r ~ N(0, b^2 error + effects + measuring error)

with the full covariance of its months. Sums over a grid of amplitudes leave a likelihood of the spread of the logarithm of the amplitude
between places, of the share of the error of weeks that comes again, of the memory of that and of the rest, and of the part of a year.
Periods one by one and their differences from the year before, which the other hyperparameters are fitted to (`fit_structural_error`), say
nothing of the first and hardly move the others from their priors. The hyperparameters of one of `GROUPS` are learned at a time, given the
means of the others. (Log likelihood of the 4270 months of the 51 towers of E12: amplitudes that differ add 1490, a share of 0.5 in place
of 0.8 another 123 ± 30, by towers, two memories and a smaller part of a year another 63 ± 21.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import logsumexp

from hybridflux.inference.mean_residuals import Means
from hybridflux.inference.month_covariance import FEWEST_MONTHS, effects_of, errors_of, noise_of
from hybridflux.model.sources import to_value
from hybridflux.model.structural_covariance import likelihood_of_amplitudes
from hybridflux.vocabulary import PARAMETERS

SPREAD = "structural_amplitude"
GROUPS = ("structural_recurring", SPREAD), ("structural_days", "structural_transient_days"), ("structural_year",)
"""Hyperparameters that are learned together."""
NODES = {
    "structural_recurring": np.linspace(-3.0, 3.0, 9), SPREAD: np.linspace(-4.0, 3.0, 15), "structural_days": np.linspace(-3.0, 3.0, 7),
    "structural_transient_days": np.linspace(-4.0, 2.0, 6), "structural_year": np.linspace(-6.0, 0.0, 7),
}  # fmt: skip
"""Unconstrained values at which the likelihood is found; between them it is interpolated."""
ROUNDS = 2
LOG_AMPLITUDES = np.linspace(-4.0, 3.0, 141)
FINE = 121  # points of each, for the means


def learn(
    anchors: Mapping[str, np.ndarray],
    width: Mapping[str, float],
    weights: Sequence[np.ndarray],
    at: Mapping[str, float],
    months: Means,
    variance: np.ndarray,
) -> dict[str, np.ndarray]:
    """Posterior means of the unconstrained hyperparameters of `GROUPS`, for some weights of the places: name -> values `[draw]`.

    Args:
        anchors: prior means, name -> `[draw]`; the first draw is the one that the groups have of each other.
        width: prior standard deviations, by name.
        weights: of the places, for each draw.
        at: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
    """
    values, found = dict(at), dict[str, np.ndarray]()
    for last in (False,) * (ROUNDS - 1) + (True,):
        for names in GROUPS:
            together = evidence(values, months, variance, len(weights[0]), names)
            prior = np.stack([anchors[name] for name in names], axis=1)
            raw = means(
                together, weights if last else weights[:1], prior if last else prior[:1], np.array([width[name] for name in names]), names
            )
            found |= dict(zip(names, raw.T, strict=True))
            values |= {name: float(to_value(found[name][0], PARAMETERS[name])) for name in names}
    return found


def evidence(values: Mapping[str, float], months: Means, variance: np.ndarray, places: int, names: Sequence[str]) -> np.ndarray:
    """Log likelihood of the months of each place at the `NODES` of a group `[place, node, ...]`, up to a constant; 0 of a place with few.

    Args:
        values: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        places: how many there are.
        names: of the group; `SPREAD` is the last one if it is there.
    """
    nodes = {name: np.asarray(to_value(NODES[name], PARAMETERS[name]), float) for name in names}
    spreads = nodes.pop(SPREAD, np.array([values[SPREAD]]))
    away = (LOG_AMPLITUDES + spreads[:, None] ** 2) / spreads[:, None]
    prior = -0.5 * away**2
    prior -= logsumexp(prior, axis=1, keepdims=True)
    cases = [dict(zip(nodes, case, strict=True)) for case in product(*nodes.values())]
    found = np.zeros((places, len(cases), len(spreads)))
    for place in range(places):
        rows = np.flatnonzero(np.asarray(months.place) == place)
        if len(rows) < FEWEST_MONTHS:
            continue
        rest = effects_of(variance, months, rows) + np.diag(noise_of(values, months, rows))
        unit = np.linalg.inv(np.linalg.cholesky(rest))  # what is not of the amplitude is made independent, of variance one
        residual = unit @ np.asarray(months.residual, float)[rows]
        for at, case in enumerate(cases):
            error = unit @ errors_of({**values, **case}, months, rows) @ unit.T
            given = likelihood_of_amplitudes(error, np.ones(len(rows)), residual, np.exp(LOG_AMPLITUDES))
            found[place, at] = logsumexp(given + prior, axis=1)
    return found.reshape(places, *(len(NODES[name]) for name in names))


def means(found: np.ndarray, weights: Sequence[np.ndarray], anchors: np.ndarray, width: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Posterior means of the unconstrained hyperparameters of a group for some weights of the places `[draw, name]`.

    Args:
        found: `evidence`.
        weights: of the places, for each draw.
        anchors: prior means `[draw, name]`.
        width: prior standard deviations `[name]`.
        names: of the group.
    """
    fine = [np.linspace(NODES[name][0], NODES[name][-1], FINE) for name in names]
    out = np.empty((len(weights), len(names)))
    for draw, (weight, anchor) in enumerate(zip(weights, anchors, strict=True)):
        total = np.tensordot(np.asarray(weight, float), found, 1)
        for axis, name in enumerate(names):
            total = CubicSpline(NODES[name], total, axis)(fine[axis])
        total = sum(np.ix_(*(-0.5 * ((one - mean) / sd) ** 2 for one, mean, sd in zip(fine, anchor, width, strict=True))), total)
        share = np.exp(total - total.max())
        for axis in range(len(names)):
            out[draw, axis] = np.moveaxis(share, axis, -1).reshape(-1, FINE).sum(0) @ fine[axis] / share.sum()
    return out
