"""The Shapley value of causes: how a change that several causes make together is shared out among them.

A cause is given the mean of what its switch from the usual to the actual value changes, over all orders in which the causes may be
switched (Shapley 1953, A value for n-person games). `shapley` sums over all subsets of the causes. `of_product` gives the same of a product
whose every factor belongs to one cause: there the sum over all subsets of one size is a coefficient of a product of polynomials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import combinations
from math import comb, factorial
from operator import add, mul
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

At = Callable[[frozenset[str]], Any]
"""A value from the causes that are as they were; the others are as usual."""
LEAST = 1e-20
"""A factor is taken for this much where it is less, so that it has a logarithm."""


def shapley(value: At, causes: Sequence[str]) -> dict[str, Any]:
    """Cause -> its part of `value(all causes) - value(none)`, by the sum over all subsets.

    >>> def rectangle(inside): return (3.0 if "width" in inside else 1.0) * (2.0 if "height" in inside else 1.0)
    >>> shapley(rectangle, ("width", "height"))
    {'width': 3.0, 'height': 2.0}
    """
    subsets = [frozenset(inside) for size in range(len(causes) + 1) for inside in combinations(causes, size)]
    worth, number = {inside: value(inside) for inside in subsets}, len(causes)
    parts: dict[str, Any] = dict.fromkeys(causes, 0.0)
    for inside in subsets:
        for cause in (one for one in causes if one not in inside):
            orders = factorial(len(inside)) * factorial(number - len(inside) - 1) / factorial(number)
            parts[cause] = parts[cause] + orders * (worth[inside | {cause}] - worth[inside])
    return parts


class Moved(NamedTuple):
    """A quantity that some causes move from its usual to its actual value.

    Attributes:
        causes: those that move it.
        at: its value.
        logarithm: parts of the change of its logarithm by cause, where there is a cheaper way to them than all subsets.
    """

    causes: tuple[str, ...]
    at: At
    logarithm: Callable[[], Mapping[str, Any]] | None = None

    @property
    def usual(self) -> Any:
        """Its usual value."""
        return self.at(frozenset())

    @property
    def actual(self) -> Any:
        """Its value as it was."""
        return self.at(frozenset(self.causes))

    def log_parts(self) -> Mapping[str, Any]:
        """Cause -> its part of the change of the logarithm."""
        return self.logarithm() if self.logarithm else shapley(lambda inside: jnp.log(jnp.maximum(self.at(inside), LEAST)), self.causes)


def constant(value: Any) -> Moved:
    """A quantity that no cause moves."""
    return Moved((), lambda inside: value)


def of_product(factors: Sequence[Moved]) -> dict[str, Array]:
    """Cause -> its part of the change of a product of factors, each of which is 0 or more.

    A factor that one cause moves belongs to that cause. The change of one that several move is shared out in its logarithm, so that it is a
    product of causes too.
    """
    common: list = []
    ends: dict[str, tuple[list, list]] = {cause: ([], []) for factor in factors for cause in factor.causes}
    for factor in factors:
        if len(factor.causes) == 1:
            usual, actual = ends[factor.causes[0]]
            usual.append(factor.usual)
            actual.append(factor.actual)
        else:
            common.append(factor.usual)
            for cause, part in (factor.log_parts() if factor.causes else {}).items():
                ends[cause][1].append(jnp.exp(part))
    pairs = {cause: (_times(before), _times(after)) for cause, (before, after) in ends.items()}
    scale, pairs = lax.optimization_barrier((_times(common), pairs))  # else each part below evaluates the factors anew
    parts = {}
    for cause in ends:
        others = [sizes for other, sizes in pairs.items() if other != cause]
        sums = _by_number(others)
        orders = [1.0 / (len(ends) * comb(len(others), number)) for number in range(len(sums))]
        mean = sum((weight * one for weight, one in zip(orders[1:], sums[1:], strict=True)), orders[0] * sums[0])
        parts[cause] = scale * (pairs[cause][1] - pairs[cause][0]) * mean
    return parts


def _by_number(pairs: Sequence[tuple]) -> list:
    """Sums of products over all choices of one of each pair, by how many of them are the second of their pair.

    >>> _by_number([(1.0, 2.0), (10.0, 30.0)])
    [10.0, 50.0, 60.0]
    """
    if len(pairs) < 2:
        return [*pairs[0]] if pairs else [1.0]
    middle = len(pairs) // 2
    first, second = _by_number(pairs[:middle]), _by_number(pairs[middle:])
    sums: list = [[] for _ in range(len(pairs) + 1)]
    for number, one in enumerate(first):
        for more, other in enumerate(second):
            sums[number + more].append(one * other)
    return [reduce(add, terms) for terms in sums]


def _times(values: Sequence) -> Any:
    return reduce(mul, values) if values else 1.0
