"""All days of a few pixels in one program of a GPU (Pallas, Triton), draws and pixels side by side in registers.

A program has a few pixels of a block and all draws, filled up to a power of two. State, sums of the month and parameters stay in
registers from the first day to the last; a day loads its weather and the vegetation of its pixels and stores what it maps. The physics are
those of the model, called with values `[group, pixel, lane]`: every process is elementwise and is traced into the program as it stands.

Draws are `[group, lane]`: 32 lanes side by side in a warp, groups one after the other in a thread, pixels in the warps. So sums over draws
need no barrier, and of what is the same for all pixels (most parameters, and the responses to weather they make) a thread keeps and
computes one value for all of its pixels.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike

from hybridflux.model.flux import HybridFlux
from hybridflux.model.inputs import standardised
from hybridflux.model.learned import learned
from hybridflux.model.sources import to_value
from hybridflux.region.draws.vegetation_error import with_errors
from hybridflux.region.kernels.contract import LIMIT, Static, steady_shape, unpacked, walk
from hybridflux.region.kernels.unrolled import Layers, inputs_of, unrolled

LANES = 32  # threads of a warp


class Inputs(NamedTuple):
    """What the programs read; draws are filled up to a power of two, `[group, lane]`.

    Attributes:
        weather: name -> `[time, cell]`.
        daily: name -> `[block, time, n]`, float32 or scaled int16.
        covariates: name -> `[block, n]`.
        cell: weather cell `[block, 1]` or `[block, n]`.
        weight: of a pixel in the daily sums `[block, n]`.
        bounds: first day of each month, and the end `[block, month + 1]`; all equal in an inactive block.
        settling: days of the spin-up and of the warm-up `[block, 2]`.
        year: position of the year of each day `[time]`.
        year_of_month: the same `[month]`.
        constant: parameter -> `[block, group or 1, n or 1, lane or 1]`.
        yearly: parameter, or what a network adds to -> `[block, year, group or 1, n or 1, lane or 1]`.
        networks: parameter -> weights, the bias `[block, unit, group, lane]`.
        errors: daily map of vegetation -> its path `[time, group, lane]`, offset and slope `[block, group, lane]`.
    """

    weather: dict[str, Array]
    daily: dict[str, Array]
    covariates: dict[str, Array]
    cell: Array
    weight: Array
    bounds: Array
    settling: Array
    year: Array
    year_of_month: Array
    constant: dict[str, Array]
    yearly: dict[str, Array]
    networks: dict[str, Layers]
    errors: dict[str, tuple[Array, ...]]


class Outputs(NamedTuple):
    """What the programs write.

    Attributes:
        sums: of each of `Static.sums` over each month `[block, month, draw, n]`.
        maps: mean and sd of NEE, GPP and RECO `[block, day, n]`, int16; or none.
        series: sums of GPP and RECO over the pixels of a program `[block, program, day, draw]`; or none.
    """

    sums: tuple[Array, ...]
    maps: tuple[Array, ...]
    series: tuple[Array, ...]


def program(model: HybridFlux, static: Static, constants: dict[str, float], refs: Inputs, *outputs) -> None:
    """Spin-up and warm-up with the states alone, then the mapped days month by month.

    Args:
        model: its processes are called; its sources only say which networks there are.
        static: what is fixed.
        constants: parameter -> value, the same everywhere.
        refs: of what a program reads, without the axis `block`, and with its own pixels only.
        outputs: refs of what it writes, in the order of `Outputs`.
    """
    write = _Writer(static, refs, Outputs(*outputs))
    day = _Day(model, static, constants, refs)

    def before(step, number, state):
        return step(state, *day(number, refs.year[number]))

    today, parameters = day(0, refs.year[0])
    state = steady_shape(model, model.start(today, parameters), today, parameters)
    state = {name: jnp.broadcast_to(value, write.shape) for name, value in state.items()} if model.settles else state
    for kind, step in enumerate((model.spin_up, model.warm_up)):
        state = lax.fori_loop(0, refs.settling[kind], partial(before, step), state)

    def a_day(year, number, carry):
        state, sums = carry
        state, values = walk(model, static.reads, write.shape, state, *day(number, year))
        write.day(number - refs.bounds[0], values)
        return state, tuple(total + values[name] for name, total in zip(static.sums, sums, strict=True))

    def a_month(month, state):
        nothing = (jnp.zeros(write.shape, jnp.float32),) * len(static.sums)
        step = partial(a_day, refs.year_of_month[month])
        state, sums = lax.fori_loop(refs.bounds[month], refs.bounds[month + 1], step, (state, nothing))
        write.month(month, sums)
        return state

    lax.fori_loop(0, refs.year_of_month.shape[0], a_month, state)


class _Day:
    """Drivers and parameters of a day, from the refs of a program."""

    def __init__(self, model: HybridFlux, static: Static, constants: dict[str, float], refs: Inputs):
        self.model, self.static, self.refs = model, static, refs
        self.cell = refs.cell[0 if refs.cell.shape[0] == 1 else slice(None)]
        self.constant = constants | {name: _read(ref) for name, ref in refs.constant.items()}
        self.covariates = {name: _over_pixels(ref[...]) for name, ref in refs.covariates.items()}

    def __call__(self, day: ArrayLike, year: Array) -> tuple[dict, dict]:
        """Drivers and parameters, `[group, pixel, lane]` or of a shape that broadcasts to it."""
        names = self.covariates | {name: _over_pixels(ref[day, self.cell]) for name, ref in self.refs.weather.items()}
        names |= {name: _over_pixels(unpacked(ref[day, :])) for name, ref in self.refs.daily.items()}
        for name, (path, offset, slope) in self.refs.errors.items():
            names[name] = with_errors(name, names, _over_draws(slope), _over_draws(offset), _over_draws(path, day))
        yearly = {name: _read(ref, year) for name, ref in self.refs.yearly.items()}
        daily = {name: self._of_day(name, yearly, names) for name in self.static.daily}
        return names, self.constant | yearly | daily

    def _of_day(self, name: str, yearly: dict, names: dict):
        source, row = self.model.sources[name], self.model.rows[name]
        if not learned(source):
            return source.value(row, names)
        network, (first, bias, second) = source.network(), self.refs.networks[name]
        added = unrolled(
            [standardised(one, names, network.own) for one in inputs_of(network)],
            network.width,
            lambda number, unit: _over_draws(first, number, unit),
            lambda unit: _over_draws(bias, unit),
            lambda unit: _over_draws(second, unit),
        )
        return to_value(yearly[name] + added, row)


class _Writer:
    """Stores what a program maps; draws that only fill up are left out."""

    def __init__(self, static: Static, refs: Inputs, outputs: Outputs):
        from jax.experimental.pallas import triton

        self.static, self.weight, self.outputs, self.store = static, refs.weight, outputs, triton.store
        draws, pixels = outputs.sums[0].shape[1:]
        lanes = min(LANES, draws)
        self.shape = draws // lanes, pixels, lanes
        self.draw = lanes * _iota(self.shape, 0) + _iota(self.shape, 2)
        self.pixel = _iota(self.shape, 1)

    def day(self, row: Array, values: dict[str, Array]) -> None:
        """Maps and series of a day."""
        if self.outputs.maps:
            scales = next(output.scales.values() for output in self.static.outputs if output.program == "maps")
            for ref, scale, found in zip(self.outputs.maps, scales, self._statistics(values["gpp"], values["reco"]), strict=True):
                ref[row, :] = _packed(found, scale)
        if self.outputs.series:
            weight, (groups, _, lanes) = _over_pixels(self.weight[...]), self.shape
            draw = lanes * _iota((groups, lanes), 0) + _iota((groups, lanes), 1)
            for ref, flux in zip(self.outputs.series, (values["gpp"], values["reco"]), strict=True):
                self.store(ref.at[row, draw], (flux * weight).sum(1), mask=draw < self.static.draws)

    def month(self, month: Array, sums: tuple[Array, ...]) -> None:
        """Sums of a month."""
        for ref, total in zip(self.outputs.sums, sums, strict=True):
            self.store(ref.at[month, self.draw, self.pixel], total, mask=self.draw < self.static.draws)

    def _statistics(self, gpp: Array, reco: Array) -> tuple[Array, ...]:
        """Mean and sd over the draws of NEE, GPP and RECO, in two passes."""
        draws = self.static.draws
        mean_gpp, mean_reco = (_sum(self._counted(flux)) / draws for flux in (gpp, reco))
        off_gpp, off_reco = (self._counted(flux - _over_pixels(mean)) for flux, mean in ((gpp, mean_gpp), (reco, mean_reco)))
        sd = [jnp.sqrt(_sum(off * off) / max(draws - 1, 1)) for off in (off_reco - off_gpp, off_gpp, off_reco)]
        return mean_reco - mean_gpp, sd[0], mean_gpp, sd[1], mean_reco, sd[2]

    def _counted(self, values: Array) -> Array:
        """0 where a draw only fills up."""
        filled = self.static.draws < self.shape[0] * self.shape[2]
        return jnp.where(self.draw < self.static.draws, values, 0.0) if filled else values


def _iota(shape: tuple[int, ...], axis: int) -> Array:
    return lax.broadcasted_iota(jnp.int32, shape, axis)


def _sum(values: Array) -> Array:
    """Over draws, `[pixel]`."""
    return values.sum(0).sum(1)


def _read(ref, *at):
    """The last three axes of a ref, `[group or 1, pixel or 1, lane or 1]`; a number where all are 1."""
    groups, pixels, lanes = ref.shape[-3:]
    if groups == lanes == 1:
        return _over_pixels(ref[(*at, 0, slice(None) if pixels > 1 else 0, 0)])
    if pixels == 1:
        return ref[(*at, slice(None), 0, slice(None))][:, None, :]
    return ref[(*at, slice(None), slice(None), slice(None))]


def _over_draws(ref, *at) -> Array:
    return ref[(*at, slice(None), slice(None))][:, None, :]


def _over_pixels(values: Array) -> Array:
    return values[None, :, None] if values.ndim else values


def _packed(values: Array, scale: float) -> Array:
    """As `cpu.run_slab` packs; halves go up, because Triton has no rounding to even."""
    return jnp.clip(jnp.floor(values / scale + 0.5), -LIMIT, LIMIT).astype(jnp.int16)
