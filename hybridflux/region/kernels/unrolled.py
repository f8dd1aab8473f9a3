"""A network as elementwise sums over its inputs and units: for kernels of a GPU, where a matrix of eight columns does not pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike

from hybridflux.model.learned import draw_axes
from hybridflux.model.sources import AbstractFree, Neural
from hybridflux.vocabulary import PLANT_TYPES, Parameter


class Layers(NamedTuple):
    """Weights of a network for places of one plant type, draws on the last axis.

    Attributes:
        first: of the inputs but the plant type `[input, unit, draw]`.
        bias: of the units, with what the plant type adds `[unit, draw]`.
        second: of the units, with reach and spread `[unit, draw]`.
    """

    first: Array
    bias: Array
    second: Array


class _Resting(AbstractFree):
    """A network whose weights are all zero."""

    network: Neural

    def reads(self):
        return ("plant_type",) if "plant_type" in self.network.inputs else ()

    def raw(self, row, names):
        return jnp.asarray(self.network.centre(row, names), jnp.float32)


def inputs_of(network: Neural) -> tuple[str, ...]:
    """Names of the inputs but the plant type, in the order of `Layers.first`."""
    return tuple(name for name in network.inputs if name != "plant_type")


def layers(network: Neural, row: Parameter, plant_type: ArrayLike) -> Layers:
    """Weights of a network that has a draw axis, so that `raw = resting + unrolled`.

    Args:
        network: with a draw axis on its learned leaves.
        row: of the parameter it gives.
        plant_type: one for all places.
    """
    scale, start, rows = len(network.inputs) ** 0.5, 0, []
    first, bias, last = network.weights
    for name in network.inputs:
        if name == "plant_type":
            bias = bias + jnp.take(first, start + plant_type, axis=1) / scale
            start += len(PLANT_TYPES)
        else:
            rows.append(first[:, start] / scale)
            start += 1
    second = network.reach * row.prior_sd * last / network.width**0.5
    return Layers(jnp.stack([weights.T for weights in rows]), bias.T, second.T)


def resting(source: AbstractFree, row: Parameter, names) -> Array:
    """The unconstrained parameter with its network at rest: prior median and population effects `[draw]` or `[draw, ...]`.

    Args:
        source: a network or population effects on one, with a draw axis on its learned leaves.
        row: of the parameter.
        names: plant type and indices of the populations.
    """
    still = eqx.tree_at(lambda one: one.network(), source, replace_fn=_Resting)
    return eqx.filter_vmap(lambda one: one.raw(row, names), in_axes=(draw_axes(still),))(still)


def unrolled(inputs: Sequence[ArrayLike], width: int, first: Callable, bias: Callable, second: Callable) -> Array:
    """What the network adds to its median: sums over the inputs written out, one unit after the other; elementwise.

    tanh(x) is written 1 - 2 / (1 + exp(2 x)), right to 1e-7 and a few instructions. The units are a loop, so that a GPU holds the weights
    of one at a time.

    Args:
        inputs: standardised.
        width: number of units.
        first: `first(input, unit)` of `Layers`, broadcasting with the inputs.
        bias: `bias(unit)`.
        second: `second(unit)`.
    """

    def add(unit, total):
        inside = bias(unit)
        for number, value in enumerate(inputs):
            inside = inside + first(number, unit) * value
        return total + second(unit) * (1.0 - 2.0 / (1.0 + jnp.exp(2.0 * inside)))

    shape = jax.eval_shape(add, jnp.int32(0), jnp.float32(0.0)).shape
    return lax.fori_loop(0, width, add, jnp.zeros(shape, jnp.float32))
