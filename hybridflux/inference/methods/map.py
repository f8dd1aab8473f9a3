"""The posterior mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.descend import descend, starting_points


class MAP(AbstractMethod):
    """One point: the mode of the posterior. It says nothing about uncertainty beyond the effects of new places.

    Attributes:
        steps: updates of Adam.
        size: days per update.
        rate: first learning rate.
    """

    steps: int = 2000
    size: int = 4096
    rate: float = 0.02

    def draw(self, model, data, key, progress):
        leaves = starting_points(model, 1, key)
        anchors = jax.tree.map(jnp.zeros_like, leaves)
        seed = int(jax.random.randint(key, (), 0, 2**31 - 1))
        leaves, losses = descend(
            model, data, leaves, anchors, steps=self.steps, size=self.size, rate=self.rate, seed=seed, progress=progress
        )
        return Drawn(leaves, 1, {}, {"loss_first": float(losses[0, 0]), "loss_last": float(losses[-1, 0])}, ())
