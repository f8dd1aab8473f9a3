"""Error of a model at a place that it knows, in years that it does not.

Fluxes of a known place have its discrepancy (`model.site_discrepancy`). What is left of the error is smaller than at a place that nobody
measured, hardly comes again next year, and differs between fluxes. It is a structural error of its own (`model.structural_error`) for NEE,
GPP and RECO each, whose amplitude at a place is known from what the place measured. The draws of a known place differ by more than their
mean errs, because members of an ensemble err in different ways: each is moved towards their mean before the error is added. All of this is
learned from years that were left out of the discrepancy (`inference.fit_known_place_error`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hybridflux.model.structural_error import StructuralError
from hybridflux.vocabulary import CARBON


class KnownPlaceError(eqx.Module):
    """Draws of the error of each flux.

    Attributes:
        error: flux -> hyperparameters.
        amplitude: flux -> of the places of a fit `[draw, place]`.
        departure: flux -> part of its departure from the mean of all draws that a draw keeps `[draw]`; 1 in files of earlier versions.
    """

    error: Mapping[str, StructuralError]
    amplitude: Mapping[str, ArrayLike]
    departure: Mapping[str, ArrayLike]

    def at(self, places: Sequence[int], draws: int) -> KnownPlaceError:
        """Some places, by their numbers among those of the fit, and as many draws as asked for, in turn."""
        count = jnp.shape(self.amplitude[CARBON[0]])[0]
        of_draw = np.arange(draws) % count
        amplitude = {name: jnp.asarray(np.asarray(one)[of_draw][:, np.asarray(places)]) for name, one in self.amplitude.items()}
        departure = {name: jnp.asarray(np.asarray(one)[of_draw]) for name, one in self.departure.items()}
        return KnownPlaceError({name: one.of_draws(draws) for name, one in self.error.items()}, amplitude, departure)

    def around(self, name: str, flux: Array, mean: Array) -> Array:
        """A flux of one draw, moved towards the mean of all draws; the mean keeps its value where all keep the same part."""
        return mean + jnp.asarray(self.departure[name]) * (flux - mean)

    def sample(
        self, name: str, key: PRNGKeyArray, flux: Array, activity: Array, known: Array, plant_type: ArrayLike | None = None
    ) -> Array:
        """What a tower could have measured of a flux, for one draw; arguments as of `StructuralError.sample`."""
        return self.error[name].sample_of_amplitude(key, flux, activity, known, jnp.asarray(self.amplitude[name]), plant_type)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For a file."""
        rows = {f"error_of_{flux}.{name}": np.asarray(raw) for flux, one in self.error.items() for name, raw in one.raw.items()}
        rows |= {f"error_of_{flux}.amplitude": np.asarray(one) for flux, one in self.amplitude.items()}
        return rows | {f"error_of_{flux}.departure": np.asarray(one) for flux, one in self.departure.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> KnownPlaceError | None:
        """What `to_arrays` gave, among others; None where it is not there: files of before."""
        found: dict[str, dict[str, np.ndarray]] = {}
        for name, values in arrays.items():
            flux, dot, rest = name.removeprefix("error_of_").partition(".")
            if dot:
                found.setdefault(flux, {})[rest] = values
        if not found:
            return None
        amplitude = {flux: rows.pop("amplitude") for flux, rows in found.items()}
        departure = {flux: rows.pop("departure", np.ones(len(amplitude[flux]), np.float32)) for flux, rows in found.items()}
        return cls({flux: StructuralError(rows) for flux, rows in found.items()}, amplitude, departure)
