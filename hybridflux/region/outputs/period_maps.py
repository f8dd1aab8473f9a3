"""Maps of months and years: mean, standard deviation and exact quantiles over the draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from hybridflux.inference.posterior import Posterior
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.dissimilarity import Dissimilarity
from hybridflux.region.kernels.contract import Kept, Static
from hybridflux.region.kernels.quantiles import statistics
from hybridflux.region.outputs.base import ArraySpec, OfQuantities, Output
from hybridflux.region.outputs.quantities import LARGEST_YEAR, QUANTILES, Quantity, endings, value_of

_OF_PERIOD = {
    ("monthly", True): "mean rate of the mapped days of the month", ("annual", True): "sum over the mapped days of the calendar year",
    ("monthly", False): "mean of the mapped days of the month", ("annual", False): "mean of the mapped days of the calendar year",
}  # fmt: skip


@dataclass(frozen=True)
class PeriodMaps(OfQuantities):
    """Maps of each month (mean rate) and year (sum; the mean of what is no rate): mean, sd and quantiles over the draws.

    >>> PeriodMaps().name, PeriodMaps("evapotranspiration").name
    ('period_maps', 'period_maps_evapotranspiration')

    Attributes:
        quantities: names of the model.
        quantiles: of the sums of each draw, exact.
    """

    stem = "period_maps"
    quantiles: tuple[float, ...] = QUANTILES

    sums = OfQuantities.reads

    def month(self, carry: tuple, sums: Kept) -> tuple[tuple, Kept]:
        """Statistics of the sums of a month."""
        return carry, self._statistics("monthly", sums)

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """Statistics of the sums of each year, beside those of the months."""
        years = [self._statistics("annual", self._over(sums, first, end)) for first, end in static.months_of_years]
        return {**months, **{key: jnp.stack([year[key] for year in years]) for key in years[0]}}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """A mean, an sd and quantiles of each quantity, of months and of years."""
        for group in ("monthly", "annual"):
            for name in self.quantities:
                yield from arrays_of_quantity(Quantity.of(name), group, self.quantiles)

    def _statistics(self, group: str, sums: Kept) -> dict[str, Array]:
        return statistics_by_key(group, self.quantities, sums, self.quantiles)

    def _over(self, sums: Kept, first: int, end: int) -> dict[str, Array]:
        """Sums over some months `[draw, n]`, one month after the other.

        As a reduction XLA would take them into the statistics, and round as the number of processor cores has it.
        """
        found = {name: sums[name][first] for name in self.sums}
        for month in range(first + 1, end):
            found = {name: total + sums[name][month] for name, total in found.items()}
        return lax.optimization_barrier(found)


@dataclass(frozen=True)
class Applicability(Output):
    """Maps of each year of how unlike the days of the fit a pixel is, and of the share of its days outside the area of applicability."""

    def check(self, posterior: Posterior) -> None:
        """A posterior must remember the days of its fit."""
        if posterior.training is None:
            raise ValueError(
                "the posterior does not remember the days that it was fitted to, so no area of applicability can be mapped: it is of an "
                "earlier version, or of a single tower; fit again with `hybridflux fit`, or leave `Applicability` out of what is kept"
            )

    def of_dissimilarity(self, found: Dissimilarity) -> Kept:
        """Mean and share of each year."""
        return {"annual/dissimilarity": found.mean, "annual/outside_applicability": found.outside}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """Two maps of each year."""
        comment = ("comment", "Meyer & Pebesma 2021, 10.1111/2041-210X.13650; one day of fifteen")
        what = "dissimilarity of weather and vegetation to the days of the towers, mean of the mapped days of the year"
        yield ArraySpec("annual", "dissimilarity", what, "1", largest=20.0, attributes=(comment,))
        what = "share of the mapped days of the year outside the area of applicability"
        yield ArraySpec("annual", "outside_applicability", what, "1", largest=1.0, attributes=(comment,))


def statistics_by_key(group: str, quantities: Sequence[str], values: Mapping[str, Array], levels: tuple[float, ...]) -> dict[str, Array]:
    """Statistics over the draws of some quantities, by the names of their arrays; one array for each, because they are written in place."""
    found = {}
    for name in quantities:
        keys = (f"{group}/{Quantity.of(name).label}{ending}" for ending in endings(levels))
        found |= dict(zip(keys, statistics(value_of(name, values), levels), strict=True))
    return found


def arrays_of_quantity(quantity: Quantity, group: str, levels: Sequence[float]) -> Iterator[ArraySpec]:
    """Mean, sd and quantiles over the draws of a quantity, in a group of the store."""
    summed = group == "annual" and quantity.is_rate
    period = "" if group == "daily" else f", {_OF_PERIOD[group, quantity.is_rate]}"
    for ending in endings(levels):
        what = {"": "mean over the draws", "_sd": "standard deviation over the draws"}.get(ending, f"{ending[2:]} % quantile of the draws")
        attributes = {"comment": quantity.comment, "positive": quantity.positive}
        attributes["ancillary_variables"] = "" if ending else f"{quantity.label}_sd"
        yield ArraySpec(
            group, quantity.label + ending, f"{quantity.long_name}{period}; {what}", quantity.units_of(group, True),
            largest=quantity.largest * (LARGEST_YEAR if summed else 1.0),
            units_of_part=quantity.amount if summed else "",
            per_day=group == "monthly" or (group == "annual" and not summed),
            cell_methods=f"area: mean time: {'sum' if summed else 'mean'}",
            standard_name=None if ending else quantity.standard_name,
            geotiff=ending in ("", "_sd") and group != "daily",
            linear=ending != "_sd",  # the mean of sds is not the sd of the mean
            attributes=tuple((name, value) for name, value in attributes.items() if value),
        )  # fmt: skip
