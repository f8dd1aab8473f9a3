"""The No-U-Turn sampler of numpyro, in white coordinates of the nearest Gaussian."""

from __future__ import annotations

import jax
import numpy as np
from numpyro.diagnostics import summary
from numpyro.infer import MCMC
from numpyro.infer import NUTS as Kernel

from hybridflux.inference.methods.base import AbstractMethod, Drawn
from hybridflux.inference.methods.sharpen import around_mode

HIGHEST_R_HAT = 1.05
FEWEST_EFFECTIVE = 50
SETTLED = 1.0  # standard deviations; where the Gaussian moves more, the sampler adapts scales of its own


class NUTS(AbstractMethod):
    """Exact draws, for models of up to some hundred learned numbers.

    The posterior is nearly a unit ball in the coordinates of `sharpen`, so warm-up only finds the step size, and the chains start as
    draws of the Gaussian. Chains run side by side on the host devices of XLA, or vectorised where there are too few of these.

    Attributes:
        warmup: adaptation steps per chain.
        draws: kept per chain.
        chains: how many.
        target: acceptance probability aimed at; below the usual 0.8, because short trajectories suffice in a ball.
        mode_steps: most steps of the search for the mode before.
        rounds: of sharpening the coordinates.
    """

    warmup: int = 100
    draws: int = 300
    chains: int = 2
    target: float = 0.7
    mode_steps: int = 1000
    rounds: int = 4

    def draw(self, model, data, key, progress):
        start, scatter, run = jax.random.split(key, 3)
        around = around_mode(model, data, start, steps=self.mode_steps, rounds=self.rounds, progress=progress)
        white = around.white
        kernel = Kernel(
            potential_fn=white.potential(model, data),
            target_accept_prob=self.target,
            adapt_mass_matrix=not around.unrest < SETTLED or self.rounds == 0,
        )
        side_by_side = "parallel" if jax.local_device_count() >= self.chains else "vectorized"
        sampler = MCMC(
            kernel, num_warmup=self.warmup, num_samples=self.draws, num_chains=self.chains, chain_method=side_by_side, progress_bar=False
        )
        progress(0, 1, f"NUTS, {white.size} learned numbers, {self.chains} chains")
        first = jax.random.normal(scatter, (self.chains, white.size))
        sampler.run(run, init_params=first if self.chains > 1 else first[0], extra_fields=("diverging", "potential_energy", "num_steps"))
        progress(1, 1, "NUTS done")
        drawn = jax.vmap(white.leaves)(sampler.get_samples())
        chained = {name: np.asarray(values).reshape(self.chains, self.draws, *values.shape[1:]) for name, values in drawn.items()}
        extra = {name: np.asarray(values) for name, values in sampler.get_extra_fields().items()}
        stats = {"diverging": extra["diverging"], "lp": -extra["potential_energy"], "n_steps": extra["num_steps"]}
        diagnostics = {
            **convergence(chained),
            "divergences": int(extra["diverging"].sum()),
            "mean_steps": float(extra["num_steps"].mean()),
            "gradients_before": around.gradients,
        }
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
