"""Soil water as a factor of a scenario: what the factors of a model see of it, held or moved, while its balance goes on as it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps

import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.causes import SOIL_WATER
from hybridflux.model.flux import HybridFlux, given_by
from hybridflux.process.call import Memory


def with_soil_water(model: HybridFlux, change: Callable[[Array], Array]) -> HybridFlux:
    """The same model whose factors see changed soil water, kept between 0 and 1; evapotranspiration and drainage do not know of it.

    Args:
        model: with or without draws.
        change: of relative extractable water, elementwise.

    Raises:
        ValueError: no memory of the model gives soil water.
    """
    if not any(SOIL_WATER in given_by(memory)[2] for memory in model.memory):
        raise ValueError(
            f"`{SOIL_WATER}` would change nothing: the model has no soil water that its factors read; add water.BUCKET to memory"
        )
    memory = tuple(_changed(one, change) if SOIL_WATER in given_by(one)[2] else one for one in model.memory)
    return HybridFlux(gpp=model.gpp, reco=model.reco, memory=memory, sources=model.sources, observed=model.observed.values())


def _changed(memory: Memory, change: Callable[[Array], Array]) -> Memory:
    @wraps(memory.read)
    def read(**names):
        found = memory.read(**names)
        return {**found, SOIL_WATER: jnp.clip(change(found[SOIL_WATER]), 0.0, 1.0)}

    return replace(memory, read=read)
