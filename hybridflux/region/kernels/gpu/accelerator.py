"""The kernel of `cpu.py` for GPUs: the same slab and the same result, with the day loop inside one program of the GPU.

What lasts is computed by XLA, once per pixel and draw: parameters, effects of places, the lasting part of networks. The days run in
`day_loop.py`. Statistics of months and years are made by XLA from the sums that come back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import Fixed
from hybridflux.model.tree import learned, parameters_over_draws, physics_effects
from hybridflux.region.kernels.cpu import Pixels, Plan, Result, Shared, Waves, _statistics, _with_effects, devices, run_slab
from hybridflux.region.kernels.gpu.day_loop import LANES, Inputs
from hybridflux.region.kernels.gpu.launch import Shape, run_programs, shape_of
from hybridflux.region.kernels.unrolled import Layers, layers, resting


def kernel_of(backend: str, model: HybridFlux, plan: Plan) -> Callable[..., Result]:
    """The kernel that maps slabs on a kind of device: `run_slab`, or `run_slab_on_accelerator` where it can.

    Args:
        backend: of JAX, `jax.default_backend()`.
        model: with a draw axis on its learned leaves.
        plan: what is fixed.
    """
    return run_slab_on_accelerator if backend == "gpu" and supports(plan, model) is None else run_slab


def supports(plan: Plan, model: HybridFlux) -> str | None:
    """Why the kernel for GPUs does not map a model, in words; None where it does."""
    if plan.daily_levels:
        return "quantiles of days need the draws in order"
    if plan.n & (plan.n - 1):
        return f"blocks of {plan.n} pixels are no power of two"
    for name in plan.daily:
        if learned(model.sources[name]) and model.sources[name].network() is None:
            return f"`{name}` changes from day to day and is neither given nor a network"
    return None


@eqx.filter_jit
def run_slab_on_accelerator(
    model: HybridFlux,
    shared: Shared,
    waves: Waves | None,
    pixels: Pixels,
    plan: Plan,
    *,
    shape: Shape | None = None,
    interpret: bool = False,
) -> Result:
    """Map the blocks of a slab, shared out over the devices; what is in the result of an inactive block has no meaning.

    Args:
        model: with a draw axis on its learned leaves; `supports` says None.
        shared: weather, calendar, effects.
        waves: of the tile; None where there are no effects.
        pixels: drivers; the number of blocks is a multiple of the number of devices.
        plan: what is fixed.
        shape: of the programs; `shape_of(plan)` by default.
        interpret: run the program with XLA on any device, slowly, for tests.
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    everywhere, blocks = PartitionSpec(), PartitionSpec("device")

    def part(arrays, shared, waves, pixels):
        whole = eqx.combine(arrays, rest)
        inputs = _inputs(whole, shared, waves, pixels, plan)
        constants = {name: whole.rows[name].typical for name in plan.lasting if _is_constant(whole.sources[name])}
        gpp, reco, maps, series = run_programs(whole, plan, inputs, constants, shape=shape or shape_of(plan), interpret=interpret)
        monthly = _over_blocks(plan, 2)(gpp, reco)
        sums = [(gpp[:, first:end].sum(1), reco[:, first:end].sum(1)) for first, end in plan.months_of_years]
        of_years = zip(*(_over_blocks(plan, 1)(*year) for year in sums), strict=True)
        annual = tuple(jnp.stack(statistic, 1) + flaws(inputs)[:, None, None] for statistic in of_years)
        return Result(gpp, reco, tuple(monthly), annual, maps, series)

    specs = (everywhere, everywhere, everywhere, blocks)
    return jax.shard_map(part, mesh=devices(), in_specs=specs, out_specs=blocks, check_vma=False)(arrays, shared, waves, pixels)


def _alone(values: Array, draws: int) -> Array:
    """`[..., draw]` as `[..., group, lane]`."""
    return in_lanes(values[..., None, :], draws=draws)[..., 0, :]


def flaws(inputs: Inputs) -> Array:
    """NaN for blocks with a parameter that is no number, else 0 `[block]`.

    Minimum and maximum of a GPU take the other value in place of NaN, so that a clipped factor would hide it from the check of the fluxes.
    """
    by_block = [*inputs.lasting.values(), *inputs.yearly.values(), *(one.bias for one in inputs.networks.values())]
    alike = [weights for one in inputs.networks.values() for weights in (one.first, one.second)]
    sound = jnp.ones(inputs.weight.shape[0], bool)
    for values in by_block:
        sound &= jnp.isfinite(values).all(tuple(range(1, values.ndim)))
    for values in alike:
        sound &= jnp.isfinite(values).all()
    return jnp.where(sound, 0.0, jnp.nan)


def _is_constant(source) -> bool:
    return isinstance(source, Fixed) and source.constant is None


def _over_blocks(plan: Plan, axes: int) -> Callable:
    """Statistics of `[..., draw, n]` with one or two axes before the draws."""
    found = partial(_statistics, levels=plan.levels)
    for _ in range(axes):
        found = jax.vmap(found)
    return found


def _inputs(model: HybridFlux, shared: Shared, waves: Waves | None, pixels: Pixels, plan: Plan) -> Inputs:
    """Everything the day loop reads, draws `[group, lane]`."""
    of_blocks = jax.vmap(partial(_of_block, model, shared, waves, plan))
    lasting, yearly, bias = of_blocks(pixels.plant_type, pixels.lasting, pixels.row, pixels.column)
    of_draws = partial(in_lanes, draws=plan.draws)
    networks = {}
    for name in bias:
        first, _, second = _layers(model, name, 0)
        networks[name] = Layers(*(_alone(weights, plan.draws) for weights in (first, bias[name], second)))
    errors, kind = shared.vegetation, pixels.plant_type[:, 0]
    last_year = _years(model) - 1  # without effects of years there is one row for all; a GPU reads past the end of an array without an error
    return Inputs(
        weather=shared.weather,
        daily=pixels.daily,
        covariates=pixels.lasting,
        cell=pixels.cell,
        weight=pixels.weight,
        bounds=jnp.where(pixels.active[:, None], shared.bounds, shared.bounds[0]),
        settling=jnp.where(pixels.active[:, None], jnp.stack([shared.spin, shared.lead]), 0),
        year=jnp.minimum(shared.year, last_year),
        year_of_month=jnp.minimum(shared.year_of_month, last_year),
        lasting={name: of_draws(values) for name, values in lasting.items()},
        yearly={name: of_draws(values) for name, values in yearly.items()},
        networks=networks,
        errors=tuple(_alone(values, plan.draws) for values in (errors.path, errors.offset[kind], errors.slope[kind])) if errors else (),
    )


def _of_block(model: HybridFlux, shared: Shared, waves: Waves | None, plan: Plan, kind: Array, lasting: dict, row: Array, column: Array):
    """Of one block: parameters `[n or 1, draw or 1]`, those of each year `[year, n or 1, draw or 1]`, biases of networks."""
    fixed = lasting | {"plant_type": kind, "site": jnp.int32(0), "site_year": jnp.int32(0)}
    model = _with_effects(model, shared, waves, kind[0], row, column, plan)
    variable = [name for name in plan.lasting if not _is_constant(model.sources[name])]
    networks = [name for name in plan.daily if learned(model.sources[name])]

    def of_year(year):
        names = fixed | {"site_year": jnp.int32(year)}
        found = parameters_over_draws(model, names, plan.yearly)
        return found | {name: resting(model.sources[name], model.rows[name], names) for name in networks}

    years = [{name: _by_draw(value) for name, value in of_year(year).items()} for year in range(_years(model))]
    yearly = {name: jnp.stack([year[name] for year in years]) for name in (*plan.yearly, *networks)}
    values = parameters_over_draws(model, fixed, variable)
    bias = {name: _layers(model, name, kind[0]).bias for name in networks}
    return {name: jnp.atleast_2d(value).T for name, value in values.items()}, yearly, bias


def _by_draw(values: Array) -> Array:
    """`[n or 1, draw]` from `[draw]` or `[draw, n]`."""
    return jnp.atleast_2d(values.T)


def _layers(model: HybridFlux, name: str, kind) -> Layers:
    return layers(model.sources[name].network(), model.rows[name], kind)


def _years(model: HybridFlux) -> int:
    """Years that the effects of years have; 1 where there are none."""
    leaves = learned(model)
    return max([leaves[name].shape[1] for name, by in physics_effects(model).items() if by == "site_year"], default=1)


def in_lanes(values: Array, *, draws: int) -> Array:
    """`[..., n or 1, draw or 1]` with the draws filled up to a power of two by the last, as `[..., group or 1, n or 1, lane or 1]`.

    >>> in_lanes(jnp.arange(3.0)[None], draws=3).tolist()
    [[[0.0, 1.0, 2.0, 2.0]]]
    """
    if values.shape[-1] == 1:
        return values[..., None, :, :]
    size = 1 << (draws - 1).bit_length()
    lanes = min(LANES, size)
    values = jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, size - draws)], mode="edge")
    return jnp.moveaxis(values.reshape(*values.shape[:-1], size // lanes, lanes), -2, -3)
