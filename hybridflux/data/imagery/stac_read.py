"""Stored numbers of one item on the grid of a region, by odc-stac; nothing partial."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from odc.geo.geobox import GeoBox

from hybridflux.addresses import redacted
from hybridflux.data.catalog import Band
from hybridflux.data.imagery.masks import NO_LABEL
from hybridflux.data.imagery.stac_access import Access
from hybridflux.data.imagery.stac_items import asset_of
from hybridflux.data.imagery.window import COARSER
from hybridflux.data.network import Patience
from hybridflux.data.rasters import DRIVERS, open_raster

if TYPE_CHECKING:
    import pystac


_failed: set[str] = set()  # addresses that have failed in this process


@dataclass(frozen=True)
class Source:
    """An item with the access to its files.

    Attributes:
        item: item with the addresses of its files.
        access: addresses that its source may lead to.
        sign: function that signs an address; none where none is needed.
    """

    item: pystac.Item
    access: Access
    sign: Callable[[str], str] | None = None

    def require(self, bands: Iterable[Band]) -> None:
        """Check that the item has an asset of each band.

        Raises:
            ValueError: an asset is missing; names the item, the band and the assets.
        """
        for band in bands:
            asset_of(self.item, band)

    def values(self, geobox: GeoBox, bands: Mapping[str, Band]) -> dict[str, np.ndarray]:
        """Stored numbers `[y, x]` by name, float32, NaN where missing or outside the image.

        As in `window`: the number under the centre of a pixel, or, where the grid is much coarser than the band, the mean of the numbers
        in it; missing numbers are missing before anything is averaged.

        Raises:
            OSError: a file cannot be read to its end; names item, band and address.
            Refused: the source does not declare the address, or the file describes other files.
            ValueError: the item lacks a band.
        """
        ways = {name: _way(geobox, band) for name, band in bands.items()}
        return self._load(geobox, bands, {"dtype": "float32", "nodata": np.nan, "resampling": ways, "use_overviews": False})

    def labels(self, geobox: GeoBox, band: Band) -> np.ndarray:
        """Labels `[y, x]` of a band, int32: the one under the centre of a pixel, `NO_LABEL` where missing or outside."""
        options = {"dtype": "int32", "nodata": NO_LABEL, "resampling": "nearest", "use_overviews": False}
        return self._load(geobox, {band.name: band}, options)[band.name]

    def sample(self, geobox: GeoBox, band: Band) -> np.ndarray:
        """Stored numbers `[y, x]` of a band on a coarse grid, from the overviews of the file if it has them."""
        options = {"dtype": "float32", "nodata": np.nan, "resampling": "nearest", "use_overviews": True}
        return self._load(geobox, {band.name: band}, options)[band.name]

    def grid(self, band: Band) -> GeoBox | None:
        """The grid of a band, if the item gives it."""
        try:
            grids = _odc_stac().parse_item(_lean(self.item, {band.name: band})).geoboxes()
        except ValueError:
            return None
        return grids[0] if grids else None

    def _load(self, geobox: GeoBox, bands: Mapping[str, Band], options: dict) -> dict[str, np.ndarray]:
        lean = _lean(self.item, bands)
        return {name: self._load_band(lean, geobox, band, options) for name, band in bands.items()}

    def _load_band(self, lean: pystac.Item, geobox: GeoBox, band: Band, options: dict) -> np.ndarray:
        from rasterio.errors import RasterioError

        asset, patience = lean.assets[band.name], Patience.from_environment()
        address = asset.get_absolute_href() or asset.href
        self.access.check(address)
        self.access.check_redirections(address)
        options = options | {"geobox": geobox, "groupby": "id", "patch_url": self.sign, "driver": _driver(band.nodata)}
        for tried in patience.tries():
            try:
                with _environment(patience, address):
                    return _odc_stac().load([lean], [band.name], **options)[band.name].values[0]
            except RasterioError as error:
                last, made = error.__cause__ or error, tried
                _failed.add(address)
                if "://" not in address or "HTTP response code" in str(last):  # which GDAL itself has repeated
                    break
        raise OSError(
            f"band {band.name} of item {self.item.id} cannot be read from {redacted(address)} ({redacted(str(last))}), {made} tries, in "
            f"which each request was repeated up to {patience.repeats} times. If other files can be read from there, this "
            "one is incomplete or its address needs access: fetch it again, or take the item out; else run again later"
        ) from last


def _environment(patience: Patience, address: str):
    """Settings of GDAL. With several threads the error of a truncated JPEG 2000 is lost and wrong numbers are returned.

    GDAL caches in a process that a file could not be read; after a failure the cache is bypassed.
    """
    import rasterio

    forget = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/"} if address in _failed else {}
    return rasterio.Env(GDAL_NUM_THREADS="1", **patience.gdal(), **forget)


def _odc_stac():
    try:
        import odc.stac
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("images from STAC need odc-stac: pip install 'hybridflux[ingest]'") from error
    return odc.stac


def _way(geobox: GeoBox, band: Band) -> str:
    """Resampling of a band; nearest for a band without a known pixel size."""
    return "average" if band.resolution and abs(geobox.resolution.x) >= COARSER * band.resolution else "nearest"


def _driver(nodata: float | None):
    """Driver of odc-stac that takes `nodata` as the missing value of files that declare none.

    odc-stac has the setting and no argument for it; without it, missing numbers of such files are averaged like others.
    """
    from odc.loader import RioDriver, RioReader

    class NodataReader(RioReader):
        def read(self, cfg, dst_geobox, **options):
            return super().read(cfg.patch(src_nodata_fallback=nodata), dst_geobox, **options)

    class Driver(RioDriver):
        def open(self, src, ctx):
            open_raster(src.uri, DRIVERS["stac"]).close()  # odc-stac has no setting for drivers; this checks the content
            return NodataReader(src, ctx)

    return Driver()


def _lean(item: pystac.Item, bands: Mapping[str, Band]) -> pystac.Item:
    """An item with the wanted assets alone, under the names of the catalog; the catalog, not the item, gives their other properties."""
    import pystac

    lean = pystac.Item(item.id, item.geometry, item.bbox, item.datetime, dict(item.properties), stac_extensions=list(item.stac_extensions))
    if item.get_self_href():
        lean.set_self_href(item.get_self_href())
    for name, band in bands.items():
        original = item.assets[asset_of(item, band)]
        fields = {key: value for key, value in original.extra_fields.items() if key.startswith("proj:")}
        lean.add_asset(name, pystac.Asset(original.href, media_type=original.media_type, roles=["data"], extra_fields=fields))
    return lean
