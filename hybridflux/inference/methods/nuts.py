"""The No-U-Turn sampler of numpyro, in whitened coordinates around the posterior mode."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from numpyro.diagnostics import summary
from numpyro.infer import MCMC
from numpyro.infer import NUTS as Kernel

from hybridflux.inference.joint import log_likelihood, log_prior
from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.descend import descend, starting_points
from hybridflux.inference.methods.whiten import whitened
from hybridflux.model.tree import learned, with_learned

HIGHEST_R_HAT = 1.05
FEWEST_EFFECTIVE = 50
MOST_NUMBERS = 400


class NUTS(AbstractMethod):
    """Exact draws, for models of up to some hundred learned numbers.

    Attributes:
        warmup: adaptation steps per chain.
        draws: kept per chain.
        chains: run side by side, vectorised.
        target: acceptance probability aimed at.
        mode_steps: updates of the search for the mode before.
    """

    warmup: int = 200
    draws: int = 200
    chains: int = 2
    target: float = 0.8
    mode_steps: int = 1000

    def draw(self, model, data, key, progress):
        count = sum(leaf.size for leaf in learned(model).values())
        if count > MOST_NUMBERS:
            raise ValueError(f"{count} learned numbers, NUTS takes at most {MOST_NUMBERS}; use Ensemble or SVI, or a smaller model")
        start, scatter, run = jax.random.split(key, 3)
        leaves = starting_points(model, 1, start)
        anchors = jax.tree.map(jnp.zeros_like, leaves)
        leaves, _ = descend(model, data, leaves, anchors, steps=self.mode_steps, size=8192, rate=0.03, seed=0, progress=progress)
        white = whitened(model, data, {name: leaf[0] for name, leaf in leaves.items()})

        def potential(at):
            one = with_learned(model, white.leaves(at))
            return -(log_likelihood(one, data) + log_prior(one) + white.log_volume(at))

        kernel = Kernel(potential_fn=potential, target_accept_prob=self.target)
        sampler = MCMC(
            kernel, num_warmup=self.warmup, num_samples=self.draws, num_chains=self.chains, chain_method="vectorized", progress_bar=False
        )
        progress(0, 1, f"NUTS, {count} learned numbers, {self.chains} chains")
        first = jax.random.normal(scatter, (self.chains, count))
        sampler.run(run, init_params=first if self.chains > 1 else first[0], extra_fields=("diverging", "potential_energy", "num_steps"))
        progress(1, 1, "NUTS done")
        drawn = jax.vmap(white.leaves)(sampler.get_samples())
        chained = {name: np.asarray(values).reshape(self.chains, self.draws, *values.shape[1:]) for name, values in drawn.items()}
        extra = {name: np.asarray(values) for name, values in sampler.get_extra_fields().items()}
        stats = {"diverging": extra["diverging"], "lp": -extra["potential_energy"], "n_steps": extra["num_steps"]}
        diagnostics = {**convergence(chained), "divergences": int(extra["diverging"].sum()), "mean_steps": float(extra["num_steps"].mean())}
        return Drawn(drawn, self.chains, stats, diagnostics, tuple(concerns(diagnostics)))


def convergence(chained: dict[str, np.ndarray]) -> dict[str, float]:
    """Worst split R-hat and smallest effective sample size over everything learned; leaves `[chain, draw, ...]`."""
    table = summary(chained, group_by_chain=True)
    return {
        "r_hat_max": float(np.nanmax([np.max(row["r_hat"]) for row in table.values()])),
        "ess_min": float(np.nanmin([np.min(row["n_eff"]) for row in table.values()])),
    }


def concerns(diagnostics: dict[str, float]) -> list[str]:
    """What a user must know before trusting the draws."""
    found = []
    if not diagnostics["r_hat_max"] <= HIGHEST_R_HAT:
        found.append(
            f"R-hat reaches {diagnostics['r_hat_max']:.2f} (above {HIGHEST_R_HAT}): the chains disagree; use more warm-up and draws"
        )
    if diagnostics["ess_min"] < FEWEST_EFFECTIVE:
        found.append(f"only {diagnostics['ess_min']:.0f} effective draws of the worst number (below {FEWEST_EFFECTIVE}); use more draws")
    if diagnostics["divergences"]:
        found.append(f"{diagnostics['divergences']} divergent transitions: raise `target` or give the model stronger priors")
    return found
