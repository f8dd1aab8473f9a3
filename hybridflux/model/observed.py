"""An observation operator: what a target of the towers is compared with, its error, and how much a day counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import equinox as eqx
from jaxtyping import Array

from hybridflux.model.noise import AbstractNoise, Laplace
from hybridflux.model.sources import POPULATIONS, AbstractFree, AbstractSource, Names
from hybridflux.process.call import arguments, call
from hybridflux.process.declare import parameter, rows_of
from hybridflux.vocabulary import Parameter, Variable, suggestion

COMPUTED = ("gpp_at", "reco_at")
"""Functions of a day that an operator may ask for: that flux at other inputs."""


class Observed(eqx.Module):
    """One term of the likelihood.

    Days are not independent: `weight` is the power of a composite likelihood, so that a day counts as `weight` of one.

    Attributes:
        error: of the observation.
        sources: of parameters that the operator alone has, for instance the line of a soil water sensor.
        target: name of the observation, a row of the vocabulary or of `predict`.
        predict: function that gives what an instrument would show, called by names like a process: drivers, states, diagnostics, fluxes
            of the day, parameters, and `gpp_at`, `reco_at` (see `process.observation`).
        weight: of a day.
        column: of the FLUXNET file that holds the target in units of its row, if not that of its row.
    """

    error: AbstractNoise
    sources: dict[str, AbstractSource]
    target: str = eqx.field(static=True)
    predict: Callable = eqx.field(static=True)
    weight: float = eqx.field(static=True)
    column: str | None = eqx.field(static=True)

    def __init__(
        self,
        target: str,
        predict: Callable,
        error: AbstractNoise | None = None,
        weight: float = 1.0,
        *,
        sources: Mapping[str, AbstractSource] | None = None,
        column: str | None = None,
    ):
        """An operator with Laplace errors by default.

        Raises:
            ValueError: the target has no row, a source is for no argument, or a learned source reads something that changes from day to
                day; the line of a sensor lasts.
        """
        self.error, self.sources, self.target = error or Laplace(), dict(sources or {}), target
        self.predict, self.weight, self.column = predict, float(weight), column
        rows = rows_of((predict,))
        if not isinstance(rows.get(target), Variable):
            raise ValueError(f"the target `{target}` has no row; declare it with `variables` of hf.process.{suggestion(target, rows)}")
        for name, source in self.sources.items():
            if name not in arguments(predict):
                raise ValueError(f"`{predict.__name__}` does not use `{name}`; it asks for {', '.join(arguments(predict))}")
            other = [read for read in source.reads() if read not in ("plant_type", *POPULATIONS)]
            if other and isinstance(source, AbstractFree):
                raise ValueError(f"`{name}` cannot be learned from {', '.join(other)}; give it Fixed, Given, Shared, PerClass or Pooled")

    @property
    def variable(self) -> Variable:
        """The row of the target, with the column of the FLUXNET file that holds it."""
        row = rows_of((self.predict,))[self.target]
        assert isinstance(row, Variable)  # checked when it was made
        return row if self.column is None else replace(row, fluxnet=self.column)

    def row(self, name: str) -> Parameter:
        """The row of a parameter of the operator or of its error."""
        return self.error.row(name) if name in self.error.sources else parameter(rows_of((self.predict,)), name)

    def all_sources(self) -> dict[str, AbstractSource]:
        """Sources of the error and of the operator."""
        return {**self.error.sources, **self.sources}

    def reads(self) -> tuple[str, ...]:
        """Names of covariates and drivers that its sources need."""
        return tuple(dict.fromkeys(name for source in self.all_sources().values() for name in source.reads()))

    def asks(self) -> tuple[str, ...]:
        """Names that `predict` takes of the day: those without a source here."""
        return tuple(name for name in arguments(self.predict) if name not in self.sources)

    def expected(self, names: Names) -> Array | None:
        """What an instrument shows, in units of the target; None where a name is not there."""
        if not {*self.asks(), *self.reads()} <= set(names):
            return None
        return call(self.predict, {**names, **{name: source.value(self.row(name), names) for name, source in self.sources.items()}})
