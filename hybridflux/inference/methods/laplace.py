"""A Gaussian around the posterior mode, in seconds."""

from __future__ import annotations

import jax

from hybridflux.inference.methods.base import AbstractMethod, Drawn, setting
from hybridflux.inference.methods.gaussian_vi import around_mode

RESTLESS = 0.5  # standard deviations the centre may still move in the last round


class LaplaceApproximation(AbstractMethod):
    """Draws of a Gaussian in white coordinates: the mode and the expected information there, then moved to the nearest Gaussian.

    The expected information stands for the Hessian, which Laplace errors do not have. With `rounds=0` it is the plain approximation;
    each round of `2 n` gradients takes means and curvature from the width of the posterior and not from one point (`gaussian_vi`).
    Population effects are Gaussian in centred coordinates, so that draws follow their funnel.

    Attributes:
        draws: taken from it.
        rounds: most rounds of sharpening.
        mode_steps: most steps of the search for the mode before.
    """

    draws: int = 400
    rounds: int = setting(12, least=0)
    mode_steps: int = 2000

    def draw(self, model, data, key, progress):
        start, run = jax.random.split(key)
        around = around_mode(model, data, start, steps=self.mode_steps, rounds=self.rounds, progress=progress)
        drawn = around.white.drawn(jax.random.normal(run, (self.draws, around.white.size)))
        diagnostics = {"unrest": around.unrest, "gradients": around.gradients, "overlap": around.overlap if self.rounds else None}
        far = f"the centre still moved by {around.unrest:.1f} standard deviations: the posterior is not near a Gaussian; use NUTS"
        concerns = (far,) if around.unrest > RESTLESS else ()
        return Drawn(drawn, 1, {}, diagnostics, concerns)
