"""The day loop over blocks of pixels, with the draws of the posterior inside the step.

For each block: parameters once per pixel and draw, a spin-up and the lead with the states alone, then the mapped days month by
month. Sums over a month are kept per draw; everything else is reduced over the draws at once, so nothing ever has the axes
draw, day and pixel together. Sums of at most 31 days in float32; all further sums are made in float64 outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import parameters_over_draws, with_learned
from hybridflux.region.draws.fapar_error import SD, VegetationDraws
from hybridflux.region.kernels.networks import Members, solve
from hybridflux.region.kernels.quantiles import quantiles
from hybridflux.region.store import layout

FLUXES = ("NEE", "GPP", "RECO")
DAILY_SCALE = 0.002  # gC m-2 d-1, days and months: +- 65 fits into 16 bits
LIMIT = 32767.0
EXACT = "highest"  # precision of products of matrices: a GPU would round their factors to ten bits


@dataclass(frozen=True)
class Plan:
    """What is fixed when the kernel is compiled.

    Attributes:
        draws: of the posterior.
        n: pixels in a block.
        days: that are mapped.
        levels: of the quantiles of months and years.
        months_of_years: first month and end of each year.
        lasting: parameters that do not change in time.
        yearly: parameters that change from year to year only.
        daily: parameters that change from day to day.
        maps: write daily maps.
        daily_levels: of the quantiles of days; empty for none.
        scale: of daily maps, gC m-2 d-1.
        series: write daily sums per draw.
    """

    draws: int
    n: int
    days: int
    levels: tuple[float, ...]
    months_of_years: tuple[tuple[int, int], ...]
    lasting: tuple[str, ...]
    yearly: tuple[str, ...]
    daily: tuple[str, ...]
    maps: bool
    daily_levels: tuple[float, ...]
    scale: float
    series: bool


class Shared(NamedTuple):
    """The same for all slabs of a run.

    Attributes:
        weather: name -> `[time, cell]`.
        bounds: position of the first day of each month, and of the end `[month + 1]`.
        spin: days of the spin-up, from the first one.
        lead: days before the first mapped one.
        year: position of the year of each day among the years of the effects `[time]`.
        year_of_month: the same for the mapped months `[month]`.
        effects: table -> weights of the waves `[draw, plant_type, year, 2 wave]`; empty for none.
        vegetation: errors of fapar, one set a draw; None where it is taken as it is.
        networks: parameter that changes from day to day -> its networks.
    """

    weather: dict[str, Array]
    bounds: Array
    spin: Array
    lead: Array
    year: Array
    year_of_month: Array
    effects: dict[str, Array]
    vegetation: VegetationDraws | None = None
    networks: dict[str, Members] = {}


class Waves(NamedTuple):
    """Phases of the plane waves of the effects in a tile.

    Attributes:
        rows: `[row, wave, (cos, sin)]`.
        columns: `[column, wave, (cos, sin)]`.
    """

    rows: Array
    columns: Array


class Pixels(NamedTuple):
    """Drivers of a slab.

    Attributes:
        daily: name -> `[block, time, n]`, float32 or scaled int16.
        cell: weather cell `[block, 1]` or `[block, n]`.
        plant_type: `[block, 1]`.
        lasting: name -> `[block, n]`.
        row: in the tile `[block, n]`.
        column: in the tile `[block, n]`.
        weight: of a pixel in the daily sums, 0 where it repeats another `[block, n]`.
        active: `[block]`.
    """

    daily: dict[str, Array]
    cell: Array
    plant_type: Array
    lasting: dict[str, Array]
    row: Array
    column: Array
    weight: Array
    active: Array


class Result(NamedTuple):
    """What a slab gives.

    Attributes:
        gpp: sums over each month per draw `[block, month, draw, n]`, gC m-2.
        reco: the same.
        monthly: mean, sd and quantiles of these sums, of one flux of `FLUXES` after the other, `[block, month, n]` each, gC m-2.
        annual: the same of the sums over each year, `[block, year, n]` each.
        maps: the same of each day, over `Plan.scale`, int16, `[block, day, n]` each, or none.
        series: sums of GPP and of RECO over the weighted pixels of a block, `[block, day, draw]` each, or none.
    """

    gpp: Array
    reco: Array
    monthly: tuple[Array, ...]
    annual: tuple[Array, ...]
    maps: tuple[Array, ...]
    series: tuple[Array, ...]


@cache
def devices() -> Mesh:
    """All devices of this process, side by side."""
    return Mesh(np.array(jax.local_devices()), ("device",))


def on_all_devices(tree):
    """Put arrays on every device, whole."""
    return jax.device_put(tree, NamedSharding(devices(), PartitionSpec()))


def shared_out(pixels: Pixels) -> Pixels:
    """Put each device's blocks on it."""
    return jax.device_put(pixels, NamedSharding(devices(), PartitionSpec("device")))


@eqx.filter_jit
def run_slab(model: HybridFlux, shared: Shared, waves: Waves | None, pixels: Pixels, plan: Plan) -> Result:
    """Map the blocks of a slab, shared out over the devices.

    Args:
        model: with a draw axis on its learned leaves.
        shared: weather, calendar, effects.
        waves: of the tile; None where there are no effects.
        pixels: drivers; the number of blocks is a multiple of the number of devices.
        plan: what is fixed.
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    everywhere = PartitionSpec()

    def part(arrays, shared, waves, pixels):
        whole = eqx.combine(arrays, rest)
        return lax.map(partial(_block, whole, shared, waves, pixels, plan), jnp.arange(pixels.active.shape[0]))

    blocks = PartitionSpec("device")
    specs = (everywhere, everywhere, everywhere, blocks)
    spread = jax.shard_map(part, mesh=devices(), in_specs=specs, out_specs=blocks, check_vma=False)
    return spread(arrays, shared, waves, pixels)


def _block(model: HybridFlux, shared: Shared, waves: Waves | None, pixels: Pixels, plan: Plan, number: Array) -> Result:
    """All days of one block."""
    kind, n = pixels.plant_type[number], plan.n
    weather = {name: values[:, pixels.cell[number]] for name, values in shared.weather.items()}
    fixed = {name: values[number] for name, values in pixels.lasting.items()} | {"plant_type": kind}
    fixed |= {"site": jnp.int32(0), "site_year": jnp.int32(0)}  # of a run within one year effects of years last
    model = _with_effects(model, shared, waves, kind[0], pixels.row[number], pixels.column[number], plan)
    lasting = parameters_over_draws(model, fixed, plan.lasting)

    def of_year(year):
        return lasting | parameters_over_draws(model, fixed | {"site_year": year}, plan.yearly)

    def of_day(day, year, parameters):
        today = fixed | {"site_year": year} | {name: values[day] for name, values in weather.items()}
        today |= {name: _unpacked(values[number, day]) for name, values in pixels.daily.items()}
        drawn = {"fapar": shared.vegetation.drawn(today["fapar"], today[SD], day, kind[0])} if shared.vegetation else {}
        solved = solve(model, shared.networks, today | drawn)
        return today | drawn, parameters | parameters_over_draws(solved, today, plan.daily, drawn)

    def before(step, day, state):
        year = shared.year[day]
        return step(state, *of_day(day, year, of_year(year)))

    today, parameters = of_day(0, shared.year[0], of_year(shared.year[0]))
    state = _steady_shape(model, model.start(today, parameters), today, parameters)
    state = {name: jnp.broadcast_to(value, (plan.draws, n)) for name, value in state.items()} if model.settles else state
    last = jnp.where(pixels.active[number], shared.bounds, shared.bounds[0])  # an inactive block has no days
    on = pixels.active[number].astype(jnp.int32)
    state = lax.fori_loop(0, shared.spin * on, partial(before, model.spin_up), state)
    state = lax.fori_loop(0, shared.lead * on, partial(before, model.warm_up), state)

    def a_day(parameters, year, day, carry):
        state, gpp_sum, reco_sum, maps, series = carry
        today, all_parameters = of_day(day, year, parameters)
        state, diagnostics = model.advance(state, today, all_parameters)
        today |= diagnostics
        flux = model.exchange(state, today, all_parameters)
        found = tuple(jnp.broadcast_to(flux[name], (plan.draws, n)) for name in ("gpp", "reco"))
        gpp, reco = lax.optimization_barrier(found)  # else XLA computes them again for everything that is made of them
        state = model.settle(state, {"gpp": gpp, "reco": reco, "nee": reco - gpp}, today, all_parameters)
        row = day - shared.bounds[0]
        if plan.maps:
            today_maps = _statistics(gpp, reco, plan.daily_levels)
            maps = tuple(_put(array, _packed(value, plan.scale), row) for array, value in zip(maps, today_maps, strict=True))
        if plan.series:
            sums = (jnp.matmul(flux, pixels.weight[number], precision=EXACT) for flux in (gpp, reco))
            series = tuple(_put(array, one, row) for array, one in zip(series, sums, strict=True))
        return state, gpp_sum + gpp, reco_sum + reco, maps, series

    def a_month(carry, month):
        state, maps, series = carry
        year = shared.year_of_month[month]
        nothing = jnp.zeros((plan.draws, n), jnp.float32)
        step = partial(a_day, of_year(year), year)
        state, gpp, reco, maps, series = lax.fori_loop(last[month], last[month + 1], step, (state, nothing, nothing, maps, series))
        return (state, maps, series), (gpp, reco, _statistics(gpp, reco, plan.levels))

    days, months = plan.days, shared.year_of_month.shape[0]
    maps = (jnp.zeros((days, n), jnp.int16),) * (3 * (2 + len(plan.daily_levels)) if plan.maps else 0)
    series = (jnp.zeros((days, plan.draws), jnp.float32),) * (2 if plan.series else 0)
    (_, maps, series), (gpp, reco, monthly) = lax.scan(a_month, (state, maps, series), jnp.arange(months))
    of_years = [_statistics(*_sums(gpp, reco, first, end), plan.levels) for first, end in plan.months_of_years]
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


def _with_effects(model, shared: Shared, waves: Waves | None, kind, row, column, plan: Plan) -> HybridFlux:
    """The model with the effects of the pixels of a block, `[draw, year, n]`."""
    if waves is None:
        return model
    up, along = waves.rows[row], waves.columns[column]
    cosine = along[..., 0] * up[..., 0] - along[..., 1] * up[..., 1]
    sine = along[..., 1] * up[..., 0] + along[..., 0] * up[..., 1]
    wave = jnp.concatenate([cosine, sine], -1)
    tables = {name: jnp.einsum("dyf,nf->dyn", weights[:, kind], wave, precision=EXACT) for name, weights in shared.effects.items()}
    return with_learned(model, tables)


def _steady_shape(model, state, today, parameters):
    """The first state, broadcast to the shape it will have."""
    names = list(state)
    for _ in range(2):
        moved = jax.eval_shape(model.warm_up, state, today, parameters)
        state = {name: jnp.broadcast_to(state[name], jnp.broadcast_shapes(state[name].shape, moved[name].shape)) for name in names}
    return {name: value.astype(jnp.float32) for name, value in state.items()}


def _statistics(gpp: Array, reco: Array, levels: tuple[float, ...]) -> list[Array]:
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


def _unpacked(values: Array) -> Array:
    return values.astype(jnp.float32) * jnp.float32(layout.SCALE) if values.dtype == jnp.int16 else values


def _put(array: Array, row: Array, at: Array) -> Array:
    """Write a row in place. One array per statistic: stacked, they would be computed element by element."""
    return lax.dynamic_update_index_in_dim(array, row, at, 0)


def _packed(values: Array, scale: float) -> Array:
    return jnp.clip(jnp.round(values / scale), -LIMIT, LIMIT).astype(jnp.int16)
