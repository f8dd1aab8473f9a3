"""From a day to a series: the scan over days of the states. The region engine has its own, with draws and sums inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.process.call import SPIN_UP_DAYS, arguments

if TYPE_CHECKING:
    from hybridflux.model.flux import HybridFlux
    from hybridflux.model.sources import Names


def states(model: HybridFlux, drivers: Names, parameters: Names, also: Iterable[str] = ()) -> dict[str, Array]:
    """States as the fluxes of each day see them `[time, ...]`, after a first pass over the first year, and diagnostics.

    Where no flux changes the state of its day, the scan computes no flux: they are elementwise in these states.

    Args:
        model: what to roll out.
        drivers: `[time, ...]` drivers and `[...]` covariates.
        parameters: scalars, `[...]`, or `[time, ...]` where they change from day to day.
        also: names of diagnostics to keep, beside those that factors and observation operators read.
    """
    of_memory = [fn for memory in model.memory for fn in (memory.start, memory.step)]
    asked = {name for fn in (model.functions() if model.settles else of_memory) for name in arguments(fn)}
    if not asked:
        return {}
    names = {name: jnp.asarray(value) for name, value in {**drivers, **parameters}.items() if name in asked}
    rank = jnp.ndim(drivers["tair"])
    daily = {name: value for name, value in names.items() if value.ndim == rank}
    static = {name: value for name, value in names.items() if value.ndim < rank}
    observed = (name for one in model.observed.values() for name in one.asks())
    kept = {*also, *observed, *(name for fn in model.functions() for name in arguments(fn))}

    def spin_up(state, today):
        return model.spin_up(state, today, static), None

    def day(state, today):
        state, diagnostics = model.advance(state, today, static)
        seen = {**state, **{name: value for name, value in diagnostics.items() if name in kept}}
        if model.settles:
            today = {**today, **diagnostics}
            state = model.settle(state, model.exchange(state, today, static), today, static)
        return state, seen

    first = model.start({name: value[0] for name, value in daily.items()}, static)
    shape = jnp.broadcast_shapes(*(value.shape for value in static.values()), *(value.shape[1:] for value in daily.values()))
    first = {name: jnp.broadcast_to(value, shape) for name, value in first.items()}
    spun, _ = jax.lax.scan(spin_up, first, {name: value[:SPIN_UP_DAYS] for name, value in daily.items()})
    return jax.lax.scan(day, spun, daily)[1]
