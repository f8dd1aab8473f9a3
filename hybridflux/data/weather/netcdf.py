"""NetCDF, or GRIB, as data stores deliver it: zipped or not, by variable, month or day, on a latitude-longitude or a projected grid."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import xarray as xr
from pyproj import Transformer

from hybridflux.data.grid_axes import check_axis, placing
from hybridflux.data.hdf5 import open_netcdf
from hybridflux.data.weather import grib, text_tables
from hybridflux.data.weather.axes import on_axes
from hybridflux.data.weather.border import Extent, choose_cells, square_kilometres
from hybridflux.limits import GRID, MEMBER, PER_AREA, PIXELS, Refused

_TIMES = ("valid_time", "time", "timestamp", "date", "t")
_ROWS, _COLUMNS = ("latitude", "lat", "y"), ("longitude", "lon", "x")
_NETCDF = (".nc", ".nc4")
ENDINGS = (*_NETCDF, *grib.ENDINGS, ".zip")
"""Endings of the files of a data store."""
WITH_TABLES = (*ENDINGS, text_tables.ENDING)
"""Endings where series of points may come as CSV."""
_DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, KeyError, RuntimeError, ValueError, TypeError)
_UNREADABLE = (*_DAMAGE, ImportError)  # times that nothing but cftime would decode are damaged too


def files_of(place: str | Path | Iterable[str | Path], endings: tuple[str, ...]) -> list[Path]:
    """Files of a folder with one of the endings, or the file or files named, or those of a pattern with `*`.

    Raises:
        FileNotFoundError: no such file.
    """
    if not isinstance(place, (str, Path)):
        return [file for part in place for file in files_of(part, endings)]
    path = Path(place)
    if path.is_file():
        return [path]
    files = sorted(path.iterdir()) if path.is_dir() else sorted(path.parent.glob(path.name)) if "*" in path.name else []
    files = [file for file in files if file.name.endswith(endings)]
    if not files:
        raise FileNotFoundError(f"{path}: no file, or a folder without {', '.join(endings)}")
    return files


@contextmanager
def _opened(file: BinaryIO, name: str) -> Iterator[xr.Dataset]:
    """An open file, its packing undone."""
    try:
        data = open_netcdf(file, name, classic=True, decode_timedelta=False)
    except Refused:
        raise
    except _UNREADABLE as error:
        raise _damaged(name, error) from error
    with data:
        yield data


def _damaged(name: str, error: Exception) -> ValueError:
    return ValueError(f"{name} is damaged, cut short or not netCDF ({str(error)[:120]}); download it again")


def parts(place: str | Path | Iterable[str | Path], endings: tuple[str, ...] = ENDINGS) -> Iterator[tuple[str, xr.Dataset]]:
    """Every netCDF file of a place, every element of its GRIB files and every such member of its zips, open while it is yielded.

    Args:
        place: folder, file, pattern, or several of them.
        endings: endings of the files that are read, `ENDINGS` or `WITH_TABLES`.

    Yields:
        Name of the file and its data.

    Raises:
        FileNotFoundError: no file.
        ValueError: a file is damaged, or a zip holds neither netCDF nor GRIB.
    """
    for path in files_of(place, endings):
        if not zipfile.is_zipfile(path):
            with path.open("rb") as file:
                yield from _parts(file, path, path.name)
            continue
        try:
            archive = zipfile.ZipFile(path)
        except _DAMAGE as error:
            raise _damaged(path.name, error) from error
        with archive:
            members = [name for name in archive.namelist() if name.endswith(tuple(ending for ending in endings if ending != ".zip"))]
            if not members:
                held = ", ".join(archive.namelist()[:5]) or "nothing"
                raise ValueError(f"{path.name} is a zip without netCDF or GRIB, it holds {held}; request netCDF")
            for member in members:
                MEMBER.check(archive.getinfo(member).file_size, f"{path.name}:{member}")
                try:
                    content = archive.read(member)
                except _DAMAGE as error:
                    raise ValueError(f"{path.name}:{member} is damaged ({error}); download it again") from error
                yield from _parts(io.BytesIO(content), content, f"{path.name}:{member}")


def _parts(file: BinaryIO, content: Path | bytes, name: str) -> Iterator[tuple[str, xr.Dataset]]:
    """A netCDF file, each element of a GRIB file, whatever its name, or a table of points."""
    if name.endswith(text_tables.ENDING):
        data = text_tables.points(content, name)
        if data is not None:
            yield name, data
        return
    is_grib = file.read(len(grib.START)) == grib.START
    file.seek(0)
    if is_grib:
        for data in grib.datasets(content, name):
            yield name, data
        return
    with _opened(file, name) as data:
        yield name, on_axes(data, name)


@dataclass(frozen=True)
class Window:
    """The cells of a file that belong to an extent.

    Attributes:
        where: name of the file.
        time: name of the axis of time.
        stamps: `[time]` datetime64[s].
        rows: name of the axis and positions on it.
        columns: name of the axis and positions on it.
        latitude: `[cell]` degrees north.
        longitude: `[cell]` degrees east, -180 to 180.
    """

    where: str
    time: str
    stamps: np.ndarray
    rows: tuple[str, np.ndarray]
    columns: tuple[str, np.ndarray]
    latitude: np.ndarray
    longitude: np.ndarray

    def values(self, variable: xr.DataArray) -> np.ndarray:
        """A variable at the cells `[time, cell]` float64; preliminary data (`expver`) fill in where final ones are missing.

        Raises:
            ValueError: an axis beside time and place has more than one entry, or the file is damaged.
        """
        axes = (self.time, self.rows[0], self.columns[0])
        if lacking := [name for name in (self.rows[0], self.columns[0]) if name not in variable.dims]:
            raise ValueError(f"{self.where}: `{variable.name}` has no axis {' and '.join(lacking)}; download it again")
        part = variable.isel({self.rows[0]: self.rows[1], self.columns[0]: self.columns[1]})
        if self.time not in part.dims:
            part = part.expand_dims(self.time)
        for extra in [name for name in part.dims if name not in axes]:
            if extra == "expver":
                part = part.sortby(extra) if extra in part.coords else part
                final, *later = (part.isel(expver=i) for i in range(part.sizes[extra]))
                for one in later:
                    final = final.fillna(one)
                part = final
            elif part.sizes[extra] == 1:
                part = part.isel({extra: 0})
            else:
                raise ValueError(f"{self.where}: `{variable.name}` has {part.sizes[extra]} entries along `{extra}`; request one of them")
        PIXELS.check(part.size, f"{self.where}, `{variable.name}`,")
        try:
            stored = part.transpose(*axes).to_numpy()
        except _DAMAGE as error:
            raise _damaged(self.where, error) from error
        return stored.astype(np.float64).reshape(part.sizes[self.time], -1)


def window(data: xr.Dataset, extent: Extent, spacing: float | None, where: str) -> Window:
    """The cells of an open file whose centres lie in the extent grown by one cell.

    Args:
        data: dataset on latitude and longitude, or on `y` and `x` with a coordinate system in `spatial_ref`.
        extent: west, south, east, north [degrees].
        spacing: distance of two cells [degrees]; that of the file if none is given.
        where: name of the file.

    Raises:
        ValueError: no axis of time or place, no coordinate system, coordinates that are none or come twice, or the extent lies outside.
        Refused: a grid too large, or too fine for a region.
    """
    time, row, column = (next((name for name in names if name in data.variables), None) for names in (_TIMES, _ROWS, _COLUMNS))
    if time is None or row is None or column is None:
        missing_axis = "time" if time is None else "place"
        held = ", ".join(map(str, data.variables))[:200]
        raise ValueError(f"{where} has no axis of {missing_axis}; it has {held}: add the axis, or download it again")
    stamps = np.atleast_1d(data[time].to_numpy())
    if not np.issubdtype(stamps.dtype, np.datetime64):
        raise ValueError(f"{where}: the times of `{time}` carry no `units` such as `hours since 1970-01-01`; download it again")
    if data[row].ndim > 1 or data[column].ndim > 1:
        raise ValueError(f"{where}: `{row}` and `{column}` are of a turned grid {data[row].dims}; regrid it to latitudes and longitudes")
    if not len(stamps) or np.isnat(stamps).any():
        lost = f"{int(np.isnat(stamps).sum())} of {len(stamps)} entries of `{time}` are no dates" if len(stamps) else f"`{time}` is empty"
        raise ValueError(f"{where}: {lost}; download it again")
    for axis in (row, column):
        check_axis(data[axis].to_numpy(), f"{where}, axis {axis},")
    GRID.check(data[row].size * data[column].size, where)
    latitude, longitude = _centres(data, row, column, where)
    step = spacing or _spacing(latitude, longitude)
    chosen = choose_cells(latitude.ravel(), longitude.ravel(), extent, step, where)
    PER_AREA.check(int(len(chosen) / max(square_kilometres(extent), 1.0)), where)
    rows, columns = (np.unique(place) for place in np.unravel_index(chosen, latitude.shape))
    places = [part[np.ix_(rows, columns)].ravel() for part in (latitude, longitude)]
    return Window(where, time, stamps.astype("datetime64[s]"), (row, rows), (column, columns), *places)


def _centres(data: xr.Dataset, row: str, column: str, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Latitude and longitude of every cell `[row, column]`."""
    x, y = np.meshgrid(np.atleast_1d(data[column].to_numpy()).astype(float), np.atleast_1d(data[row].to_numpy()).astype(float))
    if row != "y":
        return y, np.where(x > 180.0, x - 360.0, x)
    system = next((data[name].attrs for name in ("spatial_ref", "crs") if name in data.variables), data.attrs)
    text = system.get("crs_wkt") or system.get("spatial_ref") or data.attrs.get("crs")
    if not text:
        raise ValueError(f"{where} lies on `x` and `y` without a coordinate system; it needs `spatial_ref` with `crs_wkt`")
    with placing(where):
        longitude, latitude = Transformer.from_crs(text, "EPSG:4326", always_xy=True).transform(x, y)
    return np.asarray(latitude), np.asarray(longitude)


def _spacing(latitude: np.ndarray, longitude: np.ndarray) -> float:
    steps = np.concatenate([np.abs(np.diff(latitude, axis=0)).ravel(), np.abs(np.diff(longitude, axis=1)).ravel()])
    return float(np.median(steps)) if len(steps) else 0.1


def same_cells(windows: list[Window]) -> Window:
    """The first of several windows, all of which must hold the same cells.

    Raises:
        ValueError: two files have other cells.
    """
    first = windows[0]
    for other in windows[1:]:
        same = len(other.latitude) == len(first.latitude) and np.allclose(other.latitude, first.latitude, atol=1e-3)
        if not same or not np.allclose(other.longitude, first.longitude, atol=1e-3):
            raise ValueError(f"{first.where} and {other.where} have other cells; request all files for the same area")
    return first
