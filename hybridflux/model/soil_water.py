"""Measured soil water as a second witness of the bucket: what a sensor shows of relative water, and how far it is off.

    swc = swc_wilting + rew (swc_field - swc_wilting) + error

A sensor sees one depth of one soil, the bucket is the root zone of a footprint: the line between them belongs to the sensor and the soil
and is learned with the fit. Sources of its two ends and of the error live here, beside those of other errors, not in the physics.
Only the course of soil water informs the bucket, how far it falls and how fast, not its level.
"""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model.noise import AbstractNoise
from hybridflux.model.sources import POPULATIONS, AbstractFree, AbstractSource, Names, PerClass, Shared
from hybridflux.process import water

TARGET = "swc"
"""Name of the target it compares."""


class SoilWater(AbstractNoise):
    """Gaussian or Student-t errors of volumetric soil water [m3 m-3], to be given as `noise={"nee": ..., "swc": SoilWater()}`.

    It takes part in the likelihood only, as `swc` of `model.fluxes` and `posterior.predict(variables=("swc",))`. Structural errors,
    scores, splits into day and night and maps are of fluxes and do not know it. Sensors err for weeks: give a day a small `weight`.
    Peat holds more water than the bounds of `swc_field` (0.55) allow; leave towers on it out, or without `swc`.
    """

    sources: dict[str, AbstractSource]
    weight: float = eqx.field(static=True)

    def __init__(
        self,
        *,
        wilting: AbstractSource | None = None,
        field: AbstractSource | None = None,
        error: AbstractSource | None = None,
        tail: AbstractSource | None = None,
        weight: float = 1.0,
    ):
        """Sources of `swc_wilting` and `swc_field` (per plant type), `noise_swc_error` (shared) and `noise_tail`; Gaussian without a tail.

        Raises:
            ValueError: a source that is learned reads something that changes from day to day; the line of a sensor lasts.
        """
        self.sources = {
            "swc_wilting": wilting or PerClass(),
            "swc_field": field or PerClass(),
            "noise_swc_error": error or Shared(),
            **({} if tail is None else {"noise_tail": tail}),
        }
        for name, source in self.sources.items():
            other = [read for read in source.reads() if read not in ("plant_type", *POPULATIONS)]
            if other and isinstance(source, AbstractFree):
                raise ValueError(f"`{name}` cannot be learned from {', '.join(other)}; give it Fixed, Given, Shared, PerClass or Pooled")
        self.weight = weight

    def expected(self, rew: Array, names: Names) -> Array:
        """What the sensors show of relative extractable water [m3 m-3]; `names` hold what the sources read."""
        ends = {name: self.parameter(name, names) for name in ("swc_wilting", "swc_field")}
        return water.volumetric(rew=rew, **ends)

    def scale(self, flux, known):
        """Error scale [m3 m-3], the same for wet and dry soil."""
        own = self.parameter("noise_swc_error")
        return jnp.sqrt(known**2 + own**2) + 0.0 * flux

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux, known)
        standard = (observed - flux) / scale
        if "noise_tail" in self.sources:
            return jax.scipy.stats.t.logpdf(standard, self.parameter("noise_tail")) - jnp.log(scale)
        return jax.scipy.stats.norm.logpdf(standard) - jnp.log(scale)

    def sample(self, key, flux, known):
        draw = (
            jax.random.t(key, self.parameter("noise_tail"), flux.shape, flux.dtype)
            if "noise_tail" in self.sources
            else jax.random.normal(key, flux.shape, flux.dtype)
        )
        return flux + self.scale(flux, known) * draw
