"""How the blocks of a slab are shared out over the programs of a GPU, and what each of them sees."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.region.kernels.contract import Static
from hybridflux.region.kernels.gpu.day_loop import Inputs, Outputs, program
from hybridflux.region.kernels.unrolled import Layers


class Shape(NamedTuple):
    """Size of a program.

    Attributes:
        pixels: a power of two.
        warps: of 32 threads.
    """

    pixels: int
    warps: int


def shape_of(static: Static) -> Shape:
    """A shape whose programs keep their numbers in registers, or the fastest of those measured.

    A thread holds `pixels / warps` pixels of 4 draws (128, with those that fill up). From day to day live soil water, the two sums of the
    month and the parameters with effects of places, one register for each pixel and draw; other parameters one for each draw. `static`
    with 4 pixels a thread: 16 x (3 + 2) + 4 x 5 = 100, and as much for the values of the day in flight: 253 of the 255 there are, nothing
    spilled, two programs on a processor, 71 to 81 instructions per pixel, day and draw (machine code for sm_90, daily maps, series and 100
    draws). With 2 pixels 167 and three programs, but 100 instructions. A network in the loop adds a sum and its inputs, so that 4 pixels
    spill 200 bytes a thread and 2 none; eight warps then share the weights of a unit, read once a program. On an H200 `hybrid` and
    `hybrid_water` took, with 8 pixels and 4 warps, 3.2 and 8.0 s; 16 and 4: 2.7 and 6.3; 8 and 8: 2.2 and 8.6; 16 and 8: 2.1 and 4.2;
    32 and 8: 1.6 and 3.2; 64 and 8 1.4 for `hybrid`.
    """
    return Shape(pixels=32, warps=8) if static.daily else Shape(pixels=16, warps=4)


def run_programs(
    model: HybridFlux, static: Static, inputs: Inputs, constants: dict[str, float], *, shape: Shape, interpret: bool
) -> Outputs:
    """Monthly sums, daily maps and daily series of all blocks, the series summed over the programs of a block `[block, day, draw]`.

    Args:
        model: with sources that say which networks there are.
        static: what is fixed.
        inputs: of all blocks.
        constants: parameter -> value, the same everywhere.
        shape: of the programs.
        interpret: without a GPU.
    """
    from jax.experimental import pallas
    from jax.experimental.pallas import triton

    size = min(shape.pixels, static.n)
    blocks, programs = inputs.weight.shape[0], static.n // size
    shapes, specs = _outputs(static, blocks, programs, inputs.year_of_month.shape[0])
    found = pallas.pallas_call(
        partial(program, model, static, constants),
        out_shape=tuple(shapes),
        out_specs=tuple(specs),
        grid=(blocks, programs),
        in_specs=(_specs(inputs, size),),
        compiler_params=triton.CompilerParams(num_warps=shape.warps, num_stages=1),
        interpret=interpret,
    )(inputs)
    sums, maps, series = found
    return Outputs(sums, maps, tuple(total.sum(1) for total in series))


def _outputs(static: Static, blocks: int, programs: int, months: int) -> tuple[Outputs, Outputs]:
    """Shapes of what is written, and what of it belongs to a program."""
    from jax.experimental.pallas import BlockSpec

    draws, size = 1 << (static.draws - 1).bit_length(), static.n // programs
    sums = jax.ShapeDtypeStruct((blocks, months, static.draws, static.n), jnp.float32)
    a_map = jax.ShapeDtypeStruct((blocks, static.days, static.n), jnp.int16)
    a_series = jax.ShapeDtypeStruct((blocks, programs, static.days, static.draws), jnp.float32)
    of_sums = BlockSpec((None, months, draws, size), lambda block, program: (block, 0, 0, program))
    of_map = BlockSpec((None, static.days, size), lambda block, program: (block, 0, program))
    of_series = BlockSpec((None, None, static.days, draws), lambda block, program: (block, program, 0, 0))
    programs_of = {output.program for output in static.outputs}
    count, maps, series = len(static.sums), 6 if "maps" in programs_of else 0, 2 if "series" in programs_of else 0
    return (
        Outputs((sums,) * count, (a_map,) * maps, (a_series,) * series),
        Outputs((of_sums,) * count, (of_map,) * maps, (of_series,) * series),
    )


def _specs(inputs: Inputs, size: int) -> Inputs:
    """What of the inputs belongs to a program: everything, its block, or its pixels of its block."""
    from jax.experimental.pallas import BlockSpec

    def whole(array: Array):
        return BlockSpec(array.shape, lambda block, program: (0,) * array.ndim)

    def by_block(array: Array):
        return BlockSpec((None, *array.shape[1:]), lambda block, program: (block, *(0,) * (array.ndim - 1)))

    def by_program(array: Array, axis: int = -1):
        if array.shape[axis] == 1:
            return by_block(array)
        at = array.ndim + axis
        own = (None, *(size if one == at else array.shape[one] for one in range(1, array.ndim)))
        return BlockSpec(own, lambda block, program: (block, *(program if one == at else 0 for one in range(1, array.ndim))))

    every, of_parameters = jax.tree.map, partial(by_program, axis=-2)
    return Inputs(
        weather=every(whole, inputs.weather),
        daily=every(by_program, inputs.daily),
        covariates=every(by_program, inputs.covariates),
        cell=by_program(inputs.cell),
        weight=by_program(inputs.weight),
        bounds=by_block(inputs.bounds),
        settling=by_block(inputs.settling),
        year=whole(inputs.year),
        year_of_month=whole(inputs.year_of_month),
        constant=every(of_parameters, inputs.constant),
        yearly=every(of_parameters, inputs.yearly),
        networks={name: Layers(whole(one.first), by_block(one.bias), whole(one.second)) for name, one in inputs.networks.items()},
        errors={name: (whole(path), *map(by_block, line)) for name, (path, *line) in inputs.errors.items()},
    )
