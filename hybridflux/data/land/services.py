"""Downloads of a place `service`: names, addresses and expected sizes, without any request."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor
from pathlib import Path

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import Dataset
from hybridflux.data.land.warp import PARTS, files_at, positions

SERVICE = "service"
"""`place` of a dataset whose provider publishes it under addresses that follow from the extent."""
SLICES = ((0, 5), (5, 15), (15, 30), (30, 60), (60, 100), (100, 200))
"""Upper and lower depth of the layers of SoilGrids 2.0 [cm]."""
SOIL_BANDS = ("sand", "clay", "soc", "cfvo")
_WORLDCOVER = "https://esa-worldcover.s3.eu-central-1.amazonaws.com/v200/2021/map/{}"
_GLO30 = "https://copernicus-dem-30m.s3.amazonaws.com/{0}/{0}.tif"
_SOILGRIDS = (
    "https://maps.isric.org/mapserv?map=/map/{band}.map&SERVICE=WCS&VERSION=2.0.1&REQUEST=GetCoverage&COVERAGEID={layer}"
    "&FORMAT=image/tiff&SUBSET=long({west:.4f},{east:.4f})&SUBSET=lat({south:.4f},{north:.4f})"
    "&SUBSETTINGCRS=http://www.opengis.net/def/crs/EPSG/0/4326&OUTPUTCRS=http://www.opengis.net/def/crs/EPSG/0/4326"
)
_WORLDCOVER_BYTES = 0.06  # per pixel: tiles of 36,000 x 36,000 pixels are 60 to 110 MB in France
_GLO30_BYTES = 2.9  # per pixel: tiles of 3,600 x 3,600 pixels are about 38 MB
_SOILGRIDS_BYTES = 2.0  # per pixel: answers are 16-bit integers, not packed
_SOILGRIDS_PIXEL = 250.0 / 111_000.0  # degrees
_MARGIN = 0.01  # degrees beyond the grid, so that resampling has neighbours


def located(dataset: Dataset, place: str | Path, geobox: GeoBox) -> list[str]:
    """The files of a place, or the addresses of the tiles that cover a grid where the place is `service`.

    Raises:
        FileNotFoundError: no file at the place.
        ValueError: the dataset has no such addresses.
    """
    if str(place) != SERVICE:
        return files_at(place, dataset.files)
    return [PARTS + item["address"] for item in requests(dataset, geobox)]


def extent(geobox: GeoBox) -> tuple[float, float, float, float]:
    """West, south, east, north of a grid [degrees]."""
    box = geobox.geographic_extent.boundingbox
    return box.left, box.bottom, box.right, box.top


def worldcover_tiles(west: float, south: float, east: float, north: float) -> list[str]:
    """Names of the WorldCover tiles that touch an extent [degrees]; each is named by its south-west corner, multiples of 3.

    >>> worldcover_tiles(2.0, 48.5, 2.5, 49.0)
    ['ESA_WorldCover_10m_2021_v200_N48E000_Map.tif']
    """
    corners = [(lat, lon) for lat in _steps(south, north, 3) for lon in _steps(west, east, 3)]
    return [f"ESA_WorldCover_10m_2021_v200_{_latitude(lat)}{_longitude(lon)}_Map.tif" for lat, lon in corners]


def glo30_tiles(west: float, south: float, east: float, north: float) -> list[str]:
    """Names of the Copernicus GLO-30 tiles that touch an extent [degrees]; each is named by its south-west corner.

    >>> glo30_tiles(2.9, 48.5, 3.1, 48.6)
    ['Copernicus_DSM_COG_10_N48_00_E002_00_DEM', 'Copernicus_DSM_COG_10_N48_00_E003_00_DEM']
    """
    corners = [(lat, lon) for lat in _steps(south, north, 1) for lon in _steps(west, east, 1)]
    return [f"Copernicus_DSM_COG_10_{_latitude(lat)}_00_{_longitude(lon)}_00_DEM" for lat, lon in corners]


def tiles_at(dataset: Dataset, geobox: GeoBox, pixels: np.ndarray) -> list[str]:
    """Names of the tiles of a provider that hold given pixels of a grid; empty for datasets without such names.

    Args:
        dataset: entry of the catalog.
        geobox: the grid.
        pixels: `[y, x]` bool.
    """
    tiles: dict[str, tuple[int, Callable[..., list[str]]]] = {"worldcover": (3, worldcover_tiles), "copernicus-dem-glo30": (1, glo30_tiles)}
    if dataset.id not in tiles:
        return []
    step, names = tiles[dataset.id]
    corners = {(floor(lon / step) * step, floor(lat / step) * step) for lon, lat in zip(*positions(geobox, pixels), strict=True)}
    return sorted(names(lon + 0.4, lat + 0.4, lon + 0.6, lat + 0.6)[0] for lon, lat in corners)


def soil_address(band: str, top: int, bottom: int, geobox: GeoBox) -> str:
    """Address of the answer of SoilGrids' coverage service for one layer on the extent of a grid."""
    west, south, east, north = extent(geobox)
    box = {"west": west - _MARGIN, "east": east + _MARGIN, "south": south - _MARGIN, "north": north + _MARGIN}
    return _SOILGRIDS.format(band=band, layer=f"{band}_{top}-{bottom}cm_mean", **box)


def requests(dataset: Dataset, geobox: GeoBox) -> list[dict]:
    """Downloads needed to read a dataset on a grid: `name`, `address` and expected `bytes` of each request.

    Sizes are estimates, within a factor of two, for the windows that the grid touches, not for whole tiles.

    Args:
        dataset: `worldcover`, `copernicus-dem-glo30` or `soilgrids`.
        geobox: the grid.

    Raises:
        ValueError: another dataset, which a user obtains by hand; names the way.
    """
    plans: dict[str, Callable[[GeoBox], list[dict]]] = {"worldcover": _worldcover, "copernicus-dem-glo30": _glo30, "soilgrids": _soilgrids}
    if dataset.id not in plans:
        raise ValueError(f"{dataset.id} is not fetched by hybridflux; obtain it and name the folder as its place: {dataset.access}")
    return plans[dataset.id](geobox)


def _worldcover(geobox: GeoBox) -> list[dict]:
    tiles = worldcover_tiles(*extent(geobox))
    size = ceil(_pixels(geobox, 3.0 / 36000.0) * _WORLDCOVER_BYTES / len(tiles))
    return [{"name": name, "address": _WORLDCOVER.format(name), "bytes": size} for name in tiles]


def _glo30(geobox: GeoBox) -> list[dict]:
    tiles = glo30_tiles(*extent(geobox))
    size = ceil(_pixels(geobox, 1.0 / 3600.0) * _GLO30_BYTES / len(tiles))
    return [{"name": name + ".tif", "address": _GLO30.format(name), "bytes": size} for name in tiles]


def _soilgrids(geobox: GeoBox) -> list[dict]:
    size = ceil(_pixels(geobox, _SOILGRIDS_PIXEL) * _SOILGRIDS_BYTES)
    layers = [(band, top, bottom) for band in SOIL_BANDS for top, bottom in SLICES if top < 100]  # to the default rooting depth
    return [
        {"name": f"{band}_{top}-{bottom}cm_mean.tif", "address": soil_address(band, top, bottom, geobox), "bytes": size}
        for band, top, bottom in layers
    ]


def _pixels(geobox: GeoBox, pixel: float) -> float:
    """Pixels of a geographic grid that a region and its margin touch."""
    west, south, east, north = extent(geobox)
    return ((east - west + 2 * _MARGIN) / pixel) * ((north - south + 2 * _MARGIN) / pixel)


def _steps(low: float, high: float, step: int) -> range:
    """Multiples of a step whose cells touch an interval; a bound on an edge belongs to the cell above only."""
    first = floor(low / step)
    return range(first * step, max(ceil(high / step), first + 1) * step, step)


def _latitude(degrees: int) -> str:
    return f"{'N' if degrees >= 0 else 'S'}{abs(degrees):02d}"


def _longitude(degrees: int) -> str:
    return f"{'E' if degrees >= 0 else 'W'}{abs(degrees):03d}"
