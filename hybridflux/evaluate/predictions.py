"""Predictions at towers, one tower in memory at a time; scores, figures and residuals are made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from hybridflux.inference.checks import warn_of_sensors
from hybridflux.inference.conditioned_error import UNUSED
from hybridflux.model.sequences import Sequences

if TYPE_CHECKING:
    from hybridflux.inference.posterior import Posterior


class Prediction(NamedTuple):
    """The prediction of a posterior at one tower.

    Attributes:
        tower: sequences of that tower alone.
        draws: flux -> predictive draws `[draw, time, 1]`, structural and measurement errors included [gC m-2 d-1].
        point: flux -> mean of the draws without these errors `[time, 1]`.
        known: whether the draws were fitted to the tower.
    """

    tower: Sequences
    draws: dict[str, np.ndarray]
    point: dict[str, np.ndarray]
    known: bool


def predictions(
    posterior: Posterior, sequences: Sequences, *, variables: Sequence[str], draws: int, seed: int = 0, left_out: bool = False,
    residuals: str = UNUSED,
) -> Iterator[Prediction]:
    """Predict each tower.

    Args:
        posterior: fitted posterior.
        sequences: sequences of the towers.
        variables: fluxes.
        draws: number of draws for each tower; fewer draws of the posterior are repeated with other errors.
        seed: seed of population effects and errors.
        left_out: predict towers of the fit as unseen, by the draws that were not fitted to them (members of an ensemble leave out towers
            in turn); towers without such draws are passed over.
        residuals: as of `Posterior.predict`; then `point` of towers of the fit has the mean of the structural error too. Where they are
            unused, these towers have their discrepancy.
    """
    warn_of_sensors(posterior.info.get("sensors", {}), sequences.sensors, "these towers", "give them reflectance of that dataset")
    key, thinned = jax.random.key(seed), posterior.thin(draws)
    away = posterior.info.get("draws_without", {})
    for number, place in enumerate(sequences.places):
        here, of_place, fitted = sequences.select([place]), jax.random.fold_in(key, number), thinned
        named = here
        if left_out:
            if not away.get(place):
                continue
            fitted = posterior.pick(away[place]).thin(draws)
            named = replace(here, places=(f"{place}, left out",))  # a name the posterior does not know: its effects are drawn anew
        known = named.places[0] in posterior.places
        exact, noisy = (
            fitted.simulate(
                named, key=of_place, noise=noise, variables=tuple(variables), residuals=of_draws, discrepancy=of_draws == UNUSED
            )
            for noise, of_draws in ((False, residuals if known else UNUSED), (True, residuals))  # elsewhere the error has no mean
        )
        point = {name: np.mean(np.asarray(values), axis=0) for name, values in exact.items()}
        yield Prediction(here, {name: np.asarray(values) for name, values in noisy.items()}, point, known)
