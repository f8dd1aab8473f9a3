"""The carbon budget of a run: totals per zone and land cover, with intervals made of per-draw sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import quoted, read_cells
from hybridflux.data.land.vectors import is_vector
from hybridflux.products.inventory import compare, read_inventory
from hybridflux.products.inventory_match import check_match
from hybridflux.products.later_zones import later_zones
from hybridflux.products.rows import COLUMNS, TOTALS, budget_row
from hybridflux.products.totals import RESERVED, RunTotals, open_totals
from hybridflux.products.years import OfYears, named, quantities_of_years, reference_years
from hybridflux.region.draws.spread import PRIOR
from hybridflux.vocabulary import FLUXES

GROUPS_AT_ONCE = 8192
WITHOUT_TOWER, OUTSIDE = "area_without_tower_ha", "area_outside_applicability_ha"
Group = tuple[str, str, np.ndarray]
Carbon = Callable[[str, Sequence[np.ndarray], np.ndarray], tuple[np.ndarray, dict[str, np.ndarray]]]
Kinds = Callable[[str, Sequence[np.ndarray], np.ndarray], Sequence[tuple[np.ndarray, bool, dict]]]


def budget_table(
    run_dir: str | Path, *, zones: str | Path | None = None, inventory: str | Path | None = None, reference: tuple[int, int] | None = None
) -> pd.DataFrame:
    """The budget of a run as one table.

    One row per zone (the whole region first), land cover, period, variable and quantity. `mean sd q05 q50 q95` are in the
    `units` of the row: gC m-2 yr-1 for whole years and their mean, gC m-2 for a period that is not a whole year. The
    `total_*` columns give the sums over the whole area, in `total_units` (tCO2 yr-1 or tCO2). `quantity` is `flux`,
    or compares whole years draw by draw (`years.py`): `anomaly` (a year minus the mean of the years in the column `reference`),
    `difference`, `cumulative`, `trend` and `variation`. `sign` gives the meaning of a positive value. `stage` is `prior`: no inventory has
    informed the draws (`assimilation_table.assimilated_table` gives those that one has). If the run has
    the structural error of its model, intervals include it, and the name of the `spread` shows it. `area_without_tower_ha` is the part of
    `area_ha` whose plant type no tower of the posterior has, `area_outside_applicability_ha` the part whose weather and vegetation are
    unlike its days (a pixel counts as much as the share of its days). Carbon becomes CO2 by the 44/12 of greenhouse gas inventories
    (IPCC 2006).

    Args:
        run_dir: folder written by `map_region`.
        zones: CSV with columns `zone` and `group`, to aggregate zones; or polygons, whose zones the run was not mapped with
            (`later_zones`).
        inventory: CSV of measured stock changes (`inventory.read_inventory`): adds NBP rows with the comparison.
        reference: first and last year of the period that anomalies refer to; all whole years by default.

    Raises:
        ValueError: the run does not name its spread, a table is not valid, or a reference year is not mapped.
    """
    entries = None if inventory is None else read_inventory(inventory)
    of_polygons = zones is not None and is_vector(zones)
    totals = (later_zones(run_dir, zones) if of_polygons else open_totals(run_dir)).with_structural_error()
    if entries is not None:
        check_match(totals, entries, str(inventory))
    if zones is not None and not of_polygons:
        totals = totals.regroup(read_groups(zones, set(totals.zone)))
    table = budget_of(totals, reference)
    if entries is not None:
        table = pd.concat([table, compare(totals, entries)], ignore_index=True)
        for name in (WITHOUT_TOWER, OUTSIDE):
            table[name] = table.groupby(["zone", "land_cover"])[name].transform("first")
    table = table.assign(spread=totals.spread, draws=totals.draws, stage=PRIOR)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def outside_of(table: pd.DataFrame) -> str:
    """How much of the region a budget says to be outside the area of applicability; empty where it says nothing.

    >>> outside_of(pd.DataFrame({"area_ha": [50.0], OUTSIDE: [6.0]}))
    '12.0 % of the area outside the area of applicability'
    """
    share = table[OUTSIDE].iloc[0] / table["area_ha"].iloc[0]
    return f"{100 * share:.1f} % of the area outside the area of applicability" if share >= 0 else ""


def budget_of(totals: RunTotals, reference: tuple[int, int] | None = None) -> pd.DataFrame:
    """Rows of all zones, land covers, periods and fluxes, without an inventory; arguments as of `budget_table`."""
    groups, whole = totals.groups(), totals.complete_years()
    against = reference_years(whole, reference)
    parts = [_of_period(totals, groups, *period) for period in periods(totals)]
    wanted = list(quantities_of_years(whole, against))
    if wanted:
        rows = _of_years(totals, groups, wanted)
        parts.append(rows.assign(reference=np.where(rows["quantity"] == "anomaly", named(against), "")))
    return pd.concat(parts, ignore_index=True)


def rows_of(totals: RunTotals, groups: list[Group], carbon: Carbon, *, yearly: bool = True) -> pd.DataFrame:
    """Rows of groups of cells, each with its fluxes, in the order of the groups; only some groups are in memory at once.

    Args:
        totals: totals of the run.
        groups: (zone, land cover, cells), as `RunTotals.groups` gives them.
        carbon: function of a flux, the cells of some groups and their areas [m2] that returns gC `[group, draw]` and further columns.
        yearly: whether the carbon is that of a whole year.

    Raises:
        ValueError: no pixel was mapped.
    """

    def kinds(flux, cells, area):
        grams, more = carbon(flux, cells, area)
        return [(grams, yearly, more)]

    return rows_of_kinds(totals, groups, kinds)


def rows_of_kinds(totals: RunTotals, groups: list[Group], kinds: Kinds) -> pd.DataFrame:
    """As `rows_of`, for several kinds of rows made of the same carbon, one kind after the other.

    Args:
        totals: totals of the run.
        groups: as of `rows_of`.
        kinds: function of a flux, the cells of some groups and their areas [m2] that returns for each kind the gC `[group, draw]`, whether
            it is that of a whole year, and further columns.

    Raises:
        ValueError: no pixel was mapped.
    """
    if not groups:
        raise ValueError("nothing was mapped, so there is no budget; `masked` in run.json counts the pixels left out by reason")
    parts = []
    order = np.argsort([cells[0] for *_, cells in groups], kind="stable")  # neighbours in the file are read together
    for start in range(0, len(groups), GROUPS_AT_ONCE):
        numbers = order[start : start + GROUPS_AT_ONCE]
        zone, cover, cells = zip(*(groups[number] for number in numbers), strict=True)
        area = np.array([totals.area[cells_of_group].sum() for cells_of_group in cells])
        beyond = {WITHOUT_TOWER: [totals.area_without_tower(one) / 1e4 for one in cells]}
        beyond |= {OUTSIDE: [totals.area_outside(one) / 1e4 for one in cells]}
        for place, flux in enumerate(FLUXES):
            for kind, (grams, yearly, more) in enumerate(kinds(flux, cells, area)):
                columns = budget_row(zone, cover, area, flux, grams, yearly=yearly) | beyond | more
                parts.append(pd.DataFrame(columns, index=len(FLUXES) * (kind * len(groups) + numbers) + place))
    return pd.concat(parts).sort_index()


def periods(totals: RunTotals) -> list[tuple[str, np.ndarray, int]]:
    """Periods of a budget as (name, months, number of whole years): each year, the mean of all whole years, and all that was mapped.

    Zero whole years means the period is only part of a year: its sum is not scaled up to one. All that was mapped has a row where it is no
    sum of whole calendar years and none of the other rows: a hydrological or a crop year, which counts as one year, or a few months of two.
    """
    whole, year = totals.complete_years(), totals.months.year
    rows = []
    for this_year in sorted(set(year)):
        months = np.flatnonzero(year == this_year)
        rows.append((str(this_year), months, 1) if this_year in whole else (totals.part_of(months), months, 0))
    if len(whole) > 1:
        rows.append((f"mean of {whole[0]}-{whole[-1]}", np.flatnonzero(year.isin(whole)), len(whole)))
    if len(set(year)) > max(len(whole), 1):
        everything = np.arange(len(totals.months))
        rows.append((totals.part_of(everything), everything, totals.years_from_first_day()))
    return rows


def read_groups(path: str | Path, known: set[str]) -> dict[str, str]:
    """Zone name -> group, from a CSV with columns `zone` and `group`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a CSV, a column is missing, or zones the run does not have, that stand twice or have no group; all of them.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".txt"):
        raise ValueError(f"{path} is not a CSV: zones are those of the region store; to aggregate them give a CSV zone,group")
    cells = read_cells(path, ("zone", "group"), example="zone,group")
    zone, group = cells.text["zone"], cells.text["group"]
    zones_of_run = f"(it has {', '.join(sorted(known))[:500]})"
    faults = {row: f"row {row}: zone {quoted(zone[row])} has no group" for row in zone.index[group == ""]}
    faults |= {row: f"row {row}: zone {quoted(zone[row])} stands twice; give it one group" for row in zone.index[zone.duplicated()]}
    reserved = zone.index[group.isin(RESERVED)]
    faults |= {row: f"row {row}: the group {quoted(group[row])} means something else in a budget; name it otherwise" for row in reserved}
    faults |= {row: f"row {row}: the run has no zone {quoted(zone[row])} {zones_of_run}" for row in zone.index[~zone.isin(known)]}
    cells.refuse(dict(sorted(faults.items())))
    return dict(zip(zone, group, strict=True))


def _of_period(totals: RunTotals, groups: list[Group], name: str, months: np.ndarray, years: int) -> pd.DataFrame:
    """Rows of one period."""

    def carbon(flux, cells, area):
        return totals.sums(flux, cells, months) / max(years, 1), {}

    days = int(totals.days[months].sum())
    return rows_of(totals, groups, carbon, yearly=years > 0).assign(period=name, days=days, quantity="flux")


def _of_years(totals: RunTotals, groups: list[Group], wanted: Sequence[OfYears]) -> pd.DataFrame:
    """Rows of what whole years say beside each other; the sums of each year are made once."""
    months = {year: np.flatnonzero(totals.months.year == year) for year in totals.complete_years()}
    days = {year: int(totals.days[of_year].sum()) for year, of_year in months.items()}

    def kinds(flux, cells, area):
        carbon = {year: totals.sums(flux, cells, of_year) for year, of_year in months.items()}
        for one in wanted:
            grams = one.of(np.stack([carbon[year] for year in one.years]))
            more = {"period": one.period, "quantity": one.quantity, "units": one.units[0], "total_units": one.units[1]}
            if not one.units[1]:
                grams = grams * area[:, None]  # a number, not carbon: the row divides by the area
                more |= dict.fromkeys(TOTALS, np.nan)
            yield grams, True, more | {"days": sum(days[year] for year in one.covers)}

    return rows_of_kinds(totals, groups, kinds)
