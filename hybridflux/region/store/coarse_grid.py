"""Grids of latitude and longitude that are far coarser than a region, as atmospheric inversions use them: in which cell a pixel lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.data.grid_axes import check_axis
from hybridflux.data.hdf5 import open_netcdf
from hybridflux.region.store.grid import Grid, Tile

ALONG = {"latitude": ("lat", "latitude"), "longitude": ("lon", "longitude")}
"""Names of an axis in the files of others."""
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

    def area(self) -> np.ndarray:
        """True area of the cells on the WGS84 ellipsoid `[row, column]`, m2: the integral between two parallels in closed form."""
        axis, e = WGS84
        sine = np.sin(np.radians(self.latitude))
        north_of_equator = 0.5 * axis**2 * (1 - e**2) * (sine / (1 - (e * sine) ** 2) + np.arctanh(e * sine) / e)
        return np.diff(north_of_equator)[:, None] * np.radians(np.diff(self.longitude))


def edges_of_file(path: str | Path) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Edges of the rows and columns of a netCDF grid: its bounds, or half-way between its centres.

    Raises:
        OSError: no such file, or not netCDF.
        ValueError: no axes of latitude and longitude with one dimension, or cells that do not touch.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"grid `{path}` is neither a step in degrees, such as 0.1, nor a netCDF file with `lat` and `lon`")
    with open_netcdf(path, classic=True, decode_times=False) as data:
        return tuple(_edges(data, name, path) for name in ALONG)


def _edges(data, axis: str, path: str | Path) -> tuple[float, ...]:
    name = next((one for one in ALONG[axis] if one in data.variables), None)
    if name is None or data[name].ndim != 1:
        shape = f"`{name}` has {data[name].ndim} dimensions" if name else f"it has no `{ALONG[axis][0]}`"
        cure = "curvilinear grids of WRF or CHIMERE are not read; give a step in degrees that is finer than theirs, and regrid the mass"
        raise ValueError(f"{path}: {shape}; a grid has its {axis} along one dimension: {cure}")
    centres, bounds = np.asarray(data[name].values, float), data[name].attrs.get("bounds", f"{name}_bnds")
    check_axis(centres, f"{path}: `{name}`")
    if bounds in data.variables:
        pairs = np.sort(np.asarray(data[bounds].values, float).reshape(-1, 2)[np.argsort(centres)], axis=1)
        if np.abs(pairs[1:, 0] - pairs[:-1, 1]).max(initial=0.0) > 1e-6:
            raise ValueError(f"{path}: the cells of `{bounds}` leave gaps or overlap; write the bounds again")
        return (*pairs[:, 0].tolist(), float(pairs[-1, 1]))
    if len(centres) < 2:
        raise ValueError(f"{path}: `{name}` has one cell and no bounds; add `{name}_bnds`")
    ordered = np.sort(centres)
    middle = 0.5 * (ordered[1:] + ordered[:-1])
    found = np.round(np.concatenate([[2 * ordered[0] - middle[0]], middle, [2 * ordered[-1] - middle[-1]]]), 9)
    return tuple((np.clip(found, -90, 90) if axis == "latitude" else found).tolist())
