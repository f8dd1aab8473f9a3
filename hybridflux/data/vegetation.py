"""Satellite series of absorbed radiation at towers: choose, clean, make daily."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.catalog import Dataset, load_catalog
from hybridflux.data.delimited import Cells, quoted, read_cells, warn_of_unknown_sites
from hybridflux.data.points import dataset_of, read_points

_LOG = logging.getLogger("hybridflux.data")
_PREFERRED = "modis_fpar_c5"  # start of the file name taken first by `auto`
_KINDS = ("fapar", "fpar", "ndvi")
_NO_VALUES = re.compile(r"_(sd|std|se|n|count|uncertainty|error|fill)$|stddev", re.IGNORECASE)  # columns that go with a value
_QUALITY = re.compile(r"(^|_)(qc|qa|quality|flag|mask|bitmask|fmask|scl|cloud)(_|$)|(lai|extra)_qc", re.IGNORECASE)
_FAINT = 0.05  # 95 % quantile of a series below which even a semi-desert stays above; its scale factor was applied twice
_LONGEST_GAP = 100  # days without a composite before the season is used instead; a polar winter is shorter
_SIDE_DAYS = 24  # before and after a composite that it is compared with
_DIP, _JUMP = 0.5, 3.0  # robust standard deviations; with 17 days of smoothing the best of 30 settings against GPP at 45 towers
_ALREADY_FILTERED = 2  # days; a series this dense was filtered by its producer
_EVERGREEN_FLOOR = 0.7  # of the summer value; more would fill the gaps of young or mixed stands
_EVERGREEN = frozenset({"ENF", "EBF"})


def read_vegetation(folder: Path, plant_types: pd.Series, choice: str) -> dict[str, pd.Series]:
    """Daily `fapar` [1] of every site that has a series, NaN in long gaps.

    Args:
        folder: the folder `satellite` with `*.csv` or `*.csv.gz`: columns site_id, date and one of fapar, fpar, ndvi; or tables of a
            dataset of the catalog that gives fapar, named as it says, of which the views that its mask calls clear are taken. Tables of one
            product are one series, the first one by name where both have a day.
        plant_types: IGBP code of each site.
        choice: name of a file without its ending, or `auto`: MODIS collection 5 first, then the other files.

    Returns:
        One series a site; sites without vegetation are not in it.

    Raises:
        FileNotFoundError: no series at all.
        ValueError: no file of that name, no file with the columns needed, or wrong dates or values at one of the sites.
    """
    files = {path.name.removesuffix(".gz").removesuffix(".csv"): path for path in sorted(folder.glob("*.csv*"))}
    if not files:
        raise FileNotFoundError(f"no vegetation series: {folder} holds no .csv or .csv.gz with site_id, date and fapar, fpar or ndvi")
    if choice != "auto" and choice not in files:
        raise ValueError(f"vegetation `{choice}` is not a file of {folder}; there are {', '.join(files)}, or `auto`")
    order = sorted(files, key=lambda name: (not name.startswith(_PREFERRED), name)) if choice == "auto" else [choice]
    found: dict[str, tuple[str, list[pd.Series]]] = {}
    others, catalog = [], load_catalog()
    for name in order:
        try:
            series = _raw(files[name], plant_types.index, catalog)
        except NoSeries as error:
            others.append(str(error))
            continue
        product = _product(files[name], catalog)
        for site, raw in series.items():
            taken, parts = found.setdefault(site, (product, []))
            if taken == product:
                parts.append(raw)
    if len(others) == len(order):
        raise ValueError("; ".join(others))
    for why in others:
        _LOG.warning("ignored: %s", why)
    return {site: daily(_joined(parts), evergreen=plant_types[site] in _EVERGREEN) for site, (_, parts) in found.items()}


def _joined(parts: list[pd.Series]) -> pd.Series:
    series = pd.concat(parts) if len(parts) > 1 else parts[0]
    return series[~series.index.duplicated()].sort_index()


def _product(path: Path, catalog: Mapping[str, Dataset]) -> str:
    """What a file is a part of: the product of a dataset, by the pattern of its name; any other file is a series of its own."""
    dataset = dataset_of(path, catalog)
    patterns = () if dataset is None else dataset.files
    return next((pattern for pattern in patterns if fnmatch(path.name.lower(), pattern.lower())), path.name)


def _raw(path: Path, sites: Collection[str], catalog: Mapping[str, Dataset]) -> dict[str, pd.Series]:
    """Raw `fapar` series [1] of each site of a file: by the catalog where its name is that of a dataset with fapar, else by its columns."""
    dataset = dataset_of(path, catalog)
    if dataset is None or "fapar" not in {band.variable for band in dataset.bands}:
        return read_series(path, sites)
    views = read_points(path, dataset, ["fapar"], sites).get("fapar", pd.Series(dtype=float, index=pd.MultiIndex.from_arrays([[], []])))
    return {str(site): one.droplevel(0) for site, one in views.groupby(level=0)}


class NoSeries(ValueError):
    """A table that is no vegetation series: it lacks the columns."""


def read_series(path: Path, sites: Iterable[str] | None = None) -> dict[str, pd.Series]:
    """Raw `fapar` series [1] of each site of a file: the first column with data; of several sources, the longest.

    Args:
        path: the file, as any spreadsheet saves it.
        sites: only these are looked at, and spelt so; all by default.

    Raises:
        NoSeries: a column is missing.
        ValueError: not a table, damaged, wrong date or number, values not between 0 and 1, two values on a day; names all rows.
    """
    cells = read_cells(path, aliases={"site": "site_id", "site_id": "site_id", "date": "date"})
    columns = value_columns(cells.text.columns)
    if not columns or not {"site_id", "date"} <= set(cells.text.columns):
        raise NoSeries(
            f"{path.name} needs the columns site_id, date and one of fapar, fpar, ndvi; it has {', '.join(cells.text.columns)[:200]}. "
            "A table of AppEEARS keeps its name, TASK-MCD15A3H-061-results.csv for instance"
        )
    if quality := [name for name in cells.text.columns if _QUALITY.search(name)]:
        _LOG.warning(
            "%s: the columns %s, which may say where a value is bad, are not read; leave the values empty that they call bad. In tables of "
            "AppEEARS that keep their name, TASK-MCD15A3H-061-results.csv for instance, FparLai_QC is read", path.name, ", ".join(quality),
        )  # fmt: skip
    site = cells.text["site_id"]
    if sites is not None:
        site = site.str.casefold().map({one.casefold(): one for one in sites})
        warn_of_unknown_sites(cells, site, sites)
        cells = replace(cells, text=cells.text[site.notna()])
        site = site[site.notna()]
    dates = cells.dates("date")
    source = cells.text["source"] if "source" in cells else pd.Series("", index=site.index)
    found: dict[str, pd.Series] = {}
    for column in columns:
        found = _longest(_shares(cells, column), site, source, dates, path) | found
    for name, series in found.items():
        if len(series) > 20 and series.quantile(0.95) < _FAINT:
            _LOG.warning("%s: fapar of %s stays below %.3f; was a scale factor applied twice?", path.name, name, series.quantile(0.95))
    return found


def value_columns(columns) -> list[str]:
    """The columns that can be read, best first: fapar before fpar before ndvi; the pixel of the tower before means of several.

    At 43 European towers with both, the cleaned middle pixel of MODIS times PAR and temperature and VPD responses follows daily GPP a
    little better than the median of 3 x 3 pixels: mean r 0.799 against 0.795, better at 60 % of the sites, most of all at crops (by 0.016).

    >>> value_columns(["site_id", "date", "fpar_3x3_median", "fpar_center"])
    ['fpar_center', 'fpar_3x3_median']
    """

    def rank(name):
        lower = name.lower()
        kind = next(i for i, kind in enumerate(_KINDS) if lower.startswith(kind))
        return kind, lower not in _KINDS, "center" not in lower, lower

    values = (name for name in columns if name.lower().startswith(_KINDS) and not _NO_VALUES.search(name) and not _QUALITY.search(name))
    return sorted(values, key=rank)


def _shares(cells: Cells, column: str) -> pd.Series:
    values, faults = cells.parsed(column)
    is_ndvi = column.lower().startswith("ndvi")
    wrong = (values > 1) | (values < (-1 if is_ndvi else 0))
    largest = values.max()
    unit = "per cent" if 1 < largest <= 100 else "stored numbers with a scale factor" if largest > 100 else "fill values"
    if wrong.any():
        row = values.index[wrong][0]
        faults[row] = (
            f"column {column}, row {row}: {quoted(cells.text.at[row, column])} is not a share of 0 to 1 ({int(wrong.sum())} of "
            f"{len(values)} rows, largest {largest:g}: {unit}?); divide percent by 100, apply the scale factor of the product, leave fill "
            "values empty"
        )
    cells.refuse(dict(sorted(faults.items())))
    return fapar_of_ndvi(values) if is_ndvi else values


def _longest(values: pd.Series, site: pd.Series, source: pd.Series, dates: pd.Series, path: Path) -> dict[str, pd.Series]:
    longest: dict[str, pd.Series] = {}
    known = values.notna()
    for (name, _), rows in values[known].groupby([site[known], source[known]]):
        series = rows.set_axis(dates[rows.index]).sort_index()
        if series.index.has_duplicates:
            again = series.groupby(level=0).nunique()
            if (again > 1).any():
                days = again.index[again > 1]
                others = f" and {len(days) - 1} other days" if len(days) > 1 else ""
                raise ValueError(f"{path.name}: two values for {name} on {days[0]:%Y-%m-%d}{others}; keep one")
            _LOG.warning("%s: %d days of %s stand twice with the same value", path.name, len(series) - len(again), name)
            series = series[~series.index.duplicated()]
        if len(series) > len(longest.get(name, ())):
            longest[name] = series
    return longest


def fapar_of_ndvi(ndvi):
    """Absorbed share of PAR [1] of NDVI [1]: the line in common use, 1.24 NDVI - 0.168, calibrated for no class; a fapar product is better.

    >>> round(float(fapar_of_ndvi(0.8)), 3)
    0.824
    """
    return np.clip(1.24 * ndvi - 0.168, 0.0, 1.0)


def daily(raw: pd.Series, *, evergreen: bool) -> pd.Series:
    """Cleaned daily series from the first day of the first composite to the last day of the last one, NaN in long gaps.

    Args:
        raw: composites on their first days, fapar [1]; a daily series is only smoothed, over three days.
        evergreen: lift winter values far below those of the greenest months: the canopy keeps its leaves.
    """
    step = max(int(raw.index.to_series().diff().dt.days.median()), 1) if len(raw) > 1 else 1
    clean = despike(raw, step) if step > _ALREADY_FILTERED else raw
    if evergreen:
        clean = _lift_winter(clean)
    middle = clean.set_axis(clean.index + pd.Timedelta(days=(step - 1) // 2))
    axis = pd.date_range(raw.index[0], raw.index[-1] + pd.Timedelta(days=step - 1), freq="D", name="time")
    line = middle.reindex(axis).interpolate(limit_direction="both").rolling(2 * step + 1, center=True, min_periods=1).mean()
    first_days = raw.index.to_numpy()
    after = np.searchsorted(first_days, axis.to_numpy(), side="right")
    last, following = first_days[after - 1], first_days[np.minimum(after, len(first_days) - 1)]
    in_long_gap = (following - last > np.timedelta64(_LONGEST_GAP, "D")) & (axis.to_numpy() >= last + np.timedelta64(step, "D"))
    return line.mask(in_long_gap)


def despike(raw: pd.Series, step: int) -> pd.Series:
    """Composites without dips (cloud, snow) and jumps.

    A dip lies below both the median of the weeks before and that of the weeks after, so that a harvest or a leaf fall stays; a jump above
    both. Dips go six times as easily, because cloud and snow only lower a value. Two passes, for dips of several composites.

    Args:
        raw: composites, fapar [1].
        step: usual distance of two composites [d].
    """
    clean, count = raw, max(round(_SIDE_DAYS / step), 2)
    for _ in range(2):
        before = clean.shift(1).rolling(count, min_periods=1).median()
        after = clean[::-1].shift(1).rolling(count, min_periods=1).median()[::-1]
        rough = (clean - clean.rolling(2 * count - 1, center=True, min_periods=3).median()).abs()
        spread = 1.4826 * rough.rolling(8 * count + 1, center=True, min_periods=count).median().clip(lower=0.02)
        dip = clean < np.fmin(before, after) - _DIP * spread
        clean = clean[~(dip | (clean > np.fmax(before, after) + _JUMP * spread))]
    return clean


def _lift_winter(clean: pd.Series) -> pd.Series:
    """Snow and low sun make an evergreen canopy look bare: a floor under its usual least value in the five greenest months."""
    month = clean.index.month
    greenest = clean.groupby(month).mean().nlargest(5).index
    return clean.clip(lower=_EVERGREEN_FLOOR * clean[month.isin(greenest)].quantile(0.1))
