"""Randomised ensemble: modes of posteriors whose prior and data were both drawn anew, each a draw of the posterior."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.inference.methods.adam import measured_members
from hybridflux.inference.methods.ensemble import Ensemble
from hybridflux.model.learned import populations

GRID = np.linspace(-5.0, 5.0, 401)  # values of the logarithm of a variance ratio, standard normal a priori


class RandomisedEnsemble(Ensemble):
    """An ensemble whose members spread like the posterior where the data speak too (randomise, then optimise).

    The members of an `Ensemble` differ by their prior anchors alone, so the directions that the data determine keep a spread far below that
    of the posterior. Here each member also has its own data: the score of its likelihood is moved by a draw of its sampling error
    (`joint.randomised`), which for a linear model with Gaussian errors makes its mode a draw of the posterior (Bardsley et al. 2014,
    10.1137/140964023). Spreads of populations are drawn, half way and at the end, given the effects of the member (Gibbs), not set to their
    moments. The first learning rate is higher: where the data say little, members that have not arrived stay together. It costs as much as
    an `Ensemble` of as many members.

    Simulation-based calibration (E06): ranks of all 16 quantities are uniform with a network and Student-t errors; with Laplace errors
    intervals are a little wide; where inputs of a network have a sign, parameters that it imitates are biased. At real towers each member
    leaves a group of towers out, as those of an `Ensemble` do, which makes members differ a little more.
    """

    members: int = 20
    rate: float = 0.05

    def draw(self, model, data, key, progress):
        own, noise = jax.random.split(key)
        noises = {
            name: jax.random.normal(jax.random.fold_in(noise, number), (self.members, 2, *values.shape))
            for number, (name, values) in enumerate(data.targets.items())
        }
        return super().draw(model, data._replace(score_noise=noises), own, progress)

    def settle(self, seed):
        return partial(draw_populations, np.random.default_rng(seed))


def draw_populations(rng: np.random.Generator, model, leaves, data):
    """Draw the spread of each population of each member, given its effects; the effects themselves stay as they are."""
    leaves = dict(leaves)
    for path, spread, by in populations(model):
        rows = measured_members(data, by)
        own = np.asarray(leaves[path], float) * np.exp(0.5 * np.asarray(leaves[spread], float))[:, None]
        squares = (own[:, rows] ** 2).sum(axis=1)
        log_density = -0.5 * (GRID**2 + len(rows) * GRID + squares[:, None] * np.exp(-GRID))
        weights = np.cumsum(np.exp(log_density - log_density.max(axis=1, keepdims=True)), axis=1)
        at = np.array([np.interp(rng.uniform() * row[-1], row, GRID) for row in weights])
        leaves |= {path: jnp.asarray(own * np.exp(-0.5 * at)[:, None], jnp.float32), spread: jnp.asarray(at, jnp.float32)}
    return leaves
