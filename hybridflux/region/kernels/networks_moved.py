"""Networks that read the day, under the usual and the actual day at once, and what each cause has moved them by.

On the straight path of its inputs from the usual to the actual day, the argument h of a hidden unit is a line, so that the integral of the
slopes along the path (Aumann & Shapley 1974, Values of Non-Atomic Games; as integrated gradients Sundararajan et al. 2017,
arXiv:1703.01365) needs no quadrature: a cause has the part of `tanh(h1) - tanh(h0)` that it has of `h1 - h0`. To the third order in the
steps d of the causes the Shapley value differs from that by `d (sum of all d squared - d (h1 - h0))` times a twelfth of the third
derivative of tanh, which is added, damped where steps are large. The parts of all causes are the change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from hybridflux.model.attribution import cause_of, causes_of, following
from hybridflux.model.flux import HybridFlux
from hybridflux.model.inputs import DERIVED
from hybridflux.model.learned import parameters_over_draws
from hybridflux.model.shapley import Moved
from hybridflux.model.sources import EXACT, Names, Neural
from hybridflux.process.call import arguments
from hybridflux.region.kernels.activations import fraction
from hybridflux.region.kernels.networks import Members, of_draws, solved
from hybridflux.vocabulary import Parameter

TOGETHER = 64
"""Units times members that are evaluated at once, at most: their arrays are then as large as those of so many draws."""
FLAT = 1e-2
"""Change of the argument of a unit below which its slope is taken at the middle, to 1e-5 of it."""


def in_a_loop(some: Callable, units: Any, shape: tuple[int, int]) -> list[tuple[Array, ...]]:
    """What `some` gives of each unit, some of them at a time, as XLA does best."""
    width, members = units[0].shape
    parts = jax.tree.map(lambda weights: weights.reshape(-1, units_at_once(members, width), members), units)
    _, found = lax.scan(lambda _, weights: (None, some(weights)), None, parts)  # a loop, else each sum would evaluate the units anew
    return [*zip(*(one.reshape(-1, *shape) for one in found), strict=True)]


def one_by_one(some: Callable, units: Any, shape: tuple[int, int]) -> list[tuple[Array, ...]]:
    """The same without a loop: for `one_pass`, whose sums evaluate no unit anew."""
    return [some(jax.tree.map(lambda weights: weights[unit], units)) for unit in range(len(units[0]))]  # noqa: B023


def following_networks(
    model: HybridFlux, networks: dict[str, Members], changing: Sequence[str], of_units: Callable = in_a_loop
) -> Callable:
    """The `follow` of `AgainstUsual` for a model with a draw axis on its learned leaves.

    Args:
        model: whose parameters follow drivers.
        networks: parameter -> its networks, of those that have one.
        changing: names that have a usual value.
        of_units: how units are evaluated, `in_a_loop` or `one_by_one`.
    """

    def value(name: str, names: Names) -> Array:
        return parameters_over_draws(model, names, (name,))[name]

    others = following(model, changing, value)

    def follow(usual: Names, actual: Names, only: Sequence[str]) -> dict[str, Moved]:
        found = others(usual, actual, [name for name in only if name not in networks])
        return found | {name: _moved(model, name, networks[name], changing, usual, actual, of_units) for name in only if name in networks}

    return follow


def _moved(
    model: HybridFlux, name: str, members: Members, changing: Sequence[str], usual: Names, actual: Names, of_units: Callable
) -> Moved:
    row, network = model.row_of(name), members.network
    raw, steps = raw_and_steps(network, row, changing, usual, actual, of_units)
    raw, steps = of_draws(members, raw), {cause: of_draws(members, step) for cause, step in steps.items()}

    def at(inside: frozenset[str]) -> Array:
        here = sum((step for cause, step in steps.items() if cause in inside), raw)
        return parameters_over_draws(solved(model, {name: here}), usual, (name,))[name]

    made: dict[frozenset[str], Array] = {}

    def known(inside: frozenset[str]) -> Array:
        if inside not in made:
            made[inside] = at(inside)
        return made[inside]

    def logarithm() -> dict[str, Array]:
        """In proportion to the steps: the logarithm follows the unconstrained parameter alone."""
        before, after, step = known(frozenset()), known(frozenset(steps)), sum(steps.values(), jnp.zeros(()))
        flat = jnp.abs(step) < FLAT
        middle = 0.5 * (before + after)
        slope = (middle - row.lower) * (row.upper - middle) / ((row.upper - row.lower) * middle)
        slope = jnp.where(flat, slope, jnp.log(after / before) / jnp.where(flat, 1.0, step))
        return {cause: slope * part for cause, part in steps.items()}

    return Moved(tuple(steps), known, logarithm if row.lower >= 0 else None)


def raw_and_steps(
    network: Neural, row: Parameter, changing: Sequence[str], usual: Names, actual: Names, of_units: Callable = in_a_loop
) -> tuple[Array, dict[str, Array]]:
    """The unconstrained parameter of all members on the usual day `[member, n]`, and what each cause moves it by.

    Args:
        network: with a member axis on its weights.
        row: of the parameter.
        changing: names that have a usual value.
        usual: drivers and covariates of a block on the usual day: `[n]`, `[1]`, or `[draw, n]` where draws differ.
        actual: the same as they were.
        of_units: how units are evaluated, `in_a_loop` or `one_by_one`.
    """
    w1, b1, w2 = network.weights
    w1 = w1 / len(network.inputs) ** 0.5
    shared, own, first = b1, [], 0
    of_cause: dict[str, tuple[list, list]] = {}
    for name, before, after in zip(network.inputs, network.columns(usual), network.columns(actual), strict=True):
        weights = w1[:, first : first + before.shape[-1]]
        first += before.shape[-1]
        read = [one for one in (arguments(DERIVED[name]) if name in DERIVED else (name,)) if one in changing]
        by = of_cause.setdefault(cause_of(read[0]), ([], [])) if read else ([], [])
        whole = before.size == before.shape[-1] and after.size == after.shape[-1]
        if whole:
            shared = shared + jnp.einsum("f,mfh->mh", before.reshape(-1), weights, precision=EXACT)
            by[0].append(jnp.einsum("f,mfh->mh", (after - before).reshape(-1), weights, precision=EXACT))
        else:
            for number in range(before.shape[-1]):
                own.append((before[..., number], weights[:, number]))
                by[1].append((after[..., number] - before[..., number], weights[:, number]))
    causes = tuple(cause for cause in causes_of(changing) if cause in of_cause)

    def changes(moves) -> list[Array]:
        """What each cause moves the arguments of units by `[unit, member, 1]` or `[unit, member, n]`."""
        return [
            sum((one[..., None] for one in alike), jnp.zeros(()))
            + sum((slope[..., None] * column for slope, (column, _) in zip(each, of_cause[cause][1], strict=True)), jnp.zeros(()))
            for cause, (alike, each) in zip(causes, moves, strict=True)
        ]

    def some(weights):
        start, slopes, moves, out = weights
        here = start[..., None] + sum(slope[..., None] * column for slope, (column, _) in zip(slopes, own, strict=True))
        by = changes(moves)
        step = sum(by[1:], by[0])
        (low, under), (high, below) = fraction(here), fraction(here + step)
        flat = jnp.abs(step) < FLAT
        known = jnp.where(flat, 1.0, step)
        squares = sum((one * one for one in by), jnp.zeros(()))
        damped = 12.0 + 2.0 * squares
        share = 1.0 / (under * below * known * damped)  # one division for all
        each = share * known * damped
        low, high, share = low * below * each, high * under * each, share * under * below
        middle = 0.5 * (low + high)
        bend = lambda value: 2.0 * value * (value * value - 1.0)  # noqa: E731 - the second derivative of tanh, by its value
        slope = jnp.where(flat, 1.0 - middle * middle, (high - low) * share * damped)
        third = jnp.where(flat, 0.0, (bend(high) - bend(low)) * share)
        found = out[..., None] * low, out[..., None] * (slope + third * squares), out[..., None] * (third * step)
        return tuple(jnp.broadcast_to(one, (*start.shape, shape[-1])) for one in found)

    columns = [column for column, _ in own] + [column for cause in causes for column, _ in of_cause[cause][1]]
    shape = jnp.broadcast_shapes((len(b1), 1), *(column.shape for column in columns))
    moves = [([one.T for one in of_cause[cause][0]], [slope.T for _, slope in of_cause[cause][1]]) for cause in causes]
    low, slope, third = zip(*of_units(some, (shared.T, [slope.T for _, slope in own], moves, w2.T), shape), strict=True)
    by_unit = [changes(jax.tree.map(lambda weights: weights[unit], moves)) for unit in range(len(low))]  # noqa: B023
    totals = [reduce(add, low)]
    for cause in range(len(causes)):
        by = [one[cause] for one in by_unit]
        totals.append(reduce(add, (by[unit] * (slope[unit] - third[unit] * by[unit]) for unit in range(len(low)))))
    raw, *steps = [network.reach * row.prior_sd / network.width**0.5 * total for total in totals]
    return network.centre(row, usual) + raw, dict(zip(causes, steps, strict=True))


def units_at_once(members: int, width: int) -> int:
    """Hidden units that are evaluated together: with few members the calls of small programs would take longer than what they do.

    >>> units_at_once(8, 8), units_at_once(8, 16), units_at_once(64, 16)
    (4, 8, 1)
    """
    fits = [number for number in range(1, width) if width % number == 0 and number * members <= TOGETHER]
    return max(fits, default=1)  # not all of them: a loop of one turn would be none
