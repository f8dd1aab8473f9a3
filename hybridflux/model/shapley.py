"""The Shapley value of causes: how a change that several causes make together is shared out among them.

A cause is given the mean of what its switch from the usual to the actual value changes, over all orders in which the causes may be
switched (Shapley 1953, A value for n-person games). `shapley` sums over all subsets of the causes. `of_product` gives the same of a product
whose every factor belongs to one cause: there the mean over the orders is the integral of a polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import combinations
from math import factorial
from operator import add, mul
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.model.evaluated import evaluated

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

    def ratios(self) -> dict[str, Any]:
        """Cause -> what it multiplies the quantity by, so that the product of all is the actual over the usual value: `exp(log_parts)`."""
        if self.logarithm or len(self.causes) != 2:
            return {cause: jnp.exp(part) for cause, part in self.log_parts().items()}
        one, other = self.causes  # two causes have two orders, so that the mean of logarithms is a square root
        none, first, second, both = (jnp.maximum(self.at(frozenset(inside)), LEAST) for inside in ((), {one}, {other}, self.causes))
        return {one: jnp.sqrt(first / none * (both / second)), other: jnp.sqrt(second / none * (both / first))}

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
            for cause, ratio in (factor.ratios() if factor.causes else {}).items():
                ends[cause][1].append(ratio)
    pairs = {cause: (_times(before), _times(after)) for cause, (before, after) in ends.items()}
    scale, pairs = evaluated((_times(common), pairs))
    parts = {}
    for cause, (before, after) in pairs.items():
        others = [pair for other, pair in pairs.items() if other != cause]
        parts[cause] = scale * (after - before) * _mean_of_product(others)
    return parts


def _mean_of_product(pairs: Sequence[tuple]) -> Any:
    """Mean over all orders of n + 1 switches of the product of n pairs, each at its second value if switched before the one left over.

    It is the integral of the product along the straight path from first to second values, because that of `t^k (1 - t)^(n - k)` is one
    over `(n + 1) (n over k)`, the share of the orders of any k (Owen 1972, 10.1287/mnsc.18.5.64). Gauss's nodes give it exactly.

    >>> round(float(_mean_of_product([(1.0, 2.0), (10.0, 30.0)])), 5)  # (2 * 1 * 10 + 2 * 10 + 1 * 30 + 2 * 2 * 30) / 6
    31.66667
    """
    nodes, weights = np.polynomial.legendre.leggauss(len(pairs) // 2 + 1)
    along = zip((0.5 * (1.0 + nodes)).tolist(), (0.5 * weights).tolist(), strict=True)
    return reduce(add, (weight * _times([before + at * (after - before) for before, after in pairs]) for at, weight in along))


def _times(values: Sequence) -> Any:
    return reduce(mul, values) if values else 1.0
