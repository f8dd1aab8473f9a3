"""Observation errors: what a tower day may differ from the model by chance.

Scale (science: Hollinger & Richardson 2005, 10.1093/treephys/25.7.873; Richardson et al. 2006): grows with the size of the flux,
`scale^2 = known random error^2 + (noise_floor + noise_slope |flux|)^2`. The family is Laplace or Student-t; `weight` is the power of a
composite likelihood: days are not independent, so a day counts as `weight` of one.
"""

from __future__ import annotations

from abc import abstractmethod

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hybridflux.model.sources import AbstractSource, Fixed, Names, Shared
from hybridflux.vocabulary import PARAMETERS


class AbstractNoise(eqx.Module):
    """The error of one kind of observation."""

    sources: eqx.AbstractVar[dict[str, AbstractSource]]
    weight: eqx.AbstractVar[float]

    def reads(self) -> tuple[str, ...]:
        """Names of the covariates its sources need."""
        return tuple(dict.fromkeys(name for source in self.sources.values() for name in source.reads()))

    def parameter(self, name: str, names: Names | None = None) -> Array:
        """The value of a noise parameter; `names` hold what its source reads."""
        return self.sources[name].value(PARAMETERS[name], names or {})

    def scale(self, flux: Array, known: Array) -> Array:
        """Error scale [gC m-2 d-1] at a modelled flux, with the known random error or zero."""
        own = self.parameter("noise_floor") + self.parameter("noise_slope") * jnp.abs(flux)
        return jnp.sqrt(known**2 + own**2)

    @abstractmethod
    def log_density(self, observed: Array, flux: Array, known: Array, size: Array | None = None) -> Array:
        """Log density of the observations, elementwise; `size` is the flux whose amount sets the scale, the same one by default."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, flux: Array, known: Array) -> Array:
        """Observations that could have been made of `flux`."""


class Laplace(AbstractNoise):
    """Double-exponential errors; `scale` is the mean absolute error."""

    sources: dict[str, AbstractSource]
    weight: float = eqx.field(static=True)

    def __init__(self, *, floor: AbstractSource | None = None, slope: AbstractSource | None = None, weight: float = 1.0):
        """Sources of `noise_floor` and `noise_slope`; learned and shared by default."""
        self.sources = {"noise_floor": floor or Shared(), "noise_slope": slope or Shared()}
        self.weight = weight

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux if size is None else size, known)
        return -jnp.abs(observed - flux) / scale - jnp.log(2.0 * scale)

    def sample(self, key, flux, known):
        return flux + self.scale(flux, known) * jax.random.laplace(key, flux.shape, flux.dtype)


class StudentT(AbstractNoise):
    """Student-t errors with `noise_tail` degrees of freedom."""

    sources: dict[str, AbstractSource]
    weight: float = eqx.field(static=True)

    def __init__(
        self,
        *,
        floor: AbstractSource | None = None,
        slope: AbstractSource | None = None,
        tail: AbstractSource | None = None,
        weight: float = 1.0,
    ):
        """Sources of `noise_floor`, `noise_slope` (learned, shared) and `noise_tail` (fixed by default)."""
        self.sources = {"noise_floor": floor or Shared(), "noise_slope": slope or Shared(), "noise_tail": tail or Fixed()}
        self.weight = weight

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux if size is None else size, known)
        return jax.scipy.stats.t.logpdf((observed - flux) / scale, self.parameter("noise_tail")) - jnp.log(scale)

    def sample(self, key, flux, known):
        return flux + self.scale(flux, known) * jax.random.t(key, self.parameter("noise_tail"), flux.shape, flux.dtype)
