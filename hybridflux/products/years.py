"""What whole years say beside each other: anomalies, differences, sums, trend and variation, each made in every draw.

    anomaly        a year minus the mean of the reference years, which are declared; of these the anomalies have the mean zero
    difference     a year minus the one before
    cumulative     the sum from the first whole year on
    trend          slope of the least-squares line through the years, three or more
    variation      standard deviation between years over the absolute value of their mean, three or more

All but the last are sums of years with weights, so that zones and land covers add up in every draw; what a draw gets wrong in the same way
in all years cancels in all but the third. The variation holds what the model may have missed in single years (the structural error), and is
larger than that of modelled years: where a model is better than its structural error says, it is too large.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

FEWEST = 3
"""Years that a trend and a variation need."""


@dataclass(frozen=True)
class OfYears:
    """One quantity that compares or adds up whole years.

    Attributes:
        period: its years, `2018`, `2018 - 2017` or `2016-2021`.
        quantity: name of it.
        units: of its mean, and of its total; without a total that of the area is not meant.
        years: that it reads, ascending.
        covers: years of its period, ascending.
        of: function of carbon `[year, ..., draw]` that returns `[..., draw]`.
    """

    period: str
    quantity: str
    units: tuple[str, str]
    years: tuple[int, ...]
    covers: tuple[int, ...]
    of: Callable[[np.ndarray], np.ndarray]


def quantities_of_years(years: Sequence[int], reference: Sequence[int]) -> Iterator[OfYears]:
    """All of them, for the whole years of a run.

    Args:
        years: ascending.
        reference: years among them whose mean anomalies refer to.
    """
    rate, amount, slope = ("gC m-2 yr-1", "tCO2 yr-1"), ("gC m-2", "tCO2"), ("gC m-2 yr-2", "tCO2 yr-2")
    if len(years) < 2:
        return
    for year in years:
        weights = {one: (one == year) - (one in reference) / len(reference) for one in {year, *reference}}
        yield _weighted(str(year), "anomaly", rate, weights, (year,))
    for year in years:
        if year - 1 in years:
            yield _weighted(f"{year} - {year - 1}", "difference", rate, {year - 1: -1.0, year: 1.0}, (year,))
    for last in years[1:]:
        until = tuple(year for year in years if year <= last)
        yield _weighted(named(until), "cumulative", amount, dict.fromkeys(until, 1.0), until)
    if len(years) >= FEWEST:
        from_middle = np.array(years) - np.mean(years)
        weights = dict(zip(years, from_middle / (from_middle**2).sum(), strict=True))
        yield _weighted(named(years), "trend", slope, weights, tuple(years))
        yield OfYears(named(years), "variation", ("1", ""), tuple(years), tuple(years), coefficient_of_variation)


def coefficient_of_variation(carbon: np.ndarray) -> np.ndarray:
    """Standard deviation between years over the absolute value of their mean, `[year, ..., draw]` -> `[..., draw]`.

    NaN where the 90 % interval of that mean holds zero, as of an NEE whose sign is not known: a share of nothing has no value.

    >>> coefficient_of_variation(np.array([[90.0], [100.0], [110.0]])).tolist()
    [0.1]
    """
    mean = carbon.mean(0)
    low, high = np.quantile(mean, [0.05, 0.95], axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(low * high > 0, carbon.std(0, ddof=1) / np.abs(mean), np.nan)


def reference_years(whole: Sequence[int], declared: tuple[int, int] | None) -> list[int]:
    """The years whose mean anomalies refer to: those declared, or all whole years of the run.

    Raises:
        ValueError: a declared year is none of the whole years of the run.
    """
    if declared is None:
        return list(whole)
    wanted = list(range(declared[0], declared[1] + 1))
    missing = [year for year in wanted if year not in whole]
    if missing or not wanted:
        mapped = ", ".join(map(str, whole)) or "no whole calendar year"
        asked = f"{declared[0]}:{declared[1]}"
        raise ValueError(f"the reference period {asked} needs {', '.join(map(str, missing)) or 'a year'}, and the run maps {mapped}; "
                         "name years among these, or map a longer period")  # fmt: skip
    return wanted


def named(years: Sequence[int]) -> str:
    """Consecutive years in words.

    >>> named([2016, 2017, 2018]), named([2016])
    ('2016-2018', '2016')
    """
    return f"{years[0]}-{years[-1]}" if len(years) > 1 else str(years[0])


def _weighted(period: str, quantity: str, units: tuple[str, str], weights: dict[int, float], covers: tuple[int, ...]) -> OfYears:
    """A sum of years with weights."""
    years = tuple(sorted(weights))
    factors = np.array([weights[year] for year in years], float)
    return OfYears(period, quantity, units, years, covers, lambda carbon: np.tensordot(factors, carbon, 1))
