"""Exact quantiles over draws without a sort: minima and maxima of whole rows of pixels.

All ranks come from a bitonic network; a few ranks near the ends from lists of the lowest and highest values, into which the draws are
put one after the other.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def statistics(values: Float[Array, "draw n"], levels: tuple[float, ...]) -> list[Array]:
    """Mean, sd and quantiles over the draws, `[n]` each.

    In two passes: exact, and twice as fast as differences from one of the draws, which XLA does not vectorise.

    >>> [float(one[0]) for one in statistics(jnp.array([[3.0], [1.0], [2.0]]), (0.5,))]
    [2.0, 1.0, 2.0]
    """
    draws = values.shape[0]
    if draws == 1:  # nothing to sum
        return [values[0], jnp.zeros_like(values[0]), *(values[0] for _ in levels)]
    mean = values.sum(0) / draws
    off = values - mean
    return [mean, jnp.sqrt((off * off).sum(0) / max(draws - 1, 1)), *(quantiles(values, levels) if levels else [])]


def sort_draws(values: Float[Array, "draw ..."]) -> Float[Array, "rank ..."]:
    """Values in rising order along axis 0; filled up with infinity to the next power of two.

    >>> sort_draws(jnp.array([3.0, 1.0, 2.0])).tolist()
    [1.0, 2.0, 3.0, inf]
    """
    draws, rest = values.shape[0], values.shape[1:]
    size = 1 << max(draws - 1, 0).bit_length()
    if size > draws:
        values = jnp.concatenate([values, jnp.full((size - draws, *rest), jnp.inf, values.dtype)])
    run = 2
    while run <= size:
        pair = values.reshape(size // run, 2, run // 2, *rest)
        left, right = pair[:, 0], jnp.flip(pair[:, 1], 1)
        values = _joined(jnp.minimum(left, right), jnp.flip(jnp.maximum(left, right), 1), size, rest)
        step = run // 4
        while step >= 1:
            pair = values.reshape(size // (2 * step), 2, step, *rest)
            values = _joined(jnp.minimum(pair[:, 0], pair[:, 1]), jnp.maximum(pair[:, 0], pair[:, 1]), size, rest)
            step //= 2
        run *= 2
    return values


def quantiles(values: Float[Array, "draw ..."], levels: tuple[float, ...]) -> Float[Array, "level ..."]:
    """Quantiles over axis 0, linear between ranks as `numpy.quantile` does.

    >>> quantiles(jnp.array([3.0, 1.0, 2.0]), (0.0, 0.25, 1.0)).tolist()
    [1.0, 1.5, 3.0]
    """
    last, found = values.shape[0] - 1, []
    places = [(min(int(level * last), last), level * last) for level in levels]
    ranked = _ranked(values, {below for below, _ in places} | {below + 1 for below, place in places if place > below})
    for below, place in places:
        share = place - below
        found.append(ranked[below] if share == 0 else (1.0 - share) * ranked[below] + share * ranked[below + 1])
    return jnp.stack(found)


def _ranked(values: Array, ranks: set[int]) -> dict[int, Array]:
    """The values of some ranks, by the way that takes less."""
    draws = values.shape[0]
    longest = max(min(rank + 1, draws - rank) for rank in ranks)
    size = 1 << max(draws - 1, 0).bit_length()
    stages = size.bit_length() * (size.bit_length() - 1) // 2
    # measured: a step of the lists takes as long as 4 of the network; a device that waits for each step should not take `draws` of them
    if 4 * draws * longest <= size * stages and jax.default_backend() == "cpu":
        low, high = ends(values, longest)
        return {rank: low[rank] if rank < longest else high[draws - 1 - rank] for rank in ranks}
    everything = sort_draws(values)
    return {rank: everything[rank] for rank in ranks}


def ends(values: Float[Array, "draw ..."], count: int) -> tuple[Float[Array, "rank ..."], Float[Array, "rank ..."]]:
    """The lowest values in rising order and the highest in falling order.

    >>> [end.tolist() for end in ends(jnp.array([3.0, 1.0, 2.0]), 2)]
    [[1.0, 2.0], [3.0, 2.0]]
    """
    sign = jnp.array([1.0, -1.0], values.dtype).reshape(2, *[1] * (values.ndim - 1))  # the highest are the lowest of the negative
    lists = jnp.full((count + 1, 2, *values.shape[1:]), jnp.inf, values.dtype).at[0].set(-jnp.inf)  # a floor, and nothing yet

    def put(draw, lists):
        value = lax.dynamic_index_in_dim(values, draw, 0, keepdims=False) * sign
        return lax.dynamic_update_slice_in_dim(lists, jnp.minimum(lists[1:], jnp.maximum(lists[:-1], value)), 1, 0)

    lists = lax.fori_loop(0, values.shape[0], put, lists)
    return lists[1:, 0], -lists[1:, 1]


def _joined(low, high, size, rest):
    return jnp.stack([low, high], 1).reshape(size, *rest)
