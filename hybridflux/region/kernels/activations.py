"""What networks of the day are made of, elementwise and in few vector instructions, right to a few units in the last place of float32.

A division takes as long as most of a tanh, so that hidden units share one; the exponential of XLA guards against what cannot come here.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike

LARGEST = 7.75
"""Argument from which on tanh is 1, to 4e-7."""
NUMERATOR = (0.99999977742, 0.12940733476, 0.00296763631, 1.16177929e-05)
DENOMINATOR = (1.0, 0.46273935947, 0.02388237771, 2.4107453e-04, 2.52171751e-07)
"""Coefficients in x squared of `tanh(x) = x numerator / denominator`: the least largest error for |x| up to `LARGEST`, 1e-7, and 4e-7 in
float32. Found by linear programming, as Barrodale, Powell & Roberts (1972, 10.1137/0709044) find rational approximations."""

POWER = (1.0, 0.69314697756, 0.24022242077, 0.05550733778, 0.00967151302, 0.00132647204)
"""Coefficients of 2 to the power of x from -0.5 to 0.5: the least largest relative error, 9e-8, and 2e-7 in float32."""
SHIFT = np.float32(3 << 22)
"""Added to an integer of float32, it leaves that integer in the last bits."""
BITS, ONE = np.int32(23), np.int32(127 << 23)
"""Of the fraction of a float32; those of the number 1."""


def weighted_tanh(arguments: Sequence[Array], weights: Sequence[ArrayLike]) -> Array:
    """`sum(weight * tanh(argument))` with one division; elementwise.

    Denominators are from 1 to 170: products of 16 of them are numbers of float32.

    >>> round(float(weighted_tanh([jnp.float32(0.5), jnp.float32(-20.0)], [2.0, 0.5])), 5)
    0.42423
    """
    fractions = [fraction(argument, weight) for argument, weight in zip(arguments, weights, strict=True)]
    while len(fractions) > 1:
        pairs = zip(fractions[::2], fractions[1::2], strict=False)
        added = [(above * beside + over * under, under * beside) for (above, under), (over, beside) in pairs]
        fractions = added + fractions[len(fractions) - len(fractions) % 2 :]
    above, under = fractions[0]
    return above / under


def logistic(x: Array) -> Array:
    """`1 / (1 + exp(-x))`, elementwise.

    >>> [round(float(logistic(jnp.float32(x))), 6) for x in (-200.0, 0.0, 3.0)]
    [0.0, 0.5, 0.952574]
    """
    power = jnp.minimum(jnp.maximum(x * np.float32(-np.log2(np.e)), -126.0), 126.0)
    whole = jnp.round(power)
    scale = lax.bitcast_convert_type((lax.bitcast_convert_type(whole + SHIFT, jnp.int32) << BITS) + ONE, jnp.float32)
    return 1.0 / (1.0 + _polynomial(POWER, power - whole) * scale)


def fraction(argument: Array, weight: ArrayLike = 1.0) -> tuple[Array, Array]:
    """Numerator of tanh, with the weight, and denominator: from 1 to 170."""
    x = jnp.minimum(jnp.maximum(argument, -LARGEST), LARGEST)
    square = x * x
    return weight * x * _polynomial(NUMERATOR, square), _polynomial(DENOMINATOR, square)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    *lower, value = coefficients
    total = jnp.float32(value)
    for one in reversed(lower):
        total = total * x + one
    return total
