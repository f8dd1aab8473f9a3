"""How the structural error differs between places and plant types, how much comes again, how long it lasts, and what is of a year.

All monthly residuals of a tower together are Gaussian given its amplitude b (`model.structural_error.amplitude`):

    r ~ N(0, b^2 error + effects + measuring error)

with the full covariance of its months. Sums over a grid of amplitudes, and of what belongs to plant types (`plant_type_error`), leave a
likelihood of the spread of the logarithm of the amplitude between places of a plant type, of the share of the error of weeks that comes
again, of the memory of that and of the rest, of the part of a year, and of the years over which what comes again changes.
Periods one by one and their differences from the year before, which the other hyperparameters are fitted to (`error_hyperparameters`), say
nothing of the first and hardly move the others from their priors. What belongs to plant types and the hyperparameters of each of `GROUPS`
are learned in turn, given the means of the others. (Log likelihood of the 4270 months of the 51 towers of E12: amplitudes that differ add
1490, a share of 0.5 in place of 0.8 another 123 ± 30, by towers, two memories and a smaller part of a year another 63 ± 21, levels of plant
types another 10, and 13.5 ± 5.1 where each tower is predicted from the others, 11 of these at crops. Where each of the 48 towers without
IT-Lav is predicted from others: a pattern that changes over forty years in place of ten 45 ± 16, a share that comes again of each plant
type 32 ± 16, of which 27 at crops, and on top of it a growth with activity of each type 221 ± 89, without the two mixed forests 125 ± 46,
of which 76 at conifers and 40 at crops.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np

from hybridflux.inference import plant_type_error
from hybridflux.inference.mean_residuals import Means
from hybridflux.inference.month_covariance import FEWEST_MONTHS, effects_of, errors_of, noise_of
from hybridflux.inference.place_amplitude import likelihood_of_amplitudes
from hybridflux.inference.plant_type_error import LEVELS, Trait, log_prior, log_sum
from hybridflux.model.sources import to_value
from hybridflux.model.structural_error import FLOOR_SHARE, LEVEL, RECURRING, StructuralError, floor_share, of_floor_share
from hybridflux.vocabulary import PARAMETERS

SPREAD, SHARE = "structural_amplitude", "structural_recurring"
TOGETHER = (SHARE, SPREAD)
GROUPS = (TOGETHER, ("structural_days", "structural_transient_days"), ("structural_year",), ("structural_recurring_days",))
"""Hyperparameters that are learned together."""
NODES = {
    SHARE: np.linspace(-3.0, 3.0, 9), SPREAD: np.linspace(-4.0, 3.0, 15), "structural_days": np.linspace(-3.0, 3.0, 7),
    "structural_transient_days": np.linspace(-4.0, 2.0, 6), "structural_year": np.linspace(-6.0, 0.0, 7),
    "structural_recurring_days": np.linspace(-4.0, 3.0, 7),
}  # fmt: skip
"""Unconstrained values at which the likelihood is found; between them it is interpolated."""
TRAITS = {
    FLOOR_SHARE: Trait(np.linspace(-5.0, 5.0, 15), of_floor_share, floor_share),
    RECURRING: Trait(NODES[SHARE], lambda values, share: {SHARE: share}, lambda values: values[SHARE]),
}
"""What differs between plant types beside the level of the amplitude."""
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
    plant_types: np.ndarray,
    scores: Mapping[str, np.ndarray],
    rounds: int = ROUNDS,
) -> dict[str, np.ndarray]:
    """Posterior means of the unconstrained hyperparameters of `GROUPS` `[draw]`, and of what belongs to plant types `[draw, plant type]`.

    Args:
        anchors: prior means, name -> `[draw]`; the first draw is the one that the groups have of each other.
        width: prior standard deviations, by name.
        weights: of the places, for each draw.
        at: hyperparameters of the structural error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        plant_types: of the places, indices into PLANT_TYPES.
        scores: of what belongs to plant types a priori, standard normal, name -> `[draw, plant type]`; 0 of the first draw.
        rounds: over the groups, of which the last is made for all draws.
    """
    values, found, every = dict(at), dict[str, np.ndarray](), np.broadcast_to(LEVELS, (len(plant_types), len(LEVELS)))

    def here(*free: str) -> list[dict[str, float]]:
        """Values at each place, with what its plant type is known to have."""
        rows = [dict(values) for _ in plant_types]
        for name in set(TRAITS) & set(found) - set(free):
            for row, kind in zip(rows, plant_types, strict=True):
                row |= TRAITS[name].values(values, found[name][0, kind])
        return rows

    def learn_types(name: str, draws: slice) -> None:
        trait = TRAITS[name]
        cases = [[row | trait.values(values, node) for node in trait.nodes] for row in here(name)]
        together = evidence(cases, months, variance, every, np.array([values[SPREAD]]))[:, :, 0]
        prior = trait.centre(values), scores[LEVEL][draws], scores[name][draws]
        found[LEVEL], found[name] = plant_type_error.means(trait, together, weights[draws], plant_types, values[SPREAD], *prior)

    for last in (False,) * (rounds - 1) + (True,):
        draws = slice(None if last else 1)
        learn_types(FLOOR_SHARE, draws)
        for names in GROUPS:
            first = names == TOGETHER
            nodes = [np.asarray(to_value(NODES[name], PARAMETERS[name]), float) for name in names]
            spreads = nodes.pop() if first else np.array([values[SPREAD]])
            alone = names[: len(nodes)]
            cases = [[row | dict(zip(alone, case, strict=True)) for case in product(*nodes)] for row in here(*(RECURRING,) * first)]
            levels = every if first else found[LEVEL][0, plant_types, None]
            together = evidence(cases, months, variance, levels, spreads)
            if first:
                summed = [plant_type_error.total(TRAITS[RECURRING], together, weight, plant_types, spreads) for weight in weights[draws]]
            else:
                shape = tuple(map(len, nodes))
                summed = [np.tensordot(np.asarray(weight, float), together[:, :, 0, 0], 1).reshape(shape) for weight in weights[draws]]
            prior = np.stack([anchors[name] for name in names], axis=1)[draws]
            raw = means(summed, prior, np.array([width[name] for name in names]), names)
            found |= dict(zip(names, raw.T, strict=True))
            values |= {name: float(to_value(found[name][0], PARAMETERS[name])) for name in names}
            if first:
                learn_types(RECURRING, draws)
    return found


def evidence(
    cases: Sequence[Sequence[Mapping[str, float]]], months: Means, variance: np.ndarray, levels: np.ndarray, spreads: np.ndarray
) -> np.ndarray:
    """Log likelihood of the months of each place `[place, case, spread, level]`, up to a constant; 0 of a place with few.

    Args:
        cases: hyperparameters of the structural error, of each place as many.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        levels: of each place `[place, level]`.
        spreads: values of `SPREAD`.
    """
    spreads = np.asarray(spreads, float)[:, None, None]
    prior = cache(lambda of_type: log_prior(LOG_AMPLITUDES, np.array(of_type)[:, None] - spreads**2, spreads))
    found = np.zeros((len(levels), len(cases[0]), len(spreads), levels.shape[1]))
    for place, (of_place, of_type) in enumerate(zip(cases, levels, strict=True)):
        rows = np.flatnonzero(np.asarray(months.place) == place)
        if len(rows) < FEWEST_MONTHS:
            continue
        found[place] = log_means(given_amplitudes(of_place, months, variance, rows), prior(tuple(of_type)))
    return found


def log_means(given: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Logarithms of the means of likelihoods over the amplitude `[case, spread, level]`.

    Args:
        given: log likelihood at each amplitude `[case, amplitude]`.
        prior: logarithms of the probabilities of the amplitudes `[spread, level, amplitude]`.
    """
    largest = given.max(axis=-1, keepdims=True)
    mean = np.tensordot(np.exp(given - largest), np.exp(prior), (-1, -1))
    with np.errstate(divide="ignore"):
        found = np.log(mean) + largest[..., None]
    case, spread, level = np.nonzero(mean < np.finfo(float).tiny)  # likelihood and prior lie far apart
    found[case, spread, level] = log_sum(given[case] + prior[spread, level])
    return found


def given_amplitudes(cases: Sequence[Mapping[str, float]], months: Means, variance: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Log likelihood of months of a place at each of `LOG_AMPLITUDES` `[case, amplitude]`, up to a constant of their number.

    Args:
        cases: hyperparameters of the structural error, which have the same measuring error.
        months: mean residuals.
        variance: of each population effect, in units of its prior.
        rows: numbers of the months of the place.
    """
    rest = effects_of(variance, months, rows) + np.diag(noise_of(cases[0], months, rows))
    root = np.linalg.cholesky(rest)
    unit = np.linalg.inv(root)  # what is not of the amplitude is made independent, of variance one
    residual, ones = unit @ np.asarray(months.residual, float)[rows], np.ones(len(rows))
    errors = unit @ errors_of(cases, months, rows) @ unit.T
    found = likelihood_of_amplitudes(errors, ones, residual, np.exp(LOG_AMPLITUDES))
    return found - np.log(np.diag(root)).sum()


def amplitudes(
    error: StructuralError, plant_types: np.ndarray, months: Means | None, variance: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Draws of the amplitudes of places, given all their months `[draw, place]`; of a place with few those of its plant type.

    Args:
        error: draws of the hyperparameters.
        plant_types: of the places, indices into PLANT_TYPES.
        months: mean residuals; None where there are none.
        variance: of each population effect, in units of its prior.
        shares: uniform random numbers: the shares of the posterior below the draws `[draw, place]`.
    """
    found = np.empty(shares.shape)
    for place, kind in enumerate(plant_types):
        rows = np.flatnonzero(np.asarray(months.place) == place) if months is not None else np.zeros(0, int)
        of_type = error.of_type(int(kind))
        for draw in range(len(shares)):
            values = {name: float(one[draw]) for name, one in of_type.items()}
            found_log = -0.5 * ((LOG_AMPLITUDES - values[LEVEL] + values[SPREAD] ** 2) / values[SPREAD]) ** 2
            if months is not None and len(rows) >= FEWEST_MONTHS:
                found_log = found_log + given_amplitudes([values], months, variance, rows)[0]
            weight = np.exp(found_log - found_log.max())
            below = np.cumsum(weight) - 0.5 * weight
            found[draw, place] = np.exp(np.interp(shares[draw, place] * weight.sum(), below, LOG_AMPLITUDES))
    return found


def means(totals: Sequence[np.ndarray], anchors: np.ndarray, width: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Posterior means of the unconstrained hyperparameters of a group `[draw, name]`.

    Args:
        totals: log likelihood at the nodes, of each draw.
        anchors: prior means `[draw, name]`.
        width: prior standard deviations `[name]`.
        names: of the group.
    """
    fine = [np.linspace(NODES[name][0], NODES[name][-1], FINE) for name in names]
    splines = [plant_type_error.interpolation(tuple(NODES[name]), tuple(one)) for name, one in zip(names, fine, strict=True)]
    out = np.empty((len(totals), len(names)))
    for draw, (found, anchor) in enumerate(zip(totals, anchors, strict=True)):
        for axis, spline in enumerate(splines):
            found = np.moveaxis(np.tensordot(spline, found, (1, axis)), 0, axis)
        found = sum(np.ix_(*(-0.5 * ((one - mean) / sd) ** 2 for one, mean, sd in zip(fine, anchor, width, strict=True))), found)
        share = np.exp(found - found.max())
        for axis in range(len(names)):
            out[draw, axis] = np.moveaxis(share, axis, -1).reshape(-1, FINE).sum(0) @ fine[axis] / share.sum()
    return out
