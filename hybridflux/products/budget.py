"""The carbon budget of a run: totals per zone and land cover, with intervals made of per-draw sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.inventory import compare, read_inventory
from hybridflux.products.rows import COLUMNS, budget_row
from hybridflux.products.totals import Totals, open_totals

FLUXES = ("NEE", "GPP", "RECO")


def budget_table(run_dir: str | Path, *, zones: str | Path | None = None, inventory: str | Path | None = None) -> pd.DataFrame:
    """The budget of a run as one table.

    One row per zone (the whole region first), land cover, period, variable and quantity. `mean sd q05 q50 q95` are in the
    `units` of the row: gC m-2 yr-1 for whole years and their mean, gC m-2 for a period that is not a whole year. The
    `total_*` columns are the same over the whole area, in `total_units` (tCO2 yr-1 or tCO2). `quantity` is `flux` or
    `anomaly`, the difference of a year from the mean of the other whole years. `sign` says what positive means. Where the run knows the
    structural error of its model, intervals hold it, and the name of the `spread` says so.

    Args:
        run_dir: folder written by `map_region`.
        zones: CSV with columns `zone` and `group`, to put zones together.
        inventory: CSV of measured stock changes (`inventory.read_inventory`): adds NBP rows with the comparison.

    Raises:
        ValueError: the run does not name its spread, or a table is not as it must be.
    """
    totals = open_totals(run_dir).with_structural_error()
    if zones is not None:
        totals = totals.regroup(read_groups(zones, set(totals.zone)))
    table = budget_of(totals)
    if inventory is not None:
        table = pd.concat([table, compare(totals, read_inventory(inventory))], ignore_index=True)
    table = table.assign(spread=totals.spread, draws=totals.draws)
    return table[[*COLUMNS, *(name for name in table if name not in COLUMNS)]]


def budget_of(totals: Totals) -> pd.DataFrame:
    """Rows of all zones, land covers, periods and fluxes, without a comparison."""
    rows = [row for period in periods(totals) for row in _rows(totals, *period)]
    return pd.DataFrame(rows + _anomalies(totals))


def periods(totals: Totals) -> list[tuple[str, np.ndarray, int]]:
    """(name, months, whole years in it) of the periods of a budget: each year, and the mean of all whole years.

    Zero whole years means the period is only part of a year: its sum is not scaled up to one.
    """
    whole, year = totals.complete_years(), totals.months.year
    found = []
    for one in sorted(set(year)):
        months = np.flatnonzero(year == one)
        found.append((str(one), months, 1) if one in whole else (_part(totals, months), months, 0))
    if len(whole) > 1:
        found.append((f"mean of {whole[0]}-{whole[-1]}", np.flatnonzero(year.isin(whole)), len(whole)))
    return found


def read_groups(path: str | Path, known: set[str]) -> dict[str, str]:
    """Zone name -> group, from a CSV with columns `zone` and `group`.

    Raises:
        ValueError: not a CSV, a column is missing, or a zone the run does not have.
    """
    path = Path(path)
    if path.suffix.lower() not in (".csv", ".txt"):
        raise ValueError(f"{path} is not a CSV: zones are those the region was built with; to put them together give a CSV zone,group")
    table = pd.read_csv(path, dtype=str, skipinitialspace=True)
    for column in ("zone", "group"):
        if column not in table:
            raise ValueError(f"{path} has no column `{column}`; it must have zone,group and has {','.join(table.columns)}")
    for zone in table["zone"]:
        if zone not in known:
            raise ValueError(f"{path}: the run has no zone `{zone}`; it has {', '.join(sorted(known))}")
    twice = table["zone"][table["zone"].duplicated()]
    if len(twice):
        raise ValueError(f"{path}: zone `{twice.iloc[0]}` stands twice; a zone can be in one group only")
    return dict(zip(table["zone"], table["group"], strict=True))


def _part(totals: Totals, months: np.ndarray) -> str:
    """Name of a part of a year: `2018-03..2018-09`."""
    first, last = totals.months[months[0]], totals.months[months[-1]]
    return f"{first:%Y-%m}..{last:%Y-%m}"


def _rows(totals: Totals, name: str, months: np.ndarray, years: int) -> list[dict]:
    """Rows of one period."""
    return [
        budget_row(zone, cover, totals.area[cells].sum(), flux, totals.sum(flux, cells, months) / max(years, 1), yearly=years > 0)
        | {"period": name, "days": int(totals.days[months].sum()), "quantity": "flux"}
        for zone, cover, cells in totals.groups()
        for flux in FLUXES
    ]


def _anomalies(totals: Totals) -> list[dict]:
    """Rows of each whole year minus the mean of the other whole years, draw by draw."""
    whole = totals.complete_years()
    rows = []
    for one in whole if len(whole) > 1 else ():
        months, others = np.flatnonzero(totals.months.year == one), np.flatnonzero(totals.months.year.isin(set(whole) - {one}))
        for zone, cover, cells in totals.groups():
            for flux in FLUXES:
                grams = totals.sum(flux, cells, months) - totals.sum(flux, cells, others) / (len(whole) - 1)
                rows.append(
                    budget_row(zone, cover, totals.area[cells].sum(), flux, grams)
                    | {"period": str(one), "days": int(totals.days[months].sum()), "quantity": "anomaly"}
                )
    return rows

