"""The only place where foreign raster files are opened, by the drivers of their format and by no other.

GDAL recognises a file by its content and has drivers for descriptions of other files and services (VRT, GTI, WMS, STACTA and more): a
`scene.tif` that holds such a description would read any file of the user or ask any server. Beside a file GDAL looks for reduced copies and
masks (`.ovr`, `.msk`), which may be such descriptions too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from hybridflux.addresses import redacted
from hybridflux.limits import Refused, shown

if TYPE_CHECKING:
    from rasterio.io import DatasetReader

DRIVERS: dict[str, tuple[str, ...]] = {
    "safe": ("JP2OpenJPEG", "GTiff"),
    "theia-l2a": ("GTiff",),
    "theia-l3a": ("GTiff",),
    "stack": ("GTiff",),
    "stac": ("GTiff", "JP2OpenJPEG"),
    "codes": ("GTiff", "JP2OpenJPEG", "AAIGrid"),
    "parcels": ("GTiff", "JP2OpenJPEG", "AAIGrid"),
    "elevation": ("GTiff", "JP2OpenJPEG", "AAIGrid"),
    "soil-layers": ("GTiff", "JP2OpenJPEG", "AAIGrid"),
    "inventory": ("GTiff", "JP2OpenJPEG", "AAIGrid"),
    "grib": ("GRIB",),
    "product": ("GTiff",),
}
"""Format of the catalog (and `grib` of weather, `inventory`, `product` of our own maps) -> drivers of GDAL; COG files are GTiff."""
IMAGES, MAPS = DRIVERS["stac"], DRIVERS["codes"]
_NAMES = {"GTiff": "GeoTIFF", "JP2OpenJPEG": "JPEG 2000", "AAIGrid": "ASCII grid", "GRIB": "GRIB"}
_SYSTEMS = re.compile(r"/vsizip/(?!/*vsi)|/vsicurl/(?:https?|ftps?)://|/vsi(?:s3|gs|az|adls)/|/vsimem/", re.IGNORECASE)
"""Virtual file systems of GDAL that a place may name: archives, servers, object stores, and files in memory that rasterio makes."""
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_DESCRIPTION = re.compile(rb"\s*(?:<\?xml[^>]*>\s*)?<\s*[\w:]+|\s*\{")
_BESIDE = (".ovr", ".msk", ".OVR", ".MSK")
_UNKNOWN = "not recognized as being in a supported file format"


def open_raster(source: str | Path | BytesIO, drivers: Sequence[str] = IMAGES) -> DatasetReader:
    """A raster of one of some drivers, open for reading.

    Args:
        source: path as rasterio takes it, `/vsizip/...`, `/vsicurl/https://...`, an address, or the content.
        drivers: drivers of GDAL, from `DRIVERS`.

    Raises:
        rasterio.errors.RasterioIOError: no such file, no answer, damaged, or not of these drivers.
        ValueError: its pixels have no area or no place.
        Refused: it describes other files instead of holding values, or its reduced copies or mask do; another virtual file system.
    """
    import rasterio
    from rasterio.errors import RasterioIOError

    local = None if isinstance(source, BytesIO) else _local(str(source))
    if local is not None:
        _check_beside(local)
    for number, driver in enumerate(drivers, start=1):
        try:
            opened = rasterio.open(source, driver=driver)
            break
        except RasterioIOError as error:
            if _UNKNOWN not in str(error) or number == len(drivers):
                _refuse_description(source, local, drivers)
                raise
        except UnicodeDecodeError as error:  # of a damaged coordinate system
            raise RasterioIOError(f"its metadata are no text in UTF-8 ({error})") from error
    _check_reduced(opened)
    _check_transform(opened)
    return opened


def _local(path: str) -> Path | None:
    """A path of this machine's file system, None for an address or a virtual file system.

    Raises:
        Refused: a virtual file system that no place may name.
    """
    text = unquote(path)
    if text.lower().startswith("/vsi"):
        if not _SYSTEMS.match(text) or "/vsi" in text[5:].lower():
            raise Refused(f"{shown(redacted(path))} is read through a virtual file system that is not allowed; name the file itself")
        return None
    return None if "://" in path else Path(path)


def _check_beside(path: Path) -> None:
    """Refuse reduced copies and masks beside a file that are no GeoTIFF themselves."""
    for ending in _BESIDE:
        beside = path.with_name(path.name + ending)
        if beside.is_file():
            with open(beside, "rb") as file:
                if file.read(4) not in _TIFF:
                    raise Refused(f"{beside} is no GeoTIFF, and GDAL would read it instead of {path.name}; remove it")


def _check_transform(opened: DatasetReader) -> None:
    """Refuse a raster whose pixels have no area or no place: a transform with NaN, or without an inverse."""
    area = opened.transform.determinant
    if not area or not math.isfinite(area) or not all(math.isfinite(part) for part in opened.transform):
        name, transform = shown(redacted(opened.name)), ", ".join(f"{part:g}" for part in opened.transform[:6])
        opened.close()
        raise ValueError(f"{name} has pixels without area or place (transform {transform}); set its corners with `gdal_edit.py -a_ullr`")


def _check_reduced(opened: DatasetReader) -> None:
    if elsewhere := opened.tags(ns="OVERVIEWS").get("OVERVIEW_FILE"):
        opened.close()
        raise Refused(
            f"{shown(redacted(opened.name))} says its reduced copies lie in {shown(redacted(elsewhere))}; files that point "
            "at others are not read: write it anew with `gdal_translate -co COPY_SRC_OVERVIEWS=NO`"
        )


def _refuse_description(source: str | Path | BytesIO, local: Path | None, drivers: Sequence[str]) -> None:
    """Refuse a text that describes other files or services with a clearer error."""
    if isinstance(source, BytesIO):
        head = source.getvalue()[:200]
    elif local is not None and local.is_file():
        with open(local, "rb") as file:
            head = file.read(200)
    else:
        return
    if _DESCRIPTION.match(head):
        formats = " or ".join(_NAMES.get(driver, driver) for driver in drivers)
        name = "the answer" if isinstance(source, BytesIO) else shown(source)
        raise Refused(
            f"{name} is no {formats}: it is text that describes other files or services ({shown(head[:40].decode('latin-1'))}), which "
            "are not followed; name the files themselves, or write it as values with `gdal_translate IN OUT.tif`"
        )
