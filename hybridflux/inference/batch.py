"""From sequences to what a likelihood eats: single days where nothing learned acts on the memory, else windows of days, or whole series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.inference.windows import Windows, chosen
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.rollout import remembers
from hybridflux.model.sequences import Sequences
from hybridflux.vocabulary import PLANT_TYPES


class Batch(NamedTuple):
    """Drivers, covariates (and states, if they are known) with targets, all of one shape or broadcasting.

    Attributes:
        names: drivers, covariates, indices and perhaps states.
        targets: name of an observation -> values, 0 where not measured.
        measured: the same -> where it was measured.
        known: the same -> known random error, 0 where unknown.
        before: what the memory reads on the days of the warm-up of each window `[day, window]`; empty for whole series, which begin with
            their spin-up, and for days.
        score_noise: target -> standard normals `[member, 2, ...]` that randomise the slopes of its fluxes and of their error scales
            (`joint.randomised`); empty where nothing is randomised.
    """

    names: dict[str, Array]
    targets: dict[str, Array]
    measured: dict[str, Array]
    known: dict[str, Array]
    before: dict[str, Array] = {}
    score_noise: dict[str, Array] = {}


@dataclass(frozen=True)
class Indices:
    """Rows of the population effects: places, and places x years.

    Attributes:
        places: names of the places, row of `site`.
        years: calendar years, `site_year = site * len(years) + year - years[0]`.
    """

    places: tuple[str, ...]
    years: tuple[int, ...]

    @classmethod
    def of(cls, sequences: Sequences) -> Indices:
        """The rows of a set of sequences."""
        years = sequences.days.astype("datetime64[Y]").astype(int) + 1970
        return cls(sequences.places, tuple(range(int(years.min()), int(years.max()) + 1)))

    def sizes(self) -> dict[str, int]:
        """Rows of each table of effects."""
        return {"site": len(self.places), "site_year": len(self.places) * len(self.years)}

    def lookup(self, sequences: Sequences) -> dict[str, np.ndarray]:
        """Index arrays of sequences with the same places and years: `site` `[place]`, `site_year` `[time, place]`."""
        site = np.arange(len(self.places), dtype=np.int32)
        year = (sequences.days.astype("datetime64[Y]").astype(int) + 1970 - self.years[0]).astype(np.int32)
        return {"site": site, "site_year": site[None, :] * np.int32(len(self.years)) + year[:, None]}


def covariate_ranges(model: HybridFlux, sequences: Sequences) -> dict[str, list[float]]:
    """Lowest and highest value of every covariate and driver that something learned reads, over all places and days of the fit.

    A map counts the pixels that lie outside: there a network is asked about what it has not seen.
    """
    read = dict.fromkeys(name for source in model.sources.values() if learned(source) for name in source.reads())
    values = {name: np.asarray(sequences.drivers[name]) for name in read if name in sequences.drivers and name != "plant_type"}
    return {name: [float(np.nanmin(found)), float(np.nanmax(found))] for name, found in values.items()}


def plant_types_at_towers(sequences: Sequences) -> dict[str, int] | None:
    """Plant type -> number of towers with an observed day of any target: of other types a fit has seen nothing.

    A map counts their pixels as outside the training of the model. None where the sequences do not say the plant types.
    """
    if "plant_type" not in sequences.drivers:
        return None
    observed = np.any([np.isfinite(values).any(axis=0) for values in sequences.targets.values()], axis=0)
    kinds = np.broadcast_to(np.asarray(sequences.drivers["plant_type"], int), observed.shape)[observed]
    return {PLANT_TYPES[kind]: int(count) for kind, count in zip(*np.unique(kinds, return_counts=True), strict=True)}


def names_of(model: HybridFlux, sequences: Sequences) -> dict[str, np.ndarray]:
    """Drivers, covariates and indices a model needs of sequences, with what observation operators read where it is there.

    Raises:
        ValueError: the model needs a driver or covariate the sequences do not have.
    """
    there = {**sequences.drivers, **Indices.of(sequences).lookup(sequences)}
    asked = dict.fromkeys((*model.needs(), *(name for one in model.observed.values() for name in one.reads())))
    missing = [name for name in asked if name not in there]
    if missing:
        raise ValueError(f"the model needs {', '.join(missing)}, which these sequences do not have; ask for them when opening the towers")
    extra = [name for name in dict.fromkeys((*model.needs_at_towers(), "tair", "site")) if name in there and name not in asked]
    return {name: there[name] for name in (*asked, *extra)}


def memory_is_known(model: HybridFlux) -> bool:
    """Whether no learned parameter acts on the states, so that they can be computed once."""
    return not any(learned(source) for name, source in model.sources.items() if name in remembers(model))


def series(model: HybridFlux, sequences: Sequences) -> Batch:
    """All days of all places `[time, place]`."""
    targets = {name: sequences.targets[name] for name in model.observed if name in sequences.targets}
    if not targets:
        raise ValueError(f"the model is compared with {', '.join(model.observed)}, which these sequences do not have")
    known = {name: np.nan_to_num(sequences.uncertainty.get(name, np.zeros(1, np.float32))) for name in targets}
    return Batch(
        names={name: jnp.asarray(values) for name, values in names_of(model, sequences).items()},
        targets={name: jnp.asarray(np.nan_to_num(values), jnp.float32) for name, values in targets.items()},
        measured={name: jnp.asarray(np.isfinite(values)) for name, values in targets.items()},
        known={name: jnp.asarray(values, jnp.float32) for name, values in known.items()},
    )


def days(model: HybridFlux, sequences: Sequences) -> Batch:
    """Only the days with a target, `[row]`, with the states of a model whose memory is known."""
    whole = series(model, sequences)
    fixed = with_learned(model, jax.tree.map(jnp.zeros_like, learned(model)))
    states = jax.jit(lambda names: fixed.states(names))(whole.names)
    shape = (len(sequences.days), len(sequences.places))
    keep = np.any([np.asarray(measured) for measured in whole.measured.values()], axis=0)
    row = lambda values: jnp.asarray(np.broadcast_to(np.asarray(values), shape)[keep])  # noqa: E731
    return Batch(*(jax.tree.map(row, part) for part in ({**whole.names, **states}, whole.targets, whole.measured, whole.known)))


def windows(model: HybridFlux, sequences: Sequences, packed: Windows) -> Batch:
    """The measured days in windows `[time, window]`, each after a warm-up."""
    whole = series(model, sequences)
    of_days = lambda values: packed.take(np.asarray(values), packed.days)  # noqa: E731
    known = {name: np.broadcast_to(values, (packed.total, len(sequences.places))) for name, values in whole.known.items()}
    names, targets, measured, known = (jax.tree.map(of_days, part) for part in (whole.names, whole.targets, whole.measured, known))
    measured = {name: values & packed.counts for name, values in measured.items()}
    return Batch(names, targets, measured, known, packed.taken(model, whole.names))


def measured_days(model: HybridFlux, sequences: Sequences) -> np.ndarray:
    """Whether anything that the model is compared with was measured `[time, place]`."""
    return np.any([np.isfinite(sequences.targets[name]) for name in model.observed if name in sequences.targets], axis=0)


def batch(model: HybridFlux, sequences: Sequences, leaves: Mapping[str, Array] | None = None) -> Batch:
    """Single days if the memory of the model is known, else windows of days, or whole series where they serve better.

    Args:
        model: what is fitted.
        sequences: of the towers.
        leaves: learned leaves `[draw, ...]` at which the windows must hold the states of whole series; by default draws of the prior.
    """
    if memory_is_known(model):
        return days(model, sequences)
    packed = chosen(model, names_of(model, sequences), measured_days(model, sequences), leaves)
    return series(model, sequences) if packed is None else windows(model, sequences, packed)


def warm_up_days(data: Batch) -> int | None:
    """Days of the warm-up of the windows; None for days and whole series."""
    return len(next(iter(data.before.values()))) if data.before else None


def with_longer_warm_up(model: HybridFlux, sequences: Sequences, data: Batch, leaves: Mapping[str, Array]) -> Batch | None:
    """What to fit instead of `data`, where the windows are too far from whole series at fitted leaves `[draw, ...]`; None where not."""
    had = warm_up_days(data)
    if had is None:
        return None
    needed = warm_up_days(longer := batch(model, sequences, leaves))
    return longer if needed is None or needed > had else None
