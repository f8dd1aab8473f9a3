"""How far a tower speaks for its neighbours: the correlation of population effects with distance, learned from the towers of a fit.

The effects of towers of one plant type are a Gaussian process over the ground (`model.effect_correlation`): length and nugget have a
posterior on a grid, from all parameters and plant types together, because pairs of one type nearer than a hundred km are few. Effects
enter as normal scores of their mean over the draws, so that a single odd tower does not decide; parameters count as independent. Where
towers stand far apart the result is the prior.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.special import ndtri

from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, physics_effects
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES

PRIOR_LENGTH, PRIOR_SD = 40_000.0, 0.8
"""Prior of the length [m], log-normal: e-folding length of daily errors of a biosphere model at European towers (Kountouris et al. 2015,
bg-12-7403), within a factor of five; Chevallier et al. 2012 (10.1029/2010GB003974) say up to 200 km."""
LENGTHS = np.geomspace(4_000.0, 400_000.0, 25)
NUGGETS = (np.arange(20) + 0.5) / 20  # uniform a priori
NEIGHBOURS = 100_000.0  # m; pairs that are counted
SAME = 50.0  # m; nearer towers of one plant type see one ecosystem, and how their effects differ would decide everything: one is counted
EARTH_RADIUS = 6.371e6  # m, mean


def learn(model: HybridFlux, sequences: Sequences) -> dict | None:
    """Length and nugget of the effects of places, as JSON types; None where nobody said where the towers are, or there are no effects.

    Args:
        model: with draws.
        sequences: of the fit.

    Returns:
        `length` [m] and `nugget`, which maps use, `quantiles` of both (50, 5 and 95 %), `pairs` of one plant type within 100 km; under
        `plant_types` the same for each that has such pairs, learned from its towers alone.
    """
    tables = [name for name, by in physics_effects(model).items() if by == "site"]
    kinds = sequences.drivers.get("plant_type")
    if not tables or kinds is None or sequences.latitude is None or sequences.longitude is None:
        return None
    kinds, scores = np.asarray(kinds, int), [_normal_scores(np.asarray(learned(model)[name]).mean(0)) for name in tables]
    away = distances(sequences.latitude, sequences.longitude)
    near = (kinds[:, None] == kinds[None, :]) & (away >= SAME) & (away < NEIGHBOURS)
    pairs = {int(code): int(near[kinds == code].sum() // 2) for code in np.unique(kinds)}
    evidence = {code: log_likelihood(away, scores, _ecosystems(away, np.flatnonzero(kinds == code))) for code in pairs}
    found = summary(np.sum(list(evidence.values()), axis=0)) | {"prior": summary(np.zeros(()))["quantiles"], "pairs": sum(pairs.values())}
    by_type = {PLANT_TYPES[code]: summary(evidence[code]) | {"pairs": count} for code, count in pairs.items() if count}
    return found | {"plant_types": by_type}


def distances(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Great-circle distances between places [m], `[place, place]`."""
    up, along = np.radians(latitude), np.radians(longitude)
    half = np.sin((up[:, None] - up) / 2) ** 2 + np.cos(up[:, None]) * np.cos(up) * np.sin((along[:, None] - along) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0)))


def log_likelihood(away: np.ndarray, scores: Iterable[np.ndarray], here: np.ndarray) -> np.ndarray:
    """Log likelihood of the effects of some places, less that of independent ones `[length, nugget]`.

    Args:
        away: distances of all places [m].
        scores: of each parameter, standard normal `[place]`.
        here: the places, of one plant type.
    """
    values = np.stack([one[here] for one in scores])
    found = np.zeros((len(LENGTHS), len(NUGGETS)))
    for row, length in enumerate(LENGTHS):
        correlation = np.array([sum(EffectCorrelation(length, nugget).parts(away[np.ix_(here, here)])) for nugget in NUGGETS])
        correlation += 1e-9 * np.eye(len(here))
        explained = (values.T * np.linalg.solve(correlation, values.T)).sum((1, 2)) - (values**2).sum()
        found[row] = -0.5 * (len(values) * np.linalg.slogdet(correlation)[1] + explained)
    return found


def _ecosystems(away: np.ndarray, here: np.ndarray) -> np.ndarray:
    """The first of the places that see the same ecosystem, of some places of one plant type."""
    return np.array([place for number, place in enumerate(here) if (away[place, here[:number]] >= SAME).all()])


def _normal_scores(values: np.ndarray) -> np.ndarray:
    """Standard normal numbers in the order of the values."""
    from scipy.stats import rankdata  # here: two thirds of a second, which every command that reads a posterior would wait

    return ndtri((rankdata(values) - 0.5) / len(values))


def summary(evidence: np.ndarray) -> dict:
    """Posterior means and quantiles, with the prior."""
    prior = -0.5 * (np.log(LENGTHS / PRIOR_LENGTH) / PRIOR_SD) ** 2
    share = np.exp(prior[:, None] + evidence - np.max(prior[:, None] + evidence)) * np.ones((1, len(NUGGETS)))
    share /= share.sum()
    by_length, by_nugget = share.sum(1), share.sum(0)
    quantiles = {
        name: [float(np.interp(level, np.cumsum(part) - 0.5 * part, values)) for level in (0.5, 0.05, 0.95)]
        for name, part, values in (("length", by_length, LENGTHS), ("nugget", by_nugget, NUGGETS))
    }
    length, nugget = float(np.exp(by_length @ np.log(LENGTHS))), float(by_nugget @ NUGGETS)
    rounded = {"length": [round(one, -2) for one in quantiles["length"]], "nugget": [round(one, 3) for one in quantiles["nugget"]]}
    return {"length": round(length, -2), "nugget": round(nugget, 3), "quantiles": rounded}
