"""The table of sites of a towers folder, and the selection of sites and years."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.delimited import Cells, plain_name, quoted, read_cells
from hybridflux.data.fluxnet_table import NO_CODES
from hybridflux.vocabulary import PLANT_TYPE_NAMES, PLANT_TYPES, VARIABLES, suggestion

_LOG = logging.getLogger("hybridflux.data")
_REQUIRED = ("site_id", "lat", "lon", "igbp")
_ALIASES = {
    "site": "site_id", "siteid": "site_id", "latitude": "lat", "location_lat": "lat", "longitude": "lon", "long": "lon",
    "location_long": "lon", "elevation": "elev", "location_elev": "elev",
    **{name: name for name in ("name", "elev", "utc_offset", "soil_capacity")},
}  # fmt: skip
"""Other names of columns, among them those of the site information (BADM) of AmeriFlux."""
_MEANT = {
    **dict.fromkeys(("timezone", "tz", "utc", "gmt", "gmtoffset"), "utc_offset"), **dict.fromkeys(("altitude", "alt", "asl"), "elev"),
    **{plain_name(other): name for other, name in _ALIASES.items() if name != "site_id"},
}  # fmt: skip
"""Plain names by which people may mean a column -> that column; what is near to the longer ones is a slip."""
_LONG = tuple(name for name in _MEANT if len(name) > 4)
_NO_COVARIATE = (*NO_CODES, -99999.0, -32768.0)
_LARGEST = 1e19
"""Beyond it, numbers are what grids of floating point have where nothing is known: 1e20, 9.97e36, -3.4e38."""
_NUMBERS = {
    "lat": (-90.0, 90.0, "write decimal degrees north"),
    "lon": (-180.0, 180.0, "write decimal degrees east"),
    "elev": (*VARIABLES["elevation"].bounds, "write metres as a number alone"),
    "utc_offset": (-12.0, 14.0, "write hours as a number alone, 1 for UTC+1"),
}
EARTH_RADIUS = 6371.0  # km, mean
_FARTHEST_CLOCK = 3.25  # h between legal and solar time; western China has 3
_TEXT = frozenset({"name", "igbp"})


@dataclass(frozen=True)
class SiteTable:
    """`sites.csv` of a towers folder.

    Attributes:
        rows: one row for each site, by site_id: name, lat, lon, elev, igbp, utc_offset (NaN where missing or faulty), and others.
        unusable: site -> why it cannot be used: its class is none of `PLANT_TYPES`.
        faults: site -> faults of its row, with column, row, value and cure.
    """

    rows: pd.DataFrame
    unusable: Mapping[str, str]
    faults: Mapping[str, str]

    def refuse(self, sites: Iterable[str]) -> None:
        """Raise a ValueError with all faults of these sites in one message, if there are any."""
        if sentences := [self.faults[site] for site in sites if site in self.faults]:
            raise ValueError(f"sites.csv: {'; '.join(sentences)}")


def read_sites(folder: Path) -> SiteTable:
    """`sites.csv` of a towers folder, as any spreadsheet saves it.

    Other columns become numbers where all their cells are, and stay text else.

    Raises:
        FileNotFoundError: no folder or no table.
        ValueError: not a table, a column is missing, or a site is named twice or not at all.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; a towers folder holds sites.csv, fluxnet_dd/ and satellite/")
    path = folder / "sites.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; a towers folder needs it, with at least the columns {', '.join(_REQUIRED)}")
    cells = read_cells(path, _REQUIRED, _ALIASES)
    site = cells.text["site_id"]
    if site.empty:
        raise ValueError("sites.csv has a header and no rows; add one for each site")
    if site.eq("").any():
        raise ValueError(f"sites.csv, column site_id, row {site.index[site.eq('')][0]} is empty; name the site or delete the row")
    if (twice := site.str.casefold().duplicated()).any():
        raise ValueError(f"sites.csv names {site[twice].iloc[0]} twice; keep one row")
    columns: dict[str, pd.Series] = {}
    faults: dict[int, list[str]] = {}
    for name in cells.text.columns.drop("site_id"):
        if name in _NUMBERS:
            columns[name], wrong = _in_range(cells, name)
            for row, fault in wrong.items():
                faults.setdefault(row, []).append(fault)
        else:
            columns[name] = _numbers_or_text(cells, name)
    _warn_of_slips(columns)
    table = pd.DataFrame(columns, index=cells.text.index)
    for name in ("name", "elev", "utc_offset"):
        if name not in table:
            table[name] = site if name == "name" else np.nan
    table["name"] = table["name"].where(table["name"].ne(""), site)
    table["igbp"] = table["igbp"].map(_class)
    for row in table.index[_clock_off(table)]:
        sun, clock = table.at[row, "lon"] / 15, table.at[row, "utc_offset"]
        faults.setdefault(row, []).append(
            f"column utc_offset, row {row}: {clock:g} h contradicts the longitude {table.at[row, 'lon']:g}, where the sun has {sun:+.1f} h;"
            " write the offset of local standard time, negative west of Greenwich"
        )
    unusable = {
        site[row]: f"column igbp, row {row}: {quoted(cells.text.at[row, 'igbp'])} is unknown; the codes are {', '.join(PLANT_TYPES)}"
        for row in table.index[~table["igbp"].isin(PLANT_TYPES)]
    }
    of_site = {site[row]: f"{site[row]}: {'; '.join(found)}" for row, found in faults.items()}
    return SiteTable(table.set_index(pd.Index(site, name="site_id")), unusable, of_site)


def _warn_of_slips(columns: Iterable[str]) -> None:
    """Name columns that would be covariates of the user's own though they look like a column of hybridflux that is not there."""
    there = tuple(columns)
    for name in (one for one in there if one not in VARIABLES and one not in _MEANT.values()):
        near = (plain_name(name) if plain_name(name) in _MEANT else None, *get_close_matches(plain_name(name), _LONG, n=1, cutoff=0.8))
        meant = next((_MEANT[one] for one in near if one is not None), None)
        if meant is not None and meant not in there:
            _LOG.warning("sites.csv: the column %s is taken for a covariate of your own; if `%s` is meant, name it so", name, meant)


def column_of(name: str, columns: Iterable[str]) -> str | None:
    """The column of sites.csv that a model means by a name: that name, or the same one but for case, blanks and underscores; or None.

    >>> column_of("canopy_height", ["lat", "Canopy Height"])
    'Canopy Height'
    """
    same = [column for column in columns if plain_name(column) == plain_name(name)]
    return name if name in same else next(iter(same), None)


def covariate(column: pd.Series, bounds: tuple[float, float] = (-np.inf, np.inf)) -> np.ndarray:
    """Numbers of a column of sites.csv `[place]`, NaN where empty.

    Args:
        column: cells by site.
        bounds: least and greatest possible value.

    Raises:
        ValueError: a cell is no number, out of bounds or a code of missing values; names the sites.
    """
    values = pd.to_numeric(column.where(column != ""), errors="coerce")
    wrong = (values.isna() & column.notna() & (column != "")) | ~(values.isna() | values.between(*bounds))
    codes = values.isin(_NO_COVARIATE) | (values.abs() >= _LARGEST)
    for which, what, cure in (
        (codes, "a code of missing values", "leave the cell empty where nothing is known"),
        (wrong, f"not a number between {bounds[0]:g} and {bounds[1]:g}", "write the number alone, and check the unit"),
    ):
        if which.any():
            cells = ", ".join(f"{quoted(column[site])} at {site}" for site in column.index[which][:5])
            raise ValueError(f"sites.csv, column {column.name}: {cells} ({int(which.sum())} cells) is {what}; {cure}")
    return values.to_numpy(np.float32)


def _class(text: str) -> str:
    """The IGBP code of a class as people write it: `dbf`, `DBF (Deciduous Broadleaf Forests)`, `Deciduous Broadleaf Forests`.

    >>> _class("Deciduous Broadleaf Forests"), _class("dbf: forest"), _class("CVM")
    ('DBF', 'DBF', 'CVM')
    """
    of_name = {name: code for code, name in PLANT_TYPE_NAMES.items()}
    first = re.split(r"[\s:(,-]", text.strip(), maxsplit=1)[0].upper()
    return of_name.get(text.strip().casefold().removesuffix("s")) or (first if first in PLANT_TYPES else text.strip().upper())


def _in_range(cells: Cells, name: str) -> tuple[pd.Series, dict[int, str]]:
    """Numbers of a column, NaN where missing or faulty; faults of cells that are none, out of range, or missing though required."""
    low, high, cure = _NUMBERS[name]
    numbers, faults = cells.parsed(name, cure)
    for row in numbers.index[(numbers < low) | (numbers > high)]:
        swapped = "; are lat and lon swapped?" if name == "lat" and abs(numbers[row]) <= 180 else f"; {cure}"
        faults[row] = f"column {name}, row {row}: {quoted(cells.text.at[row, name])} is not between {low:g} and {high:g}{swapped}"
        numbers[row] = np.nan
    if name in _REQUIRED:
        faults |= {row: f"column {name}, row {row} is empty; {cure}" for row in numbers.index[numbers.isna()] if row not in faults}
    return numbers, faults


def _numbers_or_text(cells: Cells, name: str) -> pd.Series:
    if name in _TEXT:
        return cells.text[name]
    numbers, faults = cells.parsed(name)
    return cells.text[name] if faults else numbers


def _clock_off(table: pd.DataFrame) -> pd.Series:
    """Rows whose offset is impossible at their longitude, whatever the legal time of the country."""
    return ((table["utc_offset"] - table["lon"] / 15 + 12) % 24 - 12).abs() > _FARTHEST_CLOCK


def pick_sites(sites: str | Iterable[str], known: pd.Index, where: str) -> list[str]:
    """Site ids as a list.

    Raises:
        ValueError: an unknown site (with the nearest known one), a site twice, or none.

    >>> pick_sites("FR-Fon, DE-Tha", pd.Index(["DE-Tha", "FR-Fon"]), "sites.csv")
    ['FR-Fon', 'DE-Tha']
    """
    chosen = [site.strip() for site in sites.split(",") if site.strip()] if isinstance(sites, str) else list(sites)
    if not chosen:
        raise ValueError("no site chosen; leave `sites` out to take all")
    for site in chosen:
        if site not in known:
            raise ValueError(f"{site} is not in {where}.{suggestion(site, known)} There are {', '.join(known)}")
    if len(set(chosen)) < len(chosen):
        raise ValueError(f"a site is chosen twice: {', '.join(chosen)}")
    return chosen


def parse_years(years: str | int | Iterable[int] | None) -> tuple[int, int]:
    """First and last year.

    Args:
        years: None for all, 2005, (2001, 2010) or "2001:2010".

    Raises:
        ValueError: neither of these.

    >>> parse_years("2001:2010")
    (2001, 2010)
    """
    if years is None:
        return 1900, 2200
    parts = years.split(":") if isinstance(years, str) else [years] if isinstance(years, int) else list(years)
    try:
        numbers = [int(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise ValueError(f"years `{years}` is not understood; write 2005, (2001, 2010) or 2001:2010") from error
    if len(numbers) not in (1, 2) or numbers[0] > numbers[-1]:
        raise ValueError(f"years `{years}` is not a period; write 2005, (2001, 2010) or 2001:2010, the first year first")
    return numbers[0], numbers[-1]


def distance_km(latitude, longitude, latitudes, longitudes):
    """Great-circle distance [km] from one point to others; haversine on a sphere of the mean radius.

    >>> round(float(distance_km(48.0, 2.0, 49.0, 2.0)), 1)
    111.2
    """
    a, b = np.radians(latitude), np.radians(latitudes)
    half = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(np.subtract(longitudes, longitude)) / 2) ** 2
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(half))
