"""Variational inference with a structured Gaussian guide, started at the posterior mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpyro.infer import SVI as Variational
from numpyro.infer import Trace_ELBO, init_to_value
from numpyro.infer.autoguide import AutoLowRankMultivariateNormal, AutoMultivariateNormal

from hybridflux.inference.joint import joint
from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.descend import descend, minibatches, starting_points
from hybridflux.model.tree import learned

FULL_COVARIANCE_UP_TO = 200  # learned numbers; more get a low-rank guide


class SVI(AbstractMethod):
    """A Gaussian over everything learned: full covariance for small models, low rank plus diagonal for networks.

    The default random start of the library lands far away; this one starts at the mode, with a small scale.

    Attributes:
        steps: updates of the guide.
        draws: draws taken from it.
        size: days per update.
        rate: first learning rate.
        mode_steps: updates of the search for the mode before.
    """

    steps: int = 3000
    draws: int = 200
    size: int = 4096
    rate: float = 0.01
    mode_steps: int = 1500

    def draw(self, model, data, key, progress):
        start, run, sample, shuffle = jax.random.split(key, 4)
        seed = int(jax.random.randint(shuffle, (), 0, 2**31 - 1))
        leaves = starting_points(model, 1, start)
        anchors = jax.tree.map(jnp.zeros_like, leaves)
        leaves, _ = descend(model, data, leaves, anchors, steps=self.mode_steps, size=self.size, rate=0.02, seed=seed, progress=progress)
        mode = {name: leaf[0] for name, leaf in leaves.items()}
        count = sum(leaf.size for leaf in learned(model).values())
        guide_kind = AutoMultivariateNormal if count <= FULL_COVARIANCE_UP_TO else AutoLowRankMultivariateNormal
        guide = guide_kind(joint, init_loc_fn=init_to_value(values=mode), init_scale=0.02)

        rng = np.random.default_rng(seed)
        batches, share = minibatches(data, self.size, rng)
        per_pass = next(iter(batches.targets.values())).shape[0]
        passes = max(2, -(-self.steps // per_pass))
        optimiser = optax.adam(optax.cosine_decay_schedule(self.rate, passes * per_pass, 0.02))
        svi = Variational(joint, guide, optimiser, Trace_ELBO())
        state = svi.init(run, model, jax.tree.map(lambda values: values[0], batches), share)

        @jax.jit
        def one_pass(state, batches):
            return jax.lax.scan(lambda carry, step: svi.update(carry, model, step, share), state, batches)

        losses = []
        for number in range(passes):
            state, loss = one_pass(state, batches)
            losses.append(float(loss.mean()))
            if share > 1.0:
                batches, _ = minibatches(data, self.size, rng)
            if number % max(1, passes // 50) == 0 or number == passes - 1:
                progress(number + 1, passes, f"-ELBO {losses[-1]:.1f}")
        drawn = guide.sample_posterior(sample, svi.get_params(state), sample_shape=(self.draws,))
        half, quarter = np.mean(losses[len(losses) // 2 :]), np.mean(losses[-max(1, len(losses) // 4) :])
        falling = (half - quarter) > 0.05 * abs(losses[0] - quarter)
        concerns = ("the evidence bound was still improving; use more steps",) if falling else ()
        diagnostics = {"guide": guide_kind.__name__, "learned_numbers": count, "negative_elbo": losses[-1]}
        return Drawn({name: drawn[name] for name in mode}, 1, {}, diagnostics, concerns)
