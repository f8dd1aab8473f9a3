"""Networks that read the day, evaluated for a block: the same numbers as `Neural.raw`, at a tenth of the time.

Three things are known in a block that a network does not know. Weather and plant type are the same for all its pixels, so their part of
the first layer is made once a draw. Some hidden units are taken together, for all draws and pixels: XLA makes one loop of vector
instructions of them and of what is computed of the parameter, and none of a batch of small matrix products. And where draws share their
network (members of an ensemble are repeated to make a hundred draws, which differ in the effects of places), it is evaluated once a member.
What a network reads of the pixels is the same for all draws, and made once. What it gives is made before the fluxes: in one loop with
them a processor waits for the chain of operations that follows the hidden units, and has not the room to begin the next pixels meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from hybridflux.model.evaluated import evaluated
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import EXACT, AbstractFree, Names, Neural
from hybridflux.region.kernels.activations import logistic, weighted_tanh
from hybridflux.vocabulary import Parameter

TOGETHER = 8
"""Units that share a division, at most."""


class Solved(AbstractFree):
    """What a network gave, in its place."""

    z: Array

    def reads(self):
        return ()

    def raw(self, row, names):
        return self.z


class Bounded(AbstractFree):
    """A source whose unconstrained parameter is made a parameter by `activations.logistic`."""

    source: AbstractFree

    def reads(self):
        return self.source.reads()

    def raw(self, row, names):
        return self.source.raw(row, names)

    def value(self, row, names):
        return row.lower + (row.upper - row.lower) * logistic(self.raw(row, names))


class Members(NamedTuple):
    """The different networks among the draws of a source.

    Attributes:
        network: with a member axis on its weights.
        pick: one where a draw is a member, else zero `[draw, member]`; None where each draw has a network of its own.
        which: the member of each draw `[draw]`.
    """

    network: Neural
    pick: Array | None
    which: Array | None = None


def members_of(network: Neural, *, apart: bool) -> Members:
    """Find the different networks among the draws.

    Args:
        network: with a draw axis on its weights.
        apart: whether draws read different drivers, so that each needs its own evaluation.
    """
    flat = np.concatenate([np.asarray(leaf).reshape(len(leaf), -1) for leaf in jax.tree.leaves(network)], axis=1)
    _, first, which = np.unique(flat, axis=0, return_index=True, return_inverse=True)
    if apart or len(first) == len(flat):
        return Members(network, None)
    pick = np.asarray(which.reshape(-1, 1) == np.arange(len(first)), np.float32)
    return Members(jax.tree.map(lambda leaf: leaf[first], network), jnp.asarray(pick), jnp.asarray(which.reshape(-1), jnp.int32))


def solve(model: HybridFlux, networks: dict[str, Members], names: Names) -> HybridFlux:
    """The model with its networks of the day replaced by what they give.

    Args:
        model: with a draw axis on its learned leaves.
        networks: parameter -> its networks.
        names: drivers and covariates of a block: `[n]`, `[1]`, or `[draw, n]` where draws differ.
    """
    columns = columns_of(networks, names)
    raws = {name: of_draws(of, raw_of_members(of.network, model.rows[name], names, columns[name])) for name, of in networks.items()}
    return solved(model, evaluated(raws))


def columns_of(networks: dict[str, Members], names: Names) -> dict[str, list[Array]]:
    """Standardised inputs of networks as `Neural.columns` has them, those of pixels made once and not anew for every member."""
    columns = {name: of.network.columns(names) for name, of in networks.items()}
    of_pixels = evaluated({name: {at: one for at, one in enumerate(found) if not is_shared(one)} for name, found in columns.items()})
    return {name: [of_pixels[name].get(at, one) for at, one in enumerate(found)] for name, found in columns.items()}


def is_shared(column: Array) -> bool:
    """Whether all pixels of a block have the same of an input `[..., feature]`."""
    return column.size == column.shape[-1]


def solved(model: HybridFlux, raws: dict[str, Array]) -> HybridFlux:
    """The model with the networks of some parameters replaced by the unconstrained parameter that they gave."""
    sources = dict(model.sources)
    for name, raw in raws.items():
        sources[name] = Bounded(eqx.tree_at(lambda one: one.network(), sources[name], Solved(raw)))
    return eqx.tree_at(lambda one: one.sources, model, sources)


def of_draws(members: Members, raw: Array) -> Array:
    """What members gave `[member, n]`, as `[draw, n]`."""
    return raw if members.pick is None else repeated(members.pick, members.which, raw)


@jax.jit
def repeated(pick: Array, which: Array, raw: Array) -> Array:
    """What members gave, for their draws: a product of matrices, because rows of a list take XLA twelve times as long (see `Members`)."""
    return jnp.matmul(pick, raw, precision=EXACT)


def raw_of_members(network: Neural, row: Parameter, names: Names, columns: list[Array]) -> Float[Array, "member n"]:
    """The unconstrained parameter of all members; `columns` are the standardised inputs."""
    w1, b1, w2 = network.weights
    w1 = w1 / len(network.inputs) ** 0.5
    shared, own, first = b1, [], 0
    for column in columns:
        weights = w1[:, first : first + column.shape[-1]]
        first += column.shape[-1]
        if is_shared(column):
            shared = shared + jnp.einsum("f,mfh->mh", column.reshape(-1), weights, precision=EXACT)
        else:
            own += [(column[..., number], weights[:, number]) for number in range(column.shape[-1])]

    def some(total, weights):
        start, slopes, out = weights
        received = [one[:, None] for one in start]
        for slope, (column, _) in zip(slopes, own, strict=True):
            received = [one + each[:, None] * column for one, each in zip(received, slope, strict=True)]
        return total + weighted_tanh(received, [one[:, None] for one in out]), None

    shape = jnp.broadcast_shapes((len(b1), 1), *(column.shape for column, _ in own))
    together = units_at_once(network.width)
    units = [shared.T, [slope.T for _, slope in own], w2.T]
    parts = jax.tree.map(lambda weights: [weights[unit::together] for unit in range(together)], units)
    weighted, _ = lax.scan(some, jnp.zeros(shape, jnp.float32), parts)
    return network.centre(row, names) + network.reach * row.prior_sd * weighted / network.width**0.5


def units_at_once(width: int) -> int:
    """Hidden units that share a division: the more the better, of numbers that divide their number.

    >>> units_at_once(8), units_at_once(16), units_at_once(7)
    (8, 8, 7)
    """
    return max(number for number in range(1, TOGETHER + 1) if width % number == 0)
