"""GRIB of ECMWF, both editions, as datasets like its netCDF; decoded by the GDAL inside rasterio, not by eccodes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import rasterio
import xarray as xr
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window
from xarray.backends import BackendArray
from xarray.core import indexing

from hybridflux.data.rasters import open_raster

START, ENDINGS = b"GRIB", (".grib", ".grb", ".grib1", ".grib2", ".grb1", ".grb2")
"""First bytes of a file, and the possible endings of its name."""
_END, _TAIL = b"7777", 4096  # last bytes of every message; some archives pad a block with zeros behind it
_UNITS = {
    "t2m": "K", "d2m": "K", "ssrd": "J m-2", "tp": "m", "z": "m2 s-2",
    "swvl1": "m3 m-3", "swvl2": "m3 m-3", "swvl3": "m3 m-3", "swvl4": "m3 m-3",
}  # fmt: skip
_FIRST = {"2T": "t2m", "2D": "d2m", "SSRD": "ssrd", "TP": "tp", "Z": "z"} | {f"SWVL{i}": f"swvl{i}" for i in range(1, 5)}
"""Element of edition 1 in table 128 of ECMWF -> name in its netCDF."""
_SECOND = {
    ("0", "0", "0", "2-HTGL"): "t2m", ("0", "0", "6", "2-HTGL"): "d2m", ("0", "4", "7", "0-SFC"): "ssrd",
    ("0", "1", "193", "0-SFC"): "tp", ("0", "3", "4", "0-SFC"): "z",
}  # fmt: skip
"""Discipline, category and number of edition 2 and level -> name in its netCDF; rain under the local number of ECMWF, in m."""
_ACCUMULATED, _TOTAL = ("ssrd", "tp"), "1"  # what an accumulation is called in code table 4.10
_DRIVER = "GRIB"
_AS_STORED = {"GRIB_NORMALIZE_UNITS": "NO"}  # GDAL would turn K into degC


def datasets(content: str | Path | bytes, name: str) -> Iterator[xr.Dataset]:
    """Every element of a file on axes `valid_time`, `latitude`, `longitude`, with units, read when it is used.

    Elements that are none of ERA5's drivers and soil layers keep the name GDAL gives them, for messages.

    Args:
        content: path of a file, or its content.
        name: name of the file, for messages.

    Raises:
        ValueError: damaged, cut short, not on a grid of latitudes and longitudes, or rasterio was built without GRIB.
    """
    _check_end(content, name)
    with _opened(content, name) as source:
        if source.crs is None or not source.crs.is_geographic:
            raise ValueError(f"{name}: GRIB on another grid than latitudes and longitudes; request a regular grid, or netCDF")
        bands: dict[str, list[int]] = {}
        stamps = {}
        for band in source.indexes:
            tags = source.tags(band)
            bands.setdefault(_element(tags), []).append(band)
            stamps[band] = np.datetime64(int(tags["GRIB_VALID_TIME"].split()[0]), "s")
        for element, mine in bands.items():
            yield _dataset(source, element, mine, np.array([stamps[band] for band in mine]))


@contextmanager
def _opened(content: str | Path | bytes, name: str) -> Iterator[DatasetReader]:
    with MemoryFile(content, ext=ENDINGS[0]) if isinstance(content, bytes) else nullcontext() as memory:
        try:
            with rasterio.Env(**_AS_STORED) as environment:
                if _DRIVER not in environment.drivers():
                    raise ValueError(f"{name} is GRIB, which this build of rasterio cannot read; take a wheel of PyPI, or request netCDF")
                source = open_raster(memory.name if memory else content, (_DRIVER,))
        except RasterioError as error:
            raise _damaged(name, str(error)) from error
        with source:
            yield source


def _check_end(content: str | Path | bytes, name: str) -> None:
    """Refuse a file whose last message is incomplete, which GDAL would count."""
    with io.BytesIO(content) if isinstance(content, bytes) else open(content, "rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(size - _TAIL, 0))
        tail = file.read().rstrip(b"\0")
    if not tail.endswith(_END):
        raise _damaged(name, f"after {size} bytes its last message has no end")


def _damaged(name: str, reason: str) -> ValueError:
    return ValueError(f"{name} is damaged, cut short or not GRIB ({reason[:120]}); download it again")


def _element(tags: dict[str, str]) -> str:
    """Name of the element of a band: that of ECMWF's netCDF, or GDAL's for other elements."""
    code, level = tags["GRIB_ELEMENT"], tags["GRIB_SHORT_NAME"]
    if "GRIB_DISCIPLINE" not in tags:
        known = _FIRST.get(code)
        return code if known is None or (known == "z" and level != "0-SFC") else known
    numbers = tags["GRIB_PDS_TEMPLATE_ASSEMBLED_VALUES"].split()
    key = tags["GRIB_DISCIPLINE"].partition("(")[0], numbers[0], numbers[1], level
    known = _SECOND.get(key)
    total = tags["GRIB_PDS_PDTN"] == "8" and numbers[23:24] == [_TOTAL]
    if known is None or (known in _ACCUMULATED and not total):
        return f"{code} {'-'.join(key)}"
    return known


def _dataset(source: DatasetReader, element: str, bands: list[int], stamps: np.ndarray) -> xr.Dataset:
    step = source.transform
    longitude = step.c + step.a * (np.arange(source.width) + 0.5)
    latitude = step.f + step.e * (np.arange(source.height) + 0.5)
    values = indexing.LazilyIndexedArray(_Bands(source, bands))
    units = {"units": _UNITS[element]} if element in _UNITS else {}
    places = {"latitude": latitude.round(6), "longitude": longitude.round(6)}
    return xr.Dataset({element: (("valid_time", *places), values, units)}, coords={"valid_time": stamps.astype("datetime64[ns]"), **places})


class _Bands(BackendArray):
    """Bands of an open file as `[time, latitude, longitude]` float64, NaN where missing."""

    def __init__(self, source: DatasetReader, bands: list[int]):
        self.source, self.bands = source, np.asarray(bands)
        self.shape, self.dtype = (len(bands), source.height, source.width), np.dtype(np.float64)

    def __getitem__(self, key: indexing.ExplicitIndexer):
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

    def _read(self, key: tuple) -> np.ndarray:
        """Values at integers and slices; only their window is read."""
        ranges = [np.atleast_1d(np.arange(n)[part]) for n, part in zip(self.shape, key, strict=True)]
        (top, bottom), (left, right) = ((int(part.min()), int(part.max()) + 1) for part in ranges[1:])
        window = Window(left, top, right - left, bottom - top)
        with rasterio.Env(**_AS_STORED):
            read = self.source.read(self.bands[ranges[0]].tolist(), window=window, masked=True, out_dtype=np.float64)
        part = read.filled(np.nan)[np.ix_(np.arange(len(ranges[0])), ranges[1] - top, ranges[2] - left)]
        return part.squeeze(axis=tuple(axis for axis, index in enumerate(key) if not isinstance(index, slice)))
