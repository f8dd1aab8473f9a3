"""Independent stock changes and exports, and whether they agree with a run: the ledger from NEP to NBP.

    NBP = -NEE - export              gain of the land after harvest and wood removal
    difference = NBP - (biomass + soil)

All in gC m-2 yr-1. `biomass` and `soil` are gains of that pool, `export` is carbon that leaves by harvest or wood removal
(negative where manure or seed bring in more than leaves). Fire, leaching, methane and deadwood are not in the ledger.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.products.closure import judge
from hybridflux.products.rows import budget_row, mixed_with_normal
from hybridflux.products.totals import ALL, REGION, Totals

COLUMNS = ("zone", "land_cover", "pool", "start_year", "end_year", "value", "sd")
POOLS = ("biomass", "soil", "export")
EXAMPLE = "region,CRO,export,2018,2018,420,40"


@dataclass(frozen=True)
class Entry:
    """What was measured at one zone and land cover over one period of whole years.

    Attributes:
        zone: zone name, or `region`.
        land_cover: plant type code, or `all`.
        years: first and last year, both included.
        pools: pool -> (value, sd), gC m-2 yr-1.
    """

    zone: str
    land_cover: str
    years: tuple[int, int]
    pools: dict[str, tuple[float, float]]


def read_inventory(path: str | Path) -> list[Entry]:
    """Read a CSV with columns `zone,land_cover,pool,start_year,end_year,value,sd`.

    Rows of a pool are means over their years; an export ledger may have a row per year, or several kinds of export in one.

    Raises:
        ValueError: a column is missing, or a value is not as it must be; the message names file, line and cure.
    """
    table = pd.read_csv(path, dtype=str, skipinitialspace=True, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"{path} has no column `{missing[0]}`; it must have {','.join(COLUMNS)}, for instance {EXAMPLE}")
    if table.empty:
        raise ValueError(f"{path} has no rows; add one a pool, for instance {EXAMPLE}")
    rows = pd.DataFrame([_checked(row, f"{path}, line {line}") for line, row in enumerate(table.to_dict("records"), start=2)])
    return [_entry(path, *place, rows=part) for place, part in rows.groupby(["zone", "land_cover"], sort=False)]


def compare(totals: Totals, entries: list[Entry]) -> pd.DataFrame:
    """NBP of the run beside the stock change, one row per entry: difference, z-score, limiting term and verdict.

    Raises:
        ValueError: an entry for a zone or land cover the run does not have.
    """
    places = {(zone, cover): cells for zone, cover, cells in totals.groups()}
    rows = []
    for entry in entries:
        if (entry.zone, entry.land_cover) not in places:
            known = ", ".join(f"{zone}/{cover}" for zone, cover in places)
            raise ValueError(f"the inventory has {entry.zone}/{entry.land_cover}, the run has {known}; zone `{REGION}` is all of it")
        rows.append(_compared(totals, entry, places[entry.zone, entry.land_cover]))
    return pd.DataFrame(rows)


def _compared(totals: Totals, entry: Entry, cells: np.ndarray) -> dict:
    """The NBP row of one entry."""
    first, last = entry.years
    wanted = [year for year in totals.complete_years() if first <= year <= last]
    area = totals.area[cells].sum()
    months = np.flatnonzero(totals.months.year.isin(wanted))
    nee = totals.sum("NEE", cells, months) / max(len(wanted), 1) / area if wanted else np.full(totals.draws, np.nan)
    export, export_sd = entry.pools.get("export", (np.nan, np.nan))
    stock = [entry.pools.get(pool, (np.nan, np.nan)) for pool in ("biomass", "soil")]
    verdict = judge(nee, entry.pools, years=(len(wanted), last - first + 1), spread=totals.spread)
    nbp = mixed_with_normal(-nee - export, export_sd) if totals.draws > 1 else -nee - export
    sd = float(np.hypot(nee.std(ddof=1), export_sd)) if len(nee) > 1 else np.nan
    return budget_row(entry.zone, entry.land_cover, area, "NBP", nbp * area, sd=sd) | {
        "period": f"{first}" if first == last else f"{first}-{last}",
        "days": int(totals.days[months].sum()),
        "quantity": "flux",
        "export": export,
        "export_sd": export_sd,
        "stock_change": sum(value for value, _ in stock),
        "stock_change_sd": np.hypot(*(sd for _, sd in stock)),
        **verdict.columns(),
    }


def _checked(row: dict[str, str], where: str) -> dict:
    """One row with its types, or an error that names line and cure."""
    pool = row["pool"].strip().lower()
    if pool not in POOLS:
        raise ValueError(f"{where}: pool `{row['pool']}` is not one of {', '.join(POOLS)}")
    numbers = {}
    for name, kind in (("start_year", int), ("end_year", int), ("value", float), ("sd", float)):
        try:
            numbers[name] = kind(row[name])
        except ValueError:
            raise ValueError(f"{where}: {name} `{row[name]}` is not {'a whole year' if kind is int else 'a number'}") from None
    if numbers["end_year"] < numbers["start_year"]:
        raise ValueError(f"{where}: end_year {numbers['end_year']} is before start_year {numbers['start_year']}")
    if not (np.isfinite(numbers["value"]) and np.isfinite(numbers["sd"]) and numbers["sd"] >= 0):
        raise ValueError(f"{where}: value {row['value']} and sd {row['sd']} must be finite and sd must not be negative (gC m-2 yr-1)")
    zone, cover = row["zone"].strip() or REGION, row["land_cover"].strip() or ALL
    return {"zone": REGION if zone == ALL else zone, "land_cover": cover, "pool": pool, **numbers}


def _entry(path, zone: str, cover: str, *, rows: pd.DataFrame) -> Entry:
    """Rows of one zone and land cover, put on one period."""
    stocks = rows[rows["pool"] != "export"]
    spans = (stocks if len(stocks) else rows)[["start_year", "end_year"]].drop_duplicates()
    if len(stocks) and len(spans) > 1:
        raise ValueError(f"{path}: biomass and soil of {zone}/{cover} have different periods; a comparison needs them over the same years")
    first, last = int(spans["start_year"].min()), int(spans["end_year"].max())
    pools = {}
    for pool, part in rows.groupby("pool"):
        covered = {year for a, b in zip(part["start_year"], part["end_year"], strict=True) for year in range(a, b + 1)}
        if covered != set(range(first, last + 1)):
            raise ValueError(f"{path}: {pool} of {zone}/{cover} must cover {first} to {last}, all and only; it covers {sorted(covered)}")
        if pool != "export" and len(part) > 1:
            raise ValueError(f"{path}: {pool} of {zone}/{cover} stands twice; give one value and one sd")
        share = (part["end_year"] - part["start_year"] + 1) / (last - first + 1)
        pools[pool] = float((part["value"] * share).sum()), float(np.sqrt(((part["sd"] * share) ** 2).sum()))
    return Entry(zone, cover, (first, last), pools)

