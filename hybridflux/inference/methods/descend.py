"""Adam over shuffled minibatches, for several members at once: the engine of MAP and Ensemble, the start of SVI and NUTS.

The scale of population effects has no useful joint mode (it grows while the effects shrink), so it is not descended but set to the
moments of the effects half way and at the end (empirical Bayes).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PRNGKeyArray

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import quasi_likelihood
from hybridflux.inference.methods.base import Progress
from hybridflux.model.flux import HybridFlux
from hybridflux.model.tree import learned, pooled_effects, with_learned

FEWEST_PLACES = 5  # below, the spread of a population keeps its prior median


def minibatches(data: Batch, size: int, rng: np.random.Generator) -> tuple[Batch, float]:
    """Shuffled data as `[step, row]`, and all rows over the rows of a step; whole series stay one step.

    Shuffling happens on the host: gathering inside the compiled step is slow on CPU.
    """
    target = next(iter(data.targets.values()))
    rows = target.shape[0]
    if target.ndim > 1 or rows <= size:
        return jax.tree.map(lambda values: values[None], data), 1.0
    order = rng.permutation(rows)[: rows // size * size]
    return jax.tree.map(lambda values: jnp.asarray(np.asarray(values)[order].reshape(-1, size)), data), rows / size


def starting_points(model: HybridFlux, members: int, key: PRNGKeyArray) -> dict[str, Array]:
    """Anchors from the prior, `[member, ...]`; effects and single parameters start near their centre, weights are drawn."""
    points = {}
    for number, (name, leaf) in enumerate(learned(model).items()):
        weight = name.rpartition(".")[2] in ("w1", "b1", "w2")
        points[name] = (1.0 if weight else 0.1) * jax.random.normal(jax.random.fold_in(key, number), (members, *leaf.shape))
    return points


def settle_populations(model: HybridFlux, leaves: dict[str, Array]) -> dict[str, Array]:
    """Set the spread of each population to the moments of its effects; the effects themselves stay as they are."""
    leaves = dict(leaves)
    for path in pooled_effects(model):
        spread = path.removesuffix("effect") + "spread"
        effect = leaves[path]
        if effect.shape[-1] >= FEWEST_PLACES:
            moment = jnp.maximum(jnp.sqrt(jnp.mean(effect**2, axis=-1)), 0.05)
            leaves[path] = effect / moment[..., None]
            leaves[spread] = leaves[spread] + 2.0 * jnp.log(moment)
    return leaves


def effects_and_spreads(model: HybridFlux) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the tables of population effects, and of the spreads of the populations."""
    tables = frozenset(pooled_effects(model))
    return tables, frozenset(path.removesuffix("effect") + "spread" for path in tables)


@partial(jax.jit, static_argnames=("optimiser", "frozen"))
def _epoch(optimiser, frozen, model, leaves, states, anchors, left_out, steps: Batch, share: float):
    def loss(values, anchor, away, step):
        step = step._replace(measured={name: seen & ~away[step.names["site"]] for name, seen in step.measured.items()})
        log_density = share * quasi_likelihood(with_learned(model, values), step)
        pull = sum(jnp.sum((values[name] - anchor[name]) ** 2) for name in values)
        return -(log_density - 0.5 * pull) / (share * next(iter(step.targets.values())).size)

    def advance(carry, step):
        def member(values, state, anchor, away):
            value, slope = jax.value_and_grad(loss)(values, anchor, away, step)
            slope = {name: jnp.zeros_like(g) if name in frozen else g for name, g in slope.items()}
            update, state = optimiser.update(slope, state, values)
            return optax.apply_updates(values, update), state, value

        values, states, losses = jax.vmap(member)(*carry, anchors, left_out)
        return (values, states), losses

    (leaves, states), losses = jax.lax.scan(advance, (leaves, states), steps)
    return leaves, states, losses.mean(0)


def descend(
    model: HybridFlux,
    data: Batch,
    leaves: dict[str, Array],
    anchors: dict[str, Array],
    *,
    steps: int,
    size: int,
    rate: float,
    seed: int,
    progress: Progress,
    left_out: np.ndarray | None = None,
    only: frozenset[str] | None = None,
) -> tuple[dict[str, Array], np.ndarray]:
    """Descend the negative log posterior of each member.

    Args:
        model: structure and fixed values.
        data: whole series or days.
        leaves: starting points `[member, ...]`.
        anchors: centres of the prior pull `[member, ...]`; zero for a plain posterior mode.
        steps: updates, rounded up to whole passes over the data.
        size: days per update.
        rate: first learning rate of a cosine decay.
        seed: of the shuffling.
        progress: called once a pass.
        left_out: `[member, place]`, whose days a member does not see; all see all by default.
        only: names of the leaves that move; all but the spreads of populations by default.

    Returns:
        The leaves reached, and the loss per pass and member.
    """
    rng = np.random.default_rng(seed)
    frozen = effects_and_spreads(model)[1] if only is None else frozenset(leaves) - only
    members = next(iter(leaves.values())).shape[0]
    away = jnp.zeros((members, int(jnp.max(data.names["site"])) + 1), bool) if left_out is None else jnp.asarray(left_out)
    first, share = minibatches(data, size, rng)
    per_pass = next(iter(first.targets.values())).shape[0]
    passes = max(2, -(-steps // per_pass))
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(optax.cosine_decay_schedule(rate, passes * per_pass, 0.02)))
    states, history = jax.vmap(optimiser.init)(leaves), []
    for number in range(passes):
        batches = first if number == 0 or share == 1.0 else minibatches(data, size, rng)[0]
        leaves, states, losses = _epoch(optimiser, frozen, model, leaves, states, anchors, away, batches, share)
        history.append(np.asarray(losses))
        if number in (passes // 2, passes - 1):
            leaves = settle_populations(model, leaves)
        if number % max(1, passes // 50) == 0 or number == passes - 1:
            progress(number + 1, passes, f"loss {float(losses.mean()):.4f}")
    return leaves, np.array(history)
