"""Grids of a transport model in its own projection, WRF or CHIMERE: cells between the lines that join their corners."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hybridflux.data.land.vectors import burn
from hybridflux.region.store.coarse_grid import OUTSIDE, WGS84, CoarseGrid
from hybridflux.region.store.grid import Grid, Tile

NEAR = 0.3
"""Distance from a region [earth radii, as a chord] beyond which no corner is looked at: there its projection may fold or end."""


@dataclass(frozen=True)
class CurvilinearGrid:
    """Cells with four corners each, neighbours having two of them in common.

    A pixel belongs, with its whole area, to the cell that holds its centre, as in `CoarseGrid`: no carbon is lost or counted twice. The
    sides of a cell are taken as straight in the projection of the region; against a side that is straight in another projection that is
    some 2 m in the middle of a side of 10 km, and some 50 m of one of 50 km.

    Attributes:
        latitude: of the corners `[row + 1, column + 1]`, degrees north.
        longitude: of the corners `[row + 1, column + 1]`, degrees east.
    """

    latitude: np.ndarray
    longitude: np.ndarray
    dims = "south_north", "west_east"

    def __post_init__(self):
        turn = np.sign(self._area())
        if (bad := np.argwhere(~(turn == (np.sign(np.nansum(turn)) or 1)))).size:
            where = tuple(bad[0].tolist())
            raise ValueError(f"cell {where} of the grid has no area, or lies folded over its neighbours; write its corners again")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = self.latitude.shape
        return rows - 1, columns - 1

    def places(self, grid: Grid, tile: Tile) -> np.ndarray:
        """Row times columns plus column of the cell of each pixel of a tile, or `OUTSIDE`, `[y, x]`."""
        import shapely

        geobox = grid.geobox[tile.y, tile.x]
        west, south, east, north = geobox.boundingbox.bbox
        middle = unit_vectors(*grid.lonlat(0.5 * (west + east), 0.5 * (south + north))[::-1])
        near = np.linalg.norm(unit_vectors(self.latitude, self.longitude) - middle, axis=-1) < NEAR
        x, y = (np.full(near.shape, np.nan) for _ in range(2))
        x[near], y[near] = grid.projected(self.longitude[near], self.latitude[near])
        x, y = around(x), around(y)
        touches = (x.max(-1) > west) & (x.min(-1) < east) & (y.max(-1) > south) & (y.min(-1) < north)  # with NaN: no
        cells = np.flatnonzero(touches)
        rings = np.stack([x.reshape(-1, 4)[cells], y.reshape(-1, 4)[cells]], -1)
        return burn(shapely.polygons(rings) if len(cells) else rings, cells, geobox, fill=OUTSIDE)

    def area(self) -> np.ndarray:
        """True area of the cells on the WGS84 ellipsoid `[row, column]`, m2, by an equal-area projection in which sides are straight."""
        return np.abs(self._area())

    def centres(self, row: np.ndarray, column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latitude and longitude of the middle of some cells, degrees."""
        middle = around(unit_vectors(self.latitude, self.longitude)).mean(-1)[row, column]
        return degrees(middle)

    def coordinates(self, rows: slice, columns: slice) -> dict:
        """Coordinates of CF with the corners as their bounds, as variables of xarray."""
        found = {}
        for name, letter, what, some in zip(self.dims, "YX", ("row", "column"), (rows, columns), strict=True):
            number = np.arange(some.start, some.stop, dtype=np.int32)
            found[name] = name, number, {"long_name": f"number of the {what}, from 0", "units": "1", "axis": letter}
        axes = zip(("lat", "lon"), ("latitude", "longitude"), ("degrees_north", "degrees_east"), strict=True)
        centres = self.centres(*np.indices(self.shape))
        for (name, word, units), centre, corner in zip(axes, centres, (self.latitude, self.longitude), strict=True):
            about = {"standard_name": word, "long_name": word, "units": units, "bounds": f"{name}_bnds"}
            found[name] = self.dims, centre[rows, columns], about
            found[f"{name}_bnds"] = (*self.dims, "vertex"), around(corner)[rows, columns]
        return found

    def _area(self) -> np.ndarray:
        """Signed area, positive where the corners run against the clock."""
        from pyproj import Proj

        vectors = unit_vectors(self.latitude, self.longitude)
        latitude, longitude = degrees(vectors.reshape(-1, 3).mean(0))
        equal_area = Proj(proj="laea", lat_0=float(latitude), lon_0=float(longitude), a=WGS84[0], es=WGS84[1] ** 2)
        x, y = (around(one) for one in equal_area(self.longitude, self.latitude))
        return 0.5 * (x * np.roll(y, -1, -1) - np.roll(x, -1, -1) * y).sum(-1)


def coarse_grid(grid: float | tuple) -> CoarseGrid | CurvilinearGrid:
    """The grid of a step in degrees, of edges, or of corners.

    Raises:
        ValueError: 180 degrees are not a whole number of cells, or a cell has no area.
    """
    if isinstance(grid, tuple) and isinstance(grid[0][0], tuple):
        return CurvilinearGrid(*(np.array(corners) for corners in grid))
    return CoarseGrid.of(grid)


def around(corners: np.ndarray) -> np.ndarray:
    """The four corners of each cell `[row, column, ..., 4]`, one after the other around it, of `[row + 1, column + 1, ...]`."""
    return np.stack([corners[:-1, :-1], corners[:-1, 1:], corners[1:, 1:], corners[1:, :-1]], -1)


def unit_vectors(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Directions from the centre of the earth `[..., 3]`, by which means need not know of the date line or the poles."""
    north, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)], -1)


def degrees(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of directions `[..., 3]` of any length."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    return np.degrees(np.arctan2(z, np.hypot(x, y))), np.degrees(np.arctan2(y, x))
