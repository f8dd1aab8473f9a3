"""Coordinates in which the posterior is nearly a unit ball: mode + inverse root of the expected information.

The expected (Fisher) information is used in place of the Hessian because it is positive definite by construction and exists for
Laplace errors, whose log density has no curvature in the flux: with error scale `b`, one day adds
`(d flux / b)^2 + (d b / b)^2` to the information; the standard normal prior adds the identity.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import predicted
from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import with_learned

COLUMNS_AT_ONCE = 8  # directional derivatives carried through the model together


def information(model: HybridFlux, data: Batch, point: dict[str, Array]) -> Float[Array, "n n"]:
    """Expected information of everything learned at a point, prior included."""
    flat, unravel = ravel_pytree(point)

    def scaled(vector):
        fluxes = predicted(with_learned(model, unravel(vector)), data)
        rows = []
        for name in data.targets:
            noise = with_learned(model, unravel(vector)).noise[name]
            scale = noise.scale(fluxes[name], data.known[name])
            root = jnp.sqrt(noise.weight) * data.measured[name] / jax.lax.stop_gradient(scale)
            rows += [(root * fluxes[name]).ravel(), (root * scale).ravel()]
        return jnp.concatenate(rows)

    column = jax.jit(jax.vmap(lambda direction: jax.jvp(scaled, (flat,), (direction,))[1]))
    basis = jnp.eye(flat.size)
    jacobian = jnp.concatenate([column(basis[at : at + COLUMNS_AT_ONCE]) for at in range(0, flat.size, COLUMNS_AT_ONCE)])
    return jacobian @ jacobian.T + jnp.eye(flat.size)


def whitened(model: HybridFlux, data: Batch, mode: dict[str, Array]) -> Callable[[Array], dict[str, Array]]:
    """Map from white coordinates `[n]` to learned leaves; zero is the mode."""
    flat, unravel = ravel_pytree(mode)
    matrix = np.asarray(information(model, data, mode), np.float64)
    root = jnp.asarray(np.linalg.inv(np.linalg.cholesky(matrix)).T, jnp.float32)
    return lambda white: unravel(flat + root @ white)
