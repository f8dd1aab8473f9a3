"""Exact quantiles over draws without a sort: a bitonic network of minima and maxima, which vectorises over pixels."""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float


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
    ranked, last = sort_draws(values), values.shape[0] - 1
    found = []
    for level in levels:
        below = min(int(level * last), last)
        share = level * last - below
        found.append(ranked[below] if share == 0 else (1.0 - share) * ranked[below] + share * ranked[below + 1])
    return jnp.stack(found)


def _joined(low, high, size, rest):
    return jnp.stack([low, high], 1).reshape(size, *rest)
