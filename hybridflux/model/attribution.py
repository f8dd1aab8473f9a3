"""A day against the same place in its usual year: the change of GPP and RECO, split into the causes of it.

Two runs are walked side by side, one under the drivers that were and one under the usual ones, each with states of its own: what soil water
has lost since winter belongs to soil water. The fluxes of a day are then a function of inputs (drivers and states), and their change along
the straight path from the usual inputs to the actual ones is integrated cause by cause:

    part of a cause = integral over a in [0, 1] of sum over its inputs x of (x_actual - x_usual) dF/dx (x_usual + a (x_actual - x_usual))

Aumann & Shapley 1974 (Values of Non-Atomic Games); as integrated gradients Sundararajan et al. 2017, arXiv:1703.01365. All inputs change at
the same pace on that path: its assumption, which shares out what causes do together. The parts add up to the change: what the quadrature
leaves of it, where a ramp bends between its nodes, goes to the causes whose slope bends. `rest` has inputs of no named cause, such as CO2,
and what no node sees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import factorial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.causes import CAUSES, USUAL, change_name
from hybridflux.model.flux import HybridFlux
from hybridflux.model.sources import Names
from hybridflux.vocabulary import split_history

NODES = 3
"""Nodes of the Gauss-Legendre quadrature along the path, odd: 3 are exact for polynomials of degree 5."""
SPLIT = ("gpp", "reco")
REST = "rest"

Fluxes = Callable[[Names], Mapping[str, Array]]


def cause_of(name: str) -> str:
    """The cause that an input belongs to, a running mean to that of its driver.

    >>> cause_of("soil_water"), cause_of("tair_lagged"), cause_of("nirv_30d"), cause_of("co2")
    ('soil_water', 'temperature', 'greenness', 'rest')
    """
    base, _ = split_history(name)
    return next((cause for cause, row in CAUSES.items() if base in row.inputs), REST)


def split(fluxes: Fluxes, usual: Names, actual: Names, nodes: int = NODES) -> dict[str, Array]:
    """Changes of GPP and RECO by cause, `causes.change_name(flux, cause)` -> actual minus usual [gC m-2 d-1].

    Args:
        fluxes: `gpp` and `reco` from the inputs; elementwise, any shapes that broadcast.
        usual: inputs that change, in the usual year; their shapes may differ from those of `actual`.
        actual: the same inputs as they were.
        nodes: of the quadrature, odd.
    """
    at, weights = np.polynomial.legendre.leggauss(nodes)
    step = {name: jnp.asarray(actual[name]) - jnp.asarray(usual[name]) for name in usual}
    groups = {cause: [name for name in usual if cause_of(name) == cause] for cause in CAUSES}
    ends = fluxes(usual), fluxes(actual)
    change = {flux: ends[1][flux] - ends[0][flux] for flux in SPLIT}
    parts: dict[tuple[str, str], Any] = {(flux, cause): jnp.zeros_like(change[flux]) for flux in SPLIT for cause in CAUSES}
    middle = dict(parts)
    for number, (share, weight) in enumerate(zip((0.5 * (at + 1.0)).tolist(), (0.5 * weights).tolist(), strict=True)):
        point = {name: usual[name] + share * step[name] for name in usual}
        for cause, names in groups.items():
            if names:
                moved = {name: point[name] for name in names}
                along = {name: step[name] for name in names}
                _, slope = jax.jvp(lambda some, point=point: {flux: fluxes({**point, **some})[flux] for flux in SPLIT}, (moved,), (along,))
                for flux in SPLIT:
                    parts[flux, cause] = parts[flux, cause] + weight * slope[flux]
                    if number == nodes // 2:
                        middle[flux, cause] = slope[flux]
    for flux in SPLIT:
        left = change[flux] - sum((parts[flux, cause] for cause in CAUSES), jnp.zeros(()))
        bent = {cause: jnp.abs(parts[flux, cause] - middle[flux, cause]) for cause in groups if groups[cause]}
        every = sum(bent.values(), jnp.zeros(()))
        per = jnp.where(every > 0, left / jnp.where(every > 0, every, 1.0), 0.0)
        for cause, amount in bent.items():
            parts[flux, cause] = parts[flux, cause] + per * amount
        parts[flux, REST] = parts[flux, REST] + jnp.where(every > 0, 0.0, left)
    return {change_name(flux, cause): part for (flux, cause), part in parts.items()}


def shapley(fluxes: Fluxes, usual: Names, actual: Names) -> dict[str, Array]:
    """What `split` gives, by the sum over all subsets of the causes (Shapley 1953): the check of it, at 2^causes runs.

    Args are those of `split`.
    """
    players = [cause for cause in CAUSES if any(cause_of(name) == cause for name in usual)]
    worth = {}
    for size in range(len(players) + 1):
        for inside in combinations(players, size):
            found = fluxes({name: (actual if cause_of(name) in inside else usual)[name] for name in usual})
            worth[frozenset(inside)] = {flux: found[flux] for flux in SPLIT}
    parts: dict[str, Array] = {}
    for flux in SPLIT:
        for cause in CAUSES:
            part = jnp.zeros_like(worth[frozenset()][flux])
            others = [one for one in players if one != cause]
            subsets = [inside for size in range(len(players)) for inside in combinations(others, size)] if cause in players else []
            for inside in subsets:
                orders = factorial(len(inside)) * factorial(len(others) - len(inside)) / factorial(len(players))
                part = part + orders * (worth[frozenset((*inside, cause))][flux] - worth[frozenset(inside)][flux])
            parts[change_name(flux, cause)] = part
    return parts


class AgainstUsual:
    """A model that walks two runs at once, the actual and the usual one; its day is that of a model, for all day loops.

    States, and what is read of them, are there twice: under their names, and behind `usual_`. Beside the fluxes as they were, a day has
    the changes by cause of `split`, and `water_missing`.
    """

    def __init__(self, model: HybridFlux, changing: Iterable[str], parameters: Callable[[Names], Names], nodes: int = NODES):
        """Pair a model with itself.

        Args:
            model: of one draw, or with draws that `parameters` knows.
            changing: drivers, histories among them, that have a usual value: `usual_tair` is among the names of a day.
            parameters: gives those parameters that follow such a driver, from the names of a day.
            nodes: of the quadrature.
        """
        self.model, self.parameters, self.nodes = model, parameters, nodes
        self.moving = moving(model, tuple(changing))

    @property
    def settles(self) -> bool:
        """As the model does."""
        return self.model.settles

    def usual(self, today: Names) -> dict[str, Any]:
        """The names of a day with usual drivers and diagnostics in place of those that were."""
        actual, usual = _apart(today)
        return actual | usual

    def _at(self, names: Names, parameters: Names) -> dict[str, Any]:
        """Parameters where drivers have other values than those that they were made of."""
        return {**parameters, **(self.parameters(names) if self.moving else {})}

    def start(self, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states before the first day."""
        usual = self.usual(today)
        return _both(self.model.start(today, parameters), self.model.start(usual, self._at(usual, parameters)))

    def advance(self, state: Names, today: Names, parameters: Names) -> tuple[dict[str, Array], dict[str, Array]]:
        """Both states that the fluxes of a day see, and diagnostics of both."""
        usual, (actual_state, usual_state) = self.usual(today), _apart(state)
        moved, diagnostics = self.model.advance(actual_state, today, parameters)
        usually, of_usual = self.model.advance(usual_state, usual, self._at(usual, parameters))
        return _both(moved, usually), _both(diagnostics, of_usual)

    def seen(self, state: Names, today: Names, parameters: Names) -> dict[str, Any]:
        """All that the factors see of the run that was, and what the states of the usual one were."""
        (actual_state, usual_state), usual = _apart(state), self.usual(today)
        seen = self.model.seen(actual_state, today, parameters)
        usually = self.model.seen(usual_state, usual, parameters)
        states = {USUAL + name: value for name, value in usually.items() if name not in usual and name not in parameters}
        return {**seen, **states}

    def exchange(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Fluxes as they were, what has changed by cause, and the water that is missing."""
        (actual_state, usual_state), (actual, usual) = _apart(state), _apart(today)
        inputs = {name: actual[name] for name in usual} | actual_state
        before = usual | usual_state
        rest = {name: value for name, value in actual.items() if name not in before}

        def fluxes(point: Names) -> Mapping[str, Array]:
            names = {**rest, **point}
            here = {name: names[name] for name in names if name not in usual_state}
            return self.model.exchange({name: point[name] for name in usual_state}, here, self._at(here, parameters))

        as_it_was = fluxes(inputs)
        missing = sum((before[name] - inputs[name] for name in ("soil_water", "deep_water") if name in before), jnp.zeros(()))
        return {**as_it_was, **split(fluxes, before, inputs, self.nodes), "water_missing": missing}

    def settle(self, state: Names, fluxes: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states at the end of a day; `fluxes` are those that were."""
        (actual_state, usual_state), usual = _apart(state), self.usual(today)
        at = self._at(usual, parameters)
        ended = self.model.settle(usual_state, self.model.exchange(usual_state, usual, at), usual, at)
        return _both(self.model.settle(actual_state, fluxes, today, parameters), ended)

    def warm_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states at the end of a day of which nothing else is kept."""
        return self._each(self.model.warm_up, state, today, parameters)

    def spin_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """The same for a day of the spin-up."""
        return self._each(self.model.spin_up, state, today, parameters)

    def _each(self, step: Callable, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        (actual_state, usual_state), usual = _apart(state), self.usual(today)
        return _both(step(actual_state, today, parameters), step(usual_state, usual, self._at(usual, parameters)))


def moving(model: HybridFlux, changing: Sequence[str]) -> tuple[str, ...]:
    """Parameters whose sources read a driver that has a usual value."""
    return tuple(name for name, source in model.sources.items() if {*source.reads()} & {*changing})


def _both(actual: Names, usual: Names) -> dict[str, Any]:
    return {**actual, **{USUAL + name: value for name, value in usual.items()}}


def _apart(state: Names) -> tuple[dict[str, Any], dict[str, Any]]:
    usual = {name.removeprefix(USUAL): value for name, value in state.items() if name.startswith(USUAL)}
    return {name: value for name, value in state.items() if not name.startswith(USUAL)}, usual
