"""Covariates of the user's own: centre and scale from the places of a fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

import equinox as eqx
import jax
import numpy as np

from hybridflux.model.flux import HybridFlux
from hybridflux.model.power_of import PowerOf
from hybridflux.model.sources import Given, Neural
from hybridflux.vocabulary import Covariate, Parameter


def scaled(model: HybridFlux, values: Mapping[str, np.ndarray]) -> HybridFlux:
    """The model with a centre and a scale for each covariate of its networks that has none: mean and standard deviation over places.

    Args:
        model: a composed model, with or without draws.
        values: covariate -> `[place]`.

    Raises:
        ValueError: the places do not vary in it, all values of a `Given` are outside the bounds of its parameter, or the covariate of a
            `PowerOf` is not above 0 at every place.
    """
    for name, source in model.sources.items():
        if isinstance(source, Given) and source.name in values:
            _check_bounds(model.row_of(name), source, values[source.name])
    for source in jax.tree.leaves(model, is_leaf=lambda node: isinstance(node, PowerOf)):
        if isinstance(source, PowerOf) and source.name in values:
            _check_above_zero(source, values[source.name])

    def settled(network: Neural) -> Neural:
        if not any(covariate.centre is None or covariate.scale is None for covariate in network.own):
            return network
        own = [asdict(_settled(covariate, values)) for covariate in network.own]
        whole = type(network).from_spec(network.spec() | {"own": own})
        return eqx.tree_at(lambda one: one.z, whole, network.z)

    def is_network(node) -> bool:
        return isinstance(node, Neural)

    return jax.tree.map(lambda node: settled(node) if is_network(node) else node, model, is_leaf=is_network)


def _settled(covariate: Covariate, values: Mapping[str, np.ndarray]) -> Covariate:
    if covariate.name not in values:
        return covariate
    known = np.asarray(values[covariate.name], float)
    centre = float(known.mean()) if covariate.centre is None else covariate.centre
    scale = float(known.std()) if covariate.scale is None else covariate.scale
    if not scale > 0:
        raise ValueError(
            f"`{covariate.name}` is {known.flat[0]:g} at all {known.size} places of the fit, so that its scale is not known; declare it: "
            f"Covariate('{covariate.name}', centre=..., scale=...)"
        )
    return replace(covariate, centre=centre, scale=scale)


def _check_bounds(row: Parameter, source: Given, values: np.ndarray) -> None:
    if np.all((values <= row.lower) | (values >= row.upper)):
        raise ValueError(
            f"`{source.name}` gives `{row.name}`, and runs from {np.min(values):g} to {np.max(values):g}, all outside its bounds "
            f"({row.lower:g}, {row.upper:g}) {row.units}; check the unit"
        )


def _check_above_zero(source: PowerOf, values: np.ndarray) -> None:
    if not np.all(values > 0):
        raise ValueError(
            f"PowerOf('{source.name}') takes a power of `{source.name}`, which is not above 0 in {int(np.sum(values <= 0))} of "
            f"{np.size(values)} values of the fit, the smallest {np.min(values):g}; correct these values, or leave their sites out"
        )
