"""Weather of the nearest flux tower, for regions without a better source or experiments with the weather of the fit."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from hybridflux.data.archives import Archive, find_archives
from hybridflux.data.catalog import Dataset
from hybridflux.data.fluxnet import DRIVERS, Quality
from hybridflux.data.fluxnet_table import NoRecord, read_table
from hybridflux.data.gaps import FLAGS, GIVEN
from hybridflux.data.site_table import distance_km, pick_sites, read_sites
from hybridflux.data.tower_drivers import complete
from hybridflux.data.tower_files import read_record
from hybridflux.data.weather.border import Extent, assemble, wanted_days
from hybridflux.data.weather.daily_weather import DAILY, MORE, Weather
from hybridflux.time import time_zone_name

FAR, TOO_FAR = 100.0, 300.0  # km: beyond the first a warning, beyond the second a refusal
ENOUGH = 0.8  # least share of the days on which the tower's file gives the weather
_NEEDED = ("tair", "par", "vpd", "rain")  # tmin follows from these where a file lacks it
_FILLED = ("interpolated", "climatology")  # of `gaps.FLAGS`; `derived` is computed from measurements
_SOURCE = "MET_SOURCE"  # column with the source of temperature, radiation and vapour pressure of a day


@dataclass(frozen=True)
class _Candidate:
    site: str
    distance: float  # km
    row: pd.Series
    archive: Archive


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Weather:
    """Daily weather of the nearest tower that has it on these days, as one cell.

    Args:
        dataset: entry of the catalog; only its id is recorded in the origin, the columns are those of FLUXNET.
        place: a towers folder (`sites.csv`, `fluxnet_dd/`); `folder#FR-Tou` names the site instead of the nearest.
        extent: west, south, east, north [degrees]; distances are to its centre.
        start: first day.
        end: last day, included.
        utc_offset: UTC offset of the region's standard days [h].

    Raises:
        FileNotFoundError: no towers folder, or no flux file of the named site.
        ValueError: no tower within 300 km gives 80 % of the days; or what `read_record` refuses.
    """
    folder, _, name = str(place).partition("#")
    days = wanted_days(start, end)
    candidates = _candidates(Path(folder), name, extent)
    tried = []
    for candidate in candidates:
        try:
            record, files = read_record(candidate.archive, Quality(), candidate.row)
        except NoRecord as error:
            tried.append(f"{candidate.site} ({candidate.distance:.0f} km) gives nothing: {error}")
            continue
        frame = record[list(DRIVERS)]
        given = frame[list(_NEEDED)].notna().all(axis=1)
        share = float(given.reindex(pd.DatetimeIndex(days), fill_value=False).mean())
        if share >= ENOUGH or (name and share > 0):
            return _weather(dataset, candidate, frame, files, days, share, utc_offset, tried)
        tried.append(f"{candidate.site} ({candidate.distance:.0f} km) gives {share:.0%}")
    raise ValueError(
        f"{folder}: no tower within {TOO_FAR:.0f} km gives weather on {ENOUGH:.0%} of the days {days[0]} to {days[-1]}: "
        f"{'; '.join(tried) or 'there is none'}; name a site by `{folder}#SITE`, or use a reanalysis"
    )


def _candidates(folder: Path, name: str, extent: Extent) -> list[_Candidate]:
    """Towers with a file, by distance: the named one, or all within reach."""
    table = read_sites(folder)
    if name:
        table.refuse(chosen := pick_sites(name, table.rows.index, f"{folder}/sites.csv"))
        table = table.rows.loc[chosen]
    else:
        table = table.rows.drop(index=list(table.faults))
    west, south, east, north = extent
    distance = distance_km(0.5 * (south + north), 0.5 * (west + east), table["lat"].to_numpy(float), table["lon"].to_numpy(float))
    archives = find_archives(folder, list(table.index))
    if name and name not in archives:
        raise FileNotFoundError(f"{folder} holds no FLUXNET file of {name}; its name begins like FLX_{name}_FLUXNET")
    order = [i for i in np.argsort(distance) if table.index[i] in archives and (name or distance[i] <= TOO_FAR)]
    return [_Candidate(table.index[i], float(distance[i]), table.iloc[i], archives[table.index[i]]) for i in order]


def _weather(dataset, candidate: _Candidate, frame, files, days, share, utc_offset, tried) -> Weather:
    site, row = candidate.site, candidate.row
    axis = pd.DatetimeIndex(days, name="time")
    values, flags = complete(frame, axis, row["lat"], str(candidate.archive))
    filled = {name: {FLAGS[code]: int(n) for code, n in flags[name].value_counts().items() if code != GIVEN} for name in (*DAILY, *MORE)}
    names = [name for name in (*DAILY, *MORE) if values[name].notna().all() and (name in DAILY or _is_measured(filled[name], days))]
    filled = {name: filled[name] for name in names}
    _warn(candidate, days, share, filled, utc_offset)
    origin = {
        "dataset": dataset.id, "file": ", ".join(map(str, files)), "site": site, "distance_km": round(candidate.distance, 1),
        "elevation": float(row["elev"]), "days": f"local standard days of the tower ({_zone(row)})",
        "days_of_region": bool(row["utc_offset"] == utc_offset), "utc_offset": float(row["utc_offset"]),
        "share_of_days_given": round(share, 4), "filled_days": {name: parts for name, parts in filled.items() if parts},
        "days_by_source": _sources(files, days), "nearer_without_weather": tried,
    }  # fmt: skip
    cells = {name: values[name].to_numpy()[:, None] for name in names}
    return assemble(days, cells, [row["lat"]], [row["lon"]], [row["elev"]], origin, f"{candidate.archive}")


def _is_measured(filled: dict[str, int], days: np.ndarray) -> bool:
    """Whether a tower measures an optional variable: one that is mostly a climatology is not offered."""
    return sum(n for how, n in filled.items() if how in _FILLED) <= (1 - ENOUGH) * len(days)


def _zone(row: pd.Series) -> str:
    return time_zone_name(row["utc_offset"]) if np.isfinite(row["utc_offset"]) else "of a time zone that sites.csv does not give"


def _warn(candidate: _Candidate, days: np.ndarray, share: float, filled: dict, utc_offset: float) -> None:
    site, own = candidate.site, candidate.row["utc_offset"]
    if candidate.distance > FAR:
        warnings.warn(f"the weather is that of {site}, {candidate.distance:.0f} km away: daily rain differs in the region", stacklevel=4)
    gaps = [f"{name} {n} {how}" for name, parts in filled.items() for how, n in parts.items() if how in _FILLED]
    if gaps:
        warnings.warn(
            f"{site} gives all its weather on {share:.0%} of the {len(days)} days {days[0]} to {days[-1]}; filled are {', '.join(gaps)} "
            "(a climatology has no spells: its rain falls a little every day)",
            stacklevel=4,
        )
    if np.isfinite(own) and own != utc_offset:
        warnings.warn(f"days of {site} are {time_zone_name(own)} days, those of the region {time_zone_name(utc_offset)}", stacklevel=4)


def _sources(files: Mapping[Archive, pd.DatetimeIndex], days: np.ndarray) -> dict[str, int]:
    """Source -> number of days, where a file has a column for it; each file counts on the days that it gives."""
    found: Counter[str] = Counter()
    for archive, given in files.items():
        table = read_table(archive, frozenset(("TIMESTAMP", _SOURCE)))
        if _SOURCE in table:
            inside = pd.to_datetime(table["TIMESTAMP"], format="%Y%m%d").isin(given.intersection(pd.DatetimeIndex(days)))
            found.update(table.loc[inside, _SOURCE])
    return dict(found)
