"""The posterior mode, where every method but the ensemble starts.

Physics with population effects is a smooth problem of some hundred numbers: L-BFGS over all data (Byrd et al. 1995,
10.1137/0916069, as in SciPy) needs some hundred gradients. Networks take Adam over minibatches, which also keeps them from
following the data everywhere. Both hold the scale of a population still and set it to the moments of the effects in between
(see `adam`).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PRNGKeyArray
from scipy.optimize import minimize

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import log_likelihood, log_prior
from hybridflux.inference.methods.adam import LEAST_RISE, descend, settle_populations, starting_points, still_rising
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import populations, with_learned
from hybridflux.progress import Progress

ROUNDS = 4  # searches between which the scales of populations are set
REMEMBERED = 30  # steps from which L-BFGS builds its curvature
AT_THE_LIMIT = 1  # `status` of SciPy where a search used all its steps
CLOSE_ENOUGH = 1e-8  # relative change of the density at which a search ends: what single precision resolves


class Search(NamedTuple):
    """How a search for the mode went.

    Attributes:
        first: negative log posterior per value of the first target at the start.
        last: the same at the end.
        concerns: that it ended before it arrived, in a sentence; empty where it arrived.
    """

    first: float
    last: float
    concerns: tuple[str, ...]


def find_mode(
    model: HybridFlux, data: Batch, key: PRNGKeyArray, *, steps: int, progress: Progress, size: int = 4096, rate: float = 0.02,
    enough: int = 2000,
) -> tuple[dict[str, Array], Search]:  # fmt: skip
    """The leaves of highest posterior density at settled population scales.

    Args:
        model: structure and fixed values.
        data: whole series or days.
        key: of the starting point and the shuffling.
        steps: most steps of L-BFGS, or updates of Adam.
        progress: called with (done, all, message).
        size: days per update of Adam.
        rate: first learning rate of Adam.
        enough: steps that most fits need, for the cure of a concern.

    Returns:
        Name -> leaf, and how the search went.
    """
    leaves = starting_points(model, 1, key)
    if has_networks(model):
        anchors = jax.tree.map(jnp.zeros_like, leaves)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        leaves, losses = descend(model, data, leaves, anchors, steps=steps, size=size, rate=rate, seed=seed, progress=progress)
        concerns = still_rising(losses, next(iter(data.targets.values())).size, steps, enough)
        return {name: leaf[0] for name, leaf in leaves.items()}, Search(float(losses[0, 0]), float(losses[-1, 0]), concerns)
    return climb(model, data, {name: leaf[0] for name, leaf in leaves.items()}, steps=steps, enough=enough, progress=progress)


def has_networks(model: HybridFlux) -> bool:
    """Whether a parameter comes from a network."""
    return any(source.network() is not None for source in model.sources.values())


def climb(
    model: HybridFlux, data: Batch, leaves: dict[str, Array], *, steps: int, enough: int, progress: Progress
) -> tuple[dict[str, Array], Search]:
    """Climb to the mode by L-BFGS over all data; arguments and results as in `find_mode`."""
    flat, unravel = ravel_pytree(leaves)
    spreads = {one.sd for one in populations(model)}
    moves = np.asarray(ravel_pytree({name: np.full(leaf.shape, name not in spreads, np.float32) for name, leaf in leaves.items()})[0])

    def in_double(vector):
        value, slope = _loss(model, data, leaves, np.asarray(vector, np.float32))
        return float(value), np.asarray(slope, np.float64) * moves

    point = np.asarray(flat, np.float64)
    first, begun, last, limited = in_double(point)[0], np.inf, np.inf, False
    for number in range(ROUNDS):
        begun = in_double(point)[0]
        options = {"maxiter": -(-steps // ROUNDS), "maxcor": REMEMBERED, "ftol": CLOSE_ENOUGH, "gtol": 0.0}
        found = minimize(in_double, point, jac=True, method="L-BFGS-B", options=options)
        settled = settle_populations(model, unravel(jnp.asarray(found.x, jnp.float32)), data)
        point, last, limited = np.asarray(ravel_pytree(settled)[0], np.float64), float(found.fun), found.status == AT_THE_LIMIT
        progress(number + 1, ROUNDS, f"mode, loss {last:.4f} after {found.nfev} gradients")
    rise = (begun - last) * next(iter(data.targets.values())).size
    concerns = (
        f"the search for the mode ended before it arrived: the log posterior density still rose by {rise:.0f} in the last quarter of its "
        f"{steps} steps; use more of them (steps = {max(2 * steps, enough)}; --set steps={max(2 * steps, enough)})",
    )
    return unravel(jnp.asarray(point, jnp.float32)), Search(first, last, concerns if limited and rise > LEAST_RISE else ())


@jax.jit
def _loss(model: HybridFlux, data: Batch, like: dict[str, Array], flat: Array):
    """Negative log posterior per value of the first target, and its slope, of leaves in one vector, shaped as those of `like`."""
    _, unravel = ravel_pytree(like)

    def loss(flat):
        one = with_learned(model, unravel(flat))
        return -(log_likelihood(one, data) + log_prior(one)) / next(iter(data.targets.values())).size

    return jax.value_and_grad(loss)(flat)
