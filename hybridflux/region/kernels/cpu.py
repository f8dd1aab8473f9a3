"""The day loop over blocks of pixels, with the draws of the posterior inside the step.

For each block: parameters once per pixel and draw, a spin-up and the warm-up with the states alone, then the mapped days month by
month. Sums over a month are kept per draw; everything else is reduced over the draws at once, so nothing ever has the axes
draw, day and pixel together. Sums of at most 31 days in float32; all further sums are made in float64 outside.
"""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec
from jaxtyping import Array

from hybridflux.model.attribution import AgainstUsual
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import parameters_over_draws
from hybridflux.region.draws.followed_leaves import change_of, follow
from hybridflux.region.draws.irrigation_error import water_of, with_error
from hybridflux.region.kernels.contract import (
    Pixels,
    Result,
    SharedInputs,
    Static,
    Today,
    Waves,
    are_numbers,
    devices,
    steady_shape,
    unpacked,
    walk,
    with_effects,
)  # fmt: skip
from hybridflux.region.kernels.networks import solve
from hybridflux.region.kernels.networks_moved import following_networks, in_a_loop, one_by_one
from hybridflux.region.kernels.passes.one_pass import in_one_pass


@eqx.filter_jit
def run_slab(model: HybridFlux, shared: SharedInputs, waves: Waves | None, pixels: Pixels, static: Static) -> Result:
    """Map the blocks of a slab, shared out over the devices.

    Args:
        model: with a draw axis on its learned leaves.
        shared: weather, calendar, effects.
        waves: of the tile; None where there are no effects.
        pixels: drivers; the number of blocks is a multiple of the number of devices.
        static: what is fixed.
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    everywhere = PartitionSpec()

    def part(arrays, shared, waves, pixels):
        whole = eqx.combine(arrays, rest)
        return lax.map(partial(_block, whole, shared, waves, pixels, static), jnp.arange(pixels.active.shape[0]))

    blocks = PartitionSpec("device")
    specs = (everywhere, everywhere, everywhere, blocks)
    spread = jax.shard_map(part, mesh=devices(), in_specs=specs, out_specs=blocks, check_vma=False)
    return spread(arrays, shared, waves, pixels)


def _block(model: HybridFlux, shared: SharedInputs, waves: Waves | None, pixels: Pixels, static: Static, number: Array) -> Result:
    """All days of one block."""
    kind, n = pixels.plant_type[number], static.n
    weather = {name: values[:, pixels.cell[number]] for name, values in shared.weather.items()}
    fixed = {name: values[number] for name, values in pixels.static.items()} | {"plant_type": kind}
    fixed |= {"site": jnp.int32(0), "site_year": jnp.int32(0)}  # of a run within one year effects of years last
    model = with_effects(model, shared, waves, kind[0], pixels.row[number], pixels.column[number])
    constant = parameters_over_draws(model, fixed, static.constant)

    def of_year(year):
        return constant | parameters_over_draws(model, fixed | {"site_year": year}, static.yearly)

    def of_day(day, year, parameters):
        today = fixed | {"site_year": year} | {name: values[day] for name, values in weather.items()}
        today |= {name: unpacked(values[number, day]) for name, values in pixels.daily.items()}
        drawn = {name: errors.drawn(name, today, day, kind[0]) for name, errors in shared.vegetation_errors.items()}
        for name in static.irrigated:
            drawn[name] = with_error(today[name], today[water_of(name)], shared.irrigation[:, year, pixels.cell[number]])
        for name, slope in shared.leaf_slopes.items():
            drawn[name] = follow(name, (today | drawn)[name], slope[kind[0]], today[change_of(name)])
        solved = solve(model, shared.networks, today | drawn)
        return today | drawn, parameters | parameters_over_draws(solved, today, static.daily, drawn)

    walked, in_passes = model, lambda step, state: step
    if static.usual:
        passes = devices().devices.flat[0].platform == "cpu"
        of_units = one_by_one if passes else in_a_loop
        walked = AgainstUsual(model, static.usual, following_networks(model, shared.networks, static.usual, of_units))
        shapes = (static.draws, n), *((len(one.network.weights[1]), n) for one in shared.networks.values())
        if passes:  # both runs share much of a day, and the changes by cause more
            in_passes = lambda step, state: in_one_pass(step, *{*shapes, *(value.shape for value in state.values())})  # noqa: E731

    def before(step, day, state):
        year = shared.year[day]
        return step(state, *of_day(day, year, of_year(year)))

    today, parameters = of_day(0, shared.year[0], of_year(shared.year[0]))
    state = steady_shape(walked, walked.start(today, parameters), today, parameters)
    state = {name: jnp.broadcast_to(value, (static.draws, n)) for name, value in state.items()} if model.settles else state
    last = jnp.where(pixels.active[number], shared.bounds, shared.bounds[0])  # an inactive block has no days
    on = pixels.active[number].astype(jnp.int32)
    state = lax.fori_loop(0, shared.spin_up * on, in_passes(partial(before, walked.spin_up), state), state)
    state = lax.fori_loop(0, shared.warm_up * on, in_passes(partial(before, walked.warm_up), state), state)

    def a_day(parameters, year, day, carry):
        state, sums, carried = carry
        inputs = of_day(day, year, parameters)
        state, values = walk(walked, static.reads, (static.draws, n), state, *inputs, fence=lax.optimization_barrier)
        today = Today(day - shared.bounds[0], pixels.weight[number])
        carried = {output.name: output.day(carried[output.name], values, today) for output in static.outputs}
        return state, {name: total + values[name] for name, total in sums.items()}, carried

    def a_month(carry, month):
        state, carried = carry
        year = shared.year_of_month[month]
        nothing = {name: jnp.zeros((static.draws, n), jnp.float32) for name in static.sums}
        step = in_passes(partial(a_day, of_year(year), year), state)
        state, sums, carried = lax.fori_loop(last[month], last[month + 1], step, (state, nothing, carried))
        ended = {output.name: output.month(carried[output.name], sums) for output in static.outputs}
        return (state, {name: one for name, (one, _) in ended.items()}), (sums, {name: kept for name, (_, kept) in ended.items()})

    carried = {output.name: output.begin(static) for output in static.outputs}
    (_, carried), (sums, months) = lax.scan(a_month, (state, carried), jnp.arange(shared.year_of_month.shape[0]))
    kept = {output.name: dict(output.end(carried[output.name], months[output.name], sums, static)) for output in static.outputs}
    return Result(kept, are_numbers(sums))
