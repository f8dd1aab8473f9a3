"""Find the FLUXNET files a user downloaded and open the right table in them: daily if there is one, else half-hourly."""

from __future__ import annotations

import gzip
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.vocabulary import MISSING_FLUXNET

_NAME = re.compile(r"^[A-Z0-9]+_(?P<site>[A-Z]{2}-[A-Za-z0-9]{3})_(?P<rest>.+)$")
_RESOLUTION = re.compile(r"(?:^|_)(DD|HH|HR|WW|MM|YY)(?=[_.])")
_SIDE_FILE = re.compile(r"(ERAI|ERA5|AUXMETEO|AUXNEE|BIF|VARINFO|README|_QC_)")
_PREFERENCE = ("DD", "HH", "HR")
_SUFFIXES = (".csv", ".csv.gz", ".zip", ".parquet")
_TEXT = ("MET_SOURCE", "FLUX_SOURCE", "P_SOURCE")


@dataclass(frozen=True)
class Archive:
    """One table of one site: a file, or a member of a zip."""

    site: str
    path: Path
    resolution: str
    member: str | None = None

    def __str__(self):
        return self.path.name if self.member is None else f"{self.path.name}:{self.member}"


def find_archives(folder: Path) -> dict[str, Archive]:
    """The best table of every site below a towers folder: daily before half-hourly before hourly, FULLSET before SUBSET.

    Looks in `fluxnet_dd/`, `fluxnet/` and `halfhourly/`, and at FLUXNET files that lie in the folder itself.

    Raises:
        ValueError: two files are equally good for a site, or a zip is damaged.
    """
    found: dict[str, list[Archive]] = {}
    for sub in ("fluxnet_dd", "fluxnet", "halfhourly", "."):
        for path in sorted((folder / sub).glob("*")):
            for archive in _tables(path):
                found.setdefault(archive.site, []).append(archive)
    return {site: _best(site, archives) for site, archives in sorted(found.items())}


def _tables(path: Path) -> list[Archive]:
    name = _NAME.match(path.name)
    if name is None or not path.name.endswith(_SUFFIXES) or _SIDE_FILE.search(path.name):
        return []
    if path.suffix != ".zip":
        resolution = _RESOLUTION.search(name["rest"])
        return [Archive(name["site"], path, resolution[1])] if resolution and resolution[1] in _PREFERENCE else []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.namelist() if m.endswith((".csv", ".csv.gz"))]
    except (zipfile.BadZipFile, OSError) as error:
        raise ValueError(f"{path.name} is not a readable zip ({error}); download it again") from error
    tables = []
    for member in members:
        inside, resolution = _NAME.match(Path(member).name), _RESOLUTION.search(Path(member).name)
        if inside and resolution and resolution[1] in _PREFERENCE and not _SIDE_FILE.search(Path(member).name):
            tables.append(Archive(inside["site"], path, resolution[1], member))
    if not tables:
        raise ValueError(
            f"{path.name} holds no FLUXNET table with days (DD), half-hours (HH) or hours (HR); it holds {', '.join(members) or 'no csv'}"
        )
    return tables


def _best(site: str, archives: list[Archive]) -> Archive:
    def rank(archive):
        return _PREFERENCE.index(archive.resolution), "SUBSET" in (archive.member or archive.path.name)

    ranked = sorted(archives, key=rank)
    if len(ranked) > 1 and rank(ranked[0]) == rank(ranked[1]):
        raise ValueError(
            f"two files for {site}: {ranked[0]} and {ranked[1]}; keep one, because two processings of a tower must not be mixed silently"
        )
    return ranked[0]


def read_table(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    """The wanted columns of an archive; -9999 becomes NaN, time stamps stay text.

    Raises:
        ValueError: the file is damaged, or a cell is not a number; the message names the file, the column and the row.
    """
    try:
        table = _read(archive, columns)
    except (gzip.BadGzipFile, EOFError, zlib.error, zipfile.BadZipFile, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{archive} is damaged or cut short ({error}); download it again") from error
    except (pd.errors.EmptyDataError, pd.errors.ParserError, ValueError) as error:
        raise ValueError(f"{archive} is not a readable FLUXNET table ({error})") from error
    for name in table.columns:
        if name.startswith("TIMESTAMP"):
            table[name] = table[name].astype(str)
        elif name not in _TEXT:
            table[name] = _numbers(table[name], archive)
    return table


def _read(archive: Archive, columns: frozenset[str]) -> pd.DataFrame:
    if archive.path.suffix == ".parquet":
        import pyarrow.parquet

        known = pyarrow.parquet.read_schema(archive.path).names
        return pd.read_parquet(archive.path, columns=[name for name in known if name in columns])
    options = {"usecols": lambda name: name in columns, "low_memory": False}
    options["dtype"] = dict.fromkeys(("TIMESTAMP", "TIMESTAMP_START", "TIMESTAMP_END", *_TEXT), str)
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
