"""Variational inference with a structured Gaussian guide, started at the posterior mode."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import optax
from jaxtyping import Array
from numpyro.infer import SVI as Variational
from numpyro.infer import Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoLowRankMultivariateNormal, AutoMultivariateNormal

from hybridflux.inference.batch import Batch
from hybridflux.inference.joint import joint, log_likelihood, log_prior
from hybridflux.inference.methods.adam import minibatches
from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.fisher_whitening import White
from hybridflux.inference.methods.gaussian_vi import around_mode
from hybridflux.inference.methods.mode import find_mode
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.progress import Progress

WHITENED_UP_TO = 200  # learned numbers; more (networks) get a low-rank guide in their own coordinates
ROUNDS = 12  # most rounds of sharpening before


class SVI(AbstractMethod):
    """A Gaussian over everything learned.

    Small models get a full covariance in white coordinates, where it has little left to learn: in the coordinates of the model
    itself the same guide stays several times too narrow along ridges such as class mean against place effects. Networks get
    low rank plus diagonal. The default random start of the library lands far away; this one starts at the mode.

    Attributes:
        steps: updates of the guide.
        draws: draws taken from it.
        size: days per update.
        rate: first learning rate.
        mode_steps: most steps of the search for the mode before.
    """

    steps: int = 2000
    draws: int = 200
    size: int = 4096
    rate: float = 0.01
    mode_steps: int = 1500

    def draw(self, model, data, key, progress):
        start, run, shuffle = jax.random.split(key, 3)
        seed = int(jax.random.randint(shuffle, (), 0, 2**31 - 1))
        count = sum(leaf.size for leaf in learned(model).values())
        if count <= WHITENED_UP_TO:
            white = around_mode(model, data, start, steps=self.mode_steps, rounds=ROUNDS, progress=progress).white
            in_white = _in_white(model, white)
            guide = AutoMultivariateNormal(in_white, init_loc_fn=init_to_value(values={"white": jnp.zeros(count)}), init_scale=1.0)
            sample, losses = self._optimise(in_white, guide, data, run, seed, progress)
            drawn = white.drawn(sample["white"])
        else:
            mode, _ = find_mode(model, data, start, steps=self.mode_steps, size=self.size, progress=progress)
            in_leaves = lambda batch, share: joint(model, batch, share)  # noqa: E731
            guide = AutoLowRankMultivariateNormal(in_leaves, init_loc_fn=init_to_value(values=mode), init_scale=0.02)
            sample, losses = self._optimise(in_leaves, guide, data, run, seed, progress)
            drawn = {name: sample[name] for name in mode}
        diagnostics = {"guide": type(guide).__name__, "learned_numbers": count, "negative_elbo": losses[-1]}
        return Drawn(drawn, 1, {}, diagnostics, _concerns(losses))

    def _optimise(self, model: Callable, guide, data: Batch, key, seed: int, progress: Progress) -> tuple[dict[str, Array], list[float]]:
        """Fit a guide on shuffled minibatches; draws of it, and the negative evidence bound per pass."""
        first, last = jax.random.split(key)
        rng = np.random.default_rng(seed)
        batches, share = minibatches(data, self.size, rng)
        per_pass = next(iter(batches.targets.values())).shape[0]
        passes = max(2, -(-self.steps // per_pass))
        optimiser = optax.adam(optax.cosine_decay_schedule(self.rate, passes * per_pass, 0.02))
        svi = Variational(model, guide, optimiser, Trace_ELBO())
        state = svi.init(first, jax.tree.map(lambda values: values[0], batches), share)

        @jax.jit
        def one_pass(state, batches):
            return jax.lax.scan(lambda carry, step: svi.update(carry, step, share), state, batches)

        losses = []
        for number in range(passes):
            state, loss = one_pass(state, batches)
            losses.append(float(loss.mean()))
            if share > 1.0:
                batches, _ = minibatches(data, self.size, rng)
            if number % max(1, passes // 50) == 0 or number == passes - 1:
                progress(number + 1, passes, f"-ELBO {losses[-1]:.1f}")
        return guide.sample_posterior(last, svi.get_params(state), sample_shape=(self.draws,)), losses


def _in_white(model: HybridFlux, white: White) -> Callable:
    """The joint density as a numpyro model of the white coordinates."""

    def density(batch: Batch, share: float):
        at = numpyro.sample("white", dist.Normal(0.0, 1.0).expand([white.size]).to_event(1).mask(False))
        one = with_learned(model, white.leaves(at))
        numpyro.factor("joint", share * log_likelihood(one, batch) + log_prior(one) + white.log_volume(at))

    return density


def _concerns(losses: list[float]) -> tuple[str, ...]:
    quarter = max(1, len(losses) // 4)
    before, last = np.array(losses[-2 * quarter : -quarter]), np.array(losses[-quarter:])
    noise = np.hypot(before.std(), last.std()) / quarter**0.5
    falling = before.mean() - last.mean() > 1.0 + 3.0 * noise
    return ("the evidence bound was still improving; use more steps",) if falling else ()
