"""Resampling of an image to the grid of a region.

A pixel of the grid gets the measured number under its centre, or, where the grid is more than `COARSER` times coarser than the image, the
mean of the numbers in it. Never a mixture with a neighbour: between the pixels of an image, cloud and land, wheat and forest are not mixed,
a value of 20 m on a grid of 10 m keeps the mean of its four pixels, and two dates of one place are compared at one place. Missing numbers
are missing before anything is averaged. Where grid and image share their pixels, numbers are copied.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from odc.geo.geobox import GeoBox
from odc.geo.overlap import compute_reproject_roi
from odc.geo.roi import roi_is_empty
from odc.geo.warp import rio_reproject

from hybridflux.addresses import redacted
from hybridflux.data.grid_axes import check_fineness, check_window, placing
from hybridflux.data.imagery.masks import NO_LABEL
from hybridflux.data.rasters import open_raster
from hybridflux.limits import shown

COARSER = 1.25
"""Ratio of pixel sizes from which pixels are averaged; a grid in another projection has pixels up to some percent larger."""
_ALIGNED = 0.01  # of a pixel: largest distance of pixels of a grid and an image that count as the same


@dataclass(frozen=True)
class Image:
    """Stored numbers on a grid, read when they are needed.

    Attributes:
        name: name of the file, for messages.
        grid: grid of the stored numbers.
        read: `read((rows, columns))` gives the stored numbers of a window `[y, x]`.
        nodata: stored numbers that mean missing, besides NaN.
    """

    name: str
    grid: GeoBox
    read: Callable[[tuple[slice, slice]], np.ndarray]
    nodata: tuple[float, ...] = ()


def raster(path: str, band: int = 1, nodata: float | None = None) -> Image:
    """A band of a raster file, by a path as rasterio takes it. Reads metadata only.

    Args:
        path: path of the file, also `/vsizip/...`.
        band: counted from 1.
        nodata: stored number that means missing, beside that which the file declares.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a raster, incomplete, or without coordinate system.
    """
    from rasterio.errors import RasterioIOError

    try:
        with open_raster(path) as file:
            grid, count, own = GeoBox.from_rio(file), file.count, file.nodata
    except RasterioIOError as error:
        if "No such file" in str(error) or "does not exist" in str(error):
            raise FileNotFoundError(f"no file {redacted(path)}") from error
        raise damaged(path, error) from error
    if grid.crs is None:
        raise ValueError(f"{path} has no coordinate system; set the one of its producer, for instance `rio edit-info --crs EPSG:32631`")
    if not 1 <= band <= count:
        raise ValueError(f"{path} has {count} bands, not {band}")
    return Image(path, grid, lambda roi: _read(path, band, roi), stated(own, nodata))


def stated(*nodata: float | None) -> tuple[float, ...]:
    """Missing values declared by several sources: a file and the catalog may both be right.

    >>> stated(65535, None, 0)
    (65535.0, 0.0)
    """
    return tuple(float(number) for number in nodata if number is not None)


def damaged(path: str, error: Any) -> ValueError:
    """The error of a file that cannot be read to its end."""
    return ValueError(f"{redacted(path)} is incomplete or damaged ({shown(redacted(str(error)))}); download it again")


def _read(path: str, band: int, roi: tuple[slice, slice]) -> np.ndarray:
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.Env(GDAL_NUM_THREADS="1"), open_raster(path) as file:  # several threads lose the error of a truncated JPEG 2000
            return file.read(band, window=rasterio.windows.Window.from_slices(*roi))
    except RasterioError as error:
        raise damaged(path, error.__cause__ or error) from error


def values(image: Image, geobox: GeoBox) -> np.ndarray:
    """The numbers of an image on a grid `[y, x]`, float32 as stored, NaN where missing or outside the image."""

    def prepare(stored: np.ndarray) -> np.ndarray:
        numbers = stored.astype(np.float32)
        numbers[np.isin(stored, image.nodata)] = np.nan
        return numbers

    return _onto(image, geobox, prepare, np.float32(np.nan), "average")


def labels(image: Image, geobox: GeoBox) -> np.ndarray:
    """The labels of an image on a grid `[y, x]`, int32: the one under the centre of a pixel, `NO_LABEL` where missing or outside."""

    def prepare(stored: np.ndarray) -> np.ndarray:
        missing = ~np.isfinite(stored) | np.isin(stored, image.nodata)
        known = np.where(missing, 0, stored).astype(np.int32)
        known[missing] = NO_LABEL
        return known

    return _onto(image, geobox, prepare, np.int32(NO_LABEL), "nearest")


def _onto(image: Image, geobox: GeoBox, prepare: Callable, missing: np.generic, coarsening: str) -> np.ndarray:
    out = np.full(geobox.shape.yx, missing)
    with placing(image.name):
        overlap = compute_reproject_roi(image.grid, geobox, ttol=_ALIGNED)
    if roi_is_empty(overlap.roi_src) or roi_is_empty(overlap.roi_dst):
        return out
    check_window(*overlap.roi_src, image.name, geobox.shape.x * geobox.shape.y)
    numbers = prepare(image.read(overlap.roi_src))
    if overlap.paste_ok and overlap.read_shrink == 1:
        out[overlap.roi_dst] = numbers
        return out
    part = np.full(out[overlap.roi_dst].shape, missing)
    rio_reproject(
        numbers,
        part,
        image.grid[overlap.roi_src],
        geobox[overlap.roi_dst],
        resampling=coarsening if overlap.scale >= COARSER else "nearest",
        src_nodata=missing,
        dst_nodata=missing,
    )
    out[overlap.roi_dst] = part
    return out


def overlaps(grid: GeoBox, geobox: GeoBox, name: str = "") -> bool:
    """Whether an image covers any part of a grid; touching edges do not count.

    Raises:
        Refused: the image `name` has more pixels there than those of the grid can need.
    """
    with placing(name or "an image"):
        overlap = compute_reproject_roi(grid, geobox, ttol=_ALIGNED, padding=0)
    if name:
        rows, columns = (part.stop - part.start for part in overlap.roi_src)
        check_fineness(rows * columns, name, geobox.shape.x * geobox.shape.y)
    return not (roi_is_empty(overlap.roi_src) or roi_is_empty(overlap.roi_dst))
