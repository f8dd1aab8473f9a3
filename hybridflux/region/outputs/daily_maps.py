"""Maps of every day: mean, standard deviation and quantiles over the draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.kernels.contract import Kept, Static, Today, packed
from hybridflux.region.outputs.base import ArraySpec, OfQuantities, step_of
from hybridflux.region.outputs.period_maps import arrays_of_quantity, statistics_by_key
from hybridflux.region.outputs.quantities import CARBON, SD, Quantity, endings


@dataclass(frozen=True)
class DailyMaps(OfQuantities):
    """Maps of each day: mean, sd and quantiles over the draws.

    Attributes:
        quantities: names of the model.
        quantiles: over the draws of a day.
    """

    stem = "daily_maps"
    quantiles: tuple[float, ...] = ()

    @property
    def program(self) -> str:
        """The program for GPUs has mean and sd of the carbon fluxes."""
        return "maps" if self.quantities == CARBON and not self.quantiles else ""

    @property
    def scales(self) -> dict[str, float]:
        """Name of each array -> step of its integers."""
        found = {}
        for name in self.quantities:
            quantity = Quantity.of(name)
            found |= {f"daily/{quantity.label}{ending}": step_of(quantity.largest) for ending in endings(self.quantiles)}
        return found

    def made(self, draws: int) -> list[str]:
        """Names of the arrays that kernels give; the standard deviation of a single draw is not among them (`base.ArraySpec.is_sd`)."""
        return [key for key in self.scales if draws > 1 or not key.endswith(SD)]

    def begin(self, static: Static) -> dict[str, Array]:
        """Empty maps. One array for each statistic: stacked, they would be computed element by element."""
        return {key: jnp.zeros((static.days, static.n), jnp.int16) for key in self.made(static.draws)}

    def day(self, carry: dict[str, Array], values: Mapping[str, Array], today: Today) -> dict[str, Array]:
        """Write the statistics of a day in place."""
        found, scales = statistics_by_key("daily", self.quantities, values, self.quantiles), self.scales
        return {
            key: lax.dynamic_update_index_in_dim(maps, packed(found[key], scales[key]), today.row, 0) for key, maps in carry.items()
        }  # fmt: skip

    def end(self, carry: dict[str, Array], months: Kept, sums: Kept, static: Static) -> Kept:
        """The maps."""
        return carry

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """A mean, an sd and quantiles of each quantity."""
        for name in self.quantities:
            yield from arrays_of_quantity(Quantity.of(name), "daily", self.quantiles)

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Two bytes for each day and array."""
        return 2 * len(self.scales) * len(calendar.mapped)
