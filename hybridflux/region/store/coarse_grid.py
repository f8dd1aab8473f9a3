"""Grids of latitude and longitude that are far coarser than a region, as atmospheric inversions use them: in which cell a pixel lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.region.store.grid import Grid, Tile

OUTSIDE = -1
"""Cell of a pixel whose centre lies outside the grid."""
WGS84 = 6_378_137.0, 0.0818191908426215
"""Semi-major axis [m] and eccentricity of the ellipsoid."""


@dataclass(frozen=True)
class CoarseGrid:
    """Cells between parallels and meridians.

    A pixel belongs, with its whole area, to the cell in which its centre lies: to the northern and eastern one on an edge. No carbon is
    lost or counted twice, and at 10 m against 0.1 degrees the misplaced area is at most some 5 m along the border of a cell.

    Attributes:
        latitude: edges of the rows, rising [degrees north].
        longitude: edges of the columns, rising [degrees east].
    """

    latitude: np.ndarray
    longitude: np.ndarray
    dims = "lat", "lon"

    @classmethod
    def of(cls, grid: float | tuple) -> CoarseGrid:
        """The grid of the whole earth with cells of so many degrees, from 90 degrees south and 180 degrees west; or that of given edges.

        Raises:
            ValueError: 180 degrees are not a whole number of cells.
        """
        if isinstance(grid, tuple):
            return cls(*(np.array(edges) for edges in grid))
        rows = round(180 / grid) if grid > 0 else 0
        if not rows or abs(rows * grid - 180) > 1e-6 or not 0.005 <= grid <= 30:
            raise ValueError(f"a grid of {grid:g} degrees: give a step from 0.005 to 30 of which 180 is a multiple, such as 0.1 or 0.05")
        return cls(*(np.round(start + grid * np.arange(count * rows + 1), 9) for start, count in ((-90.0, 1), (-180.0, 2))))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.latitude) - 1, len(self.longitude) - 1

    def places(self, grid: Grid, tile: Tile) -> np.ndarray:
        """Row times columns plus column of the cell of each pixel of a tile, or `OUTSIDE`, `[y, x]`."""
        longitude, latitude = grid.lonlat(*np.meshgrid(grid.x[tile.x], grid.y[tile.y]))
        west = self.longitude[0]
        row = np.searchsorted(self.latitude, latitude, side="right") - 1
        column = np.searchsorted(self.longitude, (longitude - west) % 360 + west, side="right") - 1
        inside = (row >= 0) & (row < self.shape[0]) & (column < self.shape[1])
        return np.where(inside, row * self.shape[1] + column, OUTSIDE)

    def centres(self, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of the middle of some cells, degrees."""
        latitude, longitude = (0.5 * (edges[1:] + edges[:-1]) for edges in (self.latitude, self.longitude))
        return latitude[row], longitude[column]

    def coordinates(self, rows: slice, columns: slice) -> dict:
        """Axes of CF with their bounds, as variables of xarray."""
        found = {}
        axes = ("latitude", "degrees_north", "Y", self.latitude, rows), ("longitude", "degrees_east", "X", self.longitude, columns)
        for name, (word, units, letter, edges, some) in zip(self.dims, axes, strict=True):
            about = {"standard_name": word, "long_name": word, "units": units, "axis": letter, "bounds": f"{name}_bnds"}
            found[name] = name, (0.5 * (edges[1:] + edges[:-1]))[some], about
            found[f"{name}_bnds"] = (name, "bnds"), np.stack([edges[:-1], edges[1:]], 1)[some]
        return found

    def area(self) -> np.ndarray:
        """True area of the cells on the WGS84 ellipsoid `[row, column]`, m2: the integral between two parallels in closed form."""
        axis, e = WGS84
        sine = np.sin(np.radians(self.latitude))
        north_of_equator = 0.5 * axis**2 * (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
        return np.diff(north_of_equator)[:, None] * np.radians(np.diff(self.longitude))
