"""What the structural error of all places of a plant type has in common: the level of its amplitude, and shares, partially pooled.

The logarithm of the level and the logit of a share are normal between plant types (`structural_error.prior_level`, `BETWEEN_TYPES`). The
log likelihoods of the places of a type, summed at each pair of a level and a share, give both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit

from hybridflux.model.structural_error import BETWEEN_TYPES, prior_level

LEVELS = np.linspace(-2.5, 2.5, 51)
FINE = 61  # logits of a share between the nodes


@dataclass(frozen=True)
class Trait:
    """A share that differs between plant types.

    Attributes:
        nodes: logits at which the likelihood is found; between them it is interpolated.
        apply: hyperparameters that all types have, and the share -> those that it changes.
        share: of these hyperparameters themselves.
    """

    nodes: np.ndarray
    apply: Callable[[Mapping[str, float], float], Mapping[str, float]]
    share: Callable[[Mapping[str, float]], float]

    def values(self, everywhere: Mapping[str, float], raw: float) -> dict[str, float]:
        """Hyperparameters that a plant type of a logit has in place of those of all types."""
        return {name: float(value) for name, value in self.apply(everywhere, float(expit(raw))).items()}

    def centre(self, everywhere: Mapping[str, float]) -> float:
        """Logit about which those of the plant types lie."""
        return float(logit(self.share(everywhere)))

    @property
    def fine(self) -> np.ndarray:
        """Logits between the nodes."""
        return np.linspace(self.nodes[0], self.nodes[-1], FINE)

    def of_places(self, weight: np.ndarray, found: np.ndarray) -> np.ndarray:
        """Log likelihood of some places together at the logits `fine` `[logit, ...]`, from that of each at the nodes.

        Args:
            weight: of the places.
            found: log likelihood of each `[place, node, ...]`.
        """
        of_type = np.tensordot(weight, found, 1)
        return np.tensordot(interpolation(tuple(self.nodes), tuple(self.fine)), of_type, 1)


@lru_cache(32)
def interpolation(nodes: tuple[float, ...], fine: tuple[float, ...]) -> np.ndarray:
    """Shares that the values at nodes have in those of a cubic spline between them `[fine, node]`."""
    return CubicSpline(nodes, np.eye(len(nodes)))(fine)


def prior_share(centre, score):
    """Logit of a share of a plant type that nobody measured, for a standard normal score; numpy or jax."""
    return centre + BETWEEN_TYPES * score


def total(trait: Trait, found: np.ndarray, weight: np.ndarray, plant_types: np.ndarray, spreads: np.ndarray) -> np.ndarray:
    """Log likelihood of all places, level and share of each plant type summed over `[centre at the nodes, spread]`.

    Args:
        trait: the share.
        found: log likelihood of each place `[place, node, spread, level]`, at `LEVELS`.
        weight: of the places.
        plant_types: of the places.
        spreads: of the logarithm of the amplitude within a type.
    """
    of_level = log_prior(LEVELS, prior_level(spreads[:, None], 0.0), spreads[:, None])
    of_share = log_prior(trait.fine, prior_share(trait.nodes[:, None], 0.0), BETWEEN_TYPES)
    summed = np.zeros((len(trait.nodes), len(spreads)))
    for here in (plant_types == one for one in np.unique(plant_types)):
        of_type = log_sum(trait.of_places(np.asarray(weight, float)[here], found[here]) + of_level)  # [logit, spread]
        summed += log_sum(of_share[:, None] + of_type.T)
    return summed


def means(
    trait: Trait, found: np.ndarray, weights: Sequence[np.ndarray], plant_types: np.ndarray, spread: float, centre: float,
    level_scores: np.ndarray, share_scores: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Posterior means of the levels and of the logits of a share of all plant types for some weights of the places `[draw, plant type]`.

    Args:
        trait: the share.
        found: log likelihood of each place `[place, node, level]`, at `LEVELS`.
        weights: of the places, for each draw.
        plant_types: of the places.
        spread: of the logarithm of the amplitude within a type.
        centre: logit about which those of the plant types lie.
        level_scores: of the levels a priori, standard normal `[draw, plant type]`.
        share_scores: of the logits a priori.
    """
    levels, shares = prior_level(spread, np.asarray(level_scores, float)), prior_share(centre, np.asarray(share_scores, float))
    found_levels, found_shares = levels.copy(), shares.copy()  # of a type without towers
    for kind in np.unique(plant_types):
        here = plant_types == kind
        for draw, weight in enumerate(weights):
            density = trait.of_places(np.asarray(weight, float)[here], found[here])
            density = density - 0.5 * ((trait.fine - shares[draw, kind]) / BETWEEN_TYPES)[:, None] ** 2
            density = density - 0.5 * ((LEVELS - levels[draw, kind]) / spread) ** 2
            density = np.exp(density - density.max())
            found_shares[draw, kind] = density.sum(axis=1) @ trait.fine / density.sum()
            found_levels[draw, kind] = density.sum(axis=0) @ LEVELS / density.sum()
    return found_levels, found_shares


def log_prior(at: np.ndarray, mean, sd) -> np.ndarray:
    """Logarithm of a normal prior at some values, normalised along the last axis."""
    found = -0.5 * ((at - mean) / sd) ** 2
    return found - np.expand_dims(log_sum(found), -1)


def log_sum(logarithms: np.ndarray) -> np.ndarray | np.floating:
    """Logarithm of the sum along the last axis of numbers whose logarithms are given and finite.

    As `scipy.special.logsumexp`, which takes ten times as long for small arrays.
    """
    largest = logarithms.max(axis=-1, keepdims=True)
    return np.log(np.exp(logarithms - largest).sum(axis=-1)) + largest[..., 0]
