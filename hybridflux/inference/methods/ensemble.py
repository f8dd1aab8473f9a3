"""Anchored ensemble: several modes, each pulled towards its own prior draw, each fitted to most of the towers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.descend import descend, effects_and_spreads, starting_points
from hybridflux.inference.structure import FEWEST_PLACES
from hybridflux.model.tree import learned

EFFECTS_SHARE, EFFECTS_RATE = 3, 3.0  # updates of the effects of left-out towers: a third of all, three times as far
FEWEST_MEMBERS = 4  # below, a member would miss more than a quarter of the towers


class Ensemble(AbstractMethod):
    """Members of an anchored ensemble as draws (Pearce et al. 2020, arXiv 1810.05546).

    Where the data say nothing a member stays at its anchor, so the members spread like the prior; where the data speak they agree.
    Each tower is left out by one member, which says how wrong the model is at towers it has not seen (see `inference.structure`);
    afterwards every member learns the effects of the towers it left out, and nothing else.

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
        away = left_out(int(jnp.max(data.names["site"])) + 1, self.members, seed)
        settings = {"size": self.size, "seed": seed, "progress": progress}
        leaves, losses = descend(model, data, leaves, anchors, steps=self.steps, rate=self.rate, left_out=away, **settings)
        tables, _ = effects_and_spreads(model)
        if away is not None and tables:
            further = {"steps": self.steps // EFFECTS_SHARE, "rate": EFFECTS_RATE * self.rate}
            leaves, _ = descend(model, data, leaves, anchors, only=tables, **further, **settings)
        last = losses[-1]
        behind = (last - last.min()) > 0.1 * (losses[0].mean() - last.min())
        concerns = (f"{int(behind.sum())} of {self.members} members ended far above the best; use more steps",) if behind.any() else ()
        return Drawn(leaves, self.members, {}, {"loss_last": [round(float(value), 5) for value in last]}, concerns, away)


def left_out(places: int, members: int, seed: int) -> np.ndarray | None:
    """Who is left out by whom `[member, place]`: each place by one member, at random; None where there are too few of either."""
    if places < FEWEST_PLACES or members < FEWEST_MEMBERS:
        return None
    turn = np.random.default_rng(seed).permutation(places) % members
    return turn[None, :] == np.arange(members)[:, None]
