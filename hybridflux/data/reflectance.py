"""Daily vegetation indices at towers from the clear views of satellites, by the smoother that fills pixels of regions."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.catalog import load_catalog
from hybridflux.data.points import dataset_of, gives, read_points
from hybridflux.series import SeriesProcess, fill
from hybridflux.series.hyperparameters import season_of, season_sd
from hybridflux.series.marginal_likelihood import HARMONICS, fit_season

_LOG = logging.getLogger("hybridflux.data")
FOLDER = "reflectance"
LEAST_VIEWS = 20  # clear views of a tower from which its season can be seen
LONGEST_GAP = 100  # days between two views beyond which a day has no value of its own; a polar winter is shorter
_FIELDS = ("fast_sd", "fast_days", "slow_sd", "slow_days", "view_sd", "freedom", "widening")
_LEARNED = {
    "nirv": (0.0197, 33.1, 0.0097, 2190.0, 0.0222, 3.55, 1.03),
    "lswi": (0.0443, 24.8, 0.0274, 962.0, 0.0285, 10.8, 1.05),
    "ndvi": (0.0418, 27.1, 0.0248, 2100.0, 0.0318, 9.30, 1.13),
    "evi2": (0.0349, 33.7, 0.0172, 2260.0, 0.0353, 6.54, 1.01),
    "kndvi": (0.0413, 27.5, 0.0251, 1780.0, 0.0320, 4.71, 1.14),
    "cci": (0.0383, 24.5, 0.0301, 2880.0, 0.0623, 5.46, 1.10),
}
SMOOTHER = {index: SeriesProcess((0.0,), **dict(zip(_FIELDS, numbers, strict=True))) for index, numbers in _LEARNED.items()}
"""Hyperparameters of the smoother by index, about the season of each tower: `series.learn` on the departures of 79,400 clear views of MODIS
at 1 km from the seasons of 51 European towers, 2000-2018. Each tower scales them by what its own views show (`freedom`)."""
INDICES_AT_TOWERS = tuple(SMOOTHER)
"""Daily drivers that reflectance gives, for names in models."""


def read_reflectance(folder: Path, sites: Collection[str], names: Collection[str] = INDICES_AT_TOWERS) -> dict[str, pd.DataFrame]:
    """Daily indices `nirv`, ... and their standard deviations `nirv_sd`, ... [1] of every site that has clear views.

    One dataset serves all towers, so that no fit mixes sensors: the one that gives the most of the wanted indices at the most sites, then
    with the most views.

    Args:
        folder: of towers, with `reflectance/*.csv` or `*.csv.gz`; nothing is given where there is none.
        sites: that are wanted, and spelt so.
        names: indices that are wanted, of `INDICES_AT_TOWERS`.

    Returns:
        One frame a site, NaN in long gaps; its attribute `dataset` is the id of the dataset.

    Raises:
        ValueError: a table is damaged or contradicts its dataset.
    """
    names, catalog = [name for name in INDICES_AT_TOWERS if name in names], load_catalog()
    found: dict[str, dict[str, list[tuple[str, pd.Series]]]] = {}
    files = sorted((folder / FOLDER).glob("*.csv*"))
    for path in files if names else ():
        dataset = dataset_of(path, catalog)
        if dataset is None:
            _LOG.warning("%s is the file of no dataset; `hybridflux catalog points` says how they are named", path)
            continue
        if not {*gives(dataset)} & {*INDICES_AT_TOWERS}:
            _LOG.warning("%s is not read: %s gives no index of reflectance; fapar belongs into the folder satellite", path, dataset.id)
        wanted = [name for name in names if name in gives(dataset)]
        for name, views in read_points(path, dataset, wanted, sites).items() if wanted else ():
            found.setdefault(dataset.id, {}).setdefault(name, []).append((path.name, views))
    if not found:
        return {}
    joined = {id: _joined(of) for id, of in found.items()}
    chosen = max(joined, key=lambda id: _worth(joined[id]))
    if len(joined) > 1:
        _LOG.info("reflectance of %s; not used: %s", chosen, ", ".join(sorted(joined.keys() - {chosen})))
    columns: dict[str, dict[str, pd.Series]] = {}
    for name, views in joined[chosen].items():
        for site, series in daily(views, SMOOTHER[name], name).items():
            columns.setdefault(site, {}).update(series)
    frames = {site: pd.DataFrame(of) for site, of in columns.items()}
    for frame in frames.values():
        frame.attrs["dataset"] = chosen
    return frames


def _joined(parts: Mapping[str, Sequence[tuple[str, pd.Series]]]) -> dict[str, pd.Series]:
    """Index -> views of the files of a dataset; those of one day that differ are averaged with a warning."""
    joined, several = {}, set()
    for name, of_files in parts.items():
        if len(of_files) == 1:
            joined[name] = of_files[0][1]
            continue
        by_day = pd.concat([views for _, views in of_files]).groupby(level=[0, 1])
        joined[name] = by_day.mean().sort_index()
        several |= set(joined[name].index[by_day.nunique().sort_index() > 1])
    if several:
        site, day = min(several, key=lambda one: one[::-1])
        files = ", ".join(dict.fromkeys(file for of_files in parts.values() for file, _ in of_files))
        _LOG.warning(
            "%s: %d days have views of one site that differ between these files, the first is %s at %s; their indices are averaged. Two "
            "overpasses may be so; of two exports of one day delete one", files, len(several), f"{day:%Y-%m-%d}", site,
        )  # fmt: skip
    return joined


def _worth(views: Mapping[str, pd.Series]) -> tuple[int, int]:
    return sum(len(one.index.unique(0)) for one in views.values()), sum(map(len, views.values()))


def daily(views: pd.Series, process: SeriesProcess, name: str) -> dict[str, dict[str, pd.Series]]:
    """Site -> its daily index `name` and `name_sd` from its first to its last view, NaN in long gaps.

    Args:
        views: clear views by (site, day).
        process: hyperparameters of the departures from the season of a site.
        name: name of the index.
    """
    counts = views.groupby(level=0).count()
    views = views[views.index.get_level_values(0).isin(counts.index[counts >= LEAST_VIEWS])]
    if views.empty:
        return {}
    table = views.unstack(0).sort_index()
    days = pd.date_range(table.index[0], table.index[-1], freq="D", name="time")
    when, every = days.get_indexer(table.index), np.arange(len(days))
    values = table.to_numpy(np.float32)
    processes = [_own_season(column, when, process) for column in values.T]
    season = np.stack([season_of(one, every) for one in processes], axis=1)
    filled = fill(values - season[when].astype(np.float32), when, len(days), process=process)
    season_factor = np.stack([np.sqrt(1.0 + (season_sd(one, every) / one.signal_sd) ** 2) for one in processes], axis=1)
    mean, sd = filled.mean + season, filled.sd * season_factor
    by_site = {}
    for number, site in enumerate(table.columns):
        inside = _near_views(when[filled.used[:, number]], every)
        series = {name: mean[:, number], f"{name}_sd": sd[:, number]}
        by_site[site] = {key: pd.Series(np.where(inside, column, np.nan), days) for key, column in series.items()}
    return by_site


def _own_season(column: np.ndarray, when: np.ndarray, process: SeriesProcess) -> SeriesProcess:
    """The hyperparameters with the season of one tower."""
    seen = np.isfinite(column)
    season, error = fit_season(column[seen, None], np.ones((int(seen.sum()), 1), bool), when[seen], HARMONICS)
    return replace(process, season=season, season_error=error)


def _near_views(seen: np.ndarray, every: np.ndarray) -> np.ndarray:
    """Whether each day lies between two views that are not too far apart."""
    after = np.searchsorted(seen, every, side="left")
    inside = (after < len(seen)) & (every >= seen[0])
    following = seen[np.minimum(after, len(seen) - 1)]
    before = seen[np.maximum(np.searchsorted(seen, every, side="right") - 1, 0)]
    return inside & (following - before <= LONGEST_GAP)
