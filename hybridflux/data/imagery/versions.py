"""Products of one acquisition and tile: versions of one image, of which the newest is read, or parts of a tile, which are all read.

A tile that a satellite recorded in two strips, or that was received in two pieces, is delivered as two products, each with the rest of the
tile empty. Names and grids do not show this; only the values of the images do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hybridflux.data.imagery.packages import Package
from hybridflux.data.imagery.window import damaged
from hybridflux.data.rasters import open_raster

_SIZE = 128  # pixels along a side of the reduced image by which parts are compared: 860 m of a tile of Sentinel-2
_OWN = 0.1
"""Share of its values that a product has where no newer one has any, from which it is a part of its own; the rims of two versions of one
image differ by a pixel of the reduced image, 3 % of a tile."""


def current(packages: Sequence[Package], version: Callable[[Package], tuple], band: Callable[[Package], str | None]) -> list[Package]:
    """The products to read of one acquisition and tile, the newest first; a warning names the others.

    Args:
        packages: products of one satellite, pass and tile.
        version: function that sorts products, the newest last.
        band: function that returns the path of an image of the product, as rasterio takes it; None where it has none.

    Raises:
        ValueError: an image cannot be read; only read where there are several products.
    """
    ordered = sorted(packages, key=lambda package: (version(package), package.name), reverse=True)
    if len(ordered) == 1:
        return ordered
    kept: list[Any] = []
    covered = np.zeros((_SIZE, _SIZE), bool)
    for package in ordered:
        valid = _with_values(band(package))
        own = valid & ~covered
        if not kept or own.sum() > _OWN * valid.sum():
            kept.append(package)
            covered |= valid
    for package in ordered:
        if package not in kept:
            names = " with ".join(newer.name for newer in kept)
            warnings.warn(f"two versions of one acquisition: {names} is read, {package.name} is not", stacklevel=4)
    return kept


def _with_values(path: str | None) -> np.ndarray:
    """Whether an image has values `[y, x]`, on a grid of `_SIZE` pixels over all of it; 0 and the declared missing value are none."""
    import rasterio
    from rasterio.errors import RasterioError

    if path is None:
        return np.ones((_SIZE, _SIZE), bool)
    try:
        with rasterio.Env(GDAL_NUM_THREADS="1"), open_raster(path) as file:
            stored, missing = file.read(1, out_shape=(_SIZE, _SIZE)), file.nodata
    except RasterioError as error:
        raise damaged(path, error) from error
    return (stored > 0) & (stored != missing)
