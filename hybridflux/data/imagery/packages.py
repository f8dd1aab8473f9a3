"""Products as delivered: a folder, or the same folder in a zip, read without unpacking."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from hybridflux.data.archives import UNREADABLE_ZIP
from hybridflux.data.imagery.window import damaged
from hybridflux.limits import METADATA


@dataclass(frozen=True)
class Package:
    """The files of one product.

    Attributes:
        name: name of the product, without `.zip`.
        path: folder or zip.
        files: names below the folder of the product, with `/`.
        inner: folder of the product inside a zip, with `/` at its end.
    """

    name: str
    path: Path
    files: tuple[str, ...]
    inner: str = ""

    def find(self, pattern: str) -> list[str]:
        """Files whose whole name matches a regular expression."""
        return [name for name in self.files if re.fullmatch(pattern, name)]

    def text(self, name: str) -> bytes:
        """Content of a file."""
        if self.path.is_dir():
            METADATA.check((self.path / name).stat().st_size, f"{self.path}, {name}")
            return (self.path / name).read_bytes()
        try:
            with zipfile.ZipFile(self.path) as archive:
                METADATA.check(archive.getinfo(self.inner + name).file_size, f"{self.path}, {name}")
                return archive.read(self.inner + name)
        except (zipfile.BadZipFile, OSError, zlib.error, EOFError, RuntimeError, KeyError) as error:  # RuntimeError: a password
            raise damaged(f"{self.path}, {name},", error) from error

    def raster(self, name: str) -> str:
        """Path of a file as rasterio takes it."""
        return str(self.path / name) if self.path.is_dir() else f"/vsizip/{self.path.resolve()}/{self.inner}{name}"


def find_packages(place: str | Path, patterns: Sequence[str], marker: str) -> list[Package]:
    """The products at a place: the place itself, or those in it, or one folder below, whose names match.

    Args:
        place: a product, a zip of one, or a folder of products.
        patterns: patterns of the names of products, as the catalog has them in `files`; `.zip` may follow.
        marker: regular expression of the name of a file in the folder of every product; distinguishes a product from a folder of products.

    Raises:
        FileNotFoundError: no such place, or no product there.
        ValueError: a zip that is not complete.
    """
    place = Path(place)
    if not place.exists():
        raise FileNotFoundError(f"no file or folder {place}")
    if place.is_file():
        return [_open(place)]
    named = any(fnmatch(place.resolve().name, pattern) for pattern in patterns)
    if named or any(re.fullmatch(marker, file.name) for file in place.iterdir()):
        return [_open(place)]
    folders = {
        path
        for pattern in patterns
        for ending in ("", ".zip")
        for depth in ("", "*/")
        for path in place.glob(f"{depth}{pattern}{ending}")
        if path.is_dir() or path.suffix == ".zip"
    }
    if not folders:
        raise FileNotFoundError(f"{place} holds no {' or '.join(patterns)}, neither as folder nor as zip")
    products: dict[str, Package] = {}
    for path in sorted(folders, key=lambda path: (path.is_file(), path)):  # a folder before the zip it came from
        package = _open(path)
        products.setdefault(package.name, package)
    return [products[name] for name in sorted(products)]


def _open(path: Path) -> Package:
    if path.is_dir():
        files = sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())
        return Package(path.resolve().name, path, tuple(files))
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if not name.endswith("/")]
    except UNREADABLE_ZIP as error:
        raise damaged(str(path), error) from error
    tops = {name.split("/", 1)[0] for name in names if "/" in name}
    inner = tops.pop() + "/" if len(tops) == 1 and all("/" in name for name in names) else ""
    files = sorted(name.removeprefix(inner) for name in names)
    return Package(inner.rstrip("/") or path.name.removesuffix(".zip"), path, tuple(files), inner)
