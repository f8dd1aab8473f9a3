"""From a day to a series: the scan over days of the states. The region engine has its own, with draws and sums inside."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model.scan_of_days import scan_of_days, slopes_forward
from hybridflux.process.call import SPIN_UP_DAYS, arguments

if TYPE_CHECKING:
    from hybridflux.model.flux import HybridFlux
    from hybridflux.model.sources import Names


def remembers(model: HybridFlux) -> set[str]:
    """Names of all that the states depend on: drivers, parameters, and the states themselves."""
    of_memory = [fn for memory in model.memory for fn in (memory.start, memory.step)]
    return {name for fn in (model.functions() if model.settles else of_memory) for name in arguments(fn)}


def states(model: HybridFlux, drivers: Names, parameters: Names, also: Iterable[str] = (), before: Names | None = None) -> dict[str, Array]:
    """States as the fluxes of each day see them `[time, ...]`, after a warm-up of which only the last state is kept, and diagnostics.

    Where no flux changes the state of its day, the scan computes no flux: they are elementwise in these states.

    Args:
        model: what to roll out.
        drivers: `[time, ...]` drivers and `[...]` covariates.
        parameters: scalars, `[...]`, or `[time, ...]` where they change from day to day.
        also: names of diagnostics to keep, beside those that factors and observation operators read.
        before: drivers and population indices of the days of the warm-up `[day, ...]`, all that the states depend on and that change from
            day to day; by default it is the spin-up, the first year of `drivers`.
    """
    asked = remembers(model)
    if not asked:
        return {}
    rank = jnp.ndim(drivers["tair"])
    daily, static = _split({**drivers, **parameters}, asked, rank)
    earlier = {name: value[:SPIN_UP_DAYS] for name, value in daily.items()}
    if before is not None:
        earlier, _ = _split({**before, **model.parameters({**drivers, **before}, asked)}, asked, rank)
    observed = (name for one in model.observed.values() for name in one.asks())
    kept = {*also, *observed, *(name for fn in model.functions() for name in arguments(fn))}
    shape = jnp.broadcast_shapes(*(value.shape for value in static.values()), *(value.shape[1:] for value in daily.values()))

    def spin_up(state, today, static):
        return model.spin_up(state, today, static), None

    def day(state, today, static):
        state, diagnostics = model.advance(state, today, static)
        seen = {**state, **{name: value for name, value in diagnostics.items() if name in kept}}
        if model.settles:
            today = {**today, **diagnostics}
            state = model.settle(state, model.exchange(state, today, static), today, static)
        return state, seen

    def walk(static, changing):
        earlier, daily = changing
        first = model.start({name: value[0] for name, value in earlier.items()}, static)
        first = {name: jnp.broadcast_to(value, shape) for name, value in first.items()}
        spun, _ = scan_of_days(spin_up, first, earlier, static)
        return scan_of_days(day, spun, daily, static)[1]

    return slopes_forward(walk)(static, (earlier, daily))


def _split(names: Names, asked: set[str], rank: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """What is asked for and changes from day to day, and what does not."""
    found = {name: jnp.asarray(value) for name, value in names.items() if name in asked}
    changing = {name: value for name, value in found.items() if value.ndim == rank}
    return changing, {name: value for name, value in found.items() if name not in changing}
