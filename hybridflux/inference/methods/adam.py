"""Adam over shuffled minibatches, for several members at once: the engine of MAP and Ensemble, the start of SVI and NUTS.

The scale of population effects has no useful joint mode (it grows while the effects shrink), so it is not descended but set half way and
at the end to the moments of the effects and its prior, taken together (empirical Bayes).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, ArrayLike, PRNGKeyArray

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import quasi_likelihood
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import all_sources, learned, populations, with_learned
from hybridflux.model.structural_error import PRIOR_TOWERS
from hybridflux.progress import Progress

STILL_RISING = 0.03
"""Share of the gain of a descent in its second half from which on it has not arrived."""
LEAST_RISE = 1.0
"""Rise of the log posterior density that is worth saying: at the peak of a Gaussian one is a way of 1.4 standard deviations."""


def minibatches(data: Batch, size: int, rng: np.random.Generator) -> tuple[Batch, float]:
    """Shuffled data as `[step, row]` or `[step, time, window]`, and all rows over the rows of a step; whole series stay one step.

    Shuffling happens on the host: gathering inside the compiled step is slow on CPU.

    Args:
        data: days, windows or whole series.
        size: days of a step; of windows as many as hold them.
        rng: of the shuffling.
    """
    *time, rows = next(iter(data.targets.values())).shape
    size = max(1, round(size / np.prod(time)))
    if (time and not data.before) or rows <= size:
        return jax.tree.map(lambda values: values[None], data), 1.0
    order = rng.permutation(rows)[: rows // size * size].reshape(-1, size)
    return jax.tree.map(lambda values: jnp.asarray(np.moveaxis(np.asarray(values)[..., order], -2, 0)), data), rows / size


def starting_points(model: HybridFlux, members: int, key: PRNGKeyArray) -> dict[str, Array]:
    """Anchors from the prior, `[member, ...]`; effects and single parameters start near their centre, weights are drawn."""
    points = {}
    start_sd = {f"{path}.{leaf}": source.START_SD for path, source in all_sources(model) for leaf in learned(source)}
    for number, (name, leaf) in enumerate(learned(model).items()):
        points[name] = start_sd[name] * jax.random.normal(jax.random.fold_in(key, number), (members, *leaf.shape))
    return points


def settle_populations(model: HybridFlux, leaves: dict[str, Array], data: Batch) -> dict[str, Array]:
    """Set the spread of each population to its prior and the moments of its effects; the effects themselves stay as they are.

    The prior counts as `PRIOR_TOWERS` members; members count as many as there are beyond those the centre of the population follows
    (Bessel's correction): one a plant type for sites, one a site for years at sites.
    """
    leaves = dict(leaves)
    for path, spread, by in populations(model):
        rows, centres = _members(data, by)
        effect, free = leaves[path], max(len(rows) - centres, 0)
        squares = jnp.exp(leaves[spread]) * jnp.sum(effect[..., rows] ** 2, axis=-1) if free else 0.0 * leaves[spread]
        settled = jnp.log((PRIOR_TOWERS + squares) / (PRIOR_TOWERS + free))
        leaves[path] = effect * jnp.exp(0.5 * (leaves[spread] - settled))[..., None]
        leaves[spread] = settled
    return leaves


def still_rising(losses: np.ndarray, values: int, steps: int, enough: int) -> tuple[str, ...]:
    """What a user must know of a descent that ended before it arrived: a sentence, or none.

    The rate of learning goes down along a descent, so that one with enough updates rests long before its end. (Share of the gain in the
    second half, of twelve made-up places: 0.4 to 0.05 with 3 to 100 updates, below 0.001 with 300 and more; of `hybrid` at four European
    towers 0.064 with 100, 0.019 with 300, 0.003 with 2000.)

    Args:
        losses: negative log posterior per value of each pass and member `[pass, member]`, as `descend` gives them.
        values: number of values of a loss.
        steps: updates of the descent.
        enough: updates that most fits need.
    """
    gained = (losses.max(axis=0) - losses[-1]).mean()
    late = (losses[(len(losses) - 1) // 2] - losses[-1]).mean()
    if late * values < LEAST_RISE or late < STILL_RISING * gained:
        return ()
    more = max(2 * steps, enough)
    return (
        f"the fit ended before it arrived: {late / gained:.0%} of what the log posterior density gained came in the second half of its "
        f"{steps} updates; use more of them (steps = {more}; --set steps={more})",
    )


def measured_members(data: Batch, by: str) -> np.ndarray:
    """Rows of a table of effects that anything was measured at."""
    return _members(data, by)[0]


def _members(data: Batch, by: str) -> tuple[np.ndarray, int]:
    """Rows of a table of effects that anything was measured at, and how many of them its centre follows."""
    seen = np.any([np.asarray(measured) for measured in data.measured.values()], axis=0)
    rows, sites, types = (
        np.unique(np.broadcast_to(np.asarray(data.names[name]), seen.shape)[seen]) if name in data.names else np.zeros(1, int)
        for name in (by, "site", "plant_type")
    )
    return rows, len(types) if by == "site" else len(sites)


def effects_and_spreads(model: HybridFlux) -> tuple[frozenset[str], frozenset[str]]:
    """Names of the tables of population effects, and of the spreads of the populations."""
    found = populations(model)
    return frozenset(one.effect for one in found), frozenset(one.sd for one in found)


@partial(jax.jit, static_argnames=("optimiser", "frozen"))
def _epoch(optimiser, frozen, model, leaves, states, anchors, left_out, steps: Batch, share: ArrayLike):
    def loss(values, anchor, away, noise, step):
        seen = {name: seen & ~away[step.names["site"]] for name, seen in step.measured.items()}
        step = step._replace(measured=seen, score_noise=noise)
        log_density = share * quasi_likelihood(with_learned(model, values), step)
        pull = sum(jnp.sum((values[name] - anchor[name]) ** 2) for name in values)
        return -(log_density - 0.5 * pull) / (share * next(iter(step.targets.values())).size)

    def advance(carry, step):
        def member(values, state, anchor, away, noise):
            value, slope = jax.value_and_grad(loss)(values, anchor, away, noise, step)
            slope = {name: jnp.zeros_like(g) if name in frozen else g for name, g in slope.items()}
            update, state = optimiser.update(slope, state, values)
            return optax.apply_updates(values, update), state, value

        values, states, losses = jax.vmap(member)(*carry, anchors, left_out, step.score_noise)  # type: ignore[call-arg]  # what is unpacked has two parts
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
    settle: Callable[[HybridFlux, dict[str, Array], Batch], dict[str, Array]] = settle_populations,
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
        settle: what sets these spreads, half way and at the end.

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
            leaves = settle(model, leaves, data)
        if number % max(1, passes // 50) == 0 or number == passes - 1:
            progress(number + 1, passes, f"loss {float(losses.mean()):.4f}")
    return leaves, np.array(history)
