"""The kernel of `cpu.py` for GPUs: the same slab and the same result, with the day loop inside one program of the GPU.

What does not change by the day is computed by XLA, once per pixel and draw: parameters, effects of places, the static part of
networks. The days run in `day_loop.py`. What outputs keep of months and years is made by XLA from the sums that come back.
"""

from __future__ import annotations

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, parameters_over_draws, physics_effects
from hybridflux.model.sources import Fixed
from hybridflux.region.kernels.contract import Pixels, Result, SharedInputs, Static, Waves, are_numbers, devices, with_effects
from hybridflux.region.kernels.gpu.day_loop import LANES, Inputs
from hybridflux.region.kernels.gpu.launch import Shape, run_programs, shape_of
from hybridflux.region.kernels.unrolled import Layers, layers, resting


def supports(static: Static, model: HybridFlux) -> str | None:
    """Why the kernel for GPUs does not map a model, in words; None where it does."""
    for output in static.outputs:
        if not output.program and jax.tree.leaves(jax.eval_shape(partial(output.begin, static))):
            return (
                f"the output `{output.name}` adds every day to what it carries, which the program for GPUs does for daily mean and sd and "
                "for daily series of NEE, GPP and RECO only"
            )
    if static.usual:
        return "the program for GPUs does not walk the usual year beside the one that was"
    if static.followed:
        return "the program for GPUs has no leaves that follow the water"
    if static.irrigated:
        return "the program for GPUs has no irrigation that differs between the draws"
    if static.n & (static.n - 1):
        return f"blocks of {static.n} pixels are no power of two"
    for name in static.daily:
        if learned(model.sources[name]) and model.sources[name].network() is None:
            return f"`{name}` changes from day to day and is neither given nor a network"
    return None


@eqx.filter_jit
def run_slab_on_accelerator(
    model: HybridFlux,
    shared: SharedInputs,
    waves: Waves | None,
    pixels: Pixels,
    static: Static,
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
        static: what is fixed.
        shape: of the programs; `shape_of(static)` by default.
        interpret: run the program with XLA on any device, slowly, for tests.
    """
    arrays, rest = eqx.partition(model, eqx.is_array)
    everywhere, blocks = PartitionSpec(), PartitionSpec("device")

    def part(arrays, shared, waves, pixels):
        whole = eqx.combine(arrays, rest)
        inputs = _inputs(whole, shared, waves, pixels, static)
        constants = {name: whole.rows[name].typical for name in static.constant if _is_constant(whole.sources[name])}
        sums, maps, series = run_programs(whole, static, inputs, constants, shape=shape or shape_of(static), interpret=interpret)
        sums = dict(zip(static.sums, sums, strict=True))
        sound = jax.vmap(are_numbers)(sums) & sound_blocks(inputs)[:, None]
        return Result({output.name: _kept(output, static, sums, maps, series) for output in static.outputs}, sound)

    specs = (everywhere, everywhere, everywhere, blocks)
    return jax.shard_map(part, mesh=devices(), in_specs=specs, out_specs=blocks, check_vma=False)(arrays, shared, waves, pixels)


def _alone(values: Array, draws: int) -> Array:
    """`[..., draw]` as `[..., group, lane]`."""
    return in_lanes(values[..., None, :], draws=draws)[..., 0, :]


def sound_blocks(inputs: Inputs) -> Array:
    """Whether every parameter of a block is a number `[block]`.

    Minimum and maximum of a GPU take the other value in place of NaN, so that a clipped factor would hide it from the check of the fluxes.
    """
    by_block = [*inputs.constant.values(), *inputs.yearly.values(), *(one.bias for one in inputs.networks.values())]
    alike = [weights for one in inputs.networks.values() for weights in (one.first, one.second)]
    sound = jnp.ones(inputs.weight.shape[0], bool)
    for values in by_block:
        sound &= jnp.isfinite(values).all(tuple(range(1, values.ndim)))
    for values in alike:
        sound &= jnp.isfinite(values).all()
    return sound


def _is_constant(source) -> bool:
    return isinstance(source, Fixed) and source.constant is None


def _kept(output, static: Static, sums: dict[str, Array], maps: tuple[Array, ...], series: tuple[Array, ...]) -> dict[str, Array]:
    """What an output keeps of all blocks: from the program where that does its days, else of the sums of the months."""
    if output.program == "maps":
        found = dict(zip(output.scales, maps, strict=True))
        return {name: found[name] for name in output.made(static.draws)}
    if output.program == "series":
        return dict(zip(output.reads, series, strict=True))
    of_month = partial(output.month, output.begin(static))
    months = jax.vmap(jax.vmap(lambda sums: of_month(sums)[1]))(sums)
    return jax.vmap(lambda months, sums: dict(output.end((), months, sums, static)))(months, sums)


def _inputs(model: HybridFlux, shared: SharedInputs, waves: Waves | None, pixels: Pixels, static: Static) -> Inputs:
    """Everything the day loop reads, draws `[group, lane]`."""
    of_blocks = jax.vmap(partial(_of_block, model, shared, waves, static))
    constant, yearly, bias = of_blocks(pixels.plant_type, pixels.static, pixels.row, pixels.column)
    of_draws = partial(in_lanes, draws=static.draws)
    networks = {}
    for name in bias:
        first, _, second = _layers(model, name, 0)
        networks[name] = Layers(*(_alone(weights, static.draws) for weights in (first, bias[name], second)))
    kind = pixels.plant_type[:, 0]
    last_year = _years(model) - 1  # without effects of years one row serves all; a GPU would read past its end without an error
    return Inputs(
        weather=shared.weather,
        daily=pixels.daily,
        covariates=pixels.static,
        cell=pixels.cell,
        weight=pixels.weight,
        bounds=jnp.where(pixels.active[:, None], shared.bounds, shared.bounds[0]),
        settling=jnp.where(pixels.active[:, None], jnp.stack([shared.spin_up, shared.warm_up]), 0),
        year=jnp.minimum(shared.year, last_year),
        year_of_month=jnp.minimum(shared.year_of_month, last_year),
        constant={name: of_draws(values) for name, values in constant.items()},
        yearly={name: of_draws(values) for name, values in yearly.items()},
        networks=networks,
        errors={
            name: tuple(_alone(values, static.draws) for values in (errors.path, errors.offset[kind], errors.slope[kind]))
            for name, errors in shared.vegetation_errors.items()
        },
    )


def _of_block(
    model: HybridFlux, shared: SharedInputs, waves: Waves | None, static: Static, kind: Array, covariates: dict, row: Array, column: Array
):
    """Of one block: parameters `[n or 1, draw or 1]`, those of each year `[year, n or 1, draw or 1]`, biases of networks."""
    fixed = covariates | {"plant_type": kind, "site": jnp.int32(0), "site_year": jnp.int32(0)}
    model = with_effects(model, shared, waves, kind[0], row, column)
    variable = [name for name in static.constant if not _is_constant(model.sources[name])]
    networks = [name for name in static.daily if learned(model.sources[name])]

    def of_year(year):
        names = fixed | {"site_year": jnp.int32(year)}
        found = parameters_over_draws(model, names, static.yearly)
        return found | {name: resting(model.sources[name], model.rows[name], names) for name in networks}

    years = [{name: _by_draw(value) for name, value in of_year(year).items()} for year in range(_years(model))]
    yearly = {name: jnp.stack([year[name] for year in years]) for name in (*static.yearly, *networks)}
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
