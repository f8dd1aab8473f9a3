"""Tables of satellite reflectance at points: what AppEEARS, Earth Engine and people export, read by the catalog.

A file belongs to the dataset whose `files` its name matches; names of columns, scale, offset, missing value, range and mask stand there, as
for imagery. Nothing is guessed: a table that contradicts its dataset is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.catalog import Band, Dataset, Mask
from hybridflux.data.delimited import Cells, quoted, read_cells, warn_of_unknown_sites
from hybridflux.data.imagery.indices import INDICES, bands_needed, compute
from hybridflux.data.imagery.masks import clear

_LOG = logging.getLogger("hybridflux.data")
FORMAT = "points"
EPOCH_COLUMN = "system:time_start"
"""Milliseconds since 1970 UTC, which Earth Engine gives where no date was exported."""
MOST_OUTSIDE = 0.01
"""Share of clear values outside the range of the catalog from which on the file is not what the dataset says; fewer are dropped."""
FAINT, ENOUGH = 0.02, 20
"""Median near infrared reflectance [1] that no land has, and views from which on it counts: a scale factor was applied twice."""
NIR = ("B08", "B8A")
FAINTEST_LEAVES = 0.01
"""Largest fapar [1] that no tower with leaves stays below; shares of 0 to 1 that are scaled by 0.01 do."""
_SITE = {"site": "site_id", "id": "site_id"}


def dataset_of(path: Path, catalog: Mapping[str, Dataset]) -> Dataset | None:
    """The dataset whose files are named so, or None.

    Raises:
        ValueError: several are.
    """
    tables = [one for one in catalog.values() if one.format == FORMAT]
    fit = [one for one in tables if any(fnmatch(path.name.lower(), pattern.lower()) for pattern in one.files)]
    if len(fit) > 1:
        raise ValueError(f"{path.name} may be of {' or '.join(one.id for one in fit)} by its name; `hybridflux catalog points` lists names")
    return fit[0] if fit else None


def gives(dataset: Dataset) -> tuple[str, ...]:
    """Indices that a dataset has, or has the bands for."""
    given = {band.variable for band in dataset.bands}
    bands = {band.name for band in dataset.bands}
    return tuple(name for name in INDICES if name in given or _computable(name, bands))


def read_points(path: Path, dataset: Dataset, names: Iterable[str], sites: Collection[str]) -> dict[str, pd.Series]:
    """Clear views of indices at sites: index -> values by (site, day) in order.

    Rows of a site and day that hold the same values are one view; several views of a day, two overpasses, are averaged with a warning.

    Args:
        path: the table, plain or gzipped.
        dataset: of the catalog.
        names: keys of `INDICES`, or variables of the dataset, that are wanted; those that the table does not give are left out.
        sites: only these, and spelt so.

    Raises:
        ValueError: not a table, a column is missing, a cell is no number, labels that are no classes, or values that the dataset says
            cannot be.
    """
    cells, names = read_cells(path, aliases={**_SITE, "date": "date"}), tuple(names)
    if "site_id" not in cells or not ("date" in cells or EPOCH_COLUMN in cells):
        raise ValueError(f"{path.name} needs the columns site_id (or ID) and date (or {EPOCH_COLUMN}); it has {_columns(cells)}")
    site = cells.text["site_id"].str.casefold().map({one.casefold(): one for one in sites})
    warn_of_unknown_sites(cells, site, sites)
    cells = replace(cells, text=cells.text[site.notna()])
    column = {band.name: found for band in dataset.bands if (found := _column(band, cells)) is not None}
    given = {band.variable: band for band in dataset.bands if band.variable and band.name in column}
    usable = [name for name in names if name in given or _computable(name, column)]
    if not usable:
        wanted = ", ".join(names)
        _LOG.warning("%s gives no %s: it lacks the columns of %s, and has %s", path.name, wanted, dataset.id, _columns(cells))
    if not usable or cells.text.empty:
        return {}
    seen = _clear(cells, dataset, column)
    inputs = {given[name].name for name in usable if name in given} | {*bands_needed([n for n in usable if n not in given], column)}
    bands = {band.name: band for band in dataset.bands if band.name in inputs}
    good = _good(cells, dataset, bands.values(), column)
    values = {name: _values(cells, band, column[name], seen & good.get(name, True)) for name, band in bands.items()}
    _check_scale(path.name, dataset, bands, column, values)
    shift = pd.Timedelta(days=(dataset.composite - 1) // 2)
    key = pd.MultiIndex.from_arrays([site[cells.text.index], _days(cells) + shift], names=["site", "day"])
    table = pd.DataFrame({name: series.to_numpy() for name, series in values.items()}, key)
    table = table[~table.reset_index().duplicated().to_numpy()]
    arrays = {name: table[name].to_numpy() for name in table}
    series: dict[str, pd.Series] = {}
    for name in usable:
        index = arrays[given[name].name] if name in given else compute(name, arrays)
        series[name] = pd.Series(index, table.index).dropna()
    _warn_of_averages(series, path.name, shift)
    return {name: views.groupby(level=[0, 1]).mean().sort_index() for name, views in series.items()}


def _check_scale(
    where: str, dataset: Dataset, bands: Mapping[str, Band], column: Mapping[str, str], values: Mapping[str, pd.Series]
) -> None:
    """Refuse clear values that are so small everywhere that the scale factor was applied before.

    Raises:
        ValueError: names the column, the scale and the cure.
    """
    for name, band in bands.items():
        known = values[name].dropna()
        if len(known) < ENOUGH:
            continue
        if name in NIR and (median := known.median()) < FAINT:
            said, cure = f"the median reflectance is {median:.2g}", "name the file reflectance*.csv"
        elif band.variable == "fapar" and (largest := known.max()) <= FAINTEST_LEAVES:
            said, cure = f"the largest fapar is {largest:.2g}", "export the stored numbers"
        else:
            continue
        raise ValueError(
            f"{where}, column {column[name]}: {said} after the scale of {band.scale:g} that {dataset.id} declares; was the scale applied "
            f"before? Then {cure}"
        )


def _warn_of_averages(series: Mapping[str, pd.Series], where: str, shift: pd.Timedelta) -> None:
    several = sorted({one for views in series.values() for one in views.index[views.index.duplicated()]}, key=lambda one: one[::-1])
    if several:
        site, day = several[0]
        _LOG.warning(
            "%s: %d days have several clear views of one site that differ, the first is %s at %s; their indices are averaged. Two "
            "overpasses may be so; of two exports of one day delete one", where, len(several), f"{day - shift:%Y-%m-%d}", site,
        )  # fmt: skip


def _computable(name: str, bands: Collection[str]) -> bool:
    try:
        bands_needed([name], bands)
    except ValueError:
        return False
    return True


def _columns(cells: Cells) -> str:
    return ", ".join(map(str, cells.text.columns))[:300]


def _column(band: Band, cells: Cells) -> str | None:
    """The column of a band by its name or an alias, whatever its capitals."""
    there = {str(name).casefold(): name for name in cells.text.columns}
    return next((there[name.casefold()] for name in (band.name, *band.aliases) if name.casefold() in there), None)


def _days(cells: Cells) -> pd.Series:
    if "date" in cells:
        return cells.dates("date")
    rounded = cells.text[EPOCH_COLUMN].str.contains("e", case=False, regex=False)
    why = f"a spreadsheet has rounded the milliseconds of {EPOCH_COLUMN} away, and with them the day; take the file as exported"
    cells.refuse({row: f"row {row}: {quoted(cells.text.at[row, EPOCH_COLUMN])}: {why}" for row in rounded.index[rounded][:1]})
    return pd.to_datetime(cells.numbers(EPOCH_COLUMN), unit="ms").dt.normalize()


def _clear(cells: Cells, dataset: Dataset, column: Mapping[str, str]) -> np.ndarray:
    """Whether each row is a clear view, by the mask of the dataset; all are where it has none."""
    mask = dataset.mask
    if mask is None:
        return np.ones(len(cells.text), bool)
    if mask.band not in column:
        names = _names(dataset, mask.band)
        named = " or ".join([name for name in names if name.split("_")[0].casefold() in cells.where.casefold()] or names)
        raise ValueError(f"{cells.where} lacks the column {named}, which says what is cloud ({dataset.id}); export it too")
    return _passed(cells, dataset, mask, column)


def _good(cells: Cells, dataset: Dataset, bands: Iterable[Band], column: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Which rows are good for each band that has a mask of its own; one warning for all masks whose columns the table lacks."""
    own = {band.name: band.mask for band in bands if band.mask is not None}
    lacking = dict.fromkeys(_names(dataset, mask.band)[-1] for mask in own.values() if mask.band not in column)
    if lacking:
        _LOG.warning(
            "%s lacks the columns %s, which say where a band is bad though the view is clear (%s); nothing is left out for that. Export "
            "them too", cells.where, ", ".join(lacking), dataset.id,
        )  # fmt: skip
    return {name: _passed(cells, dataset, mask, column) for name, mask in own.items() if mask.band in column}


def _names(dataset: Dataset, name: str) -> tuple[str, ...]:
    """Name of a band and its aliases."""
    band = next(band for band in dataset.bands if band.name == name)
    return band.name, *band.aliases


def _passed(cells: Cells, dataset: Dataset, mask: Mask, column: Mapping[str, str]) -> np.ndarray:
    """Whether the label of each row is one that a mask lets pass.

    Raises:
        ValueError: a label is no class.
    """
    labels = cells.numbers(column[mask.band])
    broken = labels.dropna() % 1 != 0
    if broken.any():
        row = broken.index[broken][0]
        raise ValueError(
            f"{cells.where}, column {column[mask.band]}, row {row}: {labels[row]:g} is no class but a mean of classes; export the value of "
            "the nearest pixel"
        )
    nodata = next(band.nodata for band in dataset.bands if band.name == mask.band)
    known = labels.where(labels != nodata).fillna(-1).to_numpy(np.int64)
    return clear(mask, known[None, :], np.inf)[0]


def _values(cells: Cells, band: Band, column: str, seen: np.ndarray) -> pd.Series:
    """Values of a band, scaled, NaN where missing, not clear or out of range.

    Raises:
        ValueError: a cell is no number, or more of them than chance are out of range.
    """
    stored = cells.numbers(column)
    stored = stored.where(seen & (stored != band.nodata))
    low, high = band.range or (-np.inf, np.inf)
    outside = stored.notna() & ~stored.between(low, high)
    if outside.sum() > MOST_OUTSIDE * max(stored.notna().sum(), 1):
        row = outside.index[outside][0]
        raise ValueError(
            f"{cells.where}, column {column}, row {row}: {stored[row]:g} is not between {low:g} and {high:g} ({int(outside.sum())} of "
            f"{int(stored.notna().sum())} clear values): another scale than the catalog declares, or an undeclared missing value"
        )
    return stored.where(~outside) * band.scale + band.offset
