"""Alignment of towers: one axis of days, one array for each driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.archives import Archive
from hybridflux.data.fluxnet import DRIVERS
from hybridflux.data.gaps import DERIVED, FLAGS
from hybridflux.data.tower_drivers import complete
from hybridflux.vocabulary import HISTORY_DAYS, VARIABLES, Variable

_NOT_DRIVERS = {"nee_uncertainty": ("nee", "random error of nee"), "swc_measured": ("swc", "soil water of days that count as measured")}


def align(
    frames: Mapping[str, pd.DataFrame],
    vegetation: Mapping[str, pd.DataFrame],
    latitude: pd.Series,
    archives: Mapping[str, Archive],
    more: Mapping[str, Variable] = MappingProxyType({}),
) -> xr.Dataset:
    """All towers on a common axis of days, from the first to the last day of any record.

    Args:
        frames: checked daily frame of each tower.
        vegetation: daily satellite series of each tower: `fapar`, indices of reflectance, and their `_sd`.
        latitude: latitude of each tower [degrees_north].
        archives: file of each tower, for messages.
        more: rows of further targets.

    Returns:
        `[time, site]` drivers without gaps, their flags, targets and `nee_uncertainty`.
    """
    days = pd.date_range(min(f.index[0] for f in frames.values()), max(f.index[-1] for f in frames.values()), freq="D", name="time")
    columns: dict[str, list[np.ndarray]] = {}
    seen = list(dict.fromkeys(name for one in vegetation.values() for name in one.columns))
    for site, frame in frames.items():
        green = vegetation[site].reindex(columns=seen)
        errors = green[[name for name in seen if name.endswith("_sd")]]
        drivers = frame[list(DRIVERS)].join(green.drop(columns=errors.columns), how="outer")
        values, flags = complete(drivers, days, latitude[site], str(archives[site]))
        rest = frame.drop(columns=list(DRIVERS)).reindex(days).join(errors)
        for part in (values, flags.add_suffix("_flag"), rest):
            for name in part.columns:
                columns.setdefault(name, []).append(part[name].to_numpy())
    daily = xr.Dataset(coords={"time": days, "site": list(frames)})
    for name, parts in columns.items():
        kind = np.int8 if name.endswith("_flag") else np.float32
        daily[name] = (("time", "site"), np.stack(parts, axis=1).astype(kind), attributes(name, {**VARIABLES, **more}))
    return daily


def of_years(
    record: xr.Dataset, period: tuple[int, int], co2: Callable[[pd.DatetimeIndex], np.ndarray]
) -> tuple[xr.Dataset, xr.Dataset]:
    """Towers on the days of some years, and their drivers on the days before of which running means are made (`days_before`).

    Args:
        record: all days (`align`).
        period: first and last year.
        co2: CO2 of the air [ppm] as a function of days (`daily_co2`), which becomes a driver.
    """
    days = record.indexes["time"]
    inside = np.flatnonzero((days.year >= period[0]) & (days.year <= period[1]))
    near = record.isel(time=slice(max(inside[0] - max(HISTORY_DAYS), 0), inside[-1] + 1))
    near = with_co2(near, co2(near.indexes["time"]))
    drivers = near[[name for name in near if f"{name}_flag" in near]]
    return near.sel(time=slice(days[inside[0]], None)), days_before(drivers, days[inside[0]])


def days_before(drivers: xr.Dataset, day: pd.Timestamp) -> xr.Dataset:
    """Drivers on the days before a day, as many as the longest running mean takes, or as there are."""
    return drivers.sel(time=drivers.indexes["time"] < day).isel(time=slice(-max(HISTORY_DAYS), None))


def with_co2(daily: xr.Dataset, co2: np.ndarray) -> xr.Dataset:
    """Towers with the CO2 of the air [ppm], `[time]`, the same at all sites."""
    both = np.repeat(np.asarray(co2, np.float32)[:, None], daily.sizes["site"], axis=1)
    flags = np.full(both.shape, DERIVED, np.int8)
    return daily.assign(co2=(("time", "site"), both, attributes("co2")), co2_flag=(("time", "site"), flags, attributes("co2_flag")))


def describe(table: pd.DataFrame, frames: Mapping[str, pd.DataFrame], record: xr.Dataset, days: pd.DatetimeIndex) -> pd.DataFrame:
    """The site table with the covariates that follow from all days of the series, and the first and the last of `days` of each tower."""
    ends: dict[str, Any] = {}
    for name in (name for name in ("fapar", "nirv") if name in record):
        known = record[name].notnull().any("time").to_numpy()
        base, top = np.full((2, record.sizes["site"]), np.nan)
        base[known], top[known] = record[name].isel(site=known).quantile([0.05, 0.95], dim="time").to_numpy()
        ends |= {f"{name}_base": base, f"{name}_top": top}
    return table.assign(
        first=[max(frame.index[0], days[0]) for frame in frames.values()],
        last=[min(frame.index[-1], days[-1]) for frame in frames.values()],
        **ends, latitude=table["lat"], elevation=table["elev"],
    )  # fmt: skip


def attributes(name: str, rows: Mapping[str, Variable] = VARIABLES) -> dict:
    """Units and meaning of a variable, its flag or its uncertainty."""
    if name.endswith("_flag"):
        return {"flag_values": list(range(len(FLAGS))), "flag_meanings": " ".join(FLAGS)}
    if name.endswith("_sd") and name not in rows:
        return {"units": rows[name.removesuffix("_sd")].units, "long_name": f"standard deviation of the error of {name[:-3]}"}
    base, meaning = _NOT_DRIVERS.get(name, (name, rows.get(name) and rows[name].long_name))
    return {"units": rows[base].units, "long_name": meaning}
