"""A posterior: the fitted model with a draw axis on everything learned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray

from hybridflux.inference import archive
from hybridflux.inference.batch import Indices, names_of
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import is_daily
from hybridflux.model.store import from_spec, to_spec
from hybridflux.model.tree import draw_axes, learned, over_draws, parameters_over_draws, pooled_effects, with_learned
from hybridflux.vocabulary import PLANT_TYPES

NOISE_OF = {"gpp": "nee", "reco": "nee"}  # partitioned fluxes carry the error of the NEE they were made from


@dataclass(frozen=True)
class Posterior:
    """Draws of a model.

    Attributes:
        model: the model, a leading draw axis on each learned leaf.
        indices: the places and years of the fit.
        chains: how many chains the draws come from, in order.
        stats: per draw, e.g. `diverging`, `lp`; `[draw]`.
        info: method, settings, diagnostics, provenance; JSON types.
        observed: what the fit was compared with, `[day, place]`; written, not read back.
    """

    model: HybridFlux
    indices: Indices
    chains: int = 1
    stats: Mapping[str, np.ndarray] = field(default_factory=dict)
    info: Mapping = field(default_factory=dict)
    observed: Mapping[str, xr.DataArray] = field(default_factory=dict)

    @property
    def draws(self) -> int:
        """How many draws."""
        return next(iter(learned(self.model).values())).shape[0]

    @property
    def places(self) -> tuple[str, ...]:
        """The places of the fit."""
        return self.indices.places

    def thin(self, draws: int) -> Posterior:
        """Exactly `draws` draws: evenly spaced, or each repeated when there are fewer (members of an ensemble).

        Repeated draws still differ in the effects of new places.
        """
        pick = np.linspace(0, self.draws - 1, draws).round().astype(int) if draws <= self.draws else np.arange(draws) % self.draws
        values = {name: leaf[pick] for name, leaf in learned(self.model).items()}
        return replace(
            self, model=with_learned(self.model, values), chains=1, stats={name: value[pick] for name, value in self.stats.items()}
        )

    def at(self, sequences: Sequences, *, key: PRNGKeyArray) -> HybridFlux:
        """The stacked model with the effects of other places: known ones keep theirs, new ones draw from the population."""
        here, there = self.indices, Indices.of(sequences)
        known = np.array([here.places.index(place) if place in here.places else -1 for place in there.places])
        in_years = np.array([here.years.index(year) if year in here.years else -1 for year in there.years])
        known_year = np.where((known[:, None] >= 0) & (in_years >= 0), known[:, None] * len(here.years) + in_years, -1).reshape(-1)
        rows = {"site": known, "site_year": known_year}
        tables = {}
        for number, (path, by) in enumerate(pooled_effects(self.model).items()):
            fitted = learned(self.model)[path]
            fresh = jax.random.normal(jax.random.fold_in(key, number), (self.draws, len(rows[by])))
            tables[path] = jnp.where(rows[by] >= 0, fitted[:, np.maximum(rows[by], 0)], fresh)
        return with_learned(self.model, tables)

    def predict(
        self, sequences: Sequences, *, key: PRNGKeyArray, noise: bool = False, variables=("nee", "gpp", "reco")
    ) -> dict[str, Array]:
        """Draws of fluxes `[draw, time, place]`, gC m-2 d-1, NEE positive to the atmosphere.

        Args:
            sequences: drivers of the places.
            key: random key of the effects of new places and of the noise.
            noise: add observation errors (the spread named `predictive`), else the spread is `parameter+random_effects`.
            variables: which fluxes.
        """
        effects, errors = jax.random.split(key)
        names = {name: jnp.asarray(values) for name, values in names_of(self.model, sequences).items()}
        known = {name: jnp.asarray(np.nan_to_num(values)) for name, values in sequences.uncertainty.items()} if noise else {}
        return _predict(self.at(sequences, key=effects), names, known, jax.random.split(errors, self.draws), noise, tuple(variables))

    def save(self, path: str | Path) -> None:
        """Write one netCDF file in the ArviZ schema; `Posterior.load` gives the same posterior back."""
        spec = to_spec(self.model)
        leaves = {name: np.asarray(leaf) for name, leaf in learned(self.model).items()}
        header = {
            "spec": spec,
            "learned": sorted(leaves),
            "places": list(self.indices.places),
            "years": list(self.indices.years),
            "info": dict(self.info),
        }
        archive.write(path, archive.Contents(leaves, self.chains, dict(self.stats), header), self.parameter_draws(), self.observed)

    @classmethod
    def load(cls, path: str | Path) -> Posterior:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is not a posterior of this version.
        """
        leaves, chains, stats, header = archive.read(path)
        model = with_learned(from_spec(header["spec"]), {name: jnp.asarray(leaf) for name, leaf in leaves.items()})
        return cls(model, Indices(tuple(header["places"]), tuple(header["years"])), chains, stats, header["info"])

    def parameter_draws(self) -> dict[str, np.ndarray]:
        """Values of learned parameters that do not change by day, at the centre of the population: `[draw]` or `[draw, plant_type]`."""
        return _physical(self.model)

    def prior_draws(self, draws: int = 2000, seed: int = 0) -> dict[str, np.ndarray]:
        """The same from the prior."""
        key = jax.random.key(seed)
        leaves = learned(self.model)
        values = {
            name: jax.random.normal(jax.random.fold_in(key, number), (draws, *leaf.shape[1:]))
            for number, (name, leaf) in enumerate(leaves.items())
        }
        return _physical(with_learned(self.model, values))


@eqx.filter_jit
def _predict(model, names, known, keys, noise: bool, variables: tuple[str, ...]):
    def one(model_and_key):
        draw, key = model_and_key
        fluxes = draw.fluxes(names)
        if not noise:
            return {name: fluxes[name] for name in variables}
        observed = {}
        for number, name in enumerate(variables):
            error = draw.noise.get(name, draw.noise[NOISE_OF.get(name, "nee")])
            observed[name] = error.sample(jax.random.fold_in(key, number), fluxes[name], known.get(name, jnp.zeros(())))
        return observed

    return eqx.filter_vmap(one, in_axes=((draw_axes(model), 0),))((model, keys))


def _physical(model: HybridFlux) -> dict[str, np.ndarray]:
    static = [
        name
        for name, source in model.sources.items()
        if learned(source) and not any(is_daily(n) for n in source.reads() if n != "site_year")
    ]
    static = [name for name in static if set(model.sources[name].reads()) <= {"plant_type", "site", "site_year"}]
    names = {"plant_type": np.arange(len(PLANT_TYPES)), "site": np.full(1, -1), "site_year": np.full(1, -1)}
    values = {name: np.asarray(value) for name, value in parameters_over_draws(model, names, only=static).items()}
    for kind, noise in model.noise.items():
        for name in noise.sources:
            if learned(noise.sources[name]):
                values[f"{name}.{kind}"] = np.asarray(
                    over_draws(model, partial(lambda one, kind, name: one.noise[kind].parameter(name), kind=kind, name=name))
                )
    return {name: value[:, 0] if value.ndim == 2 and value.shape[1] == 1 else value for name, value in values.items()}
