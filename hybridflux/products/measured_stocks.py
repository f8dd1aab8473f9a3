"""Stock changes of an inventory beside what each draw of a run says of them, with the covariances of their errors.

* A stock change of N years of which the run maps n stands for the mapped ones with the variance s^2 (1/n - 1/N), s the standard deviation
  between mapped years; three years and half of N are needed.
* Rows of a campaign share a part of their error (`inventory.read_inventory`).
* A place that other rows of the same years make up together is their sum, measured once: it is left out of the update and compared.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hybridflux.products.carbon_ledger import random_of
from hybridflux.products.ensemble_update import normal_scores
from hybridflux.products.inventory import CARRIED, STOCKS, Entry, places_of
from hybridflux.products.totals import ALL, REGION, RunTotals
from hybridflux.products.years import FEWEST, named

_NAMED = 5  # pairs of rows in a message
SUM = "the sum of other rows, and no measurement of its own"


@dataclass(frozen=True)
class StockChange:
    """A measured stock change and what each draw says of it, means over its mapped years, gC m-2 yr-1.

    Attributes:
        entry: of the inventory.
        cells: of the run.
        area: m2.
        yearly: NEE of each mapped year `[year, draw]`.
        carried: pool of `CARRIED` -> carbon `[draw]`, drawn from the inventory.
        bias: structural error of NEE `[draw]`; None where the run does not know it.
        measured: biomass and soil.
        sd: of its error, with that of the years that are not mapped.
        parts: number and share of the area of each entry that it is the sum of.
        left_out: why it does not take part in the update; empty where it does.
    """

    entry: Entry
    cells: np.ndarray
    area: float
    yearly: np.ndarray
    carried: dict[str, np.ndarray]
    bias: np.ndarray | None
    measured: float
    sd: float
    parts: tuple[tuple[int, float], ...] = ()
    left_out: str = ""

    @property
    def nee(self) -> np.ndarray:
        """NEE `[draw]`."""
        return self.yearly.mean(0)

    @property
    def nbp(self) -> np.ndarray:
        """What each draw predicts of the stock change `[draw]`."""
        return -self.nee - sum(CARRIED[pool] * draws for pool, draws in self.carried.items())


def stock_changes(totals: RunTotals, entries: Sequence[Entry], seed: int) -> list[StockChange]:
    """What the draws of a run say of each entry of an inventory.

    Args:
        totals: of the run, with its structural error apart.
        entries: of the inventory.
        seed: of the errors of exports.

    Raises:
        ValueError: an entry for a zone or land cover the run does not have.
    """
    places, prior = places_of(totals, list(entries)), totals.with_structural_error()
    return _without_sums([_change(totals, prior, entry, places[entry.zone, entry.land_cover], seed) for entry in entries])


def error_covariance(changes: Sequence[StockChange]) -> np.ndarray:
    """Covariance of the errors of stock changes `[change, change]`, (gC m-2 yr-1)^2: rows of a campaign share a part."""
    return np.diag([change.sd**2 for change in changes]) + sum(_of_campaigns(changes, pool) for pool in STOCKS)


def export_covariance(changes: Sequence[StockChange], pool: str) -> np.ndarray:
    """The same of a pool of `CARRIED`."""
    return np.diag([change.entry.carried.get(pool, (0.0, 0.0))[1] ** 2 for change in changes]) + _of_campaigns(changes, pool)


def _of_campaigns(changes: Sequence[StockChange], pool: str) -> np.ndarray:
    """Covariances between the rows of a campaign, zero on the diagonal."""
    given = [(change.entry.campaigns.get(pool, ("", 0.0)), change.entry.pools | change.entry.carried) for change in changes]
    rows = [(*of_pool, means.get(pool, (0.0, 0.0))[1]) for of_pool, means in given]
    shared = np.array([np.sqrt(again) * sd for _, again, sd in rows])
    same = np.array([[one == other and one != "" for other, *_ in rows] for one, *_ in rows], float)
    np.fill_diagonal(same, 0.0)
    return same * np.outer(shared, shared)


def summed(changes: Sequence[StockChange] | Mapping[int, StockChange], parts: Sequence[tuple[int, float]]) -> dict[str, np.ndarray]:
    """What is carried away from some parts, by their shares of the area."""
    pools = dict.fromkeys(pool for number, _ in parts for pool in changes[number].carried)
    carried = [(share, changes[number].carried) for number, share in parts]
    return {pool: sum(share * one[pool] for share, one in carried if pool in one) for pool in pools}


def region_of(changes: Sequence[StockChange], updated: Sequence[StockChange], totals: RunTotals) -> tuple[StockChange, StockChange] | None:
    """The stock change of a whole region, before and after an update, where those that took part make it up; None where they do not.

    Args:
        changes: of the prior.
        updated: the same, updated.
        totals: of the run.
    """
    everywhere = np.arange(len(totals.area))
    if any((one.entry.zone, one.entry.land_cover) == (REGION, ALL) for one in changes):
        return None
    for years in dict.fromkeys(one.entry.years for one in changes):
        used = {number: one.cells for number, one in enumerate(changes) if not one.left_out and one.entry.years == years}
        parts = parts_of(used, everywhere)
        if len(parts) > 1:
            return _sum_of([changes[part] for part in parts], totals), _sum_of([updated[part] for part in parts], totals)
    return None


def _sum_of(parts: Sequence[StockChange], totals: RunTotals) -> StockChange:
    """The stock change that some parts of a region make up, their errors correlated as campaigns say."""
    area = totals.area.sum()
    share = np.array([one.area for one in parts]) / area
    sd = float(np.sqrt(share @ error_covariance(parts) @ share))
    export_sd = float(np.sqrt(sum(share @ export_covariance(parts, pool) @ share for pool in CARRIED)))
    export = float(share @ [one.entry.pools["export"][0] for one in parts]), export_sd
    entry = Entry(REGION, ALL, parts[0].entry.years, {"export": export})
    shares = tuple(enumerate(share.tolist()))
    bias = None if any(one.bias is None for one in parts) else sum(part * one.bias for part, one in zip(share, parts, strict=True))
    yearly, measured = (sum(part * getattr(one, name) for part, one in zip(share, parts, strict=True)) for name in ("yearly", "measured"))
    return StockChange(entry, np.arange(len(totals.area)), area, yearly, summed(parts, shares), bias, float(measured), sd, left_out=SUM)


def place_name(entry: Entry) -> str:
    """`north/DBF 2016-2020`."""
    return f"{entry.zone}/{entry.land_cover} {named(range(entry.years[0], entry.years[1] + 1))}"


def _change(totals: RunTotals, prior: RunTotals, entry: Entry, cells: np.ndarray, seed: int) -> StockChange:
    """What the draws say of an entry."""
    first, last = entry.years
    years = [year for year in totals.complete_years() if first <= year <= last]
    months = {year: np.flatnonzero(totals.months.year == year) for year in years}
    area = float(totals.area[cells].sum())
    yearly = np.array([prior.sum("NEE", cells, of_year) for of_year in months.values()]).reshape(len(years), totals.draws) / area
    bias = None
    if totals.structural and years:
        bias = yearly.mean(0) - sum(totals.sum("NEE", cells, of_year) for of_year in months.values()) / len(years) / area
    carried = {pool: value + sd * _scores(entry, pool, totals.draws, seed) for pool, (value, sd) in entry.carried.items()}
    stocks = [entry.pools.get(pool, (np.nan, np.nan)) for pool in STOCKS]
    unmapped = yearly.mean(1).var(ddof=1) * (1 / len(years) - 1 / (last - first + 1)) if len(years) > 1 else 0.0
    sd = float(np.sqrt(sum(sd**2 for _, sd in stocks) + unmapped))
    measured = sum(value for value, _ in stocks)
    return StockChange(entry, cells, area, yearly, carried, bias, measured, sd, left_out=_reason(totals, entry, years, sd))


def _scores(entry: Entry, pool: str, draws: int, seed: int) -> np.ndarray:
    """Standard normal errors of a pool `[draw]`, of which those of a campaign share a part."""
    campaign, again = entry.campaigns.get(pool, ("", 0.0))
    own, common = (normal_scores(random_of(seed, key), 1, draws)[0] for key in (f"{pool}/{place_name(entry)}", f"{pool}/{campaign}"))
    return np.sqrt(1.0 - again) * own + np.sqrt(again) * common


def _reason(totals: RunTotals, entry: Entry, years: Sequence[int], sd: float) -> str:
    """Why an entry cannot inform the draws, with the cure; empty where it can."""
    missing = [pool for pool in (*STOCKS, "export") if pool not in entry.pools]
    span = entry.years[1] - entry.years[0] + 1
    mapped = ", ".join(map(str, totals.complete_years())) or "no whole calendar year"
    if missing:
        return f"no value of {' and '.join(missing)}; give 0 and its sd where the pool does not exist"
    if 2 * len(years) < span:
        return f"the run maps {mapped}, {len(years)} of its {span} years; map at least half of them, or give stock changes of mapped years"
    if len(years) < span and len(years) < FEWEST:
        return f"the run maps {len(years)} of its {span} years, too few to know how years differ; map {FEWEST} or more of them"
    return "" if sd > 0 else "its stock change has no error; give the sd of biomass and soil"


def _without_sums(changes: list[StockChange]) -> list[StockChange]:
    """Leave out places that other rows of the same years make up; these get the exports of their parts.

    Rows that share a cell and a year in any other way are taken as independent measurements, with a warning.
    """
    done, sharing = {}, []
    cells = [frozenset(change.cells.tolist()) for change in changes]
    for number in sorted(range(len(changes)), key=lambda number: len(cells[number])):
        change = done[number] = changes[number]
        if change.left_out:
            continue
        others = [other for other in done if other != number and not changes[other].left_out]
        inside = [other for other in others if changes[other].entry.years == change.entry.years and cells[other] <= cells[number]]
        parts = parts_of({other: done[other].cells for other in inside}, change.cells)
        if parts:
            shares = tuple((other, done[other].area / change.area) for other in parts)
            done[number] = replace(change, carried=summed(done, shares), parts=shares, left_out=SUM)
            continue
        for other in others:
            if not (done[other].left_out or cells[other].isdisjoint(cells[number])) and _years_meet(changes[other].entry, change.entry):
                sharing.append(f"{place_name(change.entry)} and {place_name(changes[other].entry)}")
    if sharing:
        more = f" and {len(sharing) - _NAMED} more pairs" if len(sharing) > _NAMED else ""
        warnings.warn(f"rows of the inventory share area and years: {'; '.join(sharing[:_NAMED])}{more}, and are taken as measured on "
                      "their own; leave one of them out if they are made of the same plots", stacklevel=4)  # fmt: skip
    return [done[number] for number in range(len(changes))]


def _years_meet(one: Entry, other: Entry) -> bool:
    """Whether the periods of two entries have a year in common."""
    return max(one.years[0], other.years[0]) <= min(one.years[1], other.years[1])


def parts_of(inside: dict[int, np.ndarray], cells: np.ndarray) -> list[int]:
    """Numbers of places that make up some cells without overlap, the largest first; none where they do not."""
    parts, left = [], set(cells.tolist())
    for number in sorted(inside, key=lambda number: -len(inside[number])):
        if left.issuperset(inside[number].tolist()):
            parts.append(number)
            left -= set(inside[number].tolist())
    return parts if not left else []
