"""A day against the same place in its usual year: the change of GPP and RECO, split into the causes of it.

Two runs are walked side by side, one under the drivers that were and one under the usual ones, each with states of its own: what soil water
has lost since winter belongs to soil water. The fluxes of a day are then a function of inputs (drivers and states), each of which belongs
to a cause, and their change is shared out by its Shapley value (`model.shapley`): a cause is given the mean of what its switch to the
actual day changes, over all orders of the causes. The parts add up to the change.

GPP is a product of factors. Where each factor reads one cause, the value is exact; a factor that reads several is first made a product of
them in its logarithm. A parameter that a network gives is shared out in the unconstrained space (`region.kernels.networks_moved`). Both
leave the sum what it is, and the parts near the sum over all subsets of the causes, which would evaluate each network sixteen times
(`by_subsets`, which also takes what is no such product).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from hybridflux.causes import CAUSES, USUAL, change_name
from hybridflux.model.evaluated import evaluated
from hybridflux.model.factor_form import height_and_slope, is_line, is_proportional
from hybridflux.model.flux import HybridFlux
from hybridflux.model.rollout import remembers
from hybridflux.model.shapley import Moved, constant, of_product, shapley
from hybridflux.model.sources import Names
from hybridflux.process.call import arguments
from hybridflux.vocabulary import split_history

SPLIT = ("gpp", "reco")
REST = "rest"

Quantities = Mapping[str, Moved]


def cause_of(name: str) -> str:
    """The cause that an input belongs to, a running mean to that of its driver.

    >>> cause_of("soil_water"), cause_of("tair_lagged"), cause_of("nirv_30d"), cause_of("co2")
    ('soil_water', 'temperature', 'greenness', 'rest')
    """
    base, _ = split_history(name)
    return next((cause for cause, row in CAUSES.items() if base in row.inputs), REST)


def causes_of(names: Iterable[str]) -> tuple[str, ...]:
    """Causes that some inputs belong to, in the order of `CAUSES`."""
    found = {cause_of(name) for name in names}
    return tuple(cause for cause in CAUSES if cause in found)


def split(model: HybridFlux, quantities: Quantities, change: Mapping[str, Array], *, full: bool = False) -> dict[str, Array]:
    """Changes of GPP and RECO by cause, `causes.change_name(flux, cause)` -> actual minus usual [gC m-2 d-1].

    Args:
        model: whose factors are asked.
        quantities: all that the factors read, under both runs.
        change: of each flux; the last of its causes has what the others leave, so that the parts are the change in spite of rounding.
        full: by the sum over all subsets of the causes, as models are whose RECO is no line in GPP.
    """
    terms = None if full else _terms(model, quantities)
    found = {flux: [of_product(factors) for factors in terms[flux]] for flux in SPLIT} if terms else by_subsets(model, quantities)
    parts: dict[str, Array] = {}
    for flux in SPLIT:
        by_cause = {cause: [term[cause] for term in found[flux] if cause in term] for cause in CAUSES}
        acting = {cause: sum(of[1:], of[0]) for cause, of in by_cause.items() if of}
        last = acting.popitem()[0] if acting else REST
        acting[last] = sum((-part for part in acting.values()), change[flux])
        parts |= {change_name(flux, cause): acting.get(cause, jnp.zeros(())) for cause in CAUSES}
    return parts


def by_subsets(model: HybridFlux, quantities: Quantities) -> dict[str, list[dict[str, Array]]]:
    """Flux -> cause -> its Shapley value by the sum over all subsets of the causes, whatever the model (in a list, as one term)."""
    causes = tuple(cause for cause in CAUSES if any(cause in one.causes for one in quantities.values()))

    def fluxes(inside: frozenset[str]) -> Mapping[str, Array]:
        return model.fluxes_of({name: one.at(inside & {*one.causes}) for name, one in quantities.items()})

    worth: dict[frozenset[str], Mapping[str, Array]] = {}

    def of(inside: frozenset[str], flux: str) -> Array:
        if inside not in worth:
            worth[inside] = fluxes(inside)
        return worth[inside][flux]

    return {flux: [shapley(partial(of, flux=flux), causes)] for flux in SPLIT}


def _terms(model: HybridFlux, quantities: Quantities) -> dict[str, list[list[Moved]]] | None:
    """GPP and RECO as sums of products: RECO has a term without GPP and one in proportion to it; None where it is no line in GPP."""
    gpp = [factor for fn in model.gpp for factor in _factors(fn, quantities)]
    reading = [fn for fn in model.reco if "gpp" in arguments(fn)]
    others = [factor for fn in model.reco if fn not in reading for factor in _factors(fn, quantities)]
    if not reading:
        return {"gpp": [gpp], "reco": [others]}
    if len(reading) > 1 or not is_line(reading[0], "gpp"):
        return None
    height, slope = (_factors(part, quantities) for part in height_and_slope(reading[0], "gpp"))
    terms = [[*slope, *gpp, *others]]
    return {"gpp": [gpp], "reco": terms if is_proportional(reading[0], "gpp") else [[*height, *others], *terms]}


def _factors(fn: Callable, quantities: Quantities) -> list[Moved]:
    """A factor, with what it is in proportion to taken out of it, so that fewer causes meet in what is left."""
    names = arguments(fn)
    read = {name: quantities[name] for name in names}
    out = [name for name in names if len(read[name].causes) > 1 and read[name].logarithm and is_proportional(fn, name)]
    kept = {name: constant(1.0) if name in out else one for name, one in read.items()}
    causes = {cause for one in kept.values() for cause in one.causes}
    for name in names:  # a driver, too, where another cause stays
        if len(causes) > 1 and len(kept[name].causes) == 1 and is_proportional(fn, name):
            out.append(name)
            kept[name] = constant(1.0)
            causes = {cause for one in kept.values() for cause in one.causes}
    made: dict[frozenset[str], Any] = {}

    def at(inside: frozenset[str]) -> Any:
        if inside not in made:
            made[inside] = fn(**{name: one.at(inside & {*one.causes}) for name, one in kept.items()})
        return made[inside]

    return [*(read[name] for name in out), Moved(tuple(cause for cause in CAUSES if cause in causes), at)]


class AgainstUsual:
    """A model that walks two runs at once, the actual and the usual one; its day is that of a model, for all day loops.

    States, and what is read of them, are there twice: under their names, and behind `usual_`. Beside the fluxes as they were, a day has
    the changes by cause of `split`, and `water_missing`.
    """

    def __init__(
        self, model: HybridFlux, changing: Iterable[str], follow: Callable[[Names, Names, Sequence[str]], Quantities], *, full: bool = False
    ):
        """Pair a model with itself.

        Args:
            model: of one draw, or with draws that `follow` knows.
            changing: drivers, histories among them, that have a usual value: `usual_tair` is among the names of a day.
            follow: gives those parameters that follow such a driver under both runs, from the names of the usual and of the actual day.
            full: see `split`.
        """
        self.model, self.follow, self.full = model, follow, full
        self.moving = moving(model, tuple(changing))
        self.in_memory = tuple(name for name in self.moving if name in remembers(model))

    @property
    def settles(self) -> bool:
        """As the model does."""
        return self.model.settles

    def usual(self, today: Names) -> dict[str, Any]:
        """The names of a day with usual drivers and diagnostics in place of those that were."""
        actual, usual = _apart(today)
        return actual | usual

    def _usually(self, today: Names, parameters: Names) -> tuple[dict[str, Any], dict[str, Any]]:
        """Names and parameters of the usual day, as far as states depend on them."""
        usual = self.usual(today)
        found = self.follow(usual, today, self.in_memory) if self.in_memory else {}
        return usual, {**parameters, **{name: one.usual for name, one in found.items()}}

    def start(self, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states before the first day."""
        return _both(self.model.start(today, parameters), self.model.start(*self._usually(today, parameters)))

    def advance(self, state: Names, today: Names, parameters: Names) -> tuple[dict[str, Array], dict[str, Array]]:
        """Both states that the fluxes of a day see, and diagnostics of both."""
        actual_state, usual_state = _apart(state)
        moved, diagnostics = self.model.advance(actual_state, today, parameters)
        usually, of_usual = self.model.advance(usual_state, *self._usually(today, parameters))
        return evaluated(_both(moved, usually)), _both(diagnostics, of_usual)

    def seen(self, state: Names, today: Names, parameters: Names) -> dict[str, Any]:
        """All that the factors see of the run that was, and what the states of the usual one were."""
        (actual_state, usual_state), usual = _apart(state), self.usual(today)
        seen = self.model.seen(actual_state, today, parameters)
        usually = self.model.seen(usual_state, usual, parameters)
        states = {USUAL + name: value for name, value in usually.items() if name not in usual and name not in parameters}
        return {**seen, **states}

    def exchange(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Fluxes as they were, what has changed by cause, and the water that is missing."""
        (actual_state, usual_state), (actual, changed) = _apart(state), _apart(today)
        usual = actual | changed
        moved = self.follow(usual, actual, self.moving)
        before = self.model.seen(usual_state, usual, {**parameters, **{name: one.usual for name, one in moved.items()}})
        after = self.model.seen(actual_state, actual, {**parameters, **{name: one.actual for name, one in moved.items()}})
        still = {*actual, *parameters} - {*changed, *actual_state}
        quantities = {name: constant(value) if name in still else _moved(name, before[name], value) for name, value in after.items()}
        as_it_was, as_usual = self.model.fluxes_of(after), self.model.fluxes_of(before)
        change = {flux: as_it_was[flux] - as_usual[flux] for flux in SPLIT}
        parts = split(self.model, {**quantities, **moved}, change, full=self.full)
        stores = [name for name in ("soil_water", "deep_water") if name in before]
        missing = sum((jnp.asarray(before[name]) - jnp.asarray(after[name]) for name in stores), jnp.zeros(()))
        return {**as_it_was, **parts, "water_missing": missing}

    def settle(self, state: Names, fluxes: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states at the end of a day; `fluxes` are those that were."""
        actual_state, usual_state = _apart(state)
        usual, at = self._usually(today, parameters)
        ended = self.model.settle(usual_state, self.model.exchange(usual_state, usual, at), usual, at)
        return _both(self.model.settle(actual_state, fluxes, today, parameters), ended)

    def warm_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """Both states at the end of a day of which nothing else is kept."""
        return self._each(self.model.warm_up, state, today, parameters)

    def spin_up(self, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        """The same for a day of the spin-up."""
        return self._each(self.model.spin_up, state, today, parameters)

    def _each(self, step: Callable, state: Names, today: Names, parameters: Names) -> dict[str, Array]:
        actual_state, usual_state = _apart(state)
        return _both(step(actual_state, today, parameters), step(usual_state, *self._usually(today, parameters)))


def moving(model: HybridFlux, changing: Sequence[str]) -> tuple[str, ...]:
    """Parameters whose sources read a driver that has a usual value."""
    return tuple(name for name, source in model.sources.items() if {*source.reads()} & {*changing})


def following(model: HybridFlux, changing: Sequence[str], value: Callable[[str, Names], Array]):
    """A `follow` of `AgainstUsual` for any sources: each parameter at every subset of the causes that it follows.

    Args:
        model: whose sources are asked.
        changing: names that have a usual value.
        value: of a parameter from the names of a day.
    """

    def follow(usual: Names, actual: Names, only: Sequence[str]) -> dict[str, Moved]:
        found = {}
        for name in only:
            reads = [one for one in model.sources[name].reads() if one in changing]
            at = lambda inside, name=name, reads=reads: value(  # noqa: E731
                name, {**usual, **{one: actual[one] for one in reads if cause_of(one) in inside}}
            )
            found[name] = Moved(causes_of(reads), at)
        return found

    return follow


def _moved(name: str, before: Any, after: Any) -> Moved:
    return Moved((cause_of(name),), lambda inside: after if inside else before)


def _both(actual: Names, usual: Names) -> dict[str, Any]:
    return {**actual, **{USUAL + name: value for name, value in usual.items()}}


def _apart(state: Names) -> tuple[dict[str, Any], dict[str, Any]]:
    usual = {name.removeprefix(USUAL): value for name, value in state.items() if name.startswith(USUAL)}
    return {name: value for name, value in state.items() if not name.startswith(USUAL)}, usual
