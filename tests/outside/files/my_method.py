"""Sampling importance resampling (Rubin 1988): draws of the prior, kept in proportion to their likelihood. For few parameters."""

import jax
import jax.numpy as jnp
import numpy as np

import hybridflux as hf
from hybridflux.inference.joint import log_likelihood
from hybridflux.model.learned import learned, with_learned

FEWEST = 20  # proposals that carry the weight, below which the draws repeat a handful of them


@hf.register("methods", "resampling")
class Resampling(hf.AbstractMethod):
    """Draws `draws` of `proposals` draws of the prior."""

    proposals: int = 4000
    draws: int = 200

    def draw(self, model, data, key, progress):
        propose, pick = jax.random.split(key)
        prior = {
            name: jax.random.normal(jax.random.fold_in(propose, number), (self.proposals, *leaf.shape))
            for number, (name, leaf) in enumerate(learned(model).items())
        }
        log = jax.lax.map(lambda values: log_likelihood(with_learned(model, values), data), prior)
        weight = jax.nn.softmax(log)
        carrying = float(1.0 / jnp.sum(weight**2))
        kept = jax.random.categorical(pick, log, shape=(self.draws,))
        concerns = () if carrying >= FEWEST else (f"only {carrying:.0f} proposals carry the weight: use more `proposals`",)
        stats = {"log_likelihood": np.asarray(log[kept])}
        return hf.Drawn({name: leaf[kept] for name, leaf in prior.items()}, 1, stats, {"carrying": carrying}, concerns)
