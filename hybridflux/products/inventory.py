"""Independent stock changes and exports, and their agreement with a run: the ledger from NEP to NBP.

    NBP = -NEE - export              gain of the land after harvest and wood removal
    difference = NBP - (biomass + soil)

All in gC m-2 yr-1. `biomass` and `soil` are gains of that pool, `export` is carbon that leaves by harvest or wood removal
(negative where manure or seed bring in more than leaves). Rows of the pools `import`, `fire` and `leaching` (dissolved carbon) count as
less and more export. Methane and deadwood are not in the ledger.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import Cells, quoted, read_cells
from hybridflux.products.closure import judge
from hybridflux.products.rows import budget_row, mixed_with_normal
from hybridflux.products.totals import ALL, REGION, RunTotals

COLUMNS = ("zone", "land_cover", "pool", "start_year", "end_year", "value", "sd")
STOCKS = ("biomass", "soil")
CARRIED = {"export": 1.0, "import": -1.0, "fire": 1.0, "leaching": 1.0}
"""Pools of carbon that is carried away, with their sign in the export of an entry."""
POOLS = (*STOCKS, *CARRIED)
OPTIONAL = {"units": "units", "unit": "units", "campaign": "campaign", "correlation": "correlation"}
EXAMPLE = "region,CRO,export,2018,2018,420,40"
UNITS = {"gC m-2 yr-1": 1.0, "tC ha-1 yr-1": 100.0}
"""Units of the optional column `units` -> gC m-2 yr-1 of one unit; the first is the default."""
_FEW, _MANY = 12.0, 2500.0
"""Values of biomass and export that all stay below the first look like tC ha-1 yr-1, a gain beyond the second like a stock: the net
productivity of the most productive forests and crops is some 2000 gC m-2 yr-1 (Luyssaert et al. 2007, 10.1111/j.1365-2486.2007.01439.x)."""


@dataclass(frozen=True)
class Entry:
    """Measured stock changes and export of one zone and land cover over one period of whole years.

    Attributes:
        zone: zone name, or `region`.
        land_cover: plant type code, or `all`.
        years: first and last year, both included.
        pools: `biomass`, `soil`, `export` -> (value, sd), gC m-2 yr-1; the export with imports, fire and leaching.
        carried: pool of `CARRIED` -> (value, sd): what the export is made of.
        campaigns: pool -> (campaign that measured it, share of the variance of that pool that its values of all places have in common).
    """

    zone: str
    land_cover: str
    years: tuple[int, int]
    pools: dict[str, tuple[float, float]]
    carried: dict[str, tuple[float, float]] = field(default_factory=dict)
    campaigns: dict[str, tuple[str, float]] = field(default_factory=dict)


def read_inventory(path: str | Path) -> list[Entry]:
    """Read a table with columns `zone,land_cover,pool,start_year,end_year,value,sd`, as spreadsheets save it.

    Rows of a pool are means over their years; an export ledger may have a row per year, or several kinds of export in one. Export must be
    given of every year; import, fire and leaching that no row gives of a year count as none. A column
    `units` may say gC m-2 yr-1 or tC ha-1 yr-1 for each row. Without that column, values that look like another unit are warned of.
    Columns `campaign` and `correlation` (0 to 1) may say which rows of a pool share a part of their error, as those of one inventory share
    its allometry; rows without are independent. A place with rows of import, fire or leaching alone has nothing to compare: it is left
    out, with a warning.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a column is missing, values are not valid, or no place has a stock change or an export; the message names file, rows
            and cure.
    """
    rows, declared = read_pools(path)
    exported = rows.groupby(["zone", "land_cover"])["pool"].transform(lambda pools: "export" in set(pools))
    other = rows["pool"].isin([pool for pool in CARRIED if pool != "export"])
    used = rows[~other | exported]  # they alone do not say what was exported
    _say_left_out(Path(path), rows, used)
    entries = [_entry(Path(path), *place, rows=part) for place, part in used.groupby(["zone", "land_cover"], sort=False)]
    if not declared:
        question_units(Path(path), rows)
    return entries


def _say_left_out(path: Path, rows: pd.DataFrame, used: pd.DataFrame) -> None:
    """Warn of places that have neither a stock change nor an export, in the order of the table.

    Raises:
        ValueError: there is no other place.
    """
    kept = set(zip(used["zone"], used["land_cover"], strict=True))
    pools: dict[str, list[str]] = {}
    for row in rows.itertuples():
        if (row.zone, row.land_cover) not in kept:
            pools.setdefault(f"{row.zone}/{row.land_cover}", []).append(row.pool)
    if not pools:
        return
    listed = "; ".join(f"{place} (only {', '.join(dict.fromkeys(of))})" for place, of in pools.items())[:500]
    cure = "add its biomass, soil and export, or give the table to `hybridflux ledger --yields`, which needs no stock change"
    if not kept:
        raise ValueError(f"{path} has no stock change and no export of any place: {listed}; {cure}")
    warnings.warn(f"{path}: no stock change and no export of {listed}, so there is nothing to compare there; {cure}", stacklevel=3)


def read_pools(path: str | Path) -> tuple[pd.DataFrame, bool]:
    """The rows of such a table in gC m-2 yr-1, and whether it declares its units.

    Columns zone, land_cover, pool, start_year, end_year, value, sd, campaign, correlation.

    Raises:
        FileNotFoundError: no such file.
        ValueError: as `read_inventory`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; an inventory is a table {','.join(COLUMNS)}")
    cells = read_cells(path, COLUMNS, OPTIONAL, f"{','.join(COLUMNS)}, for instance {EXAMPLE}")
    if cells.text.empty:
        raise ValueError(f"{path} has no rows; add one for each pool, for instance {EXAMPLE}")
    return _checked(cells), "units" in cells


def compare(totals: RunTotals, entries: list[Entry]) -> pd.DataFrame:
    """NBP of the run beside the stock change, one row per entry: difference, z-score, limiting term and verdict.

    Raises:
        ValueError: an entry for a zone or land cover the run does not have.
    """
    places = places_of(totals, entries)
    return pd.DataFrame([_compared(totals, entry, places[entry.zone, entry.land_cover]) for entry in entries])


def places_of(totals: RunTotals, entries: list[Entry]) -> dict[tuple[str, str], np.ndarray]:
    """Cells of each zone and land cover of a run.

    Raises:
        ValueError: an entry for a zone or land cover the run does not have.
    """
    places = {(zone, cover): cells for zone, cover, cells in totals.groups()}
    unknown = [f"{entry.zone}/{entry.land_cover}" for entry in entries if (entry.zone, entry.land_cover) not in places]
    if unknown:
        known = ", ".join(f"{zone}/{cover}" for zone, cover in places)
        raise ValueError(f"the inventory has {', '.join(unknown)[:300]}, the run has {known[:1000]}; zone `{REGION}` is all of it")
    return places


def _compared(totals: RunTotals, entry: Entry, cells: np.ndarray) -> dict:
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


def _checked(cells: Cells) -> pd.DataFrame:
    """Rows with their types and values in gC m-2 yr-1; one error names all faults with row and cure."""
    text = cells.text
    faults: dict[int, str] = {}

    def refuse(wrong: pd.Series, column: str, reason: str) -> None:
        for row in wrong.index[wrong]:
            faults.setdefault(row, f"row {row}: {column} {quoted(text.at[row, column])} {reason}")

    rows = pd.DataFrame({"zone": text["zone"].replace({"": REGION, ALL: REGION}), "pool": text["pool"].str.lower()})
    rows["land_cover"] = text["land_cover"].str.upper().replace({"": ALL, ALL.upper(): ALL})
    refuse(~rows["pool"].isin(POOLS), "pool", f"is not one of {', '.join(POOLS)}")
    for column in ("start_year", "end_year", "value", "sd"):
        rows[column], wrong = cells.parsed(column)
        for row, fault in wrong.items():
            faults.setdefault(row, fault)
        refuse(rows[column].isna(), column, "is missing")
    for column in ("start_year", "end_year"):
        refuse((rows[column] % 1 != 0) | ~rows[column].between(1000, 3000), column, "is not a whole year")
    refuse(rows["end_year"] < rows["start_year"], "end_year", "is before start_year")
    refuse(rows["sd"] < 0, "sd", "is negative, but sd must not be negative")
    refuse(text.duplicated(), "pool", "stands twice: the whole row is the same as one above")
    if "units" in cells:
        refuse(~text["units"].isin(UNITS), "units", f"is not one of {', '.join(UNITS)}")
        rows[["value", "sd"]] = rows[["value", "sd"]].mul(text["units"].map(UNITS), axis=0)
    rows["campaign"], rows["correlation"] = text["campaign"] if "campaign" in cells else "", 0.0
    if "correlation" in cells:
        rows["correlation"], wrong = cells.parsed("correlation")
        for row, fault in wrong.items():
            faults.setdefault(row, fault)
        rows["correlation"] = rows["correlation"].fillna(0.0)
        refuse(~rows["correlation"].between(0, 1), "correlation", "is not between 0 and 1")
        refuse((rows["correlation"] > 0) & (rows["campaign"] == ""), "correlation", "is of no campaign; name it in the column `campaign`")
    cells.refuse(dict(sorted(faults.items())))
    return rows.astype({"start_year": int, "end_year": int})


def question_units(path: Path, rows: pd.DataFrame) -> None:
    """Warn of values that look like another unit than gC m-2 yr-1."""
    largest = rows.loc[rows["pool"] != "soil", "value"].abs().max()
    gain = rows.loc[rows["pool"].isin(("biomass", "soil")), "value"].abs().max()
    cure = "add a column `units` with gC m-2 yr-1 or tC ha-1 yr-1 to declare them"
    if 0 < largest < _FEW:
        warnings.warn(f"{path}: biomass and export stay below {largest:g}, read as gC m-2 yr-1; is it tC ha-1 yr-1? {cure}", stacklevel=3)
    if gain > _MANY:
        warnings.warn(f"{path}: a gain of {gain:g} gC m-2 yr-1 is beyond any productivity; is it a stock, or kg ha-1? {cure}", stacklevel=3)


def _entry(path, zone: str, cover: str, *, rows: pd.DataFrame) -> Entry:
    """Rows of one zone and land cover, put on one period."""
    stocks = rows[rows["pool"].isin(STOCKS)]
    spans = (stocks if len(stocks) else rows[rows["pool"] == "export"])[["start_year", "end_year"]].drop_duplicates()
    if len(stocks) and len(spans) > 1:
        raise ValueError(f"{path}: biomass and soil of {zone}/{cover} have different periods; a comparison needs them over the same years")
    first, last = int(spans["start_year"].min()), int(spans["end_year"].max())
    means, campaigns = {}, {}
    for pool, part in rows.groupby("pool"):
        of = f"{path}: {pool} of {zone}/{cover}"
        _check_years(of, part, range(first, last + 1), whole=pool in (*STOCKS, "export"))
        if pool in STOCKS and len(part) > 1:
            raise ValueError(f"{of} stands twice; give one value and one sd")
        campaign, correlation = _campaign_of(of, part)
        means[pool], common = _mean_of(part, last - first + 1, correlation)
        if campaign:
            campaigns[pool] = campaign, common
    pools, carried = ({pool: mean for pool, mean in means.items() if (pool in CARRIED) == moved} for moved in (False, True))
    if carried:
        export = sum(CARRIED[pool] * value for pool, (value, _) in carried.items())
        pools["export"] = export, float(np.sqrt(sum(sd**2 for _, sd in carried.values())))
    return Entry(zone, cover, (first, last), pools, carried, campaigns)


def _check_years(of: str, rows: pd.DataFrame, period: range, *, whole: bool) -> None:
    """Refuse rows of a pool that reach beyond a period, or do not cover it where they must: a year without export is not known.

    Raises:
        ValueError: names the years and the cure.
    """
    covered = {year for first, last in zip(rows["start_year"], rows["end_year"], strict=True) for year in range(first, last + 1)}
    years, missing = f"{period[0]} to {period[-1]}", sorted(set(period) - covered)
    if whole and missing:
        raise ValueError(f"{of} must cover {years}, all and only; no row gives {', '.join(map(str, missing))}, so add a row "
                         "(with 0 and its sd where there was none)")  # fmt: skip
    if covered - set(period):
        raise ValueError(f"{of} is of {min(covered)} to {max(covered)}, beyond {years}, the years of the other rows; split the row, or "
                         "give only these years")  # fmt: skip


def _campaign_of(of: str, rows: pd.DataFrame) -> tuple[str, float]:
    """The campaign of rows of a pool, and the correlation of the errors of any two of its rows; empty and 0 without one.

    Raises:
        ValueError: rows are of two campaigns, or of one with two correlations; names both and the cure.
    """
    rows = rows[rows["campaign"] != ""]
    names, correlations = rows["campaign"].unique(), rows["correlation"].unique()
    if len(names) > 1:
        raise ValueError(f"{of} is of the campaigns `{names[0]}` and `{names[1]}`; a pool of a place is of one campaign, so name one, or "
                         "leave `campaign` empty where errors are independent")  # fmt: skip
    if len(correlations) > 1:
        raise ValueError(f"{of}, campaign `{names[0]}`, has the correlations {correlations[0]:g} and {correlations[1]:g}; give its rows "
                         "the same correlation")  # fmt: skip
    return (str(names[0]), float(correlations[0])) if len(rows) else ("", 0.0)


def _mean_of(rows: pd.DataFrame, years: int, correlation: float) -> tuple[tuple[float, float], float]:
    """Mean over some years, each row for its own, and its sd; and the share of its variance that is common to all rows of a campaign."""
    share = (rows["end_year"] - rows["start_year"] + 1) / years
    sd = rows["sd"] * share
    of_campaign = sd[rows["campaign"] != ""]
    variance = float((sd**2).sum() + correlation * (of_campaign.sum() ** 2 - (of_campaign**2).sum()))
    common = correlation * of_campaign.sum() ** 2 / variance if variance > 0 else 0.0
    return (float((rows["value"] * share).sum()), float(np.sqrt(variance))), float(common)
