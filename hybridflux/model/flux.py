"""The hybrid model: factors of GPP and Reco, things with memory, and a source for each of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.model import rollout
from hybridflux.model.noise import AbstractNoise, Laplace
from hybridflux.model.soil_water import TARGET, SoilWater
from hybridflux.model.sources import AbstractSource, Fixed, Names
from hybridflux.process.call import Memory, arguments, call, product
from hybridflux.vocabulary import PARAMETERS, VARIABLES, suggestion

SHORTEST_DAY = 0.02  # share of the day below which day and night are not told apart


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
    noise: dict[str, AbstractNoise]
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
        noise: Mapping[str, AbstractNoise] | None = None,
    ):
        """Compose a model.

        Args:
            gpp: factors of GPP.
            reco: factors of Reco; may use `gpp` of the day.
            sources: parameter name -> source.
            memory: things that last from day to day.
            noise: observed flux -> its error; `nee` with Laplace errors by default. `swc` with `SoilWater` errors compares the soil water
                of a bucket with measured one.

        Raises:
            ValueError: a source for a parameter no factor uses, an argument that is neither variable nor parameter, or soil water to be
                compared without a bucket.
        """
        self.gpp, self.reco, self.memory = tuple(gpp), tuple(reco), tuple(memory)
        used = [name for fn in self.functions() for name in arguments(fn)]
        wrong = [name for name in used if name not in PARAMETERS and name not in VARIABLES]
        if wrong:
            raise ValueError(f"`{wrong[0]}` is neither a variable nor a parameter.{suggestion(wrong[0], {**VARIABLES, **PARAMETERS})}")
        wanted = tuple(dict.fromkeys(name for name in used if name in PARAMETERS))
        for name in sources:
            if name not in wanted:
                raise ValueError(f"no factor of this model uses `{name}`; give sources to {', '.join(wanted)}.{suggestion(name, wanted)}")
        self.sources = {name: sources.get(name, Fixed()) for name in wanted}
        self.noise = dict(noise) if noise is not None else {"nee": Laplace()}
        self._check_soil_water()

    def _check_soil_water(self) -> None:
        for name, noise in self.noise.items():
            if isinstance(noise, SoilWater) != (name == TARGET):
                raise ValueError(f"`{name}` has {type(noise).__name__} errors; `{TARGET}` takes SoilWater, fluxes Laplace or StudentT")
        states = {name for memory in self.memory for name in arguments(memory.step)}
        if TARGET in self.noise and "soil_water" not in states:
            raise ValueError(f"measured `{TARGET}` is compared with the water of a bucket; add water.BUCKET to memory")

    def functions(self) -> tuple[Callable, ...]:
        """All process functions, those of memories included."""
        return (*self.gpp, *self.reco, *(fn for memory in self.memory for fn in memory.functions))

    def needs(self) -> tuple[str, ...]:
        """Names of all drivers and covariates, sorted; population indices included."""
        names = {name for fn in self.functions() for name in arguments(fn)}
        names |= {name for source in self.sources.values() for name in source.reads()}
        return tuple(
            sorted(n for n in names if n not in PARAMETERS and VARIABLES.get(n, VARIABLES["tair"]).kind in ("driver", "covariate"))
        )

    def needs_at_towers(self) -> tuple[str, ...]:
        """What to ask towers for: `needs`, the plant type, and what tells night from day where their fluxes are fitted apart."""
        split = ("day_fraction", "tair_night") if {"nee_day", "nee_night"} & set(self.noise) else ()
        return tuple(sorted({*self.needs(), "plant_type", *split, *(name for noise in self.noise.values() for name in noise.reads())}))

    def parameters(self, names: Names) -> dict[str, Array]:
        """The value of every parameter where and when `names` are given."""
        return {name: source.value(PARAMETERS[name], names) for name, source in self.sources.items()}

    def start(self, today: Names, parameters: Names) -> dict[str, Array]:
        """The state before the first day, before any spin-up."""
        names = {**today, **parameters}
        return {name: value for memory in self.memory for name, value in call(memory.start, names).items()}

    def advance(self, state: Names, today: Names, parameters: Names) -> tuple[dict[str, Array], dict[str, Array]]:
        """The state that the fluxes of a day see, and the diagnostics of the day, for instance `evapotranspiration`.

        Diagnostics belong to the inputs of the day from here on: `exchange` and `settle` take `{**today, **diagnostics}`.
        """
        names = {**today, **parameters, **state}
        moved = {name: value for memory in self.memory for name, value in call(memory.step, names).items()}
        return {name: moved.pop(name, value) for name, value in state.items()}, moved

    def exchange(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Fluxes `gpp`, `reco`, `nee` of a day, or of many at once: elementwise, any shapes that broadcast."""
        names = self.seen(state, today, parameters)
        gpp = product(self.gpp, names)
        reco = product(self.reco, {**names, "gpp": gpp})
        return {"gpp": gpp, "reco": reco, "nee": reco - gpp}

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
            return dict(state)
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

    def spin_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """The same for a day of the spin-up: memories without one stay at their start."""
        moved, names = self.warm_up(state, today, parameters), {**today, **parameters}
        held = {name for memory in self.memory if memory.spin_up is None for name in call(memory.start, names)}
        return {name: state[name] if name in held else value for name, value in moved.items()}

    def seen(self, state: Names, today: Names, parameters: Names) -> Names:
        """Everything the factors may ask for: drivers, parameters, states and what is read of them."""
        names = {**today, **parameters, **state}
        for memory in self.memory:
            names |= call(memory.read, names)
        return names

    def day_and_night(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """`exchange`, with `nee_night` and `nee_day` as daily rates: what a tower sees while the sun is down and up.

        Night respiration follows the temperature of the night; the day has what is left, so that
        `nee = day_fraction nee_day + (1 - day_fraction) nee_night`.
        """
        fluxes = self.exchange(state, today, parameters)
        at_night = {**self.seen(state, today, parameters), "gpp": fluxes["gpp"], "tair": today["tair_night"]}
        night = product(self.reco, at_night)
        up = jnp.clip(today["day_fraction"], SHORTEST_DAY, 1.0 - SHORTEST_DAY)
        return {**fluxes, "nee_night": night, "nee_day": (fluxes["nee"] - (1.0 - up) * night) / up}

    def soil_moisture(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """`swc` that sensors would show [m3 m-3], if the noise compares it and all is there that its sources read."""
        noise = self.noise.get(TARGET)
        if noise is None or not set(noise.reads()) <= set(today):
            return {}
        return {TARGET: noise.expected(self.seen(state, today, parameters)["rew"], today)}

    def states(self, drivers: Names) -> dict[str, Array]:
        """States as the fluxes of each day see them, spun up over the first year; time on axis 0."""
        return rollout.states(self, drivers, self.parameters(drivers))

    def fluxes(self, drivers: Names, also: tuple[str, ...] = ()) -> dict[str, Array]:
        """Fluxes and states of whole series; drivers `[time, ...]`, covariates `[...]`.

        `nee_day` and `nee_night` are there when `tair_night` and `day_fraction` are among the drivers, `swc` where the noise compares it,
        and the diagnostics that `also` names, for instance `evapotranspiration`.
        """
        parameters = self.parameters(drivers)
        states = rollout.states(self, drivers, parameters, also)
        split = {"tair_night", "day_fraction"} <= set(drivers)
        fluxes = (self.day_and_night if split else self.exchange)(states, drivers, parameters)
        return {**states, **fluxes, **self.soil_moisture(states, drivers, parameters)}
