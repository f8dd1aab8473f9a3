"""The national forest inventory of France (IGN): its published tables -> carbon stocks of zones.

One visit of a plot gives a stock, not a change; for plots that were visited twice see `revisits`. Plots lie in forests only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.inventories import tree_carbon
from hybridflux.data.inventories.plots import per_plot, read_table, stocks

PLOTS = ("idp", "xl93", "yl93", "Annee")
DEAD = ("idp", "espar", "v", "w", "Annee")
LIVE = ("plot", "year", "coordx", "coordy", "espar", "status", "dbh", "height", "height_last_recorded", "density_factor")
ALIVE = 0
ALL_DEAD_SINCE = 2009
"""First campaign of the present rule for dead trees. Campaigns before it counted fewer of them (the published tables have 3.9 m3 of
dead stems per hectare in 2005-2008 and 7.7 in 2009-2012): a change of the rule, not of the forest."""


def dead_wood(plots: str | Path, dead: str | Path, density: str | Path, campaigns: Sequence[int], zones: list) -> pd.DataFrame:
    """Carbon of dead stems per hectare of forest, standing and fallen, by zone: a stock, not a change.

    Args:
        plots: table of plots, `PLOTS`; coordinates in Lambert-93, rounded by the producer to about 1 km.
        dead: table of dead trees, `DEAD`.
        density: table of basic wood densities.
        campaigns: years of the campaigns.
        zones: `plots.Circle` or `plots.Polygon` in Lambert-93; empty for all plots.

    Returns:
        Columns of `plots.COLUMNS`, pool `dead_wood`.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: damaged table, missing column, or no plot of these campaigns.
    """
    places, stems = read_table(plots, PLOTS), read_table(dead, DEAD)
    wanted = sorted(set(campaigns))
    places, stems = places[places["Annee"].isin(wanted)], stems[stems["Annee"].isin(wanted)]
    if places.empty:
        raise ValueError(f"{plots} has no plot of the campaigns {_span(wanted)}")
    if wanted[0] < ALL_DEAD_SINCE <= wanted[-1]:
        warnings.warn(
            f"campaigns {_span(wanted)} mix two rules for dead trees, before and since {ALL_DEAD_SINCE}; take one side only", stacklevel=2
        )
    carbon = tree_carbon.dead_carbon(stems, read_table(density, ("Essence", "infradensite")))
    values = {"dead_wood": per_plot(carbon, stems["idp"].to_numpy(), places["idp"].to_numpy())}
    return stocks(values, places["xl93"].to_numpy(float), places["yl93"].to_numpy(float), zones, _span(wanted))


def living(live: str | Path, density: str | Path, zones: list) -> pd.DataFrame:
    """Carbon of living trees with their roots per hectare of forest by zone: a stock, not a change.

    Trees count from 7.5 cm in diameter. Rows without `status` are notes of a later visit and are left out; a plot whose trees
    are all dead has 0.

    Args:
        live: table of trees, `LIVE`, one row for each tree, plots in Lambert-93.
        density: table of basic wood densities.
        zones: `plots.Circle` or `plots.Polygon` in Lambert-93; empty for all plots.

    Returns:
        Columns of `plots.COLUMNS`, pool `biomass`.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: damaged table, missing column, or too few measured heights.
    """
    table = read_table(live, LIVE)
    table = table[table["status"].notna()]
    places = table.drop_duplicates("plot")
    standing = table[(table["status"] == ALIVE) & table["density_factor"].notna() & table["dbh"].notna()]
    lost = (table["status"] == ALIVE).sum() - len(standing)
    if lost:
        warnings.warn(f"{live}: {lost} of {lost + len(standing)} living trees have no diameter or no weight and are left out", stacklevel=2)
    height = standing["height"].where(standing["height"].notna(), standing["height_last_recorded"])
    carbon = tree_carbon.living_carbon(standing.assign(height=height), read_table(density, ("Essence", "infradensite")))
    values = {"biomass": per_plot(carbon, standing["plot"].to_numpy(), places["plot"].to_numpy())}
    campaign = _span(sorted(places["year"].unique()))
    return stocks(values, places["coordx"].to_numpy(float), places["coordy"].to_numpy(float), zones, campaign)


def _span(years: Sequence[int] | np.ndarray) -> str:
    first, last = int(years[0]), int(years[-1])
    return f"{first}" if first == last else f"{first}-{last}"
