"""Anchored ensemble: several modes, each pulled towards its own prior draw."""

from __future__ import annotations

import jax

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.descend import descend, starting_points
from hybridflux.model.tree import learned


class Ensemble(AbstractMethod):
    """Members of an anchored ensemble as draws (Pearce et al. 2020, arXiv 1810.05546).

    Where the data say nothing a member stays at its anchor, so the members spread like the prior; where the data speak they agree.

    Attributes:
        members: how many.
        steps: updates of Adam.
        size: days per update.
        rate: first learning rate.
    """

    members: int = 8
    steps: int = 2000
    size: int = 4096
    rate: float = 0.02

    def draw(self, model, data, key, progress):
        start, anchor, shuffle = jax.random.split(key, 3)
        anchors = {
            name: jax.random.normal(jax.random.fold_in(anchor, number), (self.members, *leaf.shape))
            for number, (name, leaf) in enumerate(learned(model).items())
        }
        leaves = starting_points(model, self.members, start)
        seed = int(jax.random.randint(shuffle, (), 0, 2**31 - 1))
        leaves, losses = descend(
            model, data, leaves, anchors, steps=self.steps, size=self.size, rate=self.rate, seed=seed, progress=progress
        )
        last = losses[-1]
        behind = (last - last.min()) > 0.1 * (losses[0].mean() - last.min())
        concerns = (f"{int(behind.sum())} of {self.members} members ended far above the best; use more steps",) if behind.any() else ()
        return Drawn(leaves, self.members, {}, {"loss_last": [round(float(value), 5) for value in last]}, concerns)
