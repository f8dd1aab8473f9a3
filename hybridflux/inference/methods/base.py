"""What all methods share: from a composed model and sequences to a `Posterior`."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from dataclasses import Field, fields, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from hybridflux.inference import (
    fit_effect_correlation,
    fit_gross_error,
    fit_site_discrepancy,
    fit_structural_correlation,
    tower_residuals,
    training_days,
)
from hybridflux.inference.batch import Batch, Indices, batch, covariate_ranges, plant_types_at_towers, warm_up_days, with_longer_warm_up
from hybridflux.inference.checks import at_bounds, check_fit
from hybridflux.inference.fit_structural_error import Learned, learn
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.stacking import stack
from hybridflux.inference.towers_beside import joined, without_beside
from hybridflux.model.covariates import scaled
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import with_learned, with_places
from hybridflux.model.sequences import Sequences
from hybridflux.model.spec import to_spec
from hybridflux.model.stacked import KINDS, NETWORK, Stacked
from hybridflux.progress import Progress
from hybridflux.provenance import provenance
from hybridflux.vocabulary import PLANT_TYPES


class Drawn(NamedTuple):
    """What a method gives back.

    Attributes:
        leaves: name -> draws `[draw, ...]`.
        chains: chains the draws come from, in order.
        stats: name -> `[draw]`.
        diagnostics: JSON types.
        concerns: sentences for the user; empty when all is well.
        left_out: `[draw, place]`, towers a draw was not fitted to, without places behind the last one with a measurement; None where all
            saw all.
    """

    leaves: dict[str, Array]
    chains: int
    stats: dict[str, np.ndarray]
    diagnostics: dict
    concerns: tuple[str, ...]
    left_out: np.ndarray | None = None


def setting(default, *, least: int = 1, share: bool = False):
    """A field of a method whose range is not the usual one.

    Args:
        default: its value where none is given.
        least: of a whole number.
        share: whether a number lies between 0 and 1.
    """
    return eqx.field(default=default, metadata={"least": least, "share": share})


def check_setting(method: str, field: Field, value) -> None:
    """Refuse a setting that is not of the kind of its default, or out of range.

    Raises:
        ValueError: it names the method, the setting, the value and what is allowed.
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    match field.default:
        case bool():
            good, wanted = isinstance(value, bool | np.bool_), "true or false"
        case str():
            good, wanted = isinstance(value, str) and bool(value), "a text"
        case int():
            least = field.metadata.get("least", 1)
            good, wanted = number and isinstance(value, int | np.integer) and value >= least, f"a whole number from {least} on"
        case _:
            most, wanted = (1.0, "between 0 and 1") if field.metadata.get("share") else (np.inf, "a positive number")
            good = number and 0.0 < value < most
    if not good:
        raise ValueError(f"{method}: `{field.name}` = {str(value)[:30]} is not {wanted}")


class InferenceWarning(UserWarning):
    """The posterior should not be trusted as it is."""


class AbstractMethod(eqx.Module):
    """A way to get a posterior: a subclass has `draw`, and `fit` does the rest.

    Its fields are its settings, each with a default that says its kind: whole numbers from 1 on, positive numbers, texts, true or false;
    `setting` gives another range.

    Attributes:
        composition: named model that is fitted where none is named (`model.compositions`).
    """

    composition: ClassVar[str] = "static"

    def __check_init__(self):
        for field in fields(self):
            check_setting(type(self).__name__, field, getattr(self, field.name))

    @abstractmethod
    def draw(self, model: HybridFlux, data: Batch, key: PRNGKeyArray, progress: Progress) -> Drawn:
        """Draws of everything learned in `model`, given `data`."""

    def fit(
        self, model: HybridFlux, sequences: Sequences, *, seed: int = 0, progress: Progress | None = None, beside: Sequences | None = None
    ) -> Posterior:
        """Fit a model to towers.

        Args:
            model: a composed model. Of a stacked one each kind is fitted for itself; then their shares are found (`inference.stacking`).
            sequences: drivers and targets of the towers.
            seed: of all randomness; recorded.
            progress: called with (done, all, message).
            beside: towers of other regions, to which the networks of a stacked model are fitted too (`inference.towers_beside`); they are
                no places of the posterior.

        Returns:
            The posterior, its places and what the method says of itself. Bad convergence is an `InferenceWarning` and stays in `info`.

        Raises:
            ValueError: before the first step, the model cannot be saved, a place is there twice, no target was measured, or towers beside
                are named for a model without networks beside its process members; after the last, a draw is not finite.
        """
        notify = progress or (lambda done, total, message: None)
        if beside is not None and not isinstance(model, Stacked):
            raise ValueError("only the networks of a stacked model learn from towers beside those of the fit; take `stacked`")
        if not isinstance(model, Stacked):
            return _remembering(self._fit(model, sequences, seed, notify)[0], sequences)
        of_networks = sequences if beside is None else joined(sequences, beside)
        found = {}
        for number, (kind, one) in enumerate(model.kinds().items()):
            of_kind = of_networks if kind == NETWORK else sequences
            found[kind] = self._fit(one, of_kind, seed, partial(_of_kind, notify, number, kind))
        if beside is not None:
            found[NETWORK] = without_beside(found[NETWORK], sequences)
        return _remembering(stack(found, sequences, seed), sequences)

    def _fit(self, model: HybridFlux, sequences: Sequences, seed: int, progress: Progress) -> tuple[Posterior, Learned]:
        """The posterior of a model of one kind, and what residuals at its towers say."""
        began = time.perf_counter()
        counts, notes = check_fit(model, sequences, seed)
        indices = Indices.of(sequences)
        model = scaled(with_places(model, indices.sizes()), sequences.drivers)
        data = batch(model, sequences)
        drawn = self.draw(model, data, jax.random.key(seed), progress)
        while (longer := with_longer_warm_up(model, sequences, data, drawn.leaves)) is not None:
            progress(0, 1, f"the memory of the fitted model is longer than {warm_up_days(data)} days: fitting again with a longer warm-up")
            data, drawn = longer, self.draw(model, longer, jax.random.key(seed), progress)
        for name, values in drawn.leaves.items():
            if not np.all(np.isfinite(values)):
                raise ValueError(f"`{name}` is not finite after the fit; lower the learning rate or fix this parameter")
        away = _of_all_places(drawn.left_out, len(indices.places))
        fitted = Posterior(with_learned(model, drawn.leaves), indices, drawn.chains, drawn.stats)
        plant_types = np.asarray(sequences.drivers.get("plant_type", np.zeros(0, int)))
        concerns = [*notes, *drawn.concerns, *at_bounds(fitted, plant_types)]
        for concern in concerns:
            warnings.warn(concern, InferenceWarning, stacklevel=5)
        info: dict[str, Any] = {
            "method": type(self).__name__,
            "settings": {field.name: _plain(field.default, getattr(self, field.name)) for field in fields(self)},
            "seed": int(seed),
            "observed_days": counts,
            "places": places_of(sequences, counts),
            "left_out": dict(sequences.left_out),
            "sensors": {name: dataset for name, dataset in sequences.sensors.items() if name in model.needs()},
            "ranges": covariate_ranges(model, sequences),
            "plant_types": plant_types_at_towers(sequences),
            "warm_up_days": warm_up_days(data),
            "diagnostics": drawn.diagnostics,
            "concerns": concerns,
            "draws_without": _draws_without(away, indices.places),
        }
        config = {"method": info["method"], **info["settings"], "model": to_spec(model)}
        info["provenance"] = provenance(config, seed, {"sequences": sequences})
        coords = {"day": sequences.days.astype("datetime64[ns]"), "place": list(sequences.places)}
        observed = {name: xr.DataArray(sequences.targets[name], coords, ("day", "place")) for name in counts}
        posterior = replace(fitted, info=info, observed=observed)
        structure = learn(posterior.model, sequences, away, seed)
        effects = fit_effect_correlation.learn(posterior.model, sequences)
        errors = fit_structural_correlation.learn(posterior.model, sequences, away, structure, effects)
        info |= {"effect_correlation": effects, "structural_correlation": errors}
        info |= {"structural_error": structure.summary, "seconds": round(time.perf_counter() - began, 2)}
        return posterior.with_structure(structure.error, structure.spread), structure


def _remembering(posterior: Posterior, sequences: Sequences) -> Posterior:
    """With what a map needs of the towers of the fit, a prediction at one of them, and one of GPP and RECO elsewhere."""
    training = training_days.of_posterior(posterior, sequences)
    residuals = tower_residuals.of_posterior(posterior, sequences)
    discrepancy, of_known = fit_site_discrepancy.of_posterior(posterior, sequences)
    gross, of_gross = fit_gross_error.of_posterior(posterior, sequences)
    about = {"error_of_known_places": of_known, "structural_error_of_gross_fluxes": of_gross}
    info = {**posterior.info, **{name: one for name, one in about.items() if one is not None}}
    return replace(posterior, residuals=residuals, training=training, discrepancy=discrepancy, gross=gross, info=info)


def _of_kind(progress: Progress, number: int, kind: str, done: int, total: int, message: str) -> None:
    """Progress of the fit of one of the kinds of a stacked model."""
    progress(number * total + done, len(KINDS) * total, f"{kind} members: {message}")


def _plain(default: Any, value: Any) -> Any:
    """A setting as the type of its default, which JSON knows."""
    return type(default)(value)


def places_of(sequences: Sequences, counts: dict[str, int]) -> dict[str, dict]:
    """Plant type, coordinates, measured days of each target, first and last year of each place, as JSON types."""
    years = sequences.days.astype("datetime64[Y]").astype(int) + 1970
    types, found = sequences.drivers.get("plant_type"), {}
    located = {name: of for name in ("latitude", "longitude") if (of := getattr(sequences, name)) is not None}
    for at, place in enumerate(sequences.places):
        seen = {name: np.isfinite(sequences.targets[name][:, at]) for name in counts}
        measured = years[np.any(list(seen.values()), axis=0)]
        found[place] = {
            "plant_type": None if types is None else PLANT_TYPES[int(types[at])],
            **{name: round(float(of[at]), 6) for name, of in located.items()},
            "days": {name: int(days.sum()) for name, days in seen.items()},
            "years": [int(measured.min()), int(measured.max())] if len(measured) else [],
        }
    return found


def _of_all_places(away: np.ndarray | None, places: int) -> np.ndarray | None:
    """Who left out whom `[draw, place]`, with the places at the end that nothing was measured at: no draw left them out."""
    return None if away is None else np.pad(away, ((0, 0), (0, places - away.shape[1])))


def _draws_without(away: np.ndarray | None, places: tuple[str, ...]) -> dict[str, list[int]]:
    """Place -> numbers of the draws that were not fitted to it; empty where all draws saw all places."""
    return {} if away is None else {place: np.flatnonzero(away[:, at]).tolist() for at, place in enumerate(places)}
