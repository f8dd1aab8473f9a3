"""The No-U-Turn sampler of numpyro, in white coordinates of the nearest Gaussian."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array
from numpyro.infer.hmc import hmc

from hybridflux.inference.convergence import convergence
from hybridflux.inference.methods.base import AbstractMethod, Drawn, setting
from hybridflux.inference.methods.fisher_whitening import White
from hybridflux.inference.methods.gaussian_vi import around_mode
from hybridflux.progress import Progress

HIGHEST_R_HAT = 1.05
FEWEST_EFFECTIVE = 50
SETTLED = 1.0  # standard deviations; where the Gaussian moves more, the sampler adapts scales of its own
CAREFUL = 0.8  # least acceptance aimed at where it adapts scales
BLOCKS = 20  # of steps, after each of which progress is reported
DEPTHS = (3, 10)  # deepest tree in a ball, where 7 steps are half a turn, and elsewhere


class NUTS(AbstractMethod):
    """Exact draws, for models of up to some hundred learned numbers.

    The posterior is nearly a unit ball in the coordinates of `gaussian_vi`, so warm-up only finds the step size, and the chains start as
    draws of the Gaussian. Chains run side by side on the host devices of XLA, or vectorised where there are too few of these.

    Attributes:
        warmup: adaptation steps per chain.
        draws: kept per chain.
        chains: how many.
        target: acceptance probability aimed at; the best one for independent coordinates (Beskos et al. 2013, 10.3150/12-BEJ414).
        mode_steps: most steps of the search for the mode before.
        rounds: most rounds of sharpening the coordinates.
    """

    warmup: int = setting(100, least=0)
    draws: int = 300
    chains: int = 2
    target: float = setting(0.65, share=True)
    mode_steps: int = 1000
    rounds: int = setting(12, least=0)

    def draw(self, model, data, key, progress):
        start, scatter, run = jax.random.split(key, 3)
        around = around_mode(model, data, start, steps=self.mode_steps, rounds=self.rounds, progress=progress)
        white = around.white
        first = jax.random.normal(scatter, (self.chains, white.size))
        adapt = self.rounds == 0 or not around.unrest < SETTLED
        target = max(self.target, CAREFUL) if adapt else self.target
        keys = jax.random.split(run, self.chains)
        points, extra = run_chains(model, data, white, first, keys, self.warmup, self.warmup + self.draws, target, adapt, progress)
        kept = {name: np.asarray(values)[:, self.warmup :] for name, values in extra.items()}
        drawn = white.drawn(points[:, self.warmup :].reshape(-1, white.size))
        chained = {name: np.asarray(values).reshape(self.chains, self.draws, *values.shape[1:]) for name, values in drawn.items()}
        diagnostics = {
            **worst(chained),
            "divergences": int(kept["diverging"].sum()),
            "mean_steps": float(kept["n_steps"].mean()),
            "gradients": int(np.asarray(extra["n_steps"]).sum()) + around.gradients,
        }
        stats = {name: values.reshape(-1) for name, values in kept.items()}
        return Drawn(drawn, self.chains, stats, diagnostics, tuple(concerns(diagnostics)))


def run_chains(
    model,
    data,
    white: White,
    first: Array,
    keys: Array,
    warmup: int,
    steps: int,
    target: float,
    adapt: bool,
    progress: Progress = lambda done, total, message: None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """All chains side by side on the host devices of XLA, in `BLOCKS` blocks of steps, so that progress is seen and Ctrl-C heard.

    Args:
        model: structure and fixed values.
        data: whole series or days.
        white: coordinates of the sampler.
        first: starting points `[chain, n]`.
        keys: of the chains.
        warmup: steps that adapt.
        steps: all steps, those of the warm-up among them.
        target: acceptance probability aimed at.
        adapt: whether the warm-up adapts a diagonal mass matrix too.
        progress: called after each block.

    Returns:
        White coordinates `[chain, step, n]`, and `diverging`, `lp`, `n_steps` `[chain, step]`.
    """
    devices = max(count for count in range(1, len(first) + 1) if len(first) % count == 0 and count <= jax.local_device_count())
    mesh = Mesh(np.array(jax.local_devices()[:devices]), ("chain",))
    settings = {"warmup": warmup, "target": target, "adapt": adapt, "mesh": mesh}
    place = lambda tree, spec: jax.tree.map(lambda leaf: jax.device_put(leaf, NamedSharding(mesh, spec)), tree)  # noqa: E731
    fixed, (first, keys) = place((model, data, white), PartitionSpec()), place((first, keys), PartitionSpec("chain"))
    state = _begin(*fixed, first, keys, **settings)
    block = -(-steps // BLOCKS)  # of equal length, so that one program serves them all; what is beyond the last step is dropped
    parts, done = [], 0
    while done < steps:
        state, (points, extra) = _advance(*fixed, first, keys, state, steps=block, **settings)
        parts.append((np.asarray(points), jax.tree.map(np.asarray, extra)))
        done = min(done + block, steps)
        stage = f"warm-up {done}/{warmup}" if done < warmup else f"sampling {done - warmup}/{steps - warmup}"
        diverging = sum(int(part["diverging"][:, max(warmup - at * block, 0) :].sum()) for at, (_, part) in enumerate(parts))
        progress(done, steps, f"{stage}, {len(first)} chains" + (f", {diverging} divergent" if diverging else ""))
    joined = jax.tree.map(lambda *values: np.concatenate(values, axis=1)[:, :steps], *parts)
    return joined


def _kernel(model, data, white: White, first: Array, key: Array, warmup: int, target: float, adapt: bool):
    """The first state of a chain, and the function that gives the next one."""
    start, advance = hmc(white.potential(model, data), algo="NUTS")
    state = start(first, warmup, adapt_mass_matrix=adapt, target_accept_prob=target, max_tree_depth=DEPTHS[adapt], rng_key=key)
    return state, advance


def _first(warmup: int, target: float, adapt: bool) -> Callable:
    """The first state of a chain, as a function of what it runs on."""
    return lambda model, data, white, first, key: _kernel(model, data, white, first, key, warmup, target, adapt)[0]


def _over_chains(chain, mesh: Mesh, fixed: tuple, *chained):
    """`chain(model, data, white, first, key, ...)` for all chains, some on each device; one alone is not vectorised."""

    def some(fixed, *chained):
        if len(chained[0]) == 1:
            return jax.tree.map(lambda values: values[None], chain(*fixed, *jax.tree.map(lambda values: values[0], chained)))
        return jax.vmap(lambda *one: chain(*fixed, *one))(*chained)

    split = PartitionSpec("chain")
    specs = (PartitionSpec(), *(split for _ in chained))
    return jax.shard_map(some, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)(fixed, *chained)


@partial(jax.jit, static_argnames=("warmup", "target", "adapt", "mesh"))
def _begin(model, data, white, first, keys, *, warmup, target, adapt, mesh):
    return _over_chains(_first(warmup, target, adapt), mesh, (model, data, white), first, keys)


@partial(jax.jit, static_argnames=("steps", "warmup", "target", "adapt", "mesh"))
def _advance(model, data, white, first, keys, states, *, steps, warmup, target, adapt, mesh):
    def chain(model, data, white, first, key, state):
        _, advance = _kernel(model, data, white, first, key, warmup, target, adapt)  # the library keeps its settings in this closure

        def step(state, _):
            state = advance(state)
            return state, (state.z, {"diverging": state.diverging, "lp": -state.potential_energy, "n_steps": state.num_steps})

        return jax.lax.scan(step, state, length=steps)

    return _over_chains(chain, mesh, (model, data, white), first, keys, states)


def worst(chained: dict[str, np.ndarray]) -> dict[str, float]:
    """Largest R-hat and smallest effective sample size over everything learned; leaves `[chain, draw, ...]`."""
    r_hat, effective = zip(*convergence(chained).values(), strict=True)
    return {
        "r_hat_max": float(np.nanmax([np.max(values) for values in r_hat])),
        "ess_min": float(np.nanmin([np.min(values) for values in effective])),
    }


def concerns(diagnostics: dict[str, float]) -> list[str]:
    """What a user must know before trusting the draws."""
    found = []
    if not diagnostics["r_hat_max"] <= HIGHEST_R_HAT:
        found.append(
            f"R-hat reaches {diagnostics['r_hat_max']:.2f} (above {HIGHEST_R_HAT}): the chains disagree; use more `warmup` and `draws`"
        )
    if diagnostics["ess_min"] < FEWEST_EFFECTIVE:
        fewest = diagnostics["ess_min"]
        found.append(f"only {fewest:.0f} effective draws of the worst parameter (below {FEWEST_EFFECTIVE}): use more `draws`")
    if diagnostics["divergences"]:
        found.append(f"{diagnostics['divergences']} divergent transitions: raise `target` or give the model stronger priors")
    return found
