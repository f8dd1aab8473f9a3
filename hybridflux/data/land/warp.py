"""Resampling of rasters to a grid: labels keep their codes, numbers are averaged, and uncovered pixels are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from math import hypot
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.grid_axes import check_axis, check_window, placing
from hybridflux.data.hdf5 import open_netcdf
from hybridflux.data.network import Patience, answer
from hybridflux.data.rasters import MAPS, open_raster
from hybridflux.limits import Refused

NO_LABEL = -1
"""Label of a pixel that no file covers, or that is marked missing in it."""
COARSER = 1.5  # source pixels per pixel of the grid above which they are aggregated, not sampled
MARGIN = 3  # pixels of the source read beyond the grid
PARTS = "/vsicurl/"
"""Before an address: GDAL reads the parts of the file that are needed. An address without it is fetched as a whole."""
VARIABLE = "#"  # `file.nc#LC`: the variable LC of a netCDF file
_DEGREE = 111_195.0  # m of latitude
_NETCDF = (".nc", ".nc4")
_WHOLE = ("https://", "http://")


@dataclass(frozen=True)
class Piece:
    """A part of a raster in memory.

    Attributes:
        values: `[y, x]` float64, NaN where missing.
        transform: affine transform of the part.
        crs: coordinate system of the part, as rasterio understands it.
        file: name of the file, for messages.
    """

    values: np.ndarray
    transform: object
    crs: object
    file: str


def files_at(place: str | Path, patterns: Sequence[str]) -> list[str]:
    """The files of a place: itself, or those of a folder that match, in order of their names.

    Args:
        place: a file, an address (`/vsicurl/...` or `s3://...` read in parts, `https://...` as a whole), `file.nc#VARIABLE`, or a folder.
        patterns: patterns of file names, for a folder.

    Raises:
        FileNotFoundError: no such place, or the folder holds no such file.
    """
    text = str(place)
    if text.startswith("/vsi") or "://" in text:
        return [text]
    name, mark, variable = text.partition(VARIABLE)
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"{name} does not exist; name a file or a folder")
    if path.is_file():
        return [text]
    files = sorted({str(file) for pattern in patterns for file in path.rglob(pattern) if file.is_file()})
    if not files:
        raise FileNotFoundError(f"{path} holds no {' or '.join(patterns) or 'file the catalog names'}; it has {_some(path)}")
    return [file + mark + variable for file in files]


def labels(files: Iterable[str], geobox: GeoBox) -> np.ndarray:
    """Codes on a grid `[y, x]` int32: the most frequent one where the grid is coarser, the nearest where it is finer.

    Args:
        files: result of `files_at`; where two cover a pixel, the first with a value is used.
        geobox: the grid.

    Returns:
        Codes, `NO_LABEL` where no file has one.

    Raises:
        ValueError: a file is damaged, has no coordinate system, or holds numbers that are not codes.
    """
    codes = np.full(geobox.shape, np.nan)
    for piece in _pieces(files, geobox):
        known = piece.values[~np.isnan(piece.values)]
        if (broken := known[known != np.round(known)]).size:
            raise ValueError(f"{piece.file} holds {broken[0]:g}, not a code; name a map of classes, not of shares or probabilities")
        codes = np.where(np.isnan(codes), _warp(piece, geobox, coarse="mode", fine="nearest"), codes)
    return np.where(np.isnan(codes), NO_LABEL, codes).round().astype(np.int32)


def numbers(
    files: Iterable[str], geobox: GeoBox, missing: Sequence[float] = (), *, possible: tuple[float, float] | None = None,
    voids: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:  # fmt: skip
    """Numbers on a grid `[y, x]` float64: means where the grid is coarser, bilinear where it is finer, NaN where missing.

    Values are checked in the pixels of the file, before any averaging.

    Args:
        files: result of `files_at`; where two cover a pixel, the first with a value is used.
        geobox: the grid.
        missing: stored numbers that mean missing, beside those that the files declare.
        possible: lowest and highest possible stored number.
        voids: values of a file `[y, x]` -> whether a pixel is missing although it has a number.

    Raises:
        ValueError: a file is damaged, has no coordinate system, or holds impossible numbers.
    """
    mean = np.full(geobox.shape, np.nan)
    for piece in _pieces(files, geobox):
        piece.values[np.isin(piece.values, missing)] = np.nan
        if possible is not None:
            _refuse_impossible(piece, possible)
        if voids is not None:
            piece.values[voids(piece.values)] = np.nan
        mean = np.where(np.isnan(mean), _warp(piece, geobox, coarse="average", fine="bilinear"), mean)
    return mean


def covered(files: Iterable[str], geobox: GeoBox) -> np.ndarray:
    """Whether a pixel lies within the extent of a file `[y, x]`, with or without a value."""
    inside = np.zeros(geobox.shape, bool)
    for piece in _pieces(files, geobox):
        piece.values[:] = 1.0
        inside |= ~np.isnan(_warp(piece, geobox, coarse="nearest", fine="nearest"))
    return inside


def _refuse_impossible(piece: Piece, possible: tuple[float, float]) -> None:
    low, high = possible
    wrong = piece.values[(piece.values < low) | (piece.values > high)]
    if wrong.size:
        raise ValueError(
            f"{piece.file} holds {wrong.min():g} to {wrong.max():g} on {wrong.size} of the {piece.values.size} pixels that are read, "
            f"outside {low:g} to {high:g}; if that is its missing value, declare it with `gdal_edit.py -a_nodata {wrong.min():g}`; "
            "if it is in another unit, convert it"
        )


def _pieces(files: Iterable[str], geobox: GeoBox) -> Iterable[Piece]:
    """The parts of the files that touch the grid."""
    for file in files:
        name, _, variable = file.partition(VARIABLE)
        piece = _from_netcdf(name, variable, geobox) if name.lower().endswith(_NETCDF) else _from_raster(file, geobox)
        if piece is not None:
            yield piece


def _from_raster(file: str, geobox: GeoBox) -> Piece | None:
    import rasterio
    from rasterio.enums import ColorInterp
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    try:
        # with several threads the error of a truncated JPEG 2000 is lost
        with rasterio.Env(GDAL_NUM_THREADS="1", **Patience.from_environment().gdal()), open_raster(_opened(file), MAPS) as source:
            if source.crs is None or source.transform.is_identity:
                raise ValueError(
                    f"{file} has no coordinate system or no origin; set both with `gdal_edit.py -a_srs -a_ullr`"
                )
            if source.colorinterp[0] == ColorInterp.red:
                raise ValueError(f"{file} is a picture in red, green and blue, not a map of numbers; export the data, not how they look")
            rows, columns = _reach(geobox, source.crs, source.transform, (source.height, source.width), file)
            if rows.stop <= rows.start or columns.stop <= columns.start:
                return None
            check_window(rows, columns, file, geobox.shape[0] * geobox.shape[1])
            window = Window.from_slices(rows, columns)
            values = source.read(1, window=window, masked=True).astype(np.float64).filled(np.nan)
            values = values * source.scales[0] + source.offsets[0]  # 1 and 0 where the file declares none
            return Piece(values, source.window_transform(window), source.crs, file)
    except RasterioError as error:
        if file.startswith(PARTS) and "404" in str(error):
            return None  # services have no tiles where there is only sea
        raise ValueError(f"{file} is damaged or not a raster ({error}); download it again") from error


def _opened(file: str) -> str | BytesIO:
    return BytesIO(answer(file)) if file.startswith(_WHOLE) else file


def _from_netcdf(file: str, variable: str, geobox: GeoBox) -> Piece | None:
    """A variable of a netCDF file, whichever way its axes run; GDAL misplaces files without `grid_mapping`."""
    from odc.geo.xr import spatial_dims
    from rasterio.crs import CRS

    try:
        dataset = open_netcdf(file)
    except Refused:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} is damaged or not netCDF-4 ({error}); download it again") from error
    with dataset:
        if variable not in dataset:
            raise ValueError(
                f"{file} has no variable `{variable}`; write {file}{VARIABLE}NAME with one of {', '.join(map(str, dataset.data_vars))}"
            )
        layer = dataset[variable].squeeze(drop=True)
        axes = spatial_dims(layer)
        if layer.ndim != 2 or axes is None:
            raise ValueError(
                f"{file}, variable {variable}: {dict(layer.sizes)} is not a map; it needs a row and a column axis of two pixels or more"
            )
        for axis in axes:
            check_axis(layer[axis].values, f"{file}, axis {axis},", regular=True)
        layer = layer.transpose(*axes).sortby(axes[0], ascending=False).sortby(axes[1])
        transform = _transform(*(layer[axis].values.astype(float) for axis in axes))
        with placing(file):
            crs = CRS.from_user_input(_crs_of(dataset, layer, file))
        window = _reach(geobox, crs, transform, layer.shape, file)
        if any(part.stop <= part.start for part in window):
            return None
        check_window(*window, file, geobox.shape[0] * geobox.shape[1])
        try:
            values = layer[window].values.astype(np.float64)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{file}, variable {variable}, is damaged ({error}); download it again") from error
        return Piece(values, transform * transform.translation(window[1].start, window[0].start), crs, file)


def _transform(y: np.ndarray, x: np.ndarray):
    """Affine of regular axes of pixel centres; `y` falls, `x` rises."""
    from affine import Affine

    width, height = (x[-1] - x[0]) / (len(x) - 1), (y[0] - y[-1]) / (len(y) - 1)
    return Affine(width, 0.0, x[0] - width / 2, 0.0, -height, y[0] + height / 2)


def _crs_of(dataset, layer, file: str):
    """Coordinate system of a netCDF variable: its grid mapping, an attribute, or degrees."""
    mapping = layer.encoding.get("grid_mapping") or layer.attrs.get("grid_mapping") or dataset.attrs.get("grid_mapping")
    attributes = dataset[mapping].attrs if mapping in dataset.variables else {}
    for declared in (attributes.get("crs_wkt"), attributes.get("spatial_ref"), layer.attrs.get("epsg"), dataset.attrs.get("epsg")):
        if declared is not None:
            return declared if isinstance(declared, str) else int(declared)
    if str(layer.dims[0]).lower().startswith("lat"):
        return 4326
    raise ValueError(f"{file} does not name its coordinate system; give it a grid mapping variable with `crs_wkt`")


def _reach(geobox: GeoBox, crs, transform, shape: tuple[int, int], file: str) -> tuple[slice, slice]:
    """Rows and columns of a raster that the grid touches, with a margin."""
    from rasterio.warp import transform_bounds

    with placing(file):
        bounds = transform_bounds(geobox.crs.to_wkt(), crs, *geobox.boundingbox.bbox, densify_pts=31)
        corners = [~transform * (x, y) for x in bounds[::2] for y in bounds[1::2]]
        columns, rows = (np.array(values) for values in zip(*corners, strict=True))
        margin = MARGIN * max(1.0, source_pixels(geobox, crs, transform))
        return tuple(
            slice(int(np.clip(np.floor(axis.min() - margin), 0, size)), int(np.clip(np.ceil(axis.max() + margin), 0, size)))
            for axis, size in zip((rows, columns), shape, strict=True)
        )


def metres(geobox: GeoBox) -> float:
    """Height of a pixel of a grid [m]."""
    return abs(geobox.affine.e) * (_DEGREE if geobox.crs.geographic else 1.0)


def positions(geobox: GeoBox, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Longitude and latitude [degrees] of the centres of some pixels of a grid, `pixels` `[y, x]` bool."""
    from pyproj import Transformer

    rows, columns = np.nonzero(pixels)
    x, y = geobox.affine * (columns + 0.5, rows + 0.5)
    longitude, latitude = Transformer.from_crs(geobox.crs.to_wkt(), "EPSG:4326", always_xy=True).transform(x, y)
    return np.asarray(longitude), np.asarray(latitude)


def source_pixels(geobox: GeoBox, crs, transform) -> float:
    """Width of a pixel at the middle of the grid, in pixels of a raster [1]."""
    from pyproj import Transformer

    middle = (geobox.shape[1] / 2, geobox.shape[0] / 2)
    x, y = zip(*(geobox.transform * (middle[0] + right, middle[1] + down) for right, down in ((0, 0), (1, 0), (0, 1))), strict=True)
    source_xy = Transformer.from_crs(geobox.crs.to_wkt(), crs.to_wkt(), always_xy=True).transform(x, y)
    columns, rows = zip(*(~transform * point for point in zip(*source_xy, strict=True)), strict=True)
    return (hypot(columns[1] - columns[0], rows[1] - rows[0]) + hypot(columns[2] - columns[0], rows[2] - rows[0])) / 2


def _warp(piece: Piece, geobox: GeoBox, *, coarse: str, fine: str) -> np.ndarray:
    """A piece on the grid, by one rule where the grid is coarser and another where it is finer."""
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    rule = coarse if source_pixels(geobox, piece.crs, piece.transform) > COARSER else fine
    out = np.full(geobox.shape, np.nan)
    reproject(
        piece.values, out, src_transform=piece.transform, src_crs=piece.crs, src_nodata=np.nan,
        dst_transform=geobox.transform, dst_crs=geobox.crs.to_wkt(), dst_nodata=np.nan, resampling=Resampling[rule],
    )  # fmt: skip
    return out


def _some(folder: Path) -> str:
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "") if names else "nothing in it"
