"""The axes of foreign grids, judged before anything is placed by them: finite, each place once, and as many as a region can need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from hybridflux.limits import AXIS, PER_PIXEL, PIXELS, Refused, shown

_OFF_LINE = 0.1
"""Of a pixel: how far a centre may lie from where even steps put it; UTM northings stored as float32 are off by 0.025 pixels of 10 m."""


def check_axis(values: np.ndarray, where: str, *, regular: bool = False) -> None:
    """Refuse coordinates that do not say where each cell lies.

    Args:
        values: centres along one axis `[cell]`, in any order.
        where: file and axis, for messages.
        regular: whether they must run evenly in one direction, as those of an image, whose pixels are placed by the first and last one.

    Raises:
        ValueError: none at all, one that is not finite, one that comes twice, or uneven steps; names the value.
        Refused: more than `HYBRIDFLUX_LIMIT_AXIS`.
    """
    values = np.asarray(values, float).ravel()
    AXIS.check(len(values), where)
    cure = "write the file again with the coordinates of its cells"
    if not len(values):
        raise ValueError(f"{where} has no entry; download it again, or request an area that holds a cell")
    if not np.isfinite(values).all():
        at = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{where} has {values[at]:g} as entry {at + 1} of {len(values)}, which is no coordinate; {cure}")
    ordered = np.sort(values)
    if (twice := ordered[1:][ordered[1:] == ordered[:-1]]).size:
        raise ValueError(f"{where} holds {twice[0]:.10g} {int((values == twice[0]).sum())} times; {cure}, each once")
    if regular and len(values) > 1:
        step = (values[-1] - values[0]) / (len(values) - 1)
        off = np.abs(values - (values[0] + step * np.arange(len(values)))) / abs(step)
        if off.max() > _OFF_LINE:
            at = int(np.argmax(off > _OFF_LINE))
            raise ValueError(
                f"{where} is uneven: entry {at + 1}, {values[at]:.10g}, lies {off[at]:.3g} pixels from where steps of {step:.6g} put it; "
                f"{cure} in order, without gaps"
            )


def check_window(rows: slice, columns: slice, where: str, pixels: int) -> None:
    """Refuse to read more of a file at once than memory should hold, or than the pixels of a region can need.

    Args:
        rows: of the file.
        columns: of the file.
        where: name of the file.
        pixels: of the region that the window is read for.

    Raises:
        Refused: beyond `HYBRIDFLUX_LIMIT_PIXELS`, or `HYBRIDFLUX_LIMIT_PER_PIXEL` times the pixels of the region.
    """
    amount = max(rows.stop - rows.start, 0) * max(columns.stop - columns.start, 0)
    PIXELS.check(amount, where)
    check_fineness(amount, where, pixels)


def check_fineness(amount: int, where: str, pixels: int) -> None:
    """The part of `check_window` that holds for a whole region: pixels of a file that lie on it, and its own.

    Raises:
        Refused: beyond `HYBRIDFLUX_LIMIT_PER_PIXEL` times the pixels of the region.
    """
    PER_PIXEL.check(-(-amount // pixels), f"{where}, of which {amount} pixels lie on the {pixels} of the region")


@contextmanager
def placing(where: str) -> Iterator[None]:
    """Around what brings a file and a region together: a coordinate system may be damaged, or of no place on earth.

    Args:
        where: name of the file.

    Raises:
        ValueError: PROJ or GDAL cannot; names the file and the reason.
    """
    from pyproj.exceptions import ProjError
    from rasterio._err import CPLE_BaseError  # which GDAL's functions of coordinate systems raise as it is
    from rasterio.errors import RasterioError

    try:
        yield
    except Refused:
        raise
    except (ProjError, RasterioError, CPLE_BaseError, ArithmeticError, ValueError) as error:
        raise ValueError(
            f"{where} has a coordinate system that does not lead to that of the region ({shown(error)}); set the one of its producer, with "
            "`gdal_edit.py -a_srs` or `ogr2ogr -a_srs` for instance"
        ) from error
