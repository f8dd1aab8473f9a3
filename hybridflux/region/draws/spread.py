"""What the draws of a run contain: how many there are, which sources of uncertainty differ between them, and by which random numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral
from typing import TYPE_CHECKING

from hybridflux.region.draws.known_tower import KnownTower

if TYPE_CHECKING:
    from hybridflux.model.effect_correlation import EffectCorrelation


class Spread(StrEnum):
    """The content of an interval: which sources of uncertainty the draws of a map differ in."""

    parameter = "parameter"
    random_effects = "parameter+random_effects"
    vegetation_error = "parameter+random_effects+vegetation"

    @classmethod
    def _missing_(cls, value: object) -> None:
        hint = "; `predictive` adds measurement noise and belongs beside a tower" if value == "predictive" else ""
        raise ValueError(f"the spread of a map is one of {', '.join(cls)}, not `{str(value)[:60]}`{hint}")

    @property
    def meaning(self) -> str:
        """In words, as products carry it."""
        return _MEANING[self]

    @property
    def has_random_effects(self) -> bool:
        """Whether effects of unseen places and years are drawn."""
        return self is not Spread.parameter

    @property
    def has_vegetation_error(self) -> bool:
        """Whether the errors of the daily maps of vegetation are drawn."""
        return self is Spread.vegetation_error


_MEANING = {
    Spread.parameter: "posterior of parameters and network weights; site-to-site and year-to-year error is left out",
    Spread.random_effects: "posterior of parameters and weights, and effects drawn for unseen places and years, similar between neighbours",
    Spread.vegetation_error: "posterior of parameters and weights, effects of unseen places and years, and the errors of "
    "vegetation: of the filled series and of the lines that make fapar or another index of what is seen, the same for all pixels of a draw",
}

PRIOR, ASSIMILATED = "prior", "assimilated"
"""The stage of draws: what towers say of them alone, or what stock changes say of their totals too; every map and run is `prior`."""


@dataclass(frozen=True)
class Draws:
    """The draws that a run carries through every pixel. Two runs with equal draws of one posterior differ by their drivers alone.

    Attributes:
        number: of posterior draws; of fewer than the posterior has, evenly spaced ones are taken.
        spread: what differs between them, a `Spread` or its value.
        seed: of the random effects and of the errors of vegetation.
        effect_length: distance over which effects of places are alike [m]; None: as the posterior has learned it, else 10 km.
        effect_nugget: share of their variance that belongs to an ecosystem alone; None: as the posterior has learned it, and none where
            a length is given.
        towers: those among the places of the posterior that the fields pass through, where they are near; None: those of which the
            posterior remembers the coordinates.

    Raises:
        ValueError: a number of draws below 1, an unknown spread, a length that is not above 0 m, a nugget outside 0 to 1.
    """

    number: int = 64
    spread: Spread | str = Spread.random_effects
    seed: int = 0
    effect_length: float | None = None
    effect_nugget: float | None = None
    towers: tuple[KnownTower, ...] | None = None

    def __post_init__(self):
        from hybridflux.model.effect_correlation import LENGTH, EffectCorrelation  # JAX, which the help of a command does not need

        if not isinstance(self.number, Integral) or self.number < 1:
            raise ValueError(f"draws `{self.number}` is not a whole number from 1")
        EffectCorrelation(LENGTH if self.effect_length is None else self.effect_length, self.effect_nugget or 0.0)
        object.__setattr__(self, "spread", Spread(self.spread))

    @property
    def correlation(self) -> EffectCorrelation:
        """Of the effects of places, once a run has settled it (`tower_effects.settled`)."""
        from hybridflux.model.effect_correlation import EffectCorrelation

        assert self.effect_length is not None and self.effect_nugget is not None
        return EffectCorrelation(self.effect_length, self.effect_nugget)

    @classmethod
    def of(cls, draws: int | Draws, spread: Spread = Spread.random_effects) -> Draws:
        """Draws as they are, or as many of a spread."""
        return draws if isinstance(draws, cls) else cls(draws, spread)
