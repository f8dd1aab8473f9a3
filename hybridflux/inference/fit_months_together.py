"""How much the structural error differs between places and plant types, how much comes again, how long it lasts, and what is of a year.

All monthly residuals of a tower together are Gaussian given its amplitude b (`model.structural_error.amplitude`):

    r ~ N(0, b^2 error + effects + measuring error)

with the full covariance of its months. Sums over a grid of amplitudes, and of the levels of plant types (`structural_error.prior_level`),
leave a likelihood of the spread of the logarithm of the amplitude between places of a plant type, of the share of the error of weeks that
comes again, of the memory of that and of the rest, of the part of a year, and of the years over which what comes again changes.
Periods one by one and their differences from the year before, which the other hyperparameters are fitted to (`error_hyperparameters`), say
nothing of the first and hardly move the others from their priors. The hyperparameters of one of `GROUPS` are learned at a time, given the
means of the others, and so is the level of each plant type, which the towers of that type decide. (Log likelihood of the 4270 months of the
51 towers of E12: amplitudes that differ add 1490, a share of 0.5 in place of 0.8 another 123 ± 30, by towers, two memories and a smaller
part of a year another 63 ± 21, levels of plant types another 10, and 13.5 ± 5.1 where each tower is predicted from the others, 11 of these
at crops; a pattern that changes over forty years in place of ten 45 ± 16 where each of the 48 towers without IT-Lav is predicted from
others, of which 32 are predicted better.)
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
from hybridflux.model.structural_error import LEVEL, prior_level
from hybridflux.vocabulary import PARAMETERS

SPREAD = "structural_amplitude"
GROUPS = (
    ("structural_recurring", SPREAD), ("structural_days", "structural_transient_days"), ("structural_year",),
    ("structural_recurring_days",),
)  # fmt: skip
"""Hyperparameters that are learned together."""
NODES = {
    "structural_recurring": np.linspace(-3.0, 3.0, 9), SPREAD: np.linspace(-4.0, 3.0, 15), "structural_days": np.linspace(-3.0, 3.0, 7),
    "structural_transient_days": np.linspace(-4.0, 2.0, 6), "structural_year": np.linspace(-6.0, 0.0, 7),
    "structural_recurring_days": np.linspace(-4.0, 3.0, 7),
}  # fmt: skip
"""Unconstrained values at which the likelihood is found; between them it is interpolated."""
ROUNDS = 2
LOG_AMPLITUDES = np.linspace(-4.0, 3.0, 141)
LEVELS = np.linspace(-2.5, 2.5, 51)
FINE = 121  # points of each, for the means


def learn(
    anchors: Mapping[str, np.ndarray],
    width: Mapping[str, float],
    weights: Sequence[np.ndarray],
    at: Mapping[str, float],
    months: Means,
    variance: np.ndarray,
    plant_types: np.ndarray,
    scores: np.ndarray,
    rounds: int = ROUNDS,
) -> dict[str, np.ndarray]:
    """Posterior means of the unconstrained hyperparameters of `GROUPS` `[draw]`, and of `LEVEL` `[draw, plant type]`, for some weights.

    Args:
        anchors: prior means, name -> `[draw]`; the first draw is the one that the groups have of each other.
        width: prior standard deviations, by name.
        weights: of the places, for each draw.
        at: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        plant_types: of the places, indices into PLANT_TYPES.
        scores: of the levels a priori, standard normal `[draw, plant type]`; 0 of the first draw.
        rounds: over the groups, of which the last is made for all draws.
    """
    values, found, every = dict(at), dict[str, np.ndarray](), np.broadcast_to(LEVELS, (len(plant_types), len(LEVELS)))
    for last in (False,) * (rounds - 1) + (True,):
        draws = slice(None if last else 1)
        for names in GROUPS:
            together = evidence(values, months, variance, every if SPREAD in names else found[LEVEL][0, plant_types, None], names)
            spreads = np.asarray(to_value(NODES[SPREAD], PARAMETERS[SPREAD]), float) if SPREAD in names else None
            totals = [total(together, weight, plant_types, spreads) for weight in weights[draws]]
            prior = np.stack([anchors[name] for name in names], axis=1)[draws]
            raw = means(totals, prior, np.array([width[name] for name in names]), names)
            found |= dict(zip(names, raw.T, strict=True))
            values |= {name: float(to_value(found[name][0], PARAMETERS[name])) for name in names}
            if SPREAD in names:
                alone = evidence(values, months, variance, every, ())
                found[LEVEL] = levels_of(alone, weights[draws], plant_types, values[SPREAD], scores[draws])
    return found


def evidence(values: Mapping[str, float], months: Means, variance: np.ndarray, levels: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Log likelihood of the months of each place at the `NODES` of a group and some levels, up to a constant; 0 of a place with few.

    Args:
        values: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        levels: of each place `[place, level]`.
        names: of the group; `SPREAD` is the last one if it is there.

    Returns:
        `[place, node, ..., level]`.
    """
    nodes = {name: np.asarray(to_value(NODES[name], PARAMETERS[name]), float) for name in names}
    spreads = nodes.pop(SPREAD, np.array([values[SPREAD]]))
    spreads = spreads[:, None, None]
    cases = [dict(zip(nodes, case, strict=True)) for case in product(*nodes.values())]
    found = np.zeros((len(levels), len(cases), len(spreads), levels.shape[1]))
    for place, of_type in enumerate(levels):
        rows = np.flatnonzero(np.asarray(months.place) == place)
        if len(rows) < FEWEST_MONTHS:
            continue
        prior = -0.5 * ((LOG_AMPLITUDES - of_type[:, None] + spreads**2) / spreads) ** 2
        prior -= logsumexp(prior, axis=-1, keepdims=True)
        given = given_amplitudes([{**values, **case} for case in cases], months, variance, rows)
        found[place] = logsumexp(given[:, None, None] + prior, axis=-1)
    return found.reshape(len(levels), *(len(NODES[name]) for name in names), levels.shape[1])


def given_amplitudes(cases: Sequence[Mapping[str, float]], months: Means, variance: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Log likelihood of months of a place at each of `LOG_AMPLITUDES` `[case, amplitude]`, up to a constant of all cases.

    Args:
        cases: hyperparameters of the structural error, which have the same measuring error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        rows: numbers of the months of the place.
    """
    rest = effects_of(variance, months, rows) + np.diag(noise_of(cases[0], months, rows))
    unit = np.linalg.inv(np.linalg.cholesky(rest))  # what is not of the amplitude is made independent, of variance one
    residual, ones = unit @ np.asarray(months.residual, float)[rows], np.ones(len(rows))
    errors = (unit @ errors_of(case, months, rows) @ unit.T for case in cases)
    return np.array([likelihood_of_amplitudes(error, ones, residual, np.exp(LOG_AMPLITUDES)) for error in errors])


def amplitudes(
    draws: Sequence[Mapping[str, float]], months: Means | None, variance: np.ndarray, level: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Draws of the amplitudes of places, given all their months `[draw, place]`; of a place with few those of its plant type.

    Args:
        draws: hyperparameters of the structural error.
        months: mean residuals; None where there are none.
        variance: of each population effect, in units of its prior.
        level: of the plant type of each place `[draw, place]`.
        shares: uniform random numbers: the shares of the posterior below the draws `[draw, place]`.
    """
    found = np.empty(shares.shape)
    for place in range(shares.shape[1]):
        rows = np.flatnonzero(np.asarray(months.place) == place) if months is not None else np.zeros(0, int)
        for draw, values in enumerate(draws):
            found_log = -0.5 * ((LOG_AMPLITUDES - level[draw, place] + values[SPREAD] ** 2) / values[SPREAD]) ** 2
            if months is not None and len(rows) >= FEWEST_MONTHS:
                found_log = found_log + given_amplitudes([values], months, variance, rows)[0]
            weight = np.exp(found_log - found_log.max())
            below = np.cumsum(weight) - 0.5 * weight
            found[draw, place] = np.exp(np.interp(shares[draw, place] * weight.sum(), below, LOG_AMPLITUDES))
    return found


def total(found: np.ndarray, weight: np.ndarray, plant_types: np.ndarray, spreads: np.ndarray | None) -> np.ndarray:
    """Log likelihood of all places at the nodes of a group `[node, ...]`, the levels of plant types summed over.

    Args:
        found: `evidence`, with `LEVELS` where spreads are given, or one level of each place.
        weight: of the places.
        plant_types: of the places.
        spreads: at the nodes of the last axis but one, or None.
    """
    if spreads is None:
        return np.tensordot(np.asarray(weight, float), found[..., 0], 1)
    prior = log_prior(spreads[:, None], 0.0)
    alike = [np.flatnonzero(plant_types == one) for one in np.unique(plant_types)]
    return sum(logsumexp(np.tensordot(np.asarray(weight, float)[here], found[here], 1) + prior, axis=-1) for here in alike)


def levels_of(found: np.ndarray, weights: Sequence[np.ndarray], plant_types: np.ndarray, spread: float, scores: np.ndarray) -> np.ndarray:
    """Posterior means of the levels of all plant types for some weights of the places `[draw, plant type]`.

    Args:
        found: `evidence` at `LEVELS`.
        weights: of the places, for each draw.
        plant_types: of the places.
        spread: `SPREAD`.
        scores: of the levels a priori `[draw, plant type]`.
    """
    levels = np.asarray(prior_level(spread, scores), float)  # of a type without towers
    for kind in np.unique(plant_types):
        here = plant_types == kind
        for draw, weight in enumerate(weights):
            share = np.asarray(weight, float)[here] @ found[here] + log_prior(spread, scores[draw, kind])
            share = np.exp(share - share.max())
            levels[draw, kind] = share @ LEVELS / share.sum()
    return levels


def log_prior(spread, score: float) -> np.ndarray:
    """Logarithm of the prior of a level at `LEVELS`, of which the mean has a score."""
    found = -0.5 * ((LEVELS - prior_level(spread, score)) / spread) ** 2
    return found - logsumexp(found, axis=-1, keepdims=True)


def means(totals: Sequence[np.ndarray], anchors: np.ndarray, width: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Posterior means of the unconstrained hyperparameters of a group `[draw, name]`.

    Args:
        totals: log likelihood at the nodes, of each draw.
        anchors: prior means `[draw, name]`.
        width: prior standard deviations `[name]`.
        names: of the group.
    """
    fine = [np.linspace(NODES[name][0], NODES[name][-1], FINE) for name in names]
    out = np.empty((len(totals), len(names)))
    for draw, (found, anchor) in enumerate(zip(totals, anchors, strict=True)):
        for axis, name in enumerate(names):
            found = CubicSpline(NODES[name], found, axis)(fine[axis])
        found = sum(np.ix_(*(-0.5 * ((one - mean) / sd) ** 2 for one, mean, sd in zip(fine, anchor, width, strict=True))), found)
        share = np.exp(found - found.max())
        for axis in range(len(names)):
            out[draw, axis] = np.moveaxis(share, axis, -1).reshape(-1, FINE).sum(0) @ fine[axis] / share.sum()
    return out
