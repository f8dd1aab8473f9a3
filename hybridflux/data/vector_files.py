"""The only place where foreign vector files are admitted, by their content: GeoPackage, Shapefile, GeoJSON or FlatGeobuf.

pyogrio lets GDAL choose a driver by content, and some describe other files or services (OGR VRT, STACIT, WFS, and more). So the first bytes
are compared with the ending before GDAL sees the file, and the driver that it chose is compared afterwards.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from hybridflux.data.archives import UNREADABLE_ZIP
from hybridflux.limits import MEMBER, Refused, shown

DRIVERS = ("GPKG", "ESRI Shapefile", "GeoJSON", "FlatGeobuf")
"""Drivers of GDAL for `parcels`, `codes` and zones; GeoParquet is read by pyarrow."""
_JSON = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{")
_STARTS: dict[str, Callable[[bytes], object]] = {
    ".gpkg": lambda head: head.startswith(b"SQLite format 3\0"),
    ".shp": lambda head: head.startswith(b"\x00\x00\x27\x0a"),
    ".geojson": _JSON.match,
    ".json": _JSON.match,
    ".fgb": lambda head: head.startswith(b"fgb"),
}
"""Ending -> whether the first bytes are of its format."""
_BESIDE = (
    ".shx", ".dbf", ".prj", ".cpg", ".sbn", ".sbx", ".qix", ".qpj", ".qmd", ".qml", ".lyr", ".xml", ".txt", ".pdf", ".html", ".md", ".csv",
)  # fmt: skip


def admitted(file: str) -> str:
    """The path by which GDAL opens a file whose content agrees with its name.

    Args:
        file: path of a GeoPackage, Shapefile, GeoJSON, FlatGeobuf, or a zip of one.

    Raises:
        ValueError: damaged zip.
        Refused: other content, or a zip that holds something else.
    """
    path = Path(file)
    if path.suffix.lower() != ".zip":
        with open(path, "rb") as opened:
            _check(path.suffix.lower(), opened.read(200), file)
        return file
    try:
        with zipfile.ZipFile(path) as archive:
            maps = [_check_member(archive, member, f"{file}:{member.filename}") for member in archive.infolist()]
    except (*UNREADABLE_ZIP, IndexError, zlib.error, EOFError) as error:
        raise ValueError(f"{file} is not a readable zip ({shown(error)}); download it again") from error
    if not any(maps):
        raise Refused(f"{file} holds no file {', '.join(_STARTS)}; zip the map itself")
    return f"/vsizip/{file}"


def check_driver(driver: str, file: str) -> None:
    """Refuse what GDAL opened by another driver.

    Raises:
        Refused: it is none of `DRIVERS`.
    """
    if driver not in DRIVERS:
        raise Refused(
            f"{file} is read as {shown(driver)}, not as one of {', '.join(DRIVERS)}; write it with `ogr2ogr OUT.gpkg {Path(file).name}`"
        )


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> bool:
    """Whether a member of a zip is a map, by its first bytes; False for the files beside one."""
    ending = Path(member.filename).suffix.lower()
    if member.is_dir() or (ending in _BESIDE and "vrt" not in member.filename.lower()):
        return False
    MEMBER.check(member.file_size, where)
    with archive.open(member) as opened:
        _check(ending, opened.read(200), where)
    return True


def _check(ending: str, head: bytes, where: str) -> None:
    if ending not in _STARTS:
        raise Refused(f"{shown(where)}: a file `{ending}` is none of {', '.join(_STARTS)}; keep only the files of the map in the zip")
    if not _STARTS[ending](head):
        raise Refused(
            f"{shown(where)} is damaged, or no {ending[1:]} as its name says: it begins with {shown(head[:40].decode('latin-1'))!r}; files "
            "that describe other files are not followed. Download it again, or write it with `ogr2ogr OUT.gpkg IN`"
        )
