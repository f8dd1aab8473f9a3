"""From a day to a series: the scan over days of the states. The region engine has its own, with draws and sums inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.process.call import arguments

if TYPE_CHECKING:
    from hybridflux.model.flux import HybridFlux
    from hybridflux.model.sources import Names

SPIN_UP_DAYS = 365


def states(model: HybridFlux, drivers: Names, parameters: Names) -> dict[str, Array]:
    """States at the end of each day `[time, ...]`, after a first pass over the first year.

    Args:
        model: what to roll out.
        drivers: `[time, ...]` drivers and `[...]` covariates.
        parameters: scalars, `[...]`, or `[time, ...]` where they change from day to day.
    """
    asked = {name for memory in model.memory for fn in (memory.start, memory.step) for name in arguments(fn)}
    if not asked:
        return {}
    names = {name: jnp.asarray(value) for name, value in {**drivers, **parameters}.items() if name in asked}
    rank = jnp.ndim(drivers["tair"])
    daily = {name: value for name, value in names.items() if value.ndim == rank}
    lasting = {name: value for name, value in names.items() if value.ndim < rank}

    def day(state, today):
        state = model.advance(state, today, lasting)
        return state, state

    first = model.start({name: value[0] for name, value in daily.items()}, lasting)
    shape = jnp.broadcast_shapes(*(value.shape for value in lasting.values()), *(value.shape[1:] for value in daily.values()))
    first = {name: jnp.broadcast_to(value, shape) for name, value in first.items()}
    spun, _ = jax.lax.scan(day, first, {name: value[:SPIN_UP_DAYS] for name, value in daily.items()})
    return jax.lax.scan(day, spun, daily)[1]
