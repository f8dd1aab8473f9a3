"""Plots of a forest inventory -> carbon per hectare of zones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import HEAD_BYTES, open_bytes, sniff
from hybridflux.data.inventories.sampling import simple
from hybridflux.data.parquet import read_parquet
from hybridflux.limits import shown

REGION = "region"
NO_ZONE = ""
COLUMNS = ("zone", "pool", "stock_tC_ha", "se", "n_plots", "campaign")


@dataclass(frozen=True)
class Circle:
    """Plots within a distance of a point.

    Attributes:
        name: name of the zone.
        x: x coordinate of the centre, in the coordinate system of the plots [m].
        y: y coordinate of the centre [m].
        radius: radius [m].
    """

    name: str
    x: float
    y: float
    radius: float

    def holds(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether points lie in the zone `[plot]`."""
        return np.hypot(x - self.x, y - self.y) <= self.radius


@dataclass(frozen=True)
class Polygon:
    """Plots inside a polygon, for instance a department.

    Attributes:
        name: name of the zone.
        shape: shapely geometry in the coordinate system of the plots.
    """

    name: str
    shape: object

    def holds(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Whether points lie in the zone `[plot]`."""
        import shapely

        return shapely.contains_xy(self.shape, x, y)


def read_table(path: str | Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table of plots or trees, parquet or csv of any usual dialect: the tables of IGN have semicolons, spreadsheets decimal commas.

    Raises:
        FileNotFoundError: no such file.
        ValueError: damaged, or a column is missing; names the existing ones.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        table = read_parquet(path).to_pandas(ignore_metadata=True) if path.suffix == ".parquet" else _csv(path, columns)
    except (OSError, EOFError, ValueError) as error:
        raise ValueError(f"{path} is damaged or not a table ({error}); download it again") from error
    if missing := [name for name in columns if name not in table]:
        raise ValueError(f"{path} has no column {', '.join(missing)}; it has {shown(', '.join(map(str, table.columns)))}")
    return table


def _csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    with open_bytes(path) as file:
        dialect = sniff(file.read(HEAD_BYTES), columns, path.name)
    with open_bytes(path) as file:
        table = pd.read_csv(file, sep=dialect.delimiter, decimal=dialect.decimal, encoding=dialect.encoding, skiprows=dialect.skip)
    return table.dropna(how="all")


def per_plot(carbon: np.ndarray, plot_of_tree: np.ndarray, plots: np.ndarray) -> np.ndarray:
    """Carbon of each plot [tC ha-1], 0 where no tree was counted.

    Args:
        carbon: carbon of each tree, with its number per hectare [tC ha-1].
        plot_of_tree: plot of each tree.
        plots: all plots visited, also those without a tree.

    Raises:
        ValueError: a plot stands twice, or a tree belongs to none.
    """
    index = pd.Index(plots)
    if not index.is_unique:
        raise ValueError(f"{int(index.duplicated().sum())} plots stand twice in the table of plots; keep one visit of each")
    position = index.get_indexer(plot_of_tree)
    if (position < 0).any():
        raise ValueError(
            f"{int((position < 0).sum())} trees belong to plots that are not in the table of plots; read both of the same campaigns"
        )
    return np.bincount(position, np.asarray(carbon, float), minlength=len(index))


def stocks(values: Mapping[str, np.ndarray], x: np.ndarray, y: np.ndarray, zones: list, campaign: str) -> pd.DataFrame:
    """Carbon stocks of zones from plots that were visited once: a stock, not a change.

    The mean is per hectare of inventoried forest: plots outside forests are not in the published tables.

    Args:
        values: pool -> carbon of each plot [tC ha-1].
        x: x coordinates of the plots [m].
        y: y coordinates of the plots [m].
        zones: `Circle` or `Polygon`; without any, all plots are `region`.
        campaign: years of the visits, for the table.

    Returns:
        `COLUMNS`; a zone without a plot has no row.
    """
    rows = []
    for zone in zones or [None]:
        inside = np.ones(len(x), bool) if zone is None else zone.holds(np.asarray(x, float), np.asarray(y, float))
        for pool, carbon in values.items():
            if inside.any():
                stock = simple(np.asarray(carbon)[inside])
                name = REGION if zone is None else zone.name
                rows.append((name, pool, stock.mean, stock.se, stock.plots, campaign))
    return pd.DataFrame(rows, columns=list(COLUMNS))
