"""Anchored ensemble: several modes, each pulled towards its own prior draw, each fitted to most of the towers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import misfit_by_place
from hybridflux.inference.methods.adam import descend, effects_and_spreads, settle_populations, starting_points, still_rising
from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned

EFFECTS_SHARE, EFFECTS_RATE = 3, 3.0  # updates of the effects of left-out towers: a third of all, three times as far
FEWEST_PLACES = 5  # below, a member that leaves one out would know too little of the others
FARTHEST_BEHIND = 0.1  # share of what the fit gained by which a member may end above the best
FEWEST_MEMBERS = 4  # below, a member would miss more than a quarter of the towers


class Ensemble(AbstractMethod):
    """Members of an anchored ensemble as draws (Pearce et al. 2020, arXiv 1810.05546).

    Where the data say nothing a member stays at its anchor, so the members spread like the prior; where the data speak they agree. So their
    spread is no posterior of what the data determine: intervals of such parameters are far too narrow (E06: of 15 of 16 quantities).
    Intervals of fluxes at unseen places hold by the effects of places and the structural error beside it (E03). For parameters take
    `RandomisedEnsemble`.
    Each tower is left out by one member, which says how wrong the model is at towers it has not seen (`fit_structural_error`); afterwards
    every member learns the effects of the towers it left out, and nothing else.

    Attributes:
        members: how many.
        steps: updates of Adam.
        size: days per update.
        rate: first learning rate.
    """

    composition = "hybrid"
    members: int = 8
    steps: int = 2000
    size: int = 4096
    rate: float = 0.02

    def settle(self, seed: int) -> Callable[[HybridFlux, dict[str, Array], Batch], dict[str, Array]]:
        """What sets the spreads of populations between and after the updates."""
        return settle_populations

    def draw(self, model, data, key, progress):
        start, anchor, shuffle = jax.random.split(key, 3)
        anchors = {
            name: jax.random.normal(jax.random.fold_in(anchor, number), (self.members, *leaf.shape))
            for number, (name, leaf) in enumerate(learned(model).items())
        }
        leaves = starting_points(model, self.members, start)
        seed = int(jax.random.randint(shuffle, (), 0, 2**31 - 1))
        away = left_out(int(jnp.max(data.names["site"])) + 1, self.members, seed)
        settings: dict[str, Any] = {"size": self.size, "seed": seed, "progress": progress, "settle": self.settle(seed)}
        before = _misfits(model, data, leaves)
        leaves, losses = descend(model, data, leaves, anchors, steps=self.steps, rate=self.rate, left_out=away, **settings)
        behind = behind_the_best(before, _misfits(model, data, leaves), away)
        tables, _ = effects_and_spreads(model)
        if away is not None and tables:
            further: dict[str, Any] = {"steps": -(-self.steps // EFFECTS_SHARE), "rate": EFFECTS_RATE * self.rate}
            leaves, _ = descend(model, data, leaves, anchors, only=tables, **further, **settings)
        diagnostics = {"loss_last": np.round(losses[-1], 5).tolist(), "behind_the_best": np.round(behind, 4).tolist()}
        rising = still_rising(losses, next(iter(data.targets.values())).size, self.steps, type(self).steps)
        return Drawn(leaves, self.members, {}, diagnostics, (*concerns(behind, self.steps), *rising), away)


def _misfits(model, data, leaves) -> np.ndarray:
    """Negative log likelihood per measured value `[member, place]`."""
    places = int(jnp.max(data.names["site"])) + 1
    return np.asarray(_misfit_of_members(model, data, leaves, places))


@partial(jax.jit, static_argnames="places")
def _misfit_of_members(model, data, leaves, places):
    return jax.lax.map(lambda values: misfit_by_place(with_learned(model, values), data, places), leaves)


def behind_the_best(before: np.ndarray, after: np.ndarray, away: np.ndarray | None) -> np.ndarray:
    """How much worse each member fits the places it saw than the best member, as a share of what the fit gained `[member]`.

    Members leave out different places, which are not equally hard to fit: a member is compared with the mean of the members that saw the
    same place, place by place.

    Args:
        before: negative log likelihood per value at the start `[member, place]`, NaN where nothing was measured.
        after: the same at the end.
        away: `[member, place]`, who was left out by whom; None where all saw all.
    """
    seen = np.isfinite(after) & (True if away is None else ~away)
    mean = np.nansum(np.where(seen, after, 0.0), axis=0) / np.maximum(seen.sum(axis=0), 1)
    excess = np.where(seen, after - mean, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    gained = float(np.where(seen, before - after, 0.0).sum() / max(seen.sum(), 1))
    return (excess - excess.min()) / max(gained, 1e-12)


def concerns(behind: np.ndarray, steps: int) -> tuple[str, ...]:
    """What a user must know of members that did not arrive."""
    late = int((behind > FARTHEST_BEHIND).sum())
    if not late:
        return ()
    return (
        f"{late} of {len(behind)} members fit the towers they share with others worse than the best member, by more than a tenth of what "
        f"the fit gained: use more updates (steps = {2 * steps}; --set steps={2 * steps})",
    )


def left_out(places: int, members: int, seed: int) -> np.ndarray | None:
    """Who is left out by whom `[member, place]`: each place by one member, at random; None where there are too few of either."""
    if places < FEWEST_PLACES or members < FEWEST_MEMBERS:
        return None
    turn = np.random.default_rng(seed).permutation(places) % members
    return turn[None, :] == np.arange(members)[:, None]
