"""Windows of measured days with a warm-up before each: what a fit scans where something learned acts on the memory.

A whole series is scanned day by day over all years, those without measurements included, with as many lanes as there are towers. Windows
are short and many: the scan has fewer steps and more lanes, and minibatches are made of them. Gradients go through the warm-up, because
what a state at the start of a window owes to a parameter (a larger bucket holds more after a winter) was built up in it. How far the
states in the windows are from those of the whole series is measured for the model and the towers at hand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.rollout import remembers, states
from hybridflux.model.sources import Names
from hybridflux.process.call import SPIN_UP_DAYS

DAYS = 120
"""Days of a window: longer ones take more steps, shorter ones more warm-ups (`benchmarks/README.md`)."""
WARM_UPS = (365, 730, 1095, 1461)
"""Days of a warm-up: the first of these that is long enough."""
TOLERANCE = 0.002
"""Root mean square difference of a state from that of the whole series, over its standard deviation, that is close enough."""
TRIED = 5  # sets of parameters at which it must be: before a fit the prior medians and draws of the prior


@dataclass(frozen=True)
class Windows:
    """Which days of which place are in which window; each measured day is in one, and each window begins with a measured day.

    Attributes:
        first: first day `[window]`.
        place: its place `[window]`.
        total: days of the series.
        warm_up: days before the first that only move the state.
        length: days of a window.
    """

    first: np.ndarray
    place: np.ndarray
    total: int
    warm_up: int
    length: int = DAYS

    @classmethod
    def of(cls, measured: np.ndarray, warm_up: int, length: int = DAYS) -> Windows:
        """Windows of all days with a measurement `[time, place]`, ordered by place, then by day.

        >>> found = Windows.of(np.array([[0, 1], [1, 1], [1, 0], [0, 0], [0, 1]], bool), warm_up=3, length=2)
        >>> found.first, found.place
        (array([1, 0, 4]), array([0, 1, 1]))
        """
        first, where = [], []
        for place in range(measured.shape[1]):
            days, at = np.flatnonzero(measured[:, place]), 0
            while at < len(days):
                first.append(days[at])
                where.append(place)
                at = np.searchsorted(days, days[at] + length)
        return cls(np.array(first, int), np.array(where, int), len(measured), warm_up, length)

    @property
    def days(self) -> np.ndarray:
        """Days of each window `[day, window]`; one that would go beyond the last day of the series repeats it."""
        return np.minimum(self.first + np.arange(self.length)[:, None], self.total - 1)

    @property
    def counts(self) -> np.ndarray:
        """Whether a day is one of the window, not a repetition of the last one `[day, window]`."""
        return self.first + np.arange(self.length)[:, None] < self.total

    @property
    def before(self) -> np.ndarray:
        """Days of the warm-up of each window `[day, window]`; before the first day of a series lies its spin-up, as often as it takes."""
        days = self.first + np.arange(-self.warm_up, 0)[:, None]
        return np.where(days < 0, days % min(SPIN_UP_DAYS, self.total), days)

    def take(self, values: np.ndarray, days: np.ndarray) -> Array:
        """`[time, place]` as `[day, window]`, `[place]` as `[window]`, with `days` one of the above."""
        return jnp.asarray(values[days, self.place] if np.ndim(values) == 2 else values[self.place])

    def taken(self, model: HybridFlux, names: Names) -> dict[str, Array]:
        """What the memory reads on the days of the warm-up, of all that changes from day to day."""
        read = reads(model)
        return {name: self.take(np.asarray(values), self.before) for name, values in names.items() if name in read and np.ndim(values) == 2}


def reads(model: HybridFlux) -> set[str]:
    """Names of drivers, covariates and indices that the memory, and the parameters that act on it, read."""
    asked = remembers(model)
    return asked | {name for parameter, source in model.sources.items() if parameter in asked for name in source.reads()}


def chosen(model: HybridFlux, names: Names, measured: np.ndarray, leaves: Mapping[str, Array] | None = None) -> Windows | None:
    """Windows with the shortest warm-up that is long enough for the model.

    Args:
        model: what is fitted.
        names: drivers, covariates and indices of whole series.
        measured: whether anything was measured `[time, place]`.
        leaves: learned leaves `[draw, ...]` for which it must be long enough; by default those of the prior.

    Returns:
        The windows; None where whole series are better: they are short, a stock without spin-up remembers all of their days, or even the
        longest warm-up is too short for it.
    """
    if any(memory.spin_up is None for memory in model.memory):
        return None
    tried = {name: leaf[:: -(-len(leaf) // TRIED)] for name, leaf in (of_prior(model) if leaves is None else leaves).items()}
    for days in WARM_UPS:
        found = Windows.of(measured, days)
        if days + found.length >= min(SPIN_UP_DAYS, found.total) + found.total:
            return None
        if max(distance(model, names, found, tried).values()) <= TOLERANCE:
            return found
    return None


def of_prior(model: HybridFlux) -> dict[str, Array]:
    """The prior medians and draws of the prior, of everything learned `[draw, ...]`."""
    draw = lambda number, shape: jax.random.normal(jax.random.fold_in(jax.random.key(0), number), (TRIED, *shape)).at[0].set(0.0)  # noqa: E731
    return {name: draw(number, leaf.shape) for number, (name, leaf) in enumerate(learned(model).items())}


def distance(model: HybridFlux, names: Names, windows: Windows, leaves: Mapping[str, Array]) -> dict[str, float]:
    """How far the states in the windows are from those of whole series: state -> root mean square over the state's standard deviation.

    Args:
        model: what is fitted.
        names: drivers, covariates and indices of whole series.
        windows: their days.
        leaves: learned leaves `[draw, ...]`; the largest distance of any draw counts.
    """
    read = {*reads(model), "tair"}
    whole = {name: jnp.asarray(values) for name, values in names.items() if name in read}
    inside = {name: windows.take(np.asarray(values), windows.days) for name, values in whole.items()}
    at = jnp.asarray(windows.days), jnp.asarray(windows.place), jnp.asarray(windows.counts)
    return {name: float(values.max()) for name, values in _distances(model, leaves, whole, inside, windows.taken(model, names), at).items()}


@jax.jit
def _distances(model: HybridFlux, leaves: Names, whole: Names, inside: Names, before: Names, at: tuple[Array, Array, Array]) -> dict:
    days, place, counts = at

    def of_draw(values):
        one = with_learned(model, values)
        only = remembers(one)
        in_series, in_windows = (
            states(one, names, one.parameters(names, only), before=earlier) for names, earlier in ((whole, None), (inside, before))
        )
        found = {}
        for name, series in in_series.items():
            expected = series[days, place]
            square = jnp.mean((in_windows[name] - expected) ** 2, where=counts)
            found[name] = jnp.sqrt(square / jnp.maximum(jnp.var(expected, where=counts), 1e-12))
        return found

    return jax.lax.map(of_draw, leaves)
