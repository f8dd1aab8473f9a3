"""Find the FLUXNET files a user downloaded: of each site the daily table if there is one, else the half-hourly one."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

FOLDERS = ("fluxnet_dd", "fluxnet", "halfhourly", ".")
"""Where flux files may lie below a towers folder."""
_NAME = re.compile(r"^[A-Z0-9]+_(?P<site>[A-Z]{2}-[A-Z0-9]{3})_(?P<rest>.+)$", re.IGNORECASE)
_RESOLUTION = re.compile(r"(?:^|_)(DD|HH|HR|WW|MM|YY)(?=[_.])", re.IGNORECASE)
_YEARS = re.compile(r"(?<!\d)(\d{4}-\d{4})(?!\d)")
_SIDE_FILE = re.compile(r"ERAI|ERA5|AUXMETEO|AUXNEE|BIF|VARINFO|README", re.IGNORECASE)
_BASE = re.compile(r"_BASE(-BADM)?[_.]", re.IGNORECASE)
_PREFERENCE = ("DD", "HH", "HR")
_ENDINGS = (".csv", ".csv.gz", ".zip", ".parquet")
UNREADABLE_ZIP = (zipfile.BadZipFile, OSError, RuntimeError, UnicodeDecodeError)
"""What `zipfile` raises when it opens a damaged zip, or (`RuntimeError`) one that is encrypted or of a compression it does not know."""


@dataclass(frozen=True)
class Archive:
    """One table of one site: a file, or a member of a zip.

    Attributes:
        site: FLUXNET site id.
        path: the file.
        resolution: DD, HH or HR.
        member: name inside the zip.
        finer: a half-hourly table of the same site, for what a daily one lacks.
        others: further tables of the site as good as this one, of another processing or of other years, see `tower_files.read_record`.
    """

    site: str
    path: Path
    resolution: str
    member: str | None = None
    finer: Archive | None = None
    others: tuple[Archive, ...] = ()

    @property
    def table_name(self) -> str:
        """Name of the table without folder and ending."""
        return re.sub(r"\.(csv|csv\.gz|parquet)$", "", Path(self.member or self.path.name).name, flags=re.IGNORECASE)

    @property
    def product(self) -> tuple[str, ...]:
        """Network and years of the name; two tables of one processing agree in them."""
        years = _YEARS.search(self.table_name)
        return self.table_name.split("_")[0].upper(), years[1] if years else ""

    def __str__(self):
        return self.path.name if self.member is None else f"{self.path.name}:{self.member}"


@dataclass(frozen=True)
class Survey:
    """Content of the flux folders of a towers folder.

    Attributes:
        archives: site -> its best table.
        faults: site -> why none of its files can be used: a zip is damaged.
        unread: site -> files with its name that are not of the FLUXNET product, with their kind.
        unknown: other files of the flux folders, whose names hold neither site nor product.
        beside: site -> AmeriFlux BASE files that are not read because a better one is, and half-hourly files of years or networks of which
            there is no daily one.
    """

    archives: Mapping[str, Archive]
    faults: Mapping[str, str]
    unread: Mapping[str, str]
    unknown: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)


def find_archives(folder: Path, sites: Iterable[str] | None = None) -> dict[str, Archive]:
    """The best table of every site below a towers folder: daily before half-hourly before hourly, FULLSET before SUBSET.

    Args:
        folder: the towers folder; files may lie in it or in `FOLDERS`.
        sites: only these; all by default.

    Raises:
        ValueError: a zip is damaged; all such sites in one message.
    """
    files = survey(folder, sites)
    if files.faults:
        raise ValueError("; ".join(files.faults.values()))
    return dict(files.archives)


def survey(folder: Path, sites: Iterable[str] | None = None) -> Survey:
    """All flux files below a towers folder, and the table that is used for each site.

    Args:
        folder: the towers folder; files may lie in it or in `FOLDERS`.
        sites: only these; all by default. Site ids are spelt as in it.
    """
    spelt = None if sites is None else {site.casefold(): site for site in sites}
    by_site: dict[str, list[Archive]] = {}
    faults, unknown, base = {}, [], {}
    unread: dict[str, Any] = {}
    for path in (path for sub in FOLDERS for path in sorted((folder / sub).glob("*"))):
        if path.name.startswith(".") or _SIDE_FILE.search(path.name):
            continue
        name = _NAME.match(path.name)
        if name is None:
            if path.parent != folder:
                unknown.append(f"{path.name}/" if path.is_dir() else path.name)
            continue
        site = _spelt(name["site"], spelt)
        if site is None:
            continue
        if path.is_dir() or not path.name.lower().endswith(_ENDINGS):
            unread[site] = "; ".join(filter(None, (unread.get(site), _unreadable(path))))
            continue
        try:
            tables, kind = _members(path) if path.suffix.lower() == ".zip" else (_tables([path.name], path), _other(path.name))
        except ValueError as error:
            faults[site] = str(error)
            continue
        for archive in tables:
            if own := _spelt(archive.site, spelt):
                by_site.setdefault(own, []).append(replace(archive, site=own))
        if not tables:
            unread[site] = "; ".join(filter(None, (unread.get(site), kind)))
            if _BASE.search(kind):
                base[site] = f"ignored: {kind}"
    archives = {site: _best(several) for site, several in sorted(by_site.items()) if site not in faults}
    notes = {site: [note for note in (base.get(site), _halves_alone(by_site[site], best)) if note] for site, best in archives.items()}
    beside = {site: "; ".join(several) for site, several in notes.items() if several}
    return Survey(archives, faults, unread, tuple(unknown), beside)


def _spelt(site: str, spelt: Mapping[str, str] | None) -> str | None:
    return site if spelt is None else spelt.get(site.casefold())


def _unreadable(path: Path) -> str:
    """Why nothing is read from a folder, or from a file of another format, that is named like a flux file."""
    if path.is_dir():
        return f"{path.name} is a folder, which is not looked into; move its files, or the zip as downloaded, into {FOLDERS[0]}"
    if path.suffix.lower() in (".xlsx", ".xls", ".ods"):
        return f"{path.name} is a workbook of a spreadsheet; save its table as CSV, or take the file as downloaded"
    return f"{path.name} does not end in {', '.join(_ENDINGS[:-1])} or {_ENDINGS[-1]}, the formats that are read"


def _other(name: str) -> str:
    """Kind of a file that holds no days or half-hours of the FLUXNET product."""
    if _BASE.search(name):
        return (
            f"{name} is AmeriFlux BASE (half-hours as measured, not filtered or filled), not the FLUXNET product; download `AmeriFlux "
            "FLUXNET` of the site from ameriflux.lbl.gov, AMF_*_FLUXNET_*"
        )
    if resolution := _RESOLUTION.search(name):
        return f"{name} holds {resolution[1]}, the daily (DD) or half-hourly (HH) file is needed"
    return f"{name} is not of the FLUXNET product: no DD, HH or HR in its name"


def _tables(names: Iterable[str], path: Path) -> list[Archive]:
    tables = []
    for name in names:
        file = Path(name).name
        inside, resolution = _NAME.match(file), _RESOLUTION.search(file)
        if inside and resolution and resolution[1].upper() in _PREFERENCE and not _SIDE_FILE.search(file) and not _BASE.search(file):
            member = name if path.suffix.lower() == ".zip" else None
            tables.append(Archive(inside["site"], path, resolution[1].upper(), member))
    return tables


def _members(path: Path) -> tuple[list[Archive], str]:
    """Tables of a zip, and the message where it holds none."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith((".csv", ".csv.gz"))]
    except UNREADABLE_ZIP as error:
        raise ValueError(f"{path.name} is not a readable zip ({error}); download it again") from error
    held = ", ".join(names)[:200] or "no csv"
    base = next((name for name in (path.name, *names) if _BASE.search(name)), None)
    message = _other(base) if base else f"{path.name} holds no FLUXNET table of days (DD) or half-hours (HH, HR), but {held}"
    return _tables(names, path), message


def _best(archives: list[Archive]) -> Archive:
    """The table to read, with those of other processings or years: daily before half-hourly, FULLSET before SUBSET of the same product."""

    def rank(archive):
        return _PREFERENCE.index(archive.resolution), "SUBSET" in archive.table_name.upper(), archive.table_name

    unpacked = {archive.table_name: archive for archive in sorted(archives, key=lambda a: a.member is None)}  # a zip beside its own content
    tables = sorted(unpacked.values(), key=rank)
    finest = [one for one in tables if one.resolution == tables[0].resolution]
    full = {one.product for one in finest if "SUBSET" not in one.table_name.upper()}
    best, *others = (
        replace(one, finer=_finer(one, tables)) for one in finest if "SUBSET" not in one.table_name.upper() or one.product not in full
    )
    return replace(best, others=tuple(others))


def _halves_alone(archives: list[Archive], best: Archive) -> str | None:
    """The note on half-hours of a network, or of years by their names, of which no daily table is there."""
    halves = [one for one in archives if one.resolution != best.resolution] if best.resolution == "DD" else []
    daily = [one.product for one in (best, *best.others)]
    years = [year for _, period in daily for year in period.split("-") if year]

    def alone(network: str, period: str) -> bool:
        if network not in {one for one, _ in daily}:
            return True
        return bool(period and years) and not min(years) <= period[:4] <= period[5:] <= max(years)

    files = ", ".join(str(one) for one in halves if alone(*one.product))
    if not files:
        return None
    return f"{files}: of half-hours only the days of {best} are used; for their other days add the daily (DD) file of that product"


def _finer(archive: Archive, tables: list[Archive]) -> Archive | None:
    """The half-hourly table beside a daily one, that of its own product first."""
    halves = [one for one in tables if one.resolution != "DD"] if archive.resolution == "DD" else []
    return next((one for one in halves if one.product == archive.product), next(iter(halves), None))
