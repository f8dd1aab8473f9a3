"""How wrong the model is where it was not fitted: structural error and population spread from the residuals of left-out towers.

Residuals around the centre of the population are averaged over periods, and the hyperparameters of the error are learned from these means
(`error_hyperparameters`). A tower that a draw was fitted to says less than one it left out: the centre of the population follows it. As
many towers as that centre takes up say nothing, and the residuals of all are enlarged accordingly (Bessel's correction).

A prediction has the departures of the draws from their mean beside the structural error. The residual of one draw holds its own departure
too, and the error that is learned from it would count the spread of the draws a second time. So twice their variance is given: once for
the draw that was looked at, once for the draws that are predicted.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.inference.error_hyperparameters import SPREAD_SD, Effects, hyperparameters, log_density, summary_of
from hybridflux.inference.mean_residuals import Means, Record, departures_at_centre, judged, means_of_places, site_populations
from hybridflux.inference.measuring_error import measuring_error
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.structural_error import CENTRE_VALUES, StructuralError

TWICE = 2.0
"""Variances of the draws in the residual of a draw beside what the structural error of a prediction has to be."""
ORIGIN = {False: "of draws that left the tower out", True: "of draws that were fitted to the tower"}
_log_density = jax.jit(log_density)


class Densities(NamedTuple):
    """Log predictive densities of mean residuals at towers that the draw had not seen, in the order of length, place and time.

    Attributes:
        log_density: up to a constant that no model changes `[period]`.
        place: index of the place `[period]`.
        weight: those of a place sum to one, or less where it was seen for less than a year `[period]`.
    """

    log_density: np.ndarray
    place: np.ndarray
    weight: np.ndarray


class Learned(NamedTuple):
    """Prior and residuals taken together.

    Attributes:
        error: draws of the structural error.
        spread: leaf of the spread of a population -> draws.
        summary: JSON types: medians, 5 and 95 %, and how often central intervals of each period held the residuals.
        unseen: how well towers were predicted by draws that left them out; None where all draws saw all.
    """

    error: StructuralError
    spread: dict[str, np.ndarray]
    summary: dict
    unseen: Densities | None = None


def centre_takes(model: HybridFlux, plant_types: np.ndarray) -> float:
    """Towers that the centre of the population follows: one, or one a plant type where the model knows types."""
    by_type = any("plant_type" in source.reads() for source in model.sources.values() if learned(source))
    return float(len(np.unique(plant_types))) if by_type else 1.0


def evidence(model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None) -> tuple[np.ndarray, float]:
    """What each tower counts `[place]`, and the factor of its residuals.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None where every draw was fitted to every tower.
    """
    seen = np.isfinite(sequences.targets["nee"]).any(axis=0) if "nee" in sequences.targets else np.zeros(len(sequences.places), bool)
    towers = seen.sum()
    if left_out is not None or not towers:
        return seen.astype(float), 1.0
    taken = centre_takes(model, sequences.plant_types[seen])
    if taken >= towers:
        return np.zeros(len(seen)), 1.0
    return seen * (1.0 - taken / towers), float(((towers + CENTRE_VALUES) / (towers - taken)) ** 0.5)


def learn(
    model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None, seed: int, predicted: HybridFlux | None = None
) -> Learned:
    """Structural error and population spreads: the prior, and what the towers add.

    Args:
        model: with draws.
        sequences: of the fit.
        left_out: `[draw, place]`, or None; see `mean_residuals.judged`. Without it the spreads of the populations are those of the draws.
        seed: of the resampling of towers.
        predicted: the model whose draws a prediction has, where these are more than those of `model`: of two kinds (`inference.stacking`).
    """
    weight, enlarged = evidence(model, sequences, left_out)
    sites, held = site_populations(model), left_out is None
    records, apart = _records(model, sequences, left_out, predicted or model) if weight.any() else ([], 0)
    means = [one._replace(residual=enlarged * one.residual) for one in means_of_places(records)] if records else []
    observed = np.any([np.isfinite(values).any(axis=0) for values in sequences.targets.values()], axis=0)
    spreads = np.array([0.5 * float(jnp.median(learned(model)[one.sd])) for one in sites])  # log sd over its prior median
    of_sites = (spreads, np.zeros(len(sites))) if held else (np.zeros(len(sites)), np.full(len(sites), SPREAD_SD))
    effects = Effects(*(np.r_[one, np.full(apart, of)] for one, of in zip(of_sites, (0.5 * np.log(TWICE), 0.0), strict=True)))
    measuring = measuring_error([record for _, record in records])
    found = hyperparameters(means, weight, int(observed.sum()), effects, sequences.plant_types, seed, measuring=measuring)
    spreads_of = {} if held else {one.sd: 2.0 * found.log_sd[:, at] for at, one in enumerate(sites)}
    about = {"residuals": "none: the prior alone" if not means else ORIGIN[held]}
    kinds = np.unique(sequences.plant_types[observed]) if sequences.has_plant_types else None
    summary = summary_of(found, weight, about, [one.effect for one in sites], kinds)
    whole = found.whole
    unseen = None if held or whole is None else _densities(np.asarray(_log_density(np.asarray(found.everyone, np.float32), whole)), means)
    error = found.error if sequences.has_plant_types else found.error.of_one_kind()
    return Learned(error, spreads_of, summary, unseen)


def _records(
    model: HybridFlux, sequences: Sequences, left_out: np.ndarray | None, predicted: HybridFlux
) -> tuple[list[tuple[int, Record]], int]:
    """Residuals of the places, the departures of draws from their mean beside the effects; and how many departures there are."""
    apart = departures_at_centre(predicted, sequences)
    return [(one.place, beside(one.of_nee(), apart[..., one.place])) for one in judged(model, sequences, left_out)], len(apart)


def beside(record: Record, apart: np.ndarray) -> Record:
    """A record with the departures of draws among what makes its flux differ `[draw, time]`."""
    return record._replace(slopes=np.concatenate([record.slopes, apart]))


def _densities(density: np.ndarray, means: list[Means]) -> Densities:
    """In an order that does not depend on who left out whom."""
    length, place = np.repeat(np.arange(len(means)), [len(one.place) for one in means]), np.concatenate([one.place for one in means])
    order = np.lexsort((place, length))
    weight = np.concatenate([np.asarray(one.share) for one in means]) / len(means)
    return Densities(density[: len(order)][order], place[order], weight[order])
