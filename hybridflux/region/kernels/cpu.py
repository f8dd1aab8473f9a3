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

from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import parameters_over_draws
from hybridflux.region.draws.fapar_error import SD
from hybridflux.region.kernels.contract import (
    EXACT,
    LIMIT,
    Pixels,
    Result,
    Shared,
    Static,
    Waves,
    devices,
    steady_shape,
    unpacked,
    with_effects,
)
from hybridflux.region.kernels.networks import solve
from hybridflux.region.kernels.quantiles import quantiles


@eqx.filter_jit
def run_slab(model: HybridFlux, shared: Shared, waves: Waves | None, pixels: Pixels, static: Static) -> Result:
    """Map the blocks of a slab, shared out over the devices.

    Args:
        model: with a draw axis on its learned leaves.
        shared: weather, calendar, effects.
        waves: of the tile; None where there are no effects.
        pixels: drivers; the number of blocks is a multiple of the number of devices.
        static: what is fixed when this is compiled.
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    everywhere = PartitionSpec()

    def part(arrays, shared, waves, pixels):
        whole = eqx.combine(arrays, rest)
        return lax.map(partial(_block, whole, shared, waves, pixels, static), jnp.arange(pixels.active.shape[0]))

    blocks = PartitionSpec("device")
    specs = (everywhere, everywhere, everywhere, blocks)
    shared_out = jax.shard_map(part, mesh=devices(), in_specs=specs, out_specs=blocks, check_vma=False)
    return shared_out(arrays, shared, waves, pixels)


def _block(model: HybridFlux, shared: Shared, waves: Waves | None, pixels: Pixels, static: Static, number: Array) -> Result:
    """All days of one block."""
    kind, n = pixels.plant_type[number], static.n
    weather = {name: values[:, pixels.cell[number]] for name, values in shared.weather.items()}
    fixed = {name: values[number] for name, values in pixels.static.items()} | {"plant_type": kind}
    fixed |= {"site": jnp.int32(0), "site_year": jnp.int32(0)}  # of a run within one year effects of years last
    model = with_effects(model, shared, waves, kind[0], pixels.row[number], pixels.column[number], static)
    constant = parameters_over_draws(model, fixed, static.constant)

    def of_year(year):
        return constant | parameters_over_draws(model, fixed | {"site_year": year}, static.yearly)

    def of_day(day, year, parameters):
        today = fixed | {"site_year": year} | {name: values[day] for name, values in weather.items()}
        today |= {name: unpacked(values[number, day]) for name, values in pixels.daily.items()}
        drawn = {"fapar": shared.vegetation.drawn(today["fapar"], today[SD], day, kind[0])} if shared.vegetation else {}
        solved = solve(model, shared.networks, today | drawn)
        return today | drawn, parameters | parameters_over_draws(solved, today, static.daily, drawn)

    def settle(day, state):
        year = shared.year[day]
        return model.advance(state, *of_day(day, year, of_year(year)))

    today, parameters = of_day(0, shared.year[0], of_year(shared.year[0]))
    state = steady_shape(model, model.start(today, parameters), today, parameters)
    last = jnp.where(pixels.active[number], shared.bounds, shared.bounds[0])  # an inactive block has no days
    on = pixels.active[number].astype(jnp.int32)
    state = lax.fori_loop(0, shared.spin_up * on, settle, state)
    state = lax.fori_loop(0, shared.warm_up * on, settle, state)

    def a_day(parameters, year, day, carry):
        state, gpp_sum, reco_sum, maps, series = carry
        today, all_parameters = of_day(day, year, parameters)
        state = model.advance(state, today, all_parameters)
        flux = model.exchange(state, today, all_parameters)
        found = tuple(jnp.broadcast_to(flux[name], (static.draws, n)) for name in ("gpp", "reco"))
        gpp, reco = lax.optimization_barrier(found)  # else XLA computes them again for everything that is made of them
        row = day - shared.bounds[0]
        if static.maps:
            today_maps = statistics(gpp, reco, static.daily_levels)
            maps = tuple(_put(array, _packed(value, static.scale), row) for array, value in zip(maps, today_maps, strict=True))
        if static.series:
            sums = (jnp.matmul(flux, pixels.weight[number], precision=EXACT) for flux in (gpp, reco))
            series = tuple(_put(array, one, row) for array, one in zip(series, sums, strict=True))
        return state, gpp_sum + gpp, reco_sum + reco, maps, series

    def a_month(carry, month):
        state, maps, series = carry
        year = shared.year_of_month[month]
        nothing = jnp.zeros((static.draws, n), jnp.float32)
        step = partial(a_day, of_year(year), year)
        state, gpp, reco, maps, series = lax.fori_loop(last[month], last[month + 1], step, (state, nothing, nothing, maps, series))
        return (state, maps, series), (gpp, reco, statistics(gpp, reco, static.levels))

    days, months = static.days, shared.year_of_month.shape[0]
    maps = (jnp.zeros((days, n), jnp.int16),) * (3 * (2 + len(static.daily_levels)) if static.maps else 0)
    series = (jnp.zeros((days, static.draws), jnp.float32),) * (2 if static.series else 0)
    (_, maps, series), (gpp, reco, monthly) = lax.scan(a_month, (state, maps, series), jnp.arange(months))
    of_years = [statistics(*_sums(gpp, reco, first, end), static.levels) for first, end in static.months_of_years]
    annual = tuple(jnp.stack(statistic) for statistic in zip(*of_years, strict=True))
    return Result(gpp, reco, tuple(monthly), annual, maps, series)


def _sums(gpp: Array, reco: Array, first: int, end: int) -> tuple[Array, Array]:
    """Sums over some months `[draw, n]`, one month after the other.

    As a reduction XLA would take them into the statistics, and round as the number of processor cores has it.
    """
    found = gpp[first], reco[first]
    for month in range(first + 1, end):
        found = found[0] + gpp[month], found[1] + reco[month]
    return lax.optimization_barrier(found)


def statistics(gpp: Array, reco: Array, levels: tuple[float, ...]) -> list[Array]:
    """Mean, sd and quantiles over draws of NEE, GPP and RECO, one `[n]` after the other, from `[draw, n]`.

    In two passes: exact, and twice as fast as differences from one of the draws, which XLA does not vectorise.
    """
    found, draws = [], gpp.shape[0]
    for flux in (reco - gpp, gpp, reco):
        if draws == 1:  # nothing to sum
            found += [flux[0], jnp.zeros_like(flux[0]), *(flux[0] for _ in levels)]
            continue
        mean = flux.sum(0) / draws
        off = flux - mean
        found += [mean, jnp.sqrt((off * off).sum(0) / max(draws - 1, 1))]
        found += list(quantiles(flux, levels)) if levels else []
    return found


def _put(array: Array, row: Array, at: Array) -> Array:
    """Write a row in place. One array per statistic: stacked, they would be computed element by element."""
    return lax.dynamic_update_index_in_dim(array, row, at, 0)


def _packed(values: Array, scale: float) -> Array:
    return jnp.clip(jnp.round(values / scale), -LIMIT, LIMIT).astype(jnp.int16)
