"""How much the amplitude of the structural error differs between places, and how much of it comes again every year.

All monthly residuals of a tower together are Gaussian given its amplitude b (`model.structural_error.amplitude`):

    r ~ N(0, b^2 error + effects + measuring error)

with the full covariance of its months. Sums over a grid of amplitudes leave a likelihood of two hyperparameters: the spread of the
logarithm of the amplitude between places, and the share of the error of weeks that comes again. Periods one by one and their differences
from the year before, which the other hyperparameters are fitted to (`fit_structural_error`), say nothing of the first and hardly move the
second from its prior. (Log likelihood of the 4270 months of the 51 towers of E12: amplitudes that differ add 1490, a share of 0.5 in place
of 0.8 another 123 ± 30, by towers.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.interpolate import RectBivariateSpline
from scipy.special import logsumexp

from hybridflux.inference.mean_residuals import Means
from hybridflux.inference.month_covariance import FEWEST_MONTHS, effects_of, errors_of, noise_of
from hybridflux.model.sources import to_value
from hybridflux.model.structural_covariance import likelihood_of_amplitudes
from hybridflux.vocabulary import PARAMETERS

LEARNED = ("structural_recurring", "structural_amplitude")
NODES = np.linspace(-3.0, 3.0, 9), np.linspace(-4.0, 3.0, 15)
"""Unconstrained values of `LEARNED` at which the likelihood is found; between them it is interpolated."""
LOG_AMPLITUDES = np.linspace(-4.0, 3.0, 141)
FINE = 121  # points of each, for the means


def evidence(values: Mapping[str, float], months: Means, variance: np.ndarray, places: int) -> np.ndarray:
    """Log likelihood of the months of each place at `NODES` `[place, recurring, amplitude]`, up to a constant; 0 of a place with few.

    Args:
        values: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        places: how many there are.
    """
    found = np.zeros((places, len(NODES[0]), len(NODES[1])))
    recurring, spreads = (np.asarray(to_value(nodes, PARAMETERS[name]), float) for nodes, name in zip(NODES, LEARNED, strict=True))
    away = (LOG_AMPLITUDES + spreads[:, None] ** 2) / spreads[:, None]
    prior = -0.5 * away**2
    prior -= logsumexp(prior, axis=1, keepdims=True)
    for place in range(places):
        rows = np.flatnonzero(np.asarray(months.place) == place)
        if len(rows) < FEWEST_MONTHS:
            continue
        none, all_of_it = (errors_of({**values, "structural_recurring": share}, months, rows) for share in (0.0, 1.0))
        rest = effects_of(variance, months, rows) + np.diag(noise_of(values, months, rows))
        root = np.linalg.cholesky(rest)  # what is not of the amplitude is made independent, of variance one
        none, all_of_it = (np.linalg.solve(root, np.linalg.solve(root, part).T) for part in (none, all_of_it))
        residual = np.linalg.solve(root, np.asarray(months.residual, float)[rows])
        for at, share in enumerate(recurring):
            error = (1.0 - share) * none + share * all_of_it
            given = likelihood_of_amplitudes(error, np.ones(len(rows)), residual, np.exp(LOG_AMPLITUDES))
            found[place, at] = logsumexp(given + prior, axis=1)
    return found


def means(found: np.ndarray, weights: Sequence[np.ndarray], anchors: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Posterior means of the unconstrained `LEARNED` for some weights of the places `[draw, 2]`.

    Args:
        found: `evidence`.
        weights: of the places, for each draw.
        anchors: prior means `[draw, 2]`.
        width: prior standard deviations `[2]`.
    """
    fine = [np.linspace(nodes[0], nodes[-1], FINE) for nodes in NODES]
    out = np.empty((len(weights), 2))
    for draw, (weight, anchor) in enumerate(zip(weights, anchors, strict=True)):
        total = RectBivariateSpline(*NODES, np.tensordot(np.asarray(weight, float), found, 1))(*fine)
        for axis in (0, 1):
            prior = -0.5 * ((fine[axis] - anchor[axis]) / width[axis]) ** 2
            total = total + (prior[:, None] if axis == 0 else prior)
        share = np.exp(total - total.max())
        out[draw] = [(share.sum(1 - axis) @ fine[axis]) / share.sum() for axis in (0, 1)]
    return out
