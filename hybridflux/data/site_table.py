"""The table of sites of a towers folder, and the choice of sites and years."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.vocabulary import PLANT_TYPES, suggestion

_REQUIRED = ("site_id", "lat", "lon", "igbp")


def read_sites(folder: Path) -> pd.DataFrame:
    """`sites.csv` of a towers folder, indexed by site_id.

    Raises:
        FileNotFoundError: no folder or no table.
        ValueError: a column or value is missing or wrong.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder; a towers folder holds sites.csv, fluxnet_dd/ and satellite/")
    path = folder / "sites.csv"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; a towers folder needs it, with at least the columns {', '.join(_REQUIRED)}")
    table = pd.read_csv(path, dtype={"site_id": str, "name": str, "igbp": str})
    missing = [name for name in _REQUIRED if name not in table]
    if missing:
        raise ValueError(f"sites.csv lacks column {', '.join(missing)}; it has {', '.join(table.columns)}")
    if table["site_id"].duplicated().any():
        raise ValueError(f"sites.csv names {table.loc[table['site_id'].duplicated(), 'site_id'].iloc[0]} twice; keep one row")
    for row, site, code in zip(range(2, len(table) + 2), table["site_id"], table["igbp"], strict=True):
        if code not in PLANT_TYPES:
            raise ValueError(f"sites.csv, column igbp, row {row} ({site}): `{code}` is unknown; the codes are {', '.join(PLANT_TYPES)}")
    for name, limit in (("lat", 90), ("lon", 180)):
        wrong = ~(pd.to_numeric(table[name], errors="coerce").abs() <= limit)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ValueError(f"sites.csv, column {name}, row {row + 2}: `{table[name].iloc[row]}` is not between -{limit} and {limit}")
    for name in ("name", "elev", "utc_offset"):
        if name not in table:
            table[name] = table["site_id"] if name == "name" else np.nan
    return table.set_index("site_id")


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


def parse_years(years) -> tuple[int, int]:
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
