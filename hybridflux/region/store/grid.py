"""The grid of a region: projected, square pixels, cut into tiles; and the true area of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from odc.geo.geobox import GeoBox, GeoboxTiles

from hybridflux.vocabulary import suggestion

AREA_STEP = 64  # pixels between the points where the true area is computed; between them it is interpolated
SNAP = 1e-6  # of a pixel: how far the corner may be from a multiple of the pixel size


@dataclass(frozen=True)
class Tile:
    """A window of the grid.

    Attributes:
        id: its name in file names, `r003_c012`.
        y: rows of the grid.
        x: columns of the grid.
    """

    id: str
    y: slice
    x: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y.stop - self.y.start, self.x.stop - self.x.start


@dataclass(frozen=True)
class Grid:
    """A north-up grid of square pixels.

    Attributes:
        crs: coordinate system, `EPSG:2154` or WKT; projected, in metres.
        west: left edge of the first column [m].
        north: upper edge of the first row [m].
        pixel: size of a pixel [m].
        shape: rows and columns.
        tile: rows and columns of a tile; tiles at the right and lower edge may be smaller.
    """

    crs: str
    west: float
    north: float
    pixel: float
    shape: tuple[int, int]
    tile: int = 128

    def __post_init__(self):
        from pyproj import CRS

        crs = CRS.from_user_input(self.crs)
        if not crs.is_projected:
            raise ValueError(
                f"a region needs a projected grid in metres; {crs.name} is in degrees, use for instance EPSG:2154 or EPSG:3035"
            )
        if {axis.unit_conversion_factor for axis in crs.axis_info} != {1.0}:
            raise ValueError(f"a region needs a grid in metres; {crs.name} is in {crs.axis_info[0].unit_name}")
        if self.pixel <= 0 or min(self.shape) < 1 or self.tile < 1:
            raise ValueError(f"a grid of {self.shape[0]} x {self.shape[1]} pixels of {self.pixel} m in tiles of {self.tile} is empty")
        for name, edge in (("west", self.west), ("north", self.north)):
            off = abs(edge / self.pixel - round(edge / self.pixel))
            if off > SNAP:
                near = round(edge / self.pixel) * self.pixel
                raise ValueError(f"the {name} edge {edge} m is not a multiple of the pixel size {self.pixel} m; snap it to {near} m")

    @cached_property
    def geobox(self) -> GeoBox:
        """The grid as odc-geo sees it."""
        from affine import Affine

        return GeoBox(self.shape, Affine(self.pixel, 0.0, self.west, 0.0, -self.pixel, self.north), self.crs)

    @property
    def x(self) -> np.ndarray:
        """Centres of the columns [m]."""
        return self.west + self.pixel * (np.arange(self.shape[1]) + 0.5)

    @property
    def y(self) -> np.ndarray:
        """Centres of the rows [m], from north to south."""
        return self.north - self.pixel * (np.arange(self.shape[0]) + 0.5)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the middle of the grid [degrees]."""
        rows, columns = self.shape
        longitude, latitude = self.lonlat(self.west + 0.5 * self.pixel * columns, self.north - 0.5 * self.pixel * rows)
        return float(longitude), float(latitude)

    def __len__(self) -> int:
        return int(np.prod(GeoboxTiles(self.geobox, (self.tile, self.tile)).shape.yx))

    def tiles(self) -> Iterator[Tile]:
        """All tiles, row by row."""
        cut = GeoboxTiles(self.geobox, (self.tile, self.tile))
        for row in range(cut.shape.y):
            for column in range(cut.shape.x):
                y, x = cut.roi[row, column]
                yield Tile(f"r{row:03d}_c{column:03d}", y, x)

    def tile_of(self, name: str) -> Tile:
        """The tile of a name.

        Raises:
            KeyError: there is none.
        """
        known = {tile.id: tile for tile in self.tiles()}
        if name not in known:
            raise KeyError(f"no tile `{name}` in a grid of {len(known)} tiles.{suggestion(name, known)}")
        return known[name]

    def lonlat(self, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitude and latitude [degrees] of projected coordinates [m], any shape."""
        from pyproj import Transformer

        return Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True).transform(x, y)

    def projected(self, longitude: np.ndarray | float, latitude: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Projected coordinates [m] of longitude and latitude [degrees], any shape."""
        from pyproj import Transformer

        return Transformer.from_crs("EPSG:4326", self.crs, always_xy=True).transform(longitude, latitude)

    def centres(self, tile: Tile, pixel: np.ndarray) -> np.ndarray:
        """Centres of some pixels of a tile, by their numbers in it `[pixel, (x, y)]`, m."""
        row, column = np.divmod(pixel, tile.shape[1])
        return np.stack([self.x[tile.x][column], self.y[tile.y][row]], axis=1)

    def latitude(self, tile: Tile) -> np.ndarray:
        """Latitude of the pixels of a tile `[y, x]`, degrees north, float32."""
        x, y = np.meshgrid(self.x[tile.x], self.y[tile.y])
        return self.lonlat(x, y)[1].astype(np.float32)

    def area(self, tile: Tile) -> np.ndarray:
        """True area of the pixels of a tile `[y, x]`, m2, float64.

        No projection of a country keeps areas and shapes both: in Lambert-93 a pixel of 100 m2 on the map is 99.7 to
        100.2 m2 of ground. The area of a pixel is that on the ellipsoid, computed at points of the grid `AREA_STEP` pixels
        apart, the same ones whatever the tiles, and interpolated bilinearly.
        """
        rows, columns = (np.arange(part.start, part.stop) / AREA_STEP for part in (tile.y, tile.x))
        corner_rows = np.arange(int(rows[0]), int(rows[-1]) + 2)
        corner_columns = np.arange(int(columns[0]), int(columns[-1]) + 2)
        corners = self._area_at(corner_rows * AREA_STEP, corner_columns * AREA_STEP)
        return _weights(rows, corner_rows) @ corners @ _weights(columns, corner_columns).T

    def _area_at(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """True area of single pixels `[row, column]`, m2: that on the map over the areal scale of the projection there."""
        from pyproj import CRS, Proj

        x = self.west + self.pixel * (columns[None, :] + 0.5) + np.zeros((len(rows), 1))
        y = self.north - self.pixel * (rows[:, None] + 0.5) + np.zeros((1, len(columns)))
        projection = Proj(CRS.from_user_input(self.crs))
        lon, lat = projection(x, y, inverse=True)
        scale = projection.get_factors(lon, lat).areal_scale
        return self.pixel**2 / np.asarray(scale)


def _weights(at: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """Bilinear weights `[at, knot]`."""
    return np.maximum(1.0 - np.abs(at[:, None] - knots[None, :]), 0.0)
