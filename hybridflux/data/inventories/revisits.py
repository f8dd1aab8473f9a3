"""Plots of the French forest inventory that were visited twice -> growth, felling and mortality, and the stock changes of zones.

Since 2010 each plot of IGN is visited again after five years: every tree alive then is sought, its state (`VEGET5`) is noted and its girth
measured. A tree has a second row of the same plot and number then, without state, species and weight. Its height is not measured again: it
grows along the height curve of its species with its diameter, as IGN has it too. A tree that was felled or died counts with its carbon of
the first visit; what it grew until then, 2.5 years in the mean, which IGN adds to increment and felling alike, is in neither. A tree that
has grown beyond 7.5 cm counts with all that it has.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.inventories import species, tree_carbon
from hybridflux.data.inventories.ifn import ALIVE, LIVE
from hybridflux.data.inventories.plots import REGION, per_plot, read_table
from hybridflux.data.inventories.sampling import simple
from hybridflux.data.inventories.stock_changes import CHANGE_COLUMNS, GRAMS

BETWEEN = 5
"""Years between two visits; a campaign t that visits plots again measures the years t - 5 to t - 1 (IGN, Inventaire forestier national)."""
FELLED = (6, 7)
"""States of a tree at the second visit: felled and taken away, felled and left. Others but `STANDING` are dead: 2, and the letters of
windthrow, breakage and loss, which tables of numbers leave empty (their diameters have shrunk by 0.2 cm in the median of 23 trees)."""
STANDING = (0, 1)
FLOWS = ("increment", "ingrowth", "mortality", "felling")
PURE = 0.75
"""Share of the carbon of a plot from which on it is of broadleaves or of conifers alone, as in the compositions of IGN."""
CONVERSION = 0.1
"""Relative error that all trees share, of volume equations, wood densities and the carbon fraction: an assumption."""


TREES = (*LIVE, "tree_id", "status5")
ARBRE = ("CAMPAGNE", "IDP", "A", "ESPAR", "VEGET", "VEGET5", "C13", "HTOT", "W")
PLACETTE = ("CAMPAGNE", "IDP", "XL", "YL")


def of_export(arbre: str | Path, placette: str | Path, campaign: int) -> pd.DataFrame:
    """Trees of the plots that were first visited in a campaign and again five years later, from the tables that IGN publishes.

    Args:
        arbre: `ARBRE.csv` of `export_dataifn_*.zip` (inventaire-forestier.ign.fr); girths `C13`, heights `HTOT` in m, weights `W` per ha.
        placette: `PLACETTE.csv` of the same; places in Lambert-93.
        campaign: year of the first visit.

    Returns:
        Columns of `TREES`, for `flows`.

    Raises:
        FileNotFoundError: a table is missing.
        ValueError: damaged table, missing column, or no plot of this campaign has a second visit.
    """
    trees, places = read_table(arbre, ARBRE), read_table(placette, PLACETTE)
    trees, places = (one[one["CAMPAGNE"].isin((campaign, campaign + BETWEEN))] for one in (trees, places))
    twice = places.groupby("IDP")["CAMPAGNE"].nunique() == 2
    places = places[places["CAMPAGNE"] == campaign].set_index("IDP").loc[twice.index[twice]]
    trees = trees[trees["IDP"].isin(places.index)]
    if trees.empty:
        raise ValueError(f"{placette}: no plot of {campaign} was visited again in {campaign + BETWEEN}; name another campaign")
    code = trees["ESPAR"].astype("string").str.removesuffix(".0")
    number = lambda name: pd.to_numeric(trees[name], errors="coerce")  # noqa: E731  # letters: windthrow, breakage, loss
    earlier = trees["CAMPAGNE"] == campaign
    return pd.DataFrame({
        "plot": trees["IDP"], "year": campaign, "coordx": trees["IDP"].map(places["XL"]), "coordy": trees["IDP"].map(places["YL"]),
        "espar": code.mask(code.str.fullmatch(r"\d").fillna(False).astype(bool), "0" + code), "status": number("VEGET"),
        "dbh": 100.0 * number("C13") / np.pi, "height": number("HTOT"), "height_last_recorded": number("HTOT"),
        "density_factor": number("W").where(earlier), "tree_id": trees["A"], "status5": number("VEGET5").mask(earlier),
    }).reset_index(drop=True)  # fmt: skip


def flows(trees: pd.DataFrame, density: str | Path) -> pd.DataFrame:
    """Flows of carbon of each plot that was visited twice, between its visits.

    Args:
        trees: `of_export`, or a table with columns `TREES` (`plots.read_table`); plots without a second visit are left out.
        density: table of basic wood densities.

    Returns:
        `plot`, `x`, `y` [m], `year` of the first visit, `land_cover` (DBF, ENF or MF), `stock` at the first visit [tC ha-1], and `FLOWS`
        [tC ha-1 yr-1]: growth of trees that stayed, trees new above 7.5 cm, trees that died, trees that were felled.

    Raises:
        FileNotFoundError: the table of wood densities is missing.
        ValueError: damaged table, missing column, a tree stands twice, or no plot was visited twice.
    """
    table, key = trees, ["plot", "tree_id"]
    if missing := [name for name in TREES if name not in table]:
        raise ValueError(f"the table of trees has no column {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    counted = table["density_factor"].notna()
    first = table[(table["status"] == ALIVE) & counted & table["dbh"].notna()]
    again = table[table["status"].isna() & ~counted & table["plot"].isin(first["plot"])]
    places = table[table["plot"].isin(again[again["status5"].notna()]["plot"]) & table["status"].notna()].drop_duplicates("plot")
    if places.empty:
        raise ValueError("no plot of the table was visited twice; one visit gives stocks (`ifn.living`), not changes")
    first = first[first["plot"].isin(places["plot"])]
    if twice := sum(int(one.duplicated(key).sum()) for one in (first, again)):
        raise ValueError(f"{twice} trees stand twice at a visit; keep one row of each")
    both = first.merge(again[[*key, "dbh", "status5"]], on=key, how="left", suffixes=("", "_again"), indicator=True)
    lost = both["_merge"] == "left_only"
    standing = both["status5_again"].isin(STANDING) & both["dbh_again"].notna()
    if lost.any():
        warnings.warn(f"{int(lost.sum())} of {len(both)} trees have no second visit and count as unchanged", stacklevel=2)
    new = table[table["plot"].isin(places["plot"]) & (table["status"] == ALIVE) & ~counted & table["dbh"].notna()]
    weights = np.interp(new["dbh"], *_weights(first))
    height = both["height"].where(both["height"].notna(), both["height_last_recorded"]).to_numpy(float)
    diameter, group = both["dbh"].to_numpy(float), species.volume_group(both["espar"])
    curve = tree_carbon.filled_heights(diameter, height, group)
    later = both["dbh_again"].where(standing, both["dbh"]).to_numpy(float)
    on_curve = [_on_curve(diameter, height, group, at) for at in (diameter, later)]
    wood = read_table(density, ("Essence", "infradensite"))
    before = tree_carbon.living_carbon(both.assign(height=curve), wood)
    after = tree_carbon.living_carbon(both.assign(dbh=later, height=curve * on_curve[1] / on_curve[0]), wood)
    known = pd.concat([both.assign(height=curve), new.assign(height=np.nan, density_factor=weights)], ignore_index=True)
    fresh = tree_carbon.living_carbon(known, wood)[len(both) :]
    plots, felled = places["plot"].to_numpy(), both["status5_again"].isin(FELLED)
    died = ~standing & ~felled & ~lost
    of_tree = {"increment": after - before, "mortality": before * died, "felling": before * felled}
    found = {name: per_plot(values, both["plot"].to_numpy(), plots) for name, values in of_tree.items()}
    found["ingrowth"] = per_plot(fresh, new["plot"].to_numpy(), plots)
    stock = per_plot(before, both["plot"].to_numpy(), plots)
    conifers = per_plot(before * species.is_conifer(both["espar"]), both["plot"].to_numpy(), plots) / np.maximum(stock, 1e-9)
    cover = np.select([conifers >= PURE, conifers <= 1.0 - PURE], ["ENF", "DBF"], "MF")
    about = {"plot": plots, "x": places["coordx"], "y": places["coordy"], "year": places["year"], "land_cover": cover, "stock": stock}
    return pd.DataFrame({**about, **{name: found[name] / BETWEEN for name in FLOWS}}).reset_index(drop=True)


def changes(found: pd.DataFrame, zones: Sequence, *, felled: bool = True, conversion: float = CONVERSION) -> pd.DataFrame:
    """The table of `hybridflux inventory` from the flows of plots: gains of living trees and fellings of zones and kinds of forest.

    Plots lie in forests only, so that a row is of a plant type of the map, not of all of a zone. The sd is the standard error of the mean
    of plots, with the error of the conversion, which makes the rows of a campaign correlate; where no plot saw a felling it is that of all
    plots. Trees that died are a loss of biomass: what of it stays as dead wood is not in the table. All of a felled tree is in `export`.

    A felling is a loss of biomass and an export. Few plots see one, so both have large errors, which cancel in their sum and which a
    ledger takes for independent. Without fellings (`felled=False`) the biomass is what trees gained before them, the export zero, and
    their sum, which fluxes are compared with, the same.

    Args:
        found: `flows`.
        zones: `plots.Circle` or `plots.Polygon` in the coordinate system of the plots; empty for all plots, which are `region` then.
        felled: whether the biomass is less by what was felled.
        conversion: relative error that all trees share.

    Returns:
        `CHANGE_COLUMNS`, `campaign`, `correlation`, `plots`, and the mean of each of `FLOWS`; all in gC m-2 yr-1. Zones and plant types
        with a single plot have no row.
    """
    rows = []
    felling = found["felling"] * felled
    net = found["increment"] + found["ingrowth"] - found["mortality"] - felling
    campaign = f"IFN {found['year'].min()}-{found['year'].max() + BETWEEN}"
    for zone in zones or [None]:
        inside = np.ones(len(found), bool) if zone is None else zone.holds(found["x"].to_numpy(float), found["y"].to_numpy(float))
        for cover in sorted(set(found["land_cover"][inside])):
            here = inside & (found["land_cover"] == cover).to_numpy()
            if here.sum() < 2:
                continue
            means = {name: round(GRAMS * float(found[name][here].mean()), 1) for name in FLOWS}
            first, end = int(found["year"][here].median()), int(found["year"][here].median()) + BETWEEN - 1
            for pool, values in (("biomass", net), ("export", felling)):
                mean = simple(GRAMS * values[here].to_numpy(float))
                spread = mean.se or GRAMS * float(values.std()) / mean.plots**0.5
                shared = conversion * abs(mean.mean)
                sd = float(np.hypot(spread, shared))
                name = REGION if zone is None else zone.name
                row = name, cover, pool, first, end, round(mean.mean, 1), round(sd, 1), campaign, shared**2 / max(sd**2, 1e-9), mean.plots
                rows.append((*row, *means.values()))
    table = pd.DataFrame(rows, columns=[*CHANGE_COLUMNS, "campaign", "correlation", "plots", *FLOWS])
    return table.assign(correlation=table.groupby("pool")["correlation"].transform("mean").round(3))


def _on_curve(diameter: np.ndarray, height: np.ndarray, group: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Heights that the curve of each group has at some diameters [m]."""
    measured = np.isfinite(height)
    together = np.r_[diameter[measured], at], np.r_[height[measured], np.full(len(at), np.nan)], np.r_[group[measured], group]
    return tree_carbon.filled_heights(*together)[measured.sum() :]


def _weights(first: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Diameters, rising, and the trees per hectare that one of that size stands for: small ones are counted on a smaller disc."""
    rising = first.sort_values("dbh")
    return rising["dbh"].to_numpy(float), rising["density_factor"].to_numpy(float)
