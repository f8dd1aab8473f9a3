"""The days that a posterior was fitted to, as a sample, and how far other conditions are from them: the area of applicability.

Meyer & Pebesma 2021 (10.1111/2041-210X.13650): predictors are standardised by the days of the fit and weighted by their importance; the
dissimilarity of a day is its distance to the nearest day of the sample over the mean distance between days of the sample. Its threshold is
the largest dissimilarity of days of the sample to days of other towers (leave-tower-out, as the fit is judged), without outliers beyond
the upper quartile and 1.5 times the range between quartiles. Beyond it, nothing is known of how wrong the model is.

Importance is what a predictor does to the fluxes: the mean over days and draws of |dGPP| + |dRECO| where it is shifted by a tenth of its
standard deviation, in all days, so that soil water and running means respond. Plant types are no predictors here: those without a tower
are counted apart (`region.run.training_range`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax
import numpy as np

from hybridflux.inference.tower_residuals import kept_draws
from hybridflux.model.sequences import Sequences

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior

DAYS = 512
"""Days of the sample: each pixel and day of a map is compared with all of them."""
MOST_PLACES, MOST_DRAWS = 8, 8
"""Towers and draws that importance is found with, at most, where they are many.

Of an ensemble of 16 at eight European towers and six years, the importance of a predictor is off by up to 0.14 with 2 of the draws, 0.08
with 4 and 0.04 with 8. All take half a second, beside 5 s of compiling.
"""
SMALL = 1 << 22  # values of a flux, up to which all of them are looked at
STEP = 0.1  # standard deviations of a predictor
AT_ONCE = 1 << 22  # distances in memory


@dataclass(frozen=True)
class TrainingDays:
    """A sample of the days of a fit.

    Attributes:
        names: of the predictors, drivers and covariates that the model reads `[predictor]`.
        values: of the days `[day, predictor]`, in vocabulary units.
        place: index of the tower of each day among the places of the posterior `[day]`.
        mean: of each predictor over all measured days `[predictor]`.
        sd: of each, over these `[predictor]`.
        weight: importance of each, the largest one is 1 `[predictor]`.
        mean_distance: between days of the sample, weighted.
        threshold: dissimilarity beyond which a day is outside.
    """

    names: tuple[str, ...]
    values: np.ndarray
    place: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    weight: np.ndarray
    mean_distance: float
    threshold: float

    def scaled(self, values: np.ndarray) -> np.ndarray:
        """Predictors as they enter distances `[..., predictor]`, float32."""
        return ((values - self.mean) / self.sd * self.weight).astype(np.float32)

    def dissimilarity(self, values: np.ndarray) -> np.ndarray:
        """Dissimilarity of some conditions to the days of the fit.

        Args:
            values: of the predictors, in vocabulary units `[row, predictor]`.
        """
        return nearest(self.scaled(values), self.scaled(self.values)) / self.mean_distance

    def to_file(self) -> tuple[dict, dict[str, np.ndarray]]:
        """JSON types, and arrays."""
        about = {"names": list(self.names), "mean_distance": self.mean_distance, "threshold": self.threshold}
        return about, {name: getattr(self, name) for name in ("values", "place", "mean", "sd", "weight")}

    @classmethod
    def from_file(cls, about: dict, arrays: dict[str, np.ndarray]) -> TrainingDays:
        """What `to_file` gave."""
        return cls(tuple(about["names"]), **arrays, mean_distance=about["mean_distance"], threshold=about["threshold"])


def of_posterior(posterior: Posterior, sequences: Sequences, seed: int = 0) -> TrainingDays | None:
    """The sample of a fit; None where NEE was measured at fewer than two towers, so that no threshold can be found.

    Args:
        posterior: of the fit.
        sequences: of the fit.
        seed: of the sample.
    """
    names = predictors(posterior, sequences)
    observed = np.isfinite(sequences.targets["nee"]) if "nee" in sequences.targets else np.zeros((1, 1), bool)
    if not names or observed.any(axis=0).sum() < 2:
        return None
    rng, chosen = np.random.default_rng(seed), []
    places = np.flatnonzero(observed.any(axis=0))
    for share, at in enumerate(places.tolist()):  # each tower has as many days, as far as it has them
        days = np.flatnonzero(observed[:, at])
        each = DAYS // len(places) + (share < DAYS % len(places))
        chosen += [(day, at) for day in rng.choice(days, min(each, len(days)), replace=False)]
    day, place = np.array(chosen, int).reshape(-1, 2).T
    shape = observed.shape
    of = {name: np.broadcast_to(np.asarray(sequences.drivers[name], np.float32), shape) for name in names}
    values = np.stack([one[day, place] for one in of.values()], axis=1)
    mean, sd = (np.array([statistic(one[observed], dtype=float) for one in of.values()], np.float32) for statistic in (np.mean, np.std))
    sd = np.where(sd > 0, sd, np.float32(1.0))
    weight = importance(posterior, sequences, dict(zip(names, sd.tolist(), strict=True)))
    scaled = ((values - mean) / sd * weight).astype(np.float32)
    between = np.sqrt(np.maximum(squares(scaled, scaled), 0.0))
    mean_distance = max(float(between[np.triu_indices(len(between), 1)].mean()), 1e-12)
    apart = np.where(place[:, None] == place, np.inf, between).min(axis=1) / mean_distance
    return TrainingDays(names, values, place.astype(np.int32), mean, sd, weight, mean_distance, outlier_removed_maximum(apart))


def predictors(posterior: Posterior, sequences: Sequences) -> tuple[str, ...]:
    """Numbers among the drivers and covariates that the model reads."""
    return tuple(name for name in posterior.model.needs() if name in sequences.drivers and name != "plant_type")


def importance(posterior: Posterior, sequences: Sequences, sd: dict[str, float]) -> np.ndarray:
    """Importance of each predictor, the largest one is 1 `[predictor]`, float32.

    Of a fit of many days it is found with at most `MOST_DRAWS` of the draws, evenly spaced, at `MOST_PLACES` of the towers.

    Args:
        posterior: of the fit.
        sequences: of the fit.
        sd: predictor -> its standard deviation.
    """
    observed = np.isfinite(sequences.targets["nee"])
    kept = kept_draws(posterior.model)
    if len(kept) * observed.size > SMALL:
        places = np.flatnonzero(observed.any(axis=0))
        ends = np.linspace(0, len(kept) - 1, min(len(kept), MOST_DRAWS)).round().astype(int)  # of a stacked ensemble both kinds
        kept, places = kept[ends], places[:: -(-len(places) // MOST_PLACES)]
        here = sequences.select([sequences.places[place] for place in places])
    else:  # as `tower_residuals` has it, so that one program serves both
        here = sequences.select(sequences.places)
    few = posterior.pick(kept)
    seen = np.isfinite(here.targets["nee"])

    def fluxes(drivers):
        found = few.simulate(replace(here, drivers=drivers), key=jax.random.key(0))
        return np.stack([np.asarray(found[name])[:, seen] for name in ("gpp", "reco")])

    plain = fluxes(here.drivers)
    moved = [np.abs(fluxes({**here.drivers, name: here.drivers[name] + np.float32(STEP * of)}) - plain).mean() for name, of in sd.items()]
    return (np.array(moved) / max(*moved, 1e-12)).astype(np.float32)


def outlier_removed_maximum(values: np.ndarray) -> float:
    """The largest value that is no outlier: at most the upper quartile plus 1.5 times the range between quartiles.

    >>> outlier_removed_maximum(np.array([1.0, 2.0, 3.0, 4.0, 100.0]))
    4.0
    """
    low, high = np.quantile(values, [0.25, 0.75])
    return float(values[values <= high + 1.5 * (high - low)].max())


def nearest(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Distance of each row to the nearest of others `[row]`, float32."""
    found, step = np.empty(len(rows), np.float32), max(AT_ONCE // len(others), 1)
    for start in range(0, len(rows), step):
        found[start : start + step] = squares(rows[start : start + step], others).min(axis=1)
    return np.sqrt(np.maximum(found, 0.0))


def squares(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Squared distances `[row, other]`; below zero by rounding."""
    return (rows**2).sum(1)[:, None] - 2.0 * rows @ others.T + (others**2).sum(1)
