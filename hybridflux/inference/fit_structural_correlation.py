"""How far the structural error at one tower speaks for its neighbours: the correlation of residuals with distance.

For each pair of towers of one plant type nearer than 300 km the monthly residuals of draws that left them out are Gaussian, with the
covariance of `model.structural_covariance` and of the effects of places within a tower, and rho times the same between the two. Each pair
gives a likelihood of rho, pairs count as independent, and length and nugget (`model.effect_correlation`) have a posterior on the grid and
under the prior of those of effects. Each tower's covariance is scaled to its own residuals, so that a tower that errs much does not decide.

Regions use the posterior means. Draws of both in their place would hardly change an interval: with 79 km (50 to 122) and a nugget of
.58 (.48 to .69) the 90 % interval of a neighbour 2 to 80 km away, or of a region that averages out what belongs to single ecosystems, gets
at most 1.1 % wider or narrower, and with a nugget drawn from the prior 1 %, because the variance of a mixture is that of its mean.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hybridflux.inference import fit_effect_correlation as of_effects
from hybridflux.inference.fit_structural_error import Learned
from hybridflux.inference.mean_residuals import Means, residual_means, site_populations
from hybridflux.inference.month_covariance import FEWEST_MONTHS, MONTHS, effects_of, errors_of, noise_of
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences

NEIGHBOURS = 300_000.0  # m; pairs that are counted
RHO = np.linspace(0.0, 0.95, 12)


def learn(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None, found: Learned, effects: Mapping | None) -> dict | None:
    """Length and nugget of the structural error, as JSON types; None where nothing is known of places or residuals.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None, where there are no residuals of towers that were left out, and the result is the prior.
        found: structural error and spreads of the populations.
        effects: what was learned of the correlation of effects.

    Returns:
        As `fit_effect_correlation.learn`, without plant types.
    """
    if effects is None or sequences.latitude is None or sequences.longitude is None:
        return None
    away = of_effects.distances(sequences.latitude, sequences.longitude)
    kinds = np.asarray(sequences.drivers["plant_type"], int)
    pairs = np.argwhere(np.triu((kinds[:, None] == kinds) & (away >= of_effects.SAME) & (away < NEIGHBOURS), 1))
    evidence, counted = np.zeros((len(of_effects.LENGTHS), len(of_effects.NUGGETS))), 0
    if left_out is not None and len(pairs) and "nee" in sequences.targets:
        near = np.unique(pairs)
        few = sequences.select([sequences.places[place] for place in near])
        months = residual_means(model, few, left_out[:, near])[MONTHS]
        spreads = [np.median(found.spread.get(one.sd, 0.0)) for one in site_populations(model)]
        variance = np.exp(np.asarray(spreads, float))  # `Pooled`: a spread is twice the logarithm of the sd over its prior median
        alike = EffectCorrelation(effects["length"], effects["nugget"])
        for one, other in pairs:
            at, values = away[one, other], {name: float(np.median(each)) for name, each in found.error.of_type(int(kinds[one])).items()}
            curve = of_pair(values, months, variance, np.searchsorted(near, (one, other)), float(sum(alike.parts(at))))
            if curve is not None:
                counted += 1
                evidence += np.array([[np.interp(correlation_at(length, nugget, at), RHO, curve) for nugget in of_effects.NUGGETS]
                                      for length in of_effects.LENGTHS])  # fmt: skip
    return of_effects.summary(evidence) | {"prior": of_effects.summary(np.zeros(()))["quantiles"], "pairs": counted}


def correlation_at(length: float, nugget: float, distance: float) -> float:
    """Correlation at a distance [m]."""
    return float(sum(EffectCorrelation(length, nugget).parts(np.array(distance))))


def of_pair(values: Mapping[str, float], months: Means, variance: np.ndarray, pair: np.ndarray, alike: float) -> np.ndarray | None:
    """Log likelihood of the residuals of two towers at each of `RHO`, less that at zero; None where months are few.

    Args:
        values: hyperparameters of the structural error.
        months: of all towers.
        variance: of each population effect.
        pair: numbers of the two towers.
        alike: correlation of their effects.
    """
    rows = [np.flatnonzero(months.place == place) for place in pair]
    if min(map(len, rows)) < FEWEST_MONTHS:
        return None
    at, split = np.concatenate(rows), len(rows[0])
    error, effects = errors_of([values], months, at)[0], effects_of(variance, months, at)
    residual, own = np.asarray(months.residual, float)[at], np.zeros((len(at), len(at)), bool)
    own[:split, :split] = own[split:, split:] = True
    alone = error + effects + np.diag(noise_of(values, months, at))
    scale = np.empty(len(at))
    for part in (slice(None, split), slice(split, None)):
        here_only = alone[part, part]
        scale[part] = np.sqrt(residual[part] @ np.linalg.solve(here_only, residual[part]) / len(here_only))
    found = []
    for rho in RHO:
        root = np.linalg.cholesky(np.where(own, alone, rho * error + alike * effects))
        explained = np.linalg.solve(root, residual / scale)
        found.append(-np.log(np.diag(root)).sum() - 0.5 * explained @ explained)
    return np.array(found) - found[0]
