"""What is learned in a model, by name; draws of it; effects of new places.

A leaf is learned if its path passes a field called `z`. Its name is the path with dots: `sources.vpd_sensitivity.z`,
`sources.light_use_efficiency.z.effect`, `observed.nee.error.sources.noise_floor.z`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike

from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import AbstractSource, Names, Population
from hybridflux.vocabulary import Parameter

T = TypeVar("T")


def _name(path) -> str:
    return ".".join(str(getattr(step, "name", getattr(step, "key", getattr(step, "idx", step)))) for step in path)


def _is_learned(path) -> bool:
    return any(getattr(step, "name", None) == "z" for step in path)


def learned(model) -> dict[str, Any]:
    """Name -> array of everything learned."""
    return {_name(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(model) if _is_learned(path)}


def with_learned(model: T, values: Mapping[str, ArrayLike]) -> T:
    """The same model with some learned leaves replaced; shapes may differ (draws, other places)."""
    unknown = set(values) - set(learned(model))
    if unknown:
        raise KeyError(f"{', '.join(sorted(unknown))} is not learned in this model; learned are {', '.join(sorted(learned(model)))}")
    return jax.tree_util.tree_map_with_path(lambda path, leaf: values.get(_name(path), leaf) if _is_learned(path) else leaf, model)


def draw_axes(model):
    """For `eqx.filter_vmap`: 0 for learned leaves, None for the rest."""
    return jax.tree_util.tree_map_with_path(lambda path, _: 0 if _is_learned(path) else None, model)


def over_draws(model: HybridFlux, fn: Callable):
    """`fn(model of one draw)` for all draws of a stacked model, draws on axis 0 of the results."""
    return eqx.filter_vmap(fn, in_axes=(draw_axes(model),))(model)


def parameters_over_draws(model: HybridFlux, names: Names, only=None, drawn: Names | None = None) -> dict[str, Array]:
    """Parameters of a stacked model: `[draw, ...]` (at least `[draw, 1]`) from learned sources, `[...]` from the others.

    Args:
        model: a model with a draw axis on its learned leaves.
        names: covariates and drivers.
        only: parameter names; all by default.
        drawn: drivers that differ between the draws, `[draw, ...]`.
    """
    drawn = drawn or {}
    values = {}
    for name in model.sources if only is None else only:
        source: AbstractSource = model.sources[name]
        if learned(source):
            draws = _source_over_draws(source, model.row_of(name), names, drawn)
            values[name] = draws[:, None] if draws.ndim == 1 else draws
        else:
            values[name] = source.value(model.row_of(name), {**names, **drawn})
    return values


def _source_over_draws(source: AbstractSource, row: Parameter, names: Names, drawn: Names) -> Array:
    of_one = lambda one, drivers: one.value(row, {**names, **drivers})  # noqa: E731
    return eqx.filter_vmap(of_one, in_axes=(draw_axes(source), 0))(source, dict(drawn))


def all_sources(model: HybridFlux) -> Iterator[tuple[str, AbstractSource]]:
    """Every source of physics, errors and observations with its path, those inside others after them."""
    groups = {"sources": model.sources}
    for target, one in model.observed.items():
        groups |= {f"observed.{target}.error.sources": one.error.sources, f"observed.{target}.sources": one.sources}
    todo = [(f"{group}.{name}", source) for group, sources in groups.items() for name, source in sources.items()]
    while todo:
        path, source = todo.pop(0)
        yield path, source
        todo[:0] = [(f"{path}.{field}", part) for field, part in source.parts().items()]


def populations(model: HybridFlux) -> tuple[Population, ...]:
    """Populations of the physics and of observations, with whole names of their leaves."""
    found = [(path, one) for path, source in all_sources(model) for one in source.populations()]
    return tuple(Population(f"{path}.{one.effect}", f"{path}.{one.sd}", one.by) for path, one in found)


def pooled_effects(model: HybridFlux) -> dict[str, str]:
    """Name of each table of population effects, of physics and observations -> the index it is looked up by (`site`, `site_year`)."""
    return {one.effect: one.by for one in populations(model)}


def physics_effects(model: HybridFlux) -> dict[str, str]:
    """`pooled_effects` of the physics: all that fluxes depend on."""
    return {path: by for path, by in pooled_effects(model).items() if path.startswith("sources.")}


def with_places(model: HybridFlux, sizes: Mapping[str, int]) -> HybridFlux:
    """A model (without draws) whose effect tables have one zero per place, or per place and year.

    Args:
        model: a composed model.
        sizes: rows per index, for instance `{"site": 45}`.

    Raises:
        KeyError: an index of the model has no size.
    """
    tables = pooled_effects(model)
    return with_learned(model, {path: jnp.zeros(sizes[by], jnp.float32) for path, by in tables.items()})
