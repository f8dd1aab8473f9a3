"""Maps of single days: mean, standard deviation and, where asked for, quantiles over the draws."""

from __future__ import annotations

from dataclasses import dataclass

from hybridflux.region.outputs.period_maps import check_quantiles


@dataclass(frozen=True)
class DailyMaps:
    """Keep maps of every mapped day.

    Attributes:
        quantiles: of the fluxes of a day; none by default.

    Raises:
        ValueError: as `PeriodMaps`.
    """

    quantiles: tuple[float, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "quantiles", check_quantiles(self.quantiles))

    def levels(self) -> dict[str, tuple[float, ...]]:
        """Group of the store of fluxes -> quantiles of its maps."""
        return {"daily": self.quantiles}
