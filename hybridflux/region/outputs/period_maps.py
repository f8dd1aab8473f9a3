"""Maps of months and calendar years: mean, standard deviation and quantiles over the draws."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

QUANTILES = (0.05, 0.5, 0.95)


@dataclass(frozen=True)
class PeriodMaps:
    """Keep maps of months and years.

    Attributes:
        quantiles: of the sums over a month or year of each draw, exact; in whole per cents, because maps are named by them.

    Raises:
        ValueError: a quantile that is not one of 0.01, 0.02 ... 0.99.
    """

    quantiles: tuple[float, ...] = QUANTILES

    def __post_init__(self):
        object.__setattr__(self, "quantiles", check_quantiles(self.quantiles))

    def levels(self) -> dict[str, tuple[float, ...]]:
        """Group of the store of fluxes -> quantiles of its maps."""
        return {"monthly": self.quantiles, "annual": self.quantiles}


def check_quantiles(quantiles: Iterable[float]) -> tuple[float, ...]:
    """Quantiles in their order, each once.

    Raises:
        ValueError: one would get no name, or the name of another one.
    """
    for level in quantiles:
        if not 0 < level < 1 or abs(100 * level - round(100 * level)) > 1e-6:
            raise ValueError(f"quantile `{level}`: maps are named by whole per cents, so a quantile is one of 0.01, 0.02 ... 0.99")
    return tuple(dict.fromkeys(float(level) for level in quantiles))
