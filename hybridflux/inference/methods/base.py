"""What all methods share: from a composed model and sequences to a `Posterior`."""

from __future__ import annotations

import time
import warnings
from abc import abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from hybridflux.inference.batch import Batch, Indices, batch, covariate_ranges, plant_types_at_towers
from hybridflux.inference.posterior import Posterior
from hybridflux.inference.structure import learn
from hybridflux.model.covariates import scaled
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.store import to_spec
from hybridflux.model.tree import with_learned, with_places
from hybridflux.provenance import provenance

Progress = Callable[[int, int, str], None]


class Drawn(NamedTuple):
    """What a method gives back.

    Attributes:
        leaves: name -> draws `[draw, ...]`.
        chains: chains the draws come from, in order.
        stats: name -> `[draw]`.
        diagnostics: JSON types.
        concerns: sentences for the user; empty when all is well.
        left_out: `[draw, place]`, towers a draw was not fitted to; None where all saw all.
    """

    leaves: dict[str, Array]
    chains: int
    stats: dict[str, np.ndarray]
    diagnostics: dict
    concerns: tuple[str, ...]
    left_out: np.ndarray | None = None


class InferenceWarning(UserWarning):
    """The posterior should not be trusted as it is."""


class AbstractMethod(eqx.Module):
    """A way to get a posterior."""

    @abstractmethod
    def draw(self, model: HybridFlux, data: Batch, key: PRNGKeyArray, progress: Progress) -> Drawn:
        """Draws of everything learned in `model`, given `data`."""

    def fit(self, model: HybridFlux, sequences: Sequences, *, seed: int = 0, progress: Progress | None = None) -> Posterior:
        """Fit a model to towers.

        Args:
            model: a composed model.
            sequences: drivers and targets of the towers.
            seed: of all randomness; recorded.
            progress: called with (done, all, message).

        Returns:
            The posterior, its places and what the method says of itself. Bad convergence is an `InferenceWarning` and stays in `info`.

        Raises:
            ValueError: no target was measured, or a draw is not finite.
        """
        began = time.perf_counter()
        indices = Indices.of(sequences)
        model = scaled(with_places(model, indices.sizes()), sequences.drivers)
        data = batch(model, sequences)
        counts = {name: int(measured.sum()) for name, measured in data.measured.items()}
        if not sum(counts.values()):
            raise ValueError(
                f"none of {', '.join(counts)} was measured at {', '.join(sequences.places)}; check years, sites and quality limit"
            )
        drawn = self.draw(model, data, jax.random.key(seed), progress or (lambda done, total, message: None))
        for name, values in drawn.leaves.items():
            if not np.all(np.isfinite(values)):
                raise ValueError(f"`{name}` is not finite after the fit; lower the learning rate or fix this parameter")
        for concern in drawn.concerns:
            warnings.warn(concern, InferenceWarning, stacklevel=2)
        info = {
            "method": type(self).__name__,
            "settings": {name: value for name, value in vars(self).items() if isinstance(value, int | float | str)},
            "seed": seed,
            "observed_days": counts,
            "ranges": covariate_ranges(model, sequences),
            "plant_types": plant_types_at_towers(sequences),
            "diagnostics": drawn.diagnostics,
            "concerns": list(drawn.concerns),
            "left_out": _left_out(drawn.left_out, indices.places),
            "seconds": round(time.perf_counter() - began, 2),
        }
        info["provenance"] = provenance({"method": info["method"], **info["settings"], "model": to_spec(model)}, seed)
        coords = {"day": sequences.days.astype("datetime64[ns]"), "place": list(sequences.places)}
        observed = {name: xr.DataArray(sequences.targets[name], coords, ("day", "place")) for name in counts}
        posterior = Posterior(with_learned(model, drawn.leaves), indices, drawn.chains, drawn.stats, info, observed)
        told = learn(posterior.model, sequences, drawn.left_out, seed)
        if told is None:
            return posterior
        info |= {"structural_error": told.summary, "seconds": round(time.perf_counter() - began, 2)}
        return posterior.with_structure(told.error, told.spread if drawn.left_out is not None else {})


def _left_out(away: np.ndarray | None, places: tuple[str, ...]) -> dict[str, list[int]]:
    """Place -> numbers of the draws that were not fitted to it; empty where all draws saw all places."""
    return {} if away is None else {place: np.flatnonzero(away[:, at]).tolist() for at, place in enumerate(places)}
