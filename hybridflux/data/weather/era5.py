"""ERA5-Land and ERA5: hours in UTC as the Climate Data Store delivers them, to standard days of the region."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.weather import hours
from hybridflux.data.weather.air import vpd_of_dewpoint
from hybridflux.data.weather.axes import preliminary
from hybridflux.data.weather.border import Extent, assemble, check_spelling, find_band, to_units, wanted_days
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.data.weather.netcdf import WITH_TABLES, Window, parts, same_cells, window
from hybridflux.time import time_zone_name
from hybridflux.units import convert

REQUEST_NAMES = {
    "t2m": "2m_temperature", "d2m": "2m_dewpoint_temperature",
    "ssrd": "surface_solar_radiation_downwards", "tp": "total_precipitation",
}  # fmt: skip
"""Name in the files -> name in a request of the data store."""
_INSTANT, _FALLEN = ("t2m", "d2m"), ("ssrd", "tp")
_GEOPOTENTIAL, _GRAVITY = "z", 9.80665  # m s-2, the standard gravity by which ECMWF divides
_DARK = 3600.0  # J m-2 of an hour: 1 W m-2, above the noise of packed files
_KELVIN = (170.0, 340.0)
_SUPERSATURATED, _OFTEN = 1.0, 0.02  # K and share of hours; packing and the vapour over ice leave less
_SLACK = 2  # hours that the first or last day may lack: those that UTC+1 moves out of UTC days; more would be its morning or evening


@dataclass(frozen=True)
class _HourlyValues:
    """One variable of all files: sorted hours and values `[hour, cell]`."""

    stamps: np.ndarray
    values: np.ndarray


def read(dataset: Dataset, place: str | Path, extent: Extent, start, end, utc_offset: float) -> Weather:
    """ERA5-Land or ERA5 at the cells of an extent, hours aggregated to standard days of the region.

    `tair`, `tmin`, `tmax`, `vpd` are means and extremes of the hours of a day, `vpd` that of temperature and dew point of each hour.
    `tair_day` and `vpd_day` are means of the hours of light, `tair_night` of those without: weighted with their numbers of hours the two
    temperatures give `tair`. Where no hour is dark `tair_night` is `tmin`, where none has light the mean of the day replaces that of the
    light. `par` and `rain` are sums of the hours that end within the day. Whether `ssrd` and `tp` are sums since 00 UTC or of single hours
    is inferred from the data, once for both, and checked against the sun.

    Args:
        dataset: entry of the catalog; its bands `t2m d2m ssrd tp` are read, and the elevation from `z` where a file has it.
        place: folder, file or pattern: netCDF or GRIB of any months, netCDF or CSV of points (the time series of the data store), zipped or
            not, one or several streams in a zip.
        extent: west, south, east, north [degrees].
        start: first day.
        end: last day, included. The first and last day need the hours of the UTC day beside them that the offset moves into them; they may
            lack two, which the origin records.
        utc_offset: UTC offset of the region's standard days [h].

    Raises:
        FileNotFoundError: no file.
        ValueError: a variable, hour or day is missing or doubled, units differ from the catalog's, stamps are not UTC, a file is damaged.
    """
    days = wanted_days(start, end)
    bands = {band.name: band for band in dataset.bands}
    series, cells, elevation, names = _collect(dataset, place, extent)
    warm = {name: _HourlyValues(series[name].stamps, _kelvin_to_celsius(bands[name], series[name].values, place)) for name in _INSTANT}
    accumulated = _decide({name: series[name] for name in _FALLEN}, place)
    fallen = {name: _single(series[name], accumulated, f"{place}, `{name}`") for name in _FALLEN}
    hours.check_noon(fallen["ssrd"].stamps, fallen["ssrd"].values, cells.longitude, str(place))
    _check_cover({**warm, **fallen}, days, utc_offset, place)
    values, short = _to_days(bands, warm, fallen, days, utc_offset, place)
    origin = {
        "dataset": dataset.id, "files": names[:50], "n_files": len(names), "days": f"{time_zone_name(utc_offset)} days of UTC hours",
        "days_of_region": True, "days_with_fewer_hours": short,
        "ssrd_and_tp": "sums since 00 UTC, taken apart" if accumulated else "single hours",
        "derived": {"vpd": "hourly temperature and dew point, FAO-56 equation 11", "tair_night": "hours without radiation",
                    "tair_day, vpd_day": "hours with radiation"},
    }  # fmt: skip
    return assemble(days, values, cells.latitude, cells.longitude, elevation, origin, str(place))


def _collect(dataset: Dataset, place, extent: Extent) -> tuple[dict[str, _HourlyValues], Window, np.ndarray | float, list[str]]:
    """Hours of every band, the cells, their elevation if a file has it, and the names of the files."""
    series: dict[str, tuple[list, list]] = {}
    windows, silent, held, elevation, early = [], set(), set(), np.nan, []
    bands = {band.name: band for band in dataset.bands}
    for where, data in parts(place, WITH_TABLES):
        held |= set(map(str, data.data_vars))
        variables = {band: name for band, name in find_band(dataset, data.data_vars).items() if band in REQUEST_NAMES}
        has_height = _GEOPOTENTIAL in data.data_vars
        if not variables and not has_height:
            continue
        cells = window(data, extent, dataset.ground_resolution, where)
        windows.append(cells)
        early.append(preliminary(data))
        if has_height:
            elevation = np.nanmean(cells.values(data[_GEOPOTENTIAL]), axis=0) / _GRAVITY
        for band, name in variables.items():
            units = data[name].attrs.get("units")
            check_spelling(bands[band], units, f"{where}, `{name}`")
            silent |= set() if units else {band}
            stamps, values = series.setdefault(band, ([], []))
            stamps.append(cells.stamps)
            values.append(cells.values(data[name]))
    if not windows:
        found = ", ".join(sorted(held)[:10]) or "nothing"
        raise ValueError(f"{place}: no netCDF, GRIB or CSV file with {', '.join(REQUEST_NAMES)} and an axis of time; found {found}")
    lacking = [name for name in REQUEST_NAMES if name not in series]
    if lacking:
        asked = ", ".join(f"`{REQUEST_NAMES[name]}`" for name in lacking)
        raise ValueError(f"{place}: no {', '.join(lacking)} in the files; add {asked} to the request of {dataset.id}")
    if silent:
        warnings.warn(f"{place}: {', '.join(sorted(silent))} have no units; those of the catalog are used", stacklevel=4)
    if len(hasty := np.unique(np.concatenate(early))):
        warnings.warn(
            f"{place}: {len(hasty)} hours, {hasty[0]} to {hasty[-1]} UTC, are preliminary (ERA5T, expver 5); they are replaced after two "
            "to three months: download them again then",
            stacklevel=4,
        )
    return {band: _sorted(*both, f"{place}, `{band}`") for band, both in series.items()}, same_cells(windows), elevation, _names(windows)


def _names(windows: list[Window]) -> list[str]:
    return sorted({piece.where for piece in windows})


def _sorted(of_stamps: list, of_values: list, where: str) -> _HourlyValues:
    stamps, values = np.concatenate(of_stamps), np.concatenate(of_values)
    order = np.argsort(stamps, kind="stable")
    stamps, values = stamps[order], values[order]
    hours.check_hours(stamps, where)
    gaps = ~np.isfinite(values)
    if gaps.all():
        raise ValueError(f"{where}: no cell of the extent holds a number; it lies in the sea, or all values are missing")
    holes = gaps & ~gaps.all(axis=0)
    if holes.any():
        hour = stamps[np.flatnonzero(holes.any(axis=1))[0]]
        raise ValueError(f"{where}: {int(holes.sum())} gaps, the first at {hour} UTC; a reanalysis has none: get that month again")
    return _HourlyValues(stamps, values)


def _kelvin_to_celsius(band: Band, values: np.ndarray, place) -> np.ndarray:
    """Temperatures in degC, refused where they contradict the unit of the catalog."""
    low, high = np.nanmin(values), np.nanmax(values)
    if band.units == "K" and not (_KELVIN[0] <= low and high <= _KELVIN[1]):
        raise ValueError(f"{place}: `{band.name}` is {low:.4g} to {high:.4g}; the catalog says K: is the file in degC, or -9999 missing?")
    return convert(band.scale * values + band.offset, band.units, "degC")


def _decide(fallen: dict[str, _HourlyValues], place) -> bool:
    """Whether values are sums since 00 UTC; radiation shows it every day, and rain must not contradict it.

    Raises:
        ValueError: the data do not show it, or the two contradict each other.
    """
    accumulated = {name: hours.is_accumulated(series.stamps, series.values) for name, series in fallen.items()}
    known = {name: answer for name, answer in accumulated.items() if answer is not None}
    if len(set(known.values())) != 1:
        raise ValueError(
            f"{place}: the data do not show whether {' and '.join(fallen)} are sums since 00 UTC or single hours ({accumulated}); "
            "give whole days of one product, ERA5-Land or ERA5, not a mixture"
        )
    return next(iter(known.values()))


def _single(series: _HourlyValues, accumulated: bool, where: str) -> _HourlyValues:
    """Amounts of each hour."""
    if accumulated:
        return _HourlyValues(series.stamps, hours.deaccumulate(series.stamps, series.values, where))
    return _HourlyValues(series.stamps, hours.without_noise(series.stamps, series.values, float(np.nanmax(series.values)), where))


def _at(series: _HourlyValues, stamps: np.ndarray) -> np.ndarray:
    """Values at other stamps `[hour, cell]`, NaN where there are none."""
    out = np.full((len(stamps), series.values.shape[1]), np.nan)
    known = np.isin(stamps, series.stamps)
    out[known] = series.values[np.searchsorted(series.stamps, stamps[known])]
    return out


def _check_cover(series: dict[str, _HourlyValues], days: np.ndarray, utc_offset: float, place) -> None:
    """Refuse files that do not cover all days; at the ends one or two hours of the night may be missing."""
    slack = np.timedelta64(_SLACK, "h")
    shift = np.timedelta64(round(utc_offset * 3600), "s")
    first, last = days[0].astype("datetime64[s]") - shift, (days[-1] + 1).astype("datetime64[s]") - shift
    for name, one in series.items():
        for missing, hour in ((one.stamps[0] > first + slack, first), (one.stamps[-1] < last - slack, last)):
            if missing:
                raise ValueError(
                    f"{place}: `{name}` runs from {one.stamps[0]} to {one.stamps[-1]} UTC, the days {days[0]} to {days[-1]} need {hour}; "
                    "get the file of that month"
                )


def _to_days(bands, warm, fallen, days, utc_offset, place) -> tuple[dict[str, np.ndarray], dict[str, int]]:
    """Vocabulary variables of the days `[time, cell]`, and days with fewer than 24 hours."""
    n, air = len(days), warm["t2m"]
    if not np.array_equal(air.stamps, warm["d2m"].stamps):
        raise ValueError(f"{place}: `t2m` and `d2m` have other hours; request both for the same months")
    above = float(np.nanmean(warm["d2m"].values - air.values > _SUPERSATURATED))
    if above > _OFTEN:
        raise ValueError(
            f"{place}: the dew point `d2m` lies more than {_SUPERSATURATED:g} K above the temperature `t2m` in {above:.0%} of the hours, "
            "which no air has: are the two swapped?"
        )
    which = hours.day_of(air.stamps, days, utc_offset, before=0.0)
    out = _air(which, air.values, vpd_of_dewpoint(air.values, warm["d2m"].values), _at(fallen["ssrd"], air.stamps), n)
    counts = [np.bincount(which[which >= 0], minlength=n)]
    for band in _FALLEN:
        series = fallen[band]
        total, count = hours.sums(hours.day_of(series.stamps, days, utc_offset, before=0.5), series.values, n)
        total[count == 0] = np.nan
        out[bands[band].variable] = to_units(bands[band], total, None, f"{place}, `{band}`")
        counts.append(count.max(axis=1))
    fewest = np.min(counts, axis=0)
    return out, {str(day): int(few) for day, few in zip(days, fewest, strict=True) if few < 24}


def _air(which: np.ndarray, air: np.ndarray, vpd: np.ndarray, radiation: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Temperatures and vapour pressure deficits of days, of hours [degC, hPa] and the radiation of each [J m-2]."""
    light = np.where(np.isfinite(radiation), radiation > _DARK, np.nan)
    out = {"tair": hours.means(which, air, n), "tmin": hours.minima(which, air, n), "tmax": hours.maxima(which, air, n)}
    out["vpd"] = hours.means(which, vpd, n)
    day, night = hours.halves(which, air, light, n)
    dry, _ = hours.halves(which, vpd, light, n)
    out["tair_night"] = np.where(np.isfinite(night), night, out["tmin"])  # no dark hour in the polar summer
    out["tair_day"] = np.where(np.isfinite(day), day, out["tair"])  # no light in the polar winter
    out["vpd_day"] = np.where(np.isfinite(dry), dry, out["vpd"])
    return out
