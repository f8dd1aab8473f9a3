"""Find the FLUXNET files a user downloaded and open the right table in them: daily if there is one, else half-hourly."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.vocabulary import MISSING_FLUXNET

FOLDERS = ("fluxnet_dd", "fluxnet", "halfhourly", ".")
"""Where flux files may lie below a towers folder."""
_NAME = re.compile(r"^[A-Z0-9]+_(?P<site>[A-Z]{2}-[A-Za-z0-9]{3})_(?P<rest>.+)$")
_RESOLUTION = re.compile(r"(?:^|_)(DD|HH|HR|WW|MM|YY)(?=[_.])")
_SIDE_FILE = re.compile(r"ERAI|ERA5|AUXMETEO|AUXNEE|BIF|VARINFO|README")
_PREFERENCE = ("DD", "HH", "HR")
_ENDINGS = (".csv", ".csv.gz", ".zip", ".parquet")
_TEXT = ("MET_SOURCE", "TIMESTAMP", "TIMESTAMP_START", "TIMESTAMP_END")
_DAMAGE = (EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError, OSError)


@dataclass(frozen=True)
class Archive:
    """One table of one site: a file, or a member of a zip.

    Attributes:
        site: FLUXNET site id.
        path: the file.
        resolution: DD, HH or HR.
        member: name inside the zip.
        finer: a half-hourly table of the same site, for what a daily one lacks.
    """

    site: str
    path: Path
    resolution: str
    member: str | None = None
    finer: Archive | None = None

    @property
    def table_name(self) -> str:
        """Name of the table without folder and ending."""
        return re.sub(r"\.(csv|csv\.gz|parquet)$", "", Path(self.member or self.path.name).name)

    def __str__(self):
        return self.path.name if self.member is None else f"{self.path.name}:{self.member}"


def find_archives(folder: Path, sites: Iterable[str] | None = None) -> dict[str, Archive]:
    """The best table of every site below a towers folder: daily before half-hourly before hourly, FULLSET before SUBSET.

    Args:
        folder: the towers folder; files may lie in it or in `FOLDERS`.
        sites: only these; all by default.

    Raises:
        ValueError: two files are equally good for a site, or a zip is damaged or holds no table.
    """
    wanted = None if sites is None else set(sites)
    found: dict[str, list[Archive]] = {}
    for path in (path for sub in FOLDERS for path in sorted((folder / sub).glob("*"))):
        name = _NAME.match(path.name)
        if name is None or not path.name.endswith(_ENDINGS) or _SIDE_FILE.search(path.name) or (wanted and name["site"] not in wanted):
            continue
        for archive in _members(path) if path.suffix == ".zip" else _tables([path.name], path):
            found.setdefault(archive.site, []).append(archive)
    return {site: _best(site, archives) for site, archives in sorted(found.items())}


def _tables(names: Iterable[str], path: Path) -> list[Archive]:
    tables = []
    for name in names:
        file = Path(name).name
        inside, resolution = _NAME.match(file), _RESOLUTION.search(file)
        if inside and resolution and resolution[1] in _PREFERENCE and not _SIDE_FILE.search(file):
            tables.append(Archive(inside["site"], path, resolution[1], name if path.suffix == ".zip" else None))
    return tables


def _members(path: Path) -> list[Archive]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.endswith((".csv", ".csv.gz"))]
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path.name} is not a readable zip ({error}); download it again") from error
    tables = _tables(names, path)
    if not tables:
        raise ValueError(f"{path.name} holds no FLUXNET table of days (DD) or half-hours (HH, HR), but {', '.join(names) or 'no csv'}")
    return tables


def _best(site: str, archives: list[Archive]) -> Archive:
    def rank(archive):
        return _PREFERENCE.index(archive.resolution), "SUBSET" in archive.table_name

    unpacked = {archive.table_name: archive for archive in sorted(archives, key=lambda a: a.member is None)}  # a zip beside its own content
    best, *others = sorted(unpacked.values(), key=rank)
    if others and rank(others[0]) == rank(best):
        raise ValueError(f"two files for {site}: {best} and {others[0]}; keep one: two processings of a tower are not mixed silently")
    finer = next((other for other in others if other.resolution != "DD"), None)
    return replace(best, finer=finer) if best.resolution == "DD" else best


def read_table(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    """The wanted columns of an archive; -9999 becomes NaN, time stamps stay text.

    Raises:
        ValueError: the file is damaged, or a cell is not a number; the message names the file, the column and the row.
    """
    try:
        table = _read(archive, columns)
    except _DAMAGE as error:
        raise ValueError(f"{archive} is damaged or cut short ({error}); download it again") from error
    except ValueError as error:  # pandas and pyarrow: no table at all
        raise ValueError(f"{archive} is not a readable FLUXNET table ({error}); download it again") from error
    for name in table.columns:
        table[name] = table[name].astype(str) if name in _TEXT else _numbers(table[name], archive)
    return table


def _read(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    if archive.path.suffix == ".parquet":
        return pd.read_parquet(archive.path).filter(items=sorted(columns))
    options = {"usecols": lambda name: name in columns, "low_memory": False, "dtype": dict.fromkeys(_TEXT, str)}
    if archive.member is None:
        return pd.read_csv(archive.path, **options)
    with zipfile.ZipFile(archive.path) as outer, outer.open(archive.member) as inner:
        return pd.read_csv(inner, compression="gzip" if archive.member.endswith(".gz") else None, **options)


def _numbers(column: pd.Series, archive: Archive) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    wrong = numbers.isna() & column.notna()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"{archive}, column {column.name}, row {row + 2}: `{column.iloc[row]}` is not a number")
    return numbers.astype(float).mask(numbers <= MISSING_FLUXNET)
