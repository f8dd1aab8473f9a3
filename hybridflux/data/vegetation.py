"""Satellite series of absorbed radiation at towers: choose, clean, make daily."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

_PREFERRED = "modis_fpar_c5"  # start of the file name taken first by `auto`
_LONGEST_GAP = 90  # days without a composite before the season is used instead; a polar winter is shorter
_EVERGREEN = frozenset({"ENF", "EBF"})


def read_vegetation(folder: Path, sites: pd.DataFrame, choice: str) -> dict[str, pd.Series]:
    """Daily `fapar` [1] of every site that has a series, NaN outside its record and in long gaps.

    Args:
        folder: the folder `satellite` with `*.csv` or `*.csv.gz`: columns site_id, date and one of fapar, fpar, ndvi.
        sites: site table with `igbp`.
        choice: name of a file without its ending, or `auto`: MODIS collection 5 first, then the longest other series.

    Returns:
        One series a site; sites without vegetation are left out.
    """
    files = {_stem(path): path for path in sorted(folder.glob("*.csv*"))}
    if not files:
        raise FileNotFoundError(f"no vegetation series: {folder} holds no .csv or .csv.gz; needed: site_id, date and fapar, fpar or ndvi")
    if choice != "auto" and choice not in files:
        raise ValueError(f"vegetation `{choice}` is not a file of {folder}; there are {', '.join(files)}, or `auto`")
    order = [choice] if choice != "auto" else sorted(files, key=lambda name: (not name.startswith(_PREFERRED), name))
    found: dict[str, pd.Series] = {}
    for name in order:
        for site, raw in _series(files[name]).items():
            if site in sites.index and site not in found:
                found[site] = daily(raw, evergreen=sites.loc[site, "igbp"] in _EVERGREEN)
    return found


def _stem(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv")


def _series(path: Path) -> dict[str, pd.Series]:
    """Raw series of each site of a file: the first column with data; of several sources, the longest."""
    table = pd.read_csv(path, dtype={"site_id": str, "date": str})
    columns = value_columns(table.columns)
    if not columns or not {"site_id", "date"} <= set(table.columns):
        raise ValueError(f"{path.name} needs the columns site_id, date and one of fapar, fpar, ndvi; it has {', '.join(table.columns)}")
    table["date"] = pd.to_datetime(table["date"])
    by = ["site_id"] + (["source"] if "source" in table else [])
    found: dict[str, pd.Series] = {}
    for column in columns:
        longest: dict[str, pd.Series] = {}
        for key, rows in table.dropna(subset=[column]).groupby(by):
            if len(rows) > len(longest.get(key[0], ())):
                values = fapar_of_ndvi(rows[column]) if column.startswith("ndvi") else rows[column]
                longest[key[0]] = values.set_axis(rows["date"]).sort_index()
        found = longest | found
    return found


def value_columns(columns) -> list[str]:
    """The columns that can be read, best first: fapar before fpar before ndvi; the middle pixel before others.

    >>> value_columns(["site_id", "date", "fpar_3x3_median", "fpar_center"])
    ['fpar_center', 'fpar_3x3_median']
    """
    kinds = ("fapar", "fpar", "ndvi")
    known = [name for name in columns if name.startswith(kinds)]
    return sorted(known, key=lambda name: ([name.startswith(k) for k in kinds].index(True), name not in kinds, "center" not in name, name))


def fapar_of_ndvi(ndvi):
    """Absorbed share of PAR [1] of NDVI [1]: 1.24 NDVI - 0.168, Sims et al. 2005.

    >>> round(float(fapar_of_ndvi(0.8)), 3)
    0.824
    """
    return np.clip(1.24 * ndvi - 0.168, 0.0, 1.0)


def daily(raw: pd.Series, *, evergreen: bool) -> pd.Series:
    """Cleaned daily series between the first and the last composite.

    Args:
        raw: composites on their first days, fapar [1].
        evergreen: lift low-sun values below the usual range of the high-sun season: the canopy keeps its leaves.
    """
    step = max(int(raw.index.to_series().diff().dt.days.median()), 1) if len(raw) > 1 else 1
    clean = despike(raw.clip(0, 1), step)
    if evergreen:
        clean = _lift_winter(clean)
    middle = clean.set_axis(clean.index + pd.Timedelta(days=(step - 1) // 2))
    axis = pd.date_range(raw.index[0], raw.index[-1] + pd.Timedelta(days=step - 1), freq="D", name="time")
    line = middle.reindex(axis).interpolate(limit_direction="both").rolling(2 * step + 1, center=True, min_periods=1).mean()
    known = raw.index.to_numpy()
    after = np.searchsorted(known, axis.to_numpy(), side="right")
    previous = known[np.maximum(after - 1, 0)]
    following = known[np.minimum(after, len(known) - 1)]
    in_long_gap = (following - previous > np.timedelta64(_LONGEST_GAP, "D")) & (axis.to_numpy() >= previous + np.timedelta64(step, "D"))
    return line.mask(in_long_gap).clip(0, 1)


def despike(raw: pd.Series, step: int) -> pd.Series:
    """Composites without dips (cloud, snow) and jumps: those far from the median of their neighbours are dropped."""
    window = max(int(round(40 / step)) | 1, 5)
    median = raw.rolling(window, center=True, min_periods=3).median()
    residual = raw - median
    spread = 1.4826 * residual.abs().rolling(5 * window, center=True, min_periods=window).median().clip(lower=0.02)
    return raw[~((residual < -2.0 * spread) | (residual > 3.0 * spread))]


def _lift_winter(clean: pd.Series) -> pd.Series:
    summer = clean[(clean.index.month >= 5) & (clean.index.month <= 9)]
    return clean.clip(lower=summer.quantile(0.1)) if len(summer) else clean
