"""Stock tables, and the stock changes between two visits that a carbon budget is compared with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.inventories.plots import COLUMNS
from hybridflux.data.inventories.sampling import simple
from hybridflux.data.spreadsheet import write_csv

GRAMS = 100.0
"""gC m-2 of 1 tC ha-1."""
CHANGE_COLUMNS = ("zone", "land_cover", "pool", "start_year", "end_year", "value", "sd")
"""Columns that `hybridflux.products.inventory.read_inventory` reads; value and sd in gC m-2 yr-1."""
POOLS = ("biomass", "soil")


def soil_stocks(table: pd.DataFrame, *, zone: str, stock: str, campaign: str) -> pd.DataFrame:
    """Soil carbon of zones from the sites of a network, visited once: a stock, not a change.

    Args:
        table: one row for each site.
        zone: column with the zone of the site.
        stock: column with its carbon stock [tC ha-1].
        campaign: years of the visits.

    Returns:
        Columns of `plots.COLUMNS`.
    """
    _needs(table, (zone, stock))
    rows = []
    for name, sites in table.groupby(zone, sort=False):
        estimate = simple(sites[stock].to_numpy(float))
        rows.append((str(name), "soil", estimate.mean, estimate.se, estimate.plots, campaign))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def changes(table: pd.DataFrame, *, zone: str, pool: str, land_cover: str = "all") -> pd.DataFrame:
    """Stock changes of zones from places visited twice: mean of the differences and its standard error.

    The two visits of a place share most of their variance, so the error is that of the paired differences, not of
    two stocks. Period: from the median first to the median second year; each place's difference is divided by its own years.

    Args:
        table: one row for each place: the column `zone`, `first_year`, `second_year`, `first` and `second` stock [tC ha-1].
        zone: column with the zone.
        pool: `biomass` or `soil`.
        land_cover: plant type code the zone stands for.

    Returns:
        `CHANGE_COLUMNS`, one row for each zone: gain per year [gC m-2 yr-1].

    Raises:
        ValueError: missing columns, an unknown pool, visits in one year, or a zone with a single place.
    """
    _needs(table, (zone, "first_year", "second_year", "first", "second"))
    if pool not in POOLS:
        raise ValueError(f"pool `{pool}` is not one of {', '.join(POOLS)}")
    years = table["second_year"] - table["first_year"]
    if (years <= 0).any():
        raise ValueError(f"{int((years <= 0).sum())} places were visited twice in one year or backwards: one visit gives stock, not change")
    rate = GRAMS * (table["second"] - table["first"]) / years
    rows = []
    for name, places in table.assign(rate=rate).groupby(zone, sort=False):
        mean_rate = simple(places["rate"].to_numpy(float))
        if not np.isfinite(mean_rate.se):
            raise ValueError(f"zone {name} has one place: a change needs at least two for its standard error")
        first, second = (int(places[column].median()) for column in ("first_year", "second_year"))
        rows.append((str(name), land_cover, pool, first, second - 1, round(mean_rate.mean, 3), round(mean_rate.se, 3)))
    return pd.DataFrame(rows, columns=list(CHANGE_COLUMNS))


def write(table: pd.DataFrame, path: str | Path) -> None:
    """Write a stock or change table as CSV; an existing file is replaced as a whole."""
    write_csv(table, path)


def _needs(table: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"the table has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
