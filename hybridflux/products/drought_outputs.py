"""What a run against the usual year keeps: changes by cause per zone and draw, day by day, and as maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from hybridflux.causes import CAUSES, SOIL_WATER, change_name
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.kernels.contract import Kept, Static
from hybridflux.region.outputs import DailySeries, PeriodMaps, ZoneTotals
from hybridflux.region.outputs.base import ArraySpec, OfQuantities, Output
from hybridflux.region.outputs.merge_totals import Block, TileTotals
from hybridflux.region.outputs.period_maps import over

CHANGES = tuple(change_name(flux, cause) for flux in ("gpp", "reco") for cause in CAUSES)
WATER = "water_missing"
KEPT = ("gpp", "reco", WATER, *CHANGES)
SENSITIVITY = "sensitivity"
PER = 10.0
"""mm of water missing that a sensitivity is of."""
LEAST_WATER = 1.0
"""mm: where less is missing on the mean of the mapped days of a year, a pixel has no sensitivity."""
MOST = 1500.0  # gC m-2 for 10 mm: a change of 150 gC m-2 where 1 mm is missing


@dataclass(frozen=True)
class DroughtTotals(ZoneTotals):
    """`total(flux, cell, draw, month)`: fluxes, their changes by cause [g], and the water missing [kg d]: mm times m2 times days."""

    stem = "drought_totals"
    quantities: tuple[str, ...] = KEPT
    name = stem

    def __post_init__(self):
        OfQuantities.__post_init__(self)  # the water missing is no rate; its sum is divided by the days


@dataclass(frozen=True)
class DroughtSeries(DailySeries):
    """`series(flux, plant_type, draw, time)`: the same day by day, means over the area of a plant type."""

    stem = "drought_series"
    quantities: tuple[str, ...] = KEPT
    name = stem


@dataclass(frozen=True)
class DroughtMaps(PeriodMaps):
    """Maps of the changes by cause, summed over the mapped days of a calendar year, of the water missing, and of the sensitivity to it.

    Mean and standard deviation over the draws. The sensitivity is the change of GPP by soil water for 10 mm of water missing on the mean of
    the mapped days of the year [g m-2]; it is 0 where less than 1 mm is missing.
    """

    stem = "drought_maps"
    quantities: tuple[str, ...] = (WATER, *CHANGES)
    quantiles: tuple[float, ...] = ()
    name = stem

    def month(self, carry: tuple, sums: Kept) -> tuple[tuple, Kept]:
        """Nothing of a month."""
        return carry, {}

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """Statistics of the sums of each year, and of the sensitivity."""
        found = super().end(carry, {}, sums, static)
        periods = zip(static.months_of_years, static.days_of_years, strict=True)
        years = [self._sensitivity(over(self.sums, sums, *months), days) for months, days in periods]
        return {**found, **{key: jnp.stack([year[key] for year in years]) for key in years[0]}}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """Mean and standard deviation of the year."""
        yield from (array for array in super().arrays(calendar) if array.group == "annual")
        what = "change of GPP by soil water for 10 mm of water missing, sum over the mapped days of the calendar year"
        for ending, words in (("", "mean over the draws"), ("_sd", "standard deviation over the draws")):
            yield ArraySpec("annual", SENSITIVITY + ending, f"{what}; {words}", "g m-2", MOST, linear=not ending)

    def _sensitivity(self, sums: dict[str, Array], days: int) -> dict[str, Array]:
        missing = sums[WATER] / days
        known = missing > LEAST_WATER
        ratio = jnp.where(known, PER * sums[change_name("gpp", "soil_water")] / jnp.where(known, missing, 1.0), 0.0)
        return {
            f"annual/{SENSITIVITY}": ratio.mean(0),
            f"annual/{SENSITIVITY}_sd": ratio.std(0, ddof=1) if len(ratio) > 1 else 0.0 * ratio[0],
        }


@dataclass(frozen=True)
class DroughtPixels(Output):
    """Sums over the season of `KEPT` of each pixel and draw, float32, beside the totals of its tile: 64 bytes a pixel and draw.

    `products.drought_classes` adds them up over classes of pixels that nobody had named when the ledger was made.

    Attributes:
        soil_water: whether the model has it: then the soil water left [share of capacity] is summed too.
    """

    soil_water: bool = True

    @property
    def reads(self) -> tuple[str, ...]:
        """What is summed, in this order."""
        return (*KEPT, SOIL_WATER) if self.soil_water else KEPT

    sums = reads

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """The sums of all mapped months, as those of a single one."""
        whole = over(self.sums, sums, 0, sums[WATER].shape[0])
        return {name: whole[name][None] for name in self.sums}

    def tile(self, totals: TileTotals, kept: Mapping[str, np.ndarray], block: Block) -> None:
        """The pixels of the block."""
        totals.add_pixels(self.name, [kept[name] for name in self.sums], block)

    def cost(self, calendar: Calendar, draws: int) -> float:
        """Four bytes for each draw and sum."""
        return 4 * len(self.sums) * draws


KEEP = (DroughtTotals(), DroughtSeries(), DroughtMaps())
