"""The posterior mode."""

from __future__ import annotations

import jax

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.mode import find_mode


class MAP(AbstractMethod):
    """One point: the mode of the posterior. It says nothing about uncertainty beyond the effects of new places.

    Attributes:
        steps: most steps of L-BFGS; updates of Adam where the model has networks.
        size: days per update of Adam.
        rate: first learning rate of Adam.
    """

    composition = "hybrid"
    steps: int = 2000
    size: int = 4096
    rate: float = 0.02

    def draw(self, model, data, key, progress):
        mode, search = find_mode(
            model, data, key, steps=self.steps, size=self.size, rate=self.rate, enough=type(self).steps, progress=progress
        )  # fmt: skip
        diagnostics = {"loss_first": search.first, "loss_last": search.last}
        return Drawn(jax.tree.map(lambda leaf: leaf[None], mode), 1, {}, diagnostics, search.concerns)
