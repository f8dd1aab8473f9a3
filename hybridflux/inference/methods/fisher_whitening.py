"""Coordinates in which the posterior is nearly a unit ball: mode + inverse root of the expected information.

The expected (Fisher) information is used in place of the Hessian because it is positive definite by construction and exists for
Laplace errors, whose log density has no curvature in the flux: with error scale `b`, one day adds
`(d flux / b)^2 + (d b / b)^2` to the information; the standard normal prior adds the identity.

Population effects `spread exp(s / 2) z` with many days each are identified by the data, so that `z` and `s` are bound along a curved ridge
no matrix straightens. Such tables are *centred*: the coordinate is `c = z exp(s / 2)`, which the data tell alone.
"""

from __future__ import annotations

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import log_likelihood, log_prior, predicted
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import populations, with_learned

COLUMNS_AT_ONCE = 8  # directional derivatives carried through the model together
CENTRED_ABOVE = 3.0  # information of the data on an effect over that of its prior

Leaves = dict[str, Array]


class White(eqx.Module):
    """White coordinates `[n]`; zero is the mode.

    Attributes:
        origin: leaves of the mode, `tables` centred.
        centre: where white zero lies, beside the origin `[n]`.
        root: from white coordinates to leaves `[n, n]`.
        tables: (centred effects, their spread), names of leaves.
    """

    origin: Leaves
    centre: Array
    root: Array
    tables: tuple[tuple[str, str], ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """How many coordinates."""
        return self.centre.size

    def _centred(self, at: Array) -> Leaves:
        flat, unravel = ravel_pytree(self.origin)
        return unravel(flat + self.centre + self.root @ at)

    def leaves(self, at: Array) -> Leaves:
        """Learned leaves at white coordinates `[n]`."""
        return centred(self._centred(at), dict(self.tables), -1.0)

    def log_volume(self, at: Array) -> Array:
        """Log volume that the density of the leaves has to be multiplied with, up to a constant."""
        point = self._centred(at)
        return -0.5 * sum((point[effect].size * point[spread] for effect, spread in self.tables), jnp.zeros(()))

    def potential(self, model: HybridFlux, data: Batch) -> Callable[[Array], Array]:
        """The negative log density of white coordinates, up to a constant."""

        def negative(at):
            one = with_learned(model, self.leaves(at))
            return -(log_likelihood(one, data) + log_prior(one) + self.log_volume(at))

        return negative

    def moved(self, centre: Array, root: Array) -> White:
        """White coordinates in which these are `centre + root @ coordinates`."""
        return White(self.origin, self.centre + self.root @ centre, self.root @ root, self.tables)

    @jax.jit
    def drawn(self, points: Array) -> Leaves:
        """Leaves `[draw, ...]` at points `[draw, n]`."""
        return jax.vmap(self.leaves)(points)


def centred(point: Leaves, tables: dict[str, str], direction: float = 1.0) -> Leaves:
    """Effects times `exp(s / 2)`; `direction=-1` is the way back."""
    return {name: leaf * jnp.exp(0.5 * direction * point[tables[name]]) if name in tables else leaf for name, leaf in point.items()}


def information(model: HybridFlux, data: Batch, point: Leaves, tables: dict[str, str]) -> Float[Array, "n n"]:
    """Expected information of the data on everything learned, at a point whose `tables` are centred."""
    flat, unravel = ravel_pytree(point)
    leaves = centred(point, tables, -1.0)
    basis = jnp.eye(-(-flat.size // COLUMNS_AT_ONCE) * COLUMNS_AT_ONCE, flat.size)  # rows of zeros fill the last block
    blocks = [jax.vmap(unravel)(basis[at : at + COLUMNS_AT_ONCE]) for at in range(0, len(basis), COLUMNS_AT_ONCE)]
    jacobian = jnp.concatenate([_scaled_slopes(model, data, leaves, directions) for directions in blocks])[: flat.size]
    return _of_centred(jacobian @ jacobian.T, point, tables)


def _of_centred(matrix: Array, point: Leaves, tables: dict[str, str]) -> Array:
    """Information on uncentred leaves -> on leaves whose `tables` are centred, at such a `point`."""
    flat, unravel = ravel_pytree(point)
    slopes = jax.jacfwd(lambda vector: ravel_pytree(centred(unravel(vector), tables, -1.0))[0])(flat)
    return slopes.T @ matrix @ slopes


@jax.jit
def _scaled_slopes(model: HybridFlux, data: Batch, leaves: Leaves, directions: Leaves) -> Array:
    """Slopes of fluxes and error scales over the scale, where there are measurements: `[direction, value]`."""

    def scaled(leaves):
        one = with_learned(model, leaves)
        fluxes = predicted(one, data)
        rows = []
        for name in data.targets:
            observed = one.observed[name]
            scale = observed.error.scale(fluxes[name], data.known[name])
            root = jnp.sqrt(observed.weight) * data.measured[name].astype(jnp.float32) / jax.lax.stop_gradient(scale)
            rows += [(root * fluxes[name]).ravel(), (root * scale).ravel()]
        return jnp.concatenate(rows)

    return jax.vmap(lambda direction: jax.jvp(scaled, (leaves,), (direction,))[1])(directions)


def prior_information(point: Leaves, tables: dict[str, str]) -> Leaves:
    """Diagonal information of the prior in the same coordinates."""
    rows = {name: jnp.ones_like(leaf) for name, leaf in point.items()}
    for effect, spread in tables.items():
        rows[effect] = jnp.full_like(point[effect], jnp.exp(-point[spread]))
        rows[spread] = jnp.asarray(1.0 + 0.5 * point[effect].size)
    return rows


def whitened(model: HybridFlux, data: Batch, mode: Leaves) -> White:
    """White coordinates around a mode, population effects centred where the data identify them."""
    spreads = {one.effect: one.sd for one in populations(model)}
    _, unravel = ravel_pytree(mode)
    of_data = information(model, data, mode, {})
    precision = unravel(jnp.diagonal(of_data))
    tables = {path: spread for path, spread in spreads.items() if float(jnp.median(precision[path])) > CENTRED_ABOVE}

    start = centred(mode, tables)
    matrix = _of_centred(of_data, start, tables) + jnp.diag(ravel_pytree(prior_information(start, tables))[0])
    root = jnp.asarray(np.linalg.inv(np.linalg.cholesky(np.asarray(matrix, np.float64))).T, jnp.float32)
    return White(start, jnp.zeros(root.shape[0]), root, tuple(sorted(tables.items())))
