"""The hybrid model: factors of GPP and Reco, things with memory, a source for each of their parameters, and what towers observe."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from functools import cache, partial
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model import observe, rollout
from hybridflux.model.observed import COMPUTED, Observed
from hybridflux.model.sources import AbstractSource, Fixed, Names
from hybridflux.process import water
from hybridflux.process.call import Memory, arguments, call, product
from hybridflux.process.declare import Row, parameter, rows_of
from hybridflux.vocabulary import CARBON, Parameter, Variable, suggestion


class HybridFlux(eqx.Module):
    """Daily GPP, Reco and NEE = Reco - GPP [gC m-2 d-1, NEE positive to the atmosphere].

    `gpp` and `reco` are products of process functions; `memory` holds what lasts from day to day (soil water, acclimation).
    Each parameter of these functions has a source; one without is `Fixed` at its typical value.

    >>> from hybridflux.process import light, respiration
    >>> model = HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={})
    >>> model.needs()
    ('fapar', 'par')
    """

    sources: dict[str, AbstractSource]
    observed: dict[str, Observed]
    gpp: tuple[Callable, ...] = eqx.field(static=True)
    reco: tuple[Callable, ...] = eqx.field(static=True)
    memory: tuple[Memory, ...] = eqx.field(static=True)

    def __init__(
        self,
        *,
        gpp: tuple[Callable, ...],
        reco: tuple[Callable, ...],
        sources: Mapping[str, AbstractSource],
        memory: tuple[Memory, ...] = (),
        observed: Iterable[Observed] | None = None,
    ):
        """Compose a model.

        Args:
            gpp: factors of GPP.
            reco: factors of Reco; may use `gpp` of the day.
            sources: parameter name -> source.
            memory: things that last from day to day.
            observed: terms of the likelihood, see `model.observe`; NEE of whole days with Laplace errors by default.

        Raises:
            ValueError: a source for a parameter no factor uses, an argument that is neither variable nor parameter or that nothing gives,
                a target twice, or one that the physics read as a driver.
        """
        self.gpp, self.reco, self.memory = tuple(gpp), tuple(reco), tuple(memory)
        observed = (observe.nee(),) if observed is None else tuple(observed)
        self.observed = {one.target: one for one in observed}
        if len(self.observed) < len(observed):
            raise ValueError(f"a target is observed twice: {', '.join(one.target for one in observed)}; each has one operator")
        used = [name for fn in self.functions() for name in arguments(fn)]
        wrong = [name for name in used if name not in self.rows]
        if wrong:
            raise ValueError(f"`{wrong[0]}` is neither a variable nor a parameter.{suggestion(wrong[0], self.rows)}")
        wanted = tuple(dict.fromkeys(name for name in used if isinstance(self.rows[name], Parameter)))
        for name in sources:
            if name not in wanted:
                raise ValueError(f"no factor of this model uses `{name}`; give sources to {', '.join(wanted)}.{suggestion(name, wanted)}")
        self.sources = {name: sources.get(name, Fixed()) for name in wanted}
        self._check_given(used)

    def _check_given(self, used: list[str]) -> None:
        not_given = self._made() - {*CARBON, *self.states_and_diagnostics()}
        needs, rows = self.needs(), self.rows
        for name in used:
            if name in not_given:
                raise ValueError(f"a factor or memory reads `{name}`, which no memory of this model gives{_cure(name)}")
        for target, one in self.observed.items():
            if target in needs:
                raise ValueError(f"`{target}` is a driver of this model and cannot be compared with it; for soil water take water.BUCKET")
            for name in one.asks():
                row = rows.get(name)
                if row is None and name not in COMPUTED:
                    raise ValueError(f"`{target}` asks for `{name}`, which has no row.{suggestion(name, rows)}")
                if isinstance(row, Parameter) and name not in self.sources:
                    raise ValueError(f"`{target}` asks for the parameter `{name}`; give `sources` of its operator a source of it")
                if name in not_given:
                    raise ValueError(f"`{target}` asks for `{name}`, which no memory of this model gives{_cure(name)}")

    def _made(self) -> frozenset[str]:
        """Variables that the model itself makes: states, diagnostics, fluxes."""
        return frozenset(name for name, row in self.rows.items() if isinstance(row, Variable) and row.kind in ("state", "flux"))

    def functions(self) -> tuple[Callable, ...]:
        """All process functions, those of memories included."""
        return (*self.gpp, *self.reco, *(fn for memory in self.memory for fn in memory.functions))

    @property
    def rows(self) -> Mapping[str, Row]:
        """Rows of the vocabulary, and those that the processes and operators of this model bring."""
        return rows_of((*self.functions(), *(one.predict for one in self.observed.values())))

    def row_of(self, name: str) -> Parameter:
        """The row of a parameter of the physics, `q10`, or of an observation, `noise_floor.nee`."""
        name, _, target = name.partition(".")
        return self.observed[target].row(name) if target in self.observed else parameter(self.rows, name)

    def states_and_diagnostics(self) -> frozenset[str]:
        """Names of all that the memories give: states, diagnostics and what factors read of the states."""
        return frozenset(name for memory in self.memory for names in given_by(memory) for name in names)

    def needs(self) -> tuple[str, ...]:
        """Names of all drivers and covariates, sorted; population indices included."""
        asked = {name for fn in self.functions() for name in arguments(fn)} - self._made() - set(self.sources)
        return tuple(sorted({*asked, *(name for source in self.sources.values() for name in source.reads())}))

    def needs_at_towers(self) -> tuple[str, ...]:
        """What to ask towers for: `needs`, the plant type, and what the observation operators read."""
        rows = self.rows
        asked = (name for one in self.observed.values() for name in one.asks() if name in rows and name not in self.sources)
        of_towers = set(asked) - self._made()
        return tuple(sorted({*self.needs(), "plant_type", *of_towers, *(n for one in self.observed.values() for n in one.reads())}))

    def targets(self) -> tuple[Variable, ...]:
        """Rows of what the model is compared with, `fluxnet` naming the column of the towers' files."""
        return tuple(one.variable for one in self.observed.values())

    def parameters(self, names: Names, only: Container[str] | None = None) -> dict[str, Array]:
        """The value of every parameter, or of some, where and when `names` are given."""
        wanted = (name for name in self.sources if only is None or name in only)
        return {name: self.sources[name].value(parameter(self.rows, name), names) for name in wanted}

    def start(self, today: Names, parameters: Names) -> dict[str, Array]:
        """The state before the first day, before any spin-up."""
        names = {**today, **parameters}
        return {name: jnp.asarray(value) for memory in self.memory for name, value in call(memory.start, names).items()}

    def advance(self, state: Names, today: Names, parameters: Names) -> tuple[dict[str, Array], dict[str, Array]]:
        """The state that the fluxes of a day see, and the diagnostics of the day, for instance `evapotranspiration`.

        Diagnostics belong to the inputs of the day from here on: `exchange` and `settle` take `{**today, **diagnostics}`.
        """
        names = {**today, **parameters, **state}
        moved = {name: value for memory in self.memory for name, value in call(memory.step, names).items()}
        return {name: moved.pop(name, value) for name, value in state.items()}, moved

    def exchange(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Fluxes `gpp`, `reco`, `nee` of a day, or of many at once: elementwise, any shapes that broadcast."""
        return self.fluxes_of(self.seen(state, today, parameters))

    def fluxes_of(self, names: Names) -> dict[str, Array]:
        """The same from all that the factors may ask for, see `seen`."""
        gpp = self.flux("gpp", names)
        reco = self.flux("reco", {**names, "gpp": gpp})
        return {"gpp": gpp, "reco": reco, "nee": reco - gpp}

    def flux(self, which: Literal["gpp", "reco"], names: Names) -> Array:
        """GPP, or Reco of days whose GPP is among the names [gC m-2 d-1]."""
        return product(getattr(self, which), names)

    @property
    def settles(self) -> bool:
        """Whether the fluxes of a day change its state, so that states cannot be computed before the fluxes."""
        return any(memory.after is not None for memory in self.memory)

    def settle(self, state: Names, fluxes: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """The state at the end of a day, from the state that its `fluxes` (`gpp`, `reco`, `nee`) saw.

        Raises:
            ValueError: `after` of a memory gives a name that is no state.
        """
        if not self.settles:
            held: dict[str, Any] = dict(state)
            return held
        names = {**self.seen(state, today, parameters), **fluxes}
        changed = {name: value for memory in self.memory if memory.after for name, value in call(memory.after, names).items()}
        for name in set(changed) - set(state):
            raise ValueError(f"`after` of a memory gives `{name}`, which its `start` does not; states are {', '.join(state)}")
        return {**state, **changed}

    def warm_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """The state at the end of a day of which nothing else is kept."""
        state, diagnostics = self.advance(state, today, parameters)
        if not self.settles:
            return state
        today = {**today, **diagnostics}
        return self.settle(state, self.exchange(state, today, parameters), today, parameters)

    def spin_up(self, state: Names, today: Names, parameters: Names) -> Names:
        """The same for a day of the spin-up: memories without one stay at their start."""
        held = {name for memory in self.memory if memory.spin_up is None for name in given_by(memory)[0]}
        return {name: state[name] if name in held else value for name, value in self.warm_up(state, today, parameters).items()}

    def seen(self, state: Names, today: Names, parameters: Names) -> Names:
        """Everything the factors may ask for: drivers, parameters, states and what is read of them."""
        names = {**today, **parameters, **state}
        for memory in self.memory:
            names |= call(memory.read, names)
        return names

    def expected(self, state: Names, fluxes: Names, today: Names, parameters: Names, targets: Iterable[str] | None = None) -> dict:
        """What towers would show without error: target -> values, of the operators whose inputs are all there."""
        seen = self.seen(state, today, parameters)
        inputs: dict[str, Any] = {**seen, **fluxes, "gpp_at": _At(partial(self.flux, "gpp"), seen)}
        inputs["reco_at"] = _At(partial(self.flux, "reco"), {**seen, "gpp": fluxes["gpp"]})
        values = {name: self.observed[name].expected(inputs) for name in (self.observed if targets is None else targets)}
        return {name: value for name, value in values.items() if value is not None}

    def states(self, drivers: Names) -> dict[str, Array]:
        """States as the fluxes of each day see them, and diagnostics that something reads; time on axis 0."""
        return rollout.states(self, drivers, self.parameters(drivers))

    def fluxes(self, drivers: Names, also: tuple[str, ...] = (), before: Names | None = None) -> dict[str, Array]:
        """Fluxes, states and observed quantities of whole series; drivers `[time, ...]`, covariates `[...]`.

        Targets are there where their inputs are (`nee_night` needs `tair_night`), and what `also` names of all that factors may see or
        a memory gives, for instance `evapotranspiration`. The states begin after a spin-up, or after a warm-up of the days `before`
        (`rollout.states`).
        """
        parameters = self.parameters(drivers)
        states = rollout.states(self, drivers, parameters, also, before)
        fluxes = self.exchange(states, drivers, parameters)
        seen = {name: value for name, value in self.seen(states, drivers, parameters).items() if name in also}
        return {**states, **seen, **fluxes, **self.expected(states, fluxes, drivers, parameters)}


class _At:
    """A flux of the day at other inputs; the same inputs asked for twice are computed once."""

    def __init__(self, flux: Callable[[Names], Array], names: Names):
        self.flux, self.names = flux, names
        self.made: dict[tuple, tuple[dict[str, Any], Any]] = {}

    def __call__(self, **changed) -> Array:
        key = tuple((name, id(value)) for name, value in sorted(changed.items()))
        if key not in self.made:
            self.made[key] = changed, self.flux({**self.names, **changed})  # holding the inputs, so that their ids stay
        return self.made[key][1]


@cache
def given_by(memory: Memory) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Names of the states of a memory, of its diagnostics, and of what factors read of it."""
    of = [tuple(jax.eval_shape(fn, **dict.fromkeys(arguments(fn), jnp.float32(1.0)))) for fn in (memory.start, memory.step, memory.read)]
    return of[0], tuple(name for name in of[1] if name not in of[0]), of[2]


def _cure(name: str) -> str:
    """What to add to a model that lacks a state."""
    return "; add water.BUCKET to memory" if name in {one for names in given_by(water.BUCKET) for one in names} else ""
