"""Observation errors: what a day of a tower may differ from the model by chance.

Scale (Hollinger & Richardson 2005, 10.1093/treephys/25.7.873; Richardson et al. 2006): grows with the size of the flux,
`scale^2 = known random error^2 + (noise_floor + noise_slope |flux|)^2`; of quantities of one error for small and large values it is
`known^2 + noise_sd^2`. How much a day counts belongs to the observation (`model.observed`), not to its error.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from hybridflux.model.sources import AbstractSource, Fixed, Names, Shared
from hybridflux.model.student_t import student_t
from hybridflux.vocabulary import PARAMETERS, Parameter


class AbstractNoise(eqx.Module):
    """The error of one kind of observation.

    Attributes:
        sources: parameter -> source.
        rows: rows that replace those of the vocabulary, for quantities that are no carbon flux.
        PARTS: argument of the class -> its parameter; a saved model is built again by it.
    """

    sources: eqx.AbstractVar[dict[str, AbstractSource]]
    rows: eqx.AbstractVar[tuple[Parameter, ...]]
    PARTS: ClassVar[Mapping[str, str]]

    def row(self, name: str) -> Parameter:
        """The row of a parameter of this error."""
        return next((row for row in self.rows if row.name == name), None) or PARAMETERS[name]

    def parameter(self, name: str, names: Names | None = None) -> Array:
        """The value of a parameter of this error; `names` hold what its source reads."""
        return self.sources[name].value(self.row(name), names or {})

    def scale(self, flux: Array, known: Array) -> Array:
        """Error scale at a modelled value, in its units, with the known random error or zero."""
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
    rows: tuple[Parameter, ...] = eqx.field(static=True)
    PARTS: ClassVar = {"floor": "noise_floor", "slope": "noise_slope"}

    def __init__(self, *, floor: AbstractSource | None = None, slope: AbstractSource | None = None, rows: Iterable[Parameter] = ()):
        """Sources of `noise_floor` and `noise_slope`; learned and shared by default. `rows` give them other units and priors."""
        self.sources = {"noise_floor": floor or Shared(), "noise_slope": slope or Shared()}
        self.rows = tuple(rows)

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux if size is None else size, known)
        return -jnp.abs(observed - flux) / scale - jnp.log(2.0 * scale)

    def sample(self, key, flux, known):
        return flux + self.scale(flux, known) * jax.random.laplace(key, flux.shape, flux.dtype)


class StudentT(AbstractNoise):
    """Student-t errors with `noise_tail` degrees of freedom."""

    sources: dict[str, AbstractSource]
    rows: tuple[Parameter, ...] = eqx.field(static=True)
    PARTS: ClassVar = {"floor": "noise_floor", "slope": "noise_slope", "tail": "noise_tail"}

    def __init__(
        self,
        *,
        floor: AbstractSource | None = None,
        slope: AbstractSource | None = None,
        tail: AbstractSource | None = None,
        rows: Iterable[Parameter] = (),
    ):
        """Sources of `noise_floor`, `noise_slope` (learned, shared) and `noise_tail` (fixed by default), perhaps with other `rows`."""
        self.sources = {"noise_floor": floor or Shared(), "noise_slope": slope or Shared(), "noise_tail": tail or Fixed()}
        self.rows = tuple(rows)

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux if size is None else size, known)
        return jax.scipy.stats.t.logpdf((observed - flux) / scale, self.parameter("noise_tail")) - jnp.log(scale)

    def sample(self, key, flux, known):
        return flux + self.scale(flux, known) * student_t(key, self.parameter("noise_tail"), flux.shape, flux.dtype)


class Constant(AbstractNoise):
    """Errors of one standard deviation for small and large values: Gaussian, or Student-t where a tail is given."""

    sources: dict[str, AbstractSource]
    rows: tuple[Parameter, ...] = eqx.field(static=True)
    PARTS: ClassVar = {"sd": "noise_sd", "tail": "noise_tail"}

    def __init__(self, row: Parameter | None = None, *, sd: AbstractSource | None = None, tail: AbstractSource | None = None, rows=()):
        """Constant errors.

        Args:
            row: of `noise_sd`, with the units and the prior of this quantity.
            sd: source of `noise_sd`, learned and shared by default.
            tail: source of the degrees of freedom of a Student-t; Gaussian without one.
            rows: the same as `row`, where a file gives them.

        Raises:
            ValueError: there is no row of `noise_sd`.
        """
        self.sources = {"noise_sd": sd or Shared(), **({} if tail is None else {"noise_tail": tail})}
        self.rows = tuple(rows) if row is None else (row, *rows)
        if "noise_sd" not in {row.name for row in self.rows}:
            raise ValueError("Constant errors need the row of their standard deviation: Constant(hf.Parameter('noise_sd', 'm3 m-3', ...))")

    def scale(self, flux, known):
        own = self.parameter("noise_sd")
        return jnp.sqrt(known**2 + own**2) + 0.0 * flux

    def log_density(self, observed, flux, known, size=None):
        scale = self.scale(flux, known)
        standard = (observed - flux) / scale
        if "noise_tail" in self.sources:
            return jax.scipy.stats.t.logpdf(standard, self.parameter("noise_tail")) - jnp.log(scale)
        return jax.scipy.stats.norm.logpdf(standard) - jnp.log(scale)

    def sample(self, key, flux, known):
        draw = (
            student_t(key, self.parameter("noise_tail"), flux.shape, flux.dtype)
            if "noise_tail" in self.sources
            else jax.random.normal(key, flux.shape, flux.dtype)
        )
        return flux + self.scale(flux, known) * draw
