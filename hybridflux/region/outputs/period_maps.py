"""Maps of months and years: mean, standard deviation and exact quantiles over the draws."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from hybridflux.inference.posterior import Posterior
from hybridflux.region.drivers.calendar import Calendar
from hybridflux.region.drivers.dissimilarity import Dissimilarity
from hybridflux.region.drivers.map_periods import periods_of
from hybridflux.region.kernels.contract import Kept, Static
from hybridflux.region.kernels.quantiles import statistics
from hybridflux.region.outputs.base import ArraySpec, OfQuantities, Output
from hybridflux.region.outputs.quantities import CARBON, QUANTILES, SD, Quantity, carried, checked, endings, value_of

FEWEST_YEARS = 5
"""Years that a trend of pixels needs: of three or four a single dry year decides the sign."""
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
        years = [self._statistics("annual", over(self.sums, sums, first, end)) for first, end in static.months_of_years]
        return {**months, **{key: jnp.stack([year[key] for year in years]) for key in years[0]}}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """A mean, an sd and quantiles of each quantity, of months and of years."""
        for group in ("monthly", "annual"):
            for name in self.quantities:
                yield from arrays_of_quantity(Quantity.of(name), group, self.quantiles)

    def _statistics(self, group: str, sums: Kept) -> dict[str, Array]:
        return statistics_by_key(group, self.quantities, sums, self.quantiles)


@dataclass(frozen=True)
class AnomalyMaps(Output):
    """Maps of each whole calendar year minus the mean of the reference years, draw by draw: mean, sd and quantiles over the draws.

    What a draw gets wrong in the same way in all years cancels; the structural error of the model, which budgets add, is not in maps.

    Attributes:
        reference: first and last year that anomalies refer to, also as text `2016:2020`; all mapped years where it is empty.
        quantiles: of the anomalies of each draw, exact.
    """

    reference: tuple[int, ...] | str = ()
    quantiles: tuple[float, ...] = QUANTILES

    reads = sums = carried(CARBON)

    def __post_init__(self):
        years = self.reference.split(":") if isinstance(self.reference, str) else self.reference
        if len(years) not in (0, 1, 2) or not all(str(year).isdigit() for year in years):
            raise ValueError(f"the reference period `{self.reference}` of AnomalyMaps is not understood; write 2016:2020")
        numbers = tuple(int(year) for year in years)
        if numbers and numbers[0] > numbers[-1]:
            said = f"the reference period `{self.reference}` of AnomalyMaps is not a period"
            raise ValueError(f"{said}; write 2016:2020, the first year first")
        object.__setattr__(self, "reference", numbers)
        object.__setattr__(self, "quantiles", checked(self.quantiles))

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """Statistics of the anomalies of each year."""
        years = [over(self.sums, sums, first, end) for first, end in static.months_of_years]
        of_reference = self._reference(static.years)
        chosen = [one for one, year in zip(years, static.years, strict=True) if year in of_reference]
        mean = lax.optimization_barrier({name: sum(one[name] for one in chosen) / len(chosen) for name in self.sums})
        departures = [{name: one[name] - mean[name] for name in self.sums} for one in years]
        found = [statistics_by_key("annual", CARBON, departure, self.quantiles) for departure in departures]
        return {_of_years("anomaly", key): jnp.stack([year[key] for year in found]) for key in found[0]}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """A mean, an sd and quantiles of each flux.

        Raises:
            ValueError: a mapped year is not whole, there are fewer than two, or a reference year is not mapped.
        """
        years, reference = calendar.years, self._reference(calendar.years)
        check_years(self, calendar, 2, "two")
        missing = [str(year) for year in reference if year not in years]
        if missing:
            mapped = ", ".join(map(str, years))
            asked = ", ".join(missing)
            raise ValueError(f"the reference period of AnomalyMaps needs {asked}, and the run maps {mapped}; name years among these")
        refers = f"{reference[0]}-{reference[-1]}" if len(reference) > 1 else str(reference[0])
        for name in CARBON:
            for array in arrays_of_quantity(Quantity.of(name), "annual", self.quantiles):
                own = [pair for pair in array.attributes if pair[0] != "ancillary_variables"]
                beside = [value for key, value in array.attributes if key == "ancillary_variables"]
                own += [("ancillary_variables", _of_years("anomaly", value)) for value in beside]
                yield replace(
                    array, name=_of_years("anomaly", array.name), long_name=f"{array.long_name}; minus the mean of {refers}, draw by draw",
                    largest=0.5 * array.largest, standard_name=None, attributes=tuple(own),
                )  # fmt: skip

    def _reference(self, years: Sequence[int]) -> Sequence[int]:
        return range(self.reference[0], self.reference[-1] + 1) if self.reference else years


def _of_years(what: str, key: str) -> str:
    """Name of what compares years, from that of the quantity.

    >>> _of_years("anomaly", "annual/NEE"), _of_years("trend", "GPP_q05")
    ('annual/NEE_anomaly', 'GPP_trend_q05')
    """
    label, mark, ending = key.partition("_")
    return f"{label}_{what}{mark}{ending}"


@dataclass(frozen=True)
class TrendMaps(Output):
    """Maps of the trend over all mapped years, the least-squares slope of the sums of each draw, and the probability that it is above zero.

    What a draw gets wrong in the same way in all years cancels; the structural error of the model is not in maps: a probability near 0 or 1
    says what the parameters agree on. `trend` of the budget has that error.

    Attributes:
        quantiles: of the slopes of each draw, exact.
    """

    quantiles: tuple[float, ...] = QUANTILES

    reads = sums = carried(CARBON)

    def __post_init__(self):
        object.__setattr__(self, "quantiles", checked(self.quantiles))

    def end(self, carry: tuple, months: Kept, sums: Kept, static: Static) -> Kept:
        """Statistics of the slopes."""
        weights = slope_weights(static.years)
        years = [over(self.sums, sums, first, end) for first, end in static.months_of_years]
        slopes = {name: sum(weight * one[name] for weight, one in zip(weights, years, strict=True)) for name in self.sums}
        slopes = lax.optimization_barrier(slopes)
        found = statistics_by_key("record", CARBON, slopes, self.quantiles)
        found |= {f"record/{Quantity.of(name).label}{_RISING}": (value_of(name, slopes) > 0).mean(0) for name in CARBON}
        return {_of_years("trend", key): values[None] for key, values in found.items()}

    def arrays(self, calendar: Calendar) -> Iterator[ArraySpec]:
        """A mean, an sd, quantiles and a probability of each flux.

        Raises:
            ValueError: a mapped year is not whole, or there are fewer than five.
        """
        check_years(self, calendar, FEWEST_YEARS, "five")
        over_years = f"least-squares trend over {calendar.years[0]}-{calendar.years[-1]}"
        for name in CARBON:
            quantity = Quantity.of(name)
            for array in arrays_of_quantity(quantity, "annual", self.quantiles):
                _, _, what = array.long_name.rpartition("; ")
                own = [("ancillary_variables", _of_years("trend", value)) if key == "ancillary_variables" else (key, value)
                       for key, value in array.attributes]  # fmt: skip
                yield replace(
                    array, group="record", name=_of_years("trend", array.name), long_name=f"{quantity.long_name}, {over_years}; {what}",
                    units=f"{quantity.amount} year-2", units_of_part="", largest=0.25 * array.largest, cell_methods="area: mean",
                    standard_name=None, attributes=tuple(own),
                )  # fmt: skip
            what = f"{quantity.long_name}, {over_years}; share of the draws in which it is above zero"
            yield ArraySpec("record", f"{quantity.label}_trend{_RISING}", what, "1", largest=1.0, cell_methods="area: mean")


_RISING = "_rising"


def slope_weights(years: Sequence[int]) -> list[float]:
    """Weights of years whose sum of values is the least-squares slope through them.

    >>> slope_weights([2018, 2019, 2020])
    [-0.5, 0.0, 0.5]
    """
    away = [year - sum(years) / len(years) for year in years]
    squares = sum(one**2 for one in away)
    return [one / squares for one in away]


def check_years(output: Output, calendar: Calendar, fewest: int, in_words: str) -> None:
    """Refuse a run of parts of years, or of too few.

    Raises:
        ValueError: says what to map.
    """
    if len(calendar.years) < fewest or not all(period.whole for period in periods_of(calendar, "annual")):
        days, name = f"{calendar.mapped[0]} to {calendar.mapped[-1]}", type(output).__name__
        raise ValueError(f"{name} compares whole calendar years, and the run maps {days}; map {in_words} whole years or more")


def over(names: Sequence[str], sums: Kept, first: int, end: int) -> dict[str, Array]:
    """Sums over some months `[draw, n]`, one month after the other.

    As a reduction XLA would take them into the statistics, and round as the number of processor cores has it.
    """
    found = {name: sums[name][first] for name in names}
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
        what = {"": "mean over the draws", SD: "standard deviation over the draws"}.get(ending, f"{ending[2:]} % quantile of the draws")
        attributes = {"comment": quantity.comment, "positive": quantity.positive}
        attributes["ancillary_variables"] = "" if ending else quantity.label + SD
        yield ArraySpec(
            group, quantity.label + ending, f"{quantity.long_name}{period}; {what}", quantity.units_of(group, True),
            largest=366 * quantity.largest_mean if summed else quantity.largest,
            units_of_part=quantity.amount if summed else "",
            per_day=group == "monthly" or (group == "annual" and not summed),
            cell_methods=f"area: mean time: {'sum' if summed else 'mean'}",
            standard_name=None if ending else quantity.standard_name,
            geotiff=ending in ("", SD) and group != "daily",
            linear=ending != SD,  # the mean of sds is not the sd of the mean
            is_sd=ending == SD,
            is_quantile=ending not in ("", SD),
            attributes=tuple((name, value) for name, value in attributes.items() if value),
        )  # fmt: skip
