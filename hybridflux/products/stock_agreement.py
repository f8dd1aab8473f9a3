"""Do fluxes and stocks agree, once the stock changes have informed the draws? And what would it take to say so?

A run is wide about a place, so that a test of run against inventory (`closure`) decides little. The updated draws are narrow, and the gap
between the mean of the run and these is known: gap = NBP of the run, its mean, minus NBP of the updated draws. It is held against the
smallest gap that matters (`closure.worth_detecting`), as in a test of equivalence (Kruschke 2018, 10.1177/2515245918771304):

    disagree      the stock change is not what the prior predicts (p < .05), or the 90 % interval of the gap is all beyond that gap
    agree         that interval is all within it
    undecidable   it holds both; levers say what would decide if the gap stayed where it is
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd

AGREE, DISAGREE, UNDECIDABLE = VERDICTS = ("agree", "disagree", "undecidable")
TENSION = 0.05
"""Probability of a stock change at least as far from the prior below which run and inventory contradict each other."""
NINETY = 1.645
"""Standard deviations of a normal distribution between its mean and its 95 % quantile."""
LINES = 20  # of places, for a terminal
LONGEST_YEARS, MOST_PLOTS, MOST_TOWERS = 100, 100.0, 20


@dataclass(frozen=True)
class StockAgreement:
    """The outcome at one place, gC m-2 yr-1.

    Attributes:
        gap: mean of the gap, positive where the run gains too much carbon.
        gap_q05: its 5 % quantile.
        gap_q95: its 95 % quantile.
        gap_that_matters: the smallest one.
        verdict: one of `VERDICTS`.
        reason: in words.
        years_to_decide: years of the stock change, those of today among them, that would decide; NaN where more years alone cannot.
        plots_to_decide: times as many plots as today, likewise.
        towers_to_decide: towers of the plant type in the zone, likewise.
    """

    gap: float
    gap_q05: float
    gap_q95: float
    gap_that_matters: float
    verdict: str
    reason: str
    years_to_decide: float = np.nan
    plots_to_decide: float = np.nan
    towers_to_decide: float = np.nan


@dataclass(frozen=True)
class Uncertainties:
    """What the width of the updated draws is made of, gC m-2 yr-1.

    Attributes:
        stock: sd of the stock change, the difference of two inventories.
        export: sd of the mean export.
        years: years that both cover.
        nugget: share of the variance of the effects of places that belongs to each alone; None where the run does not know it.
    """

    stock: float
    export: float
    years: int
    nugget: float | None = None


def agreement(before: np.ndarray, after: np.ndarray, p: float, worth: float, errors: Uncertainties) -> StockAgreement:
    """The verdict of one place.

    Args:
        before: NBP of each draw before the update `[draw]`, gC m-2 yr-1.
        after: the same after it `[draw]`.
        p: probability of a stock change at least as far from the prior (`ensemble_update.prior_predictive_p`).
        worth: the smallest gap that matters, gC m-2 yr-1.
        errors: what the update rests on.

    >>> run, spread = np.linspace(-300.0, 300.0, 64), np.linspace(-1.0, 1.0, 64)
    >>> agreement(run, 40.0 + 30.0 * spread, 0.8, 100.0, Uncertainties(30.0, 10.0, 5)).verdict
    'agree'
    """
    gaps = before.mean() - after
    low, high = np.quantile(gaps, [0.05, 0.95])
    mean, first, last = (round(float(value)) for value in (gaps.mean(), low, high))
    where = f"the gap is {mean} (90 %: {first} to {last}), and one of {worth:.0f} gC m-2 yr-1 matters"
    found = float(gaps.mean()), float(low), float(high), worth
    if p < TENSION:
        reason = f"run and inventory contradict each other (p = {p:.2g}): neither is to be believed before the reason is known; {where}"
        return StockAgreement(*found, DISAGREE, reason)
    if low > worth or high < -worth:
        reason = f"the mean of the run is off, within the interval that the run declares (p = {p:.2g}); {where}"
        return StockAgreement(*found, DISAGREE, reason)
    if -worth < low and high < worth:
        return StockAgreement(*found, AGREE, where)
    levers = _levers(before, after, abs(abs(found[0]) - worth) / NINETY, errors)
    names = ("{:.0f} years in place of " + str(errors.years), "{:.1f} times the plots", "{:.0f} towers in the zone")
    ways = [name.format(value) for name, value in zip(names, levers, strict=True) if np.isfinite(value)]
    cure = f"if it stays there, {' or '.join(ways)} would decide" if ways else "no more years, plots or towers alone would decide"
    return StockAgreement(*found, UNDECIDABLE, f"{where}; {cure}", *levers)


def _levers(before: np.ndarray, after: np.ndarray, enough: float, errors: Uncertainties) -> tuple[float, float, float]:
    """Years, plots and towers, each alone, that make the sd of the updated draws as small as `enough`.

    The error of exports falls by the root of the years, that of a stock change by their number; what the run gets wrong stays. More plots
    divide both variances of the inventory. k towers leave nugget / (nugget + k (1 - nugget)) of the variance of the flux, where that share
    of the variance belongs to each ecosystem alone and the rest to the zone. Neighbours help as they do today.
    """
    export, stock = errors.export**2, errors.stock**2
    flux = max(float(before.var(ddof=1)) - export, 0.0)

    def left(flux, export, stock):
        return (flux + export) * stock / (flux + export + stock)

    limit = enough**2 * left(flux, export, stock) / max(float(after.var(ddof=1)), 1e-9)
    years = np.arange(errors.years + 1, LONGEST_YEARS + 1)
    plots, towers = np.arange(11, 10 * MOST_PLOTS + 1) / 10, np.arange(1, MOST_TOWERS + 1)
    longer, nugget = errors.years / years, errors.nugget
    shares = towers * np.nan if nugget is None else nugget / (nugget + towers * (1.0 - nugget))
    return (
        _first(years, left(flux, export * longer, stock * longer**2) <= limit),
        _first(plots, left(flux, export / plots, stock / plots) <= limit),
        _first(towers, left(flux * shares, export, stock) <= limit),
    )


def _first(values: np.ndarray, enough: np.ndarray) -> float:
    """The first that is enough; NaN for none."""
    return float(values[np.argmax(enough)]) if enough.any() else np.nan


def in_words(verdicts: list[str]) -> str:
    """How many places have which verdict, the empty ones apart.

    >>> in_words(["agree", "agree", "undecidable", ""])
    'of 3 places 2 agree, 0 disagree, 1 undecidable'
    """
    known = [verdict for verdict in verdicts if verdict in VERDICTS]
    return f"of {len(known)} place{'s' * (len(known) != 1)} " + ", ".join(f"{known.count(verdict)} {verdict}" for verdict in VERDICTS)


def said_of(table: pd.DataFrame) -> Iterator[str]:
    """Lines for a terminal, of a table of updated draws: how many places have which verdict, and the reason of each."""
    places = table[table["variable"] == "NBP"].reindex(columns=["zone", "land_cover", "period", "verdict", "reason", "note"]).fillna("")
    yield f"do fluxes and stocks agree? {in_words(places['verdict'].tolist())}"
    for row in islice(places.itertuples(), LINES):
        yield f"  {row.zone}/{row.land_cover} {row.period}: " + (f"{row.verdict}, {row.reason}" if row.verdict else f"not used, {row.note}")
    if len(places) > LINES:
        yield f"  ... and {len(places) - LINES} more, in the table"
