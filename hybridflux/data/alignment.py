"""Alignment of towers: one axis of days, one array for each driver."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from hybridflux.data.archives import Archive
from hybridflux.data.fluxnet import DRIVERS
from hybridflux.data.gaps import DERIVED, FLAGS
from hybridflux.data.tower_drivers import complete
from hybridflux.vocabulary import VARIABLES, Variable

_NOT_DRIVERS = {"nee_uncertainty": ("nee", "random error of nee"), "swc_measured": ("swc", "soil water of days that count as measured")}


def align(
    frames: Mapping[str, pd.DataFrame],
    vegetation: Mapping[str, pd.DataFrame],
    latitude: pd.Series,
    archives: Mapping[str, Archive],
    period,
    more: Mapping[str, Variable] = MappingProxyType({}),
) -> xr.Dataset:
    """All towers on a common axis of days, from the first to the last day of any record within the period.

    Args:
        frames: checked daily frame of each tower.
        vegetation: daily satellite series of each tower: `fapar`, indices of reflectance, and their `_sd`.
        latitude: latitude of each tower [degrees_north].
        archives: file of each tower, for messages.
        period: first and last year.
        more: rows of further targets.

    Returns:
        `[time, site]` drivers without gaps, their flags, targets and `nee_uncertainty`.
    """
    days = pd.date_range(min(f.index[0] for f in frames.values()), max(f.index[-1] for f in frames.values()), freq="D", name="time")
    inside = days[(days.year >= period[0]) & (days.year <= period[1])]
    columns: dict[str, list[np.ndarray]] = {}
    seen = list(dict.fromkeys(name for one in vegetation.values() for name in one.columns))
    for site, frame in frames.items():
        green = vegetation[site].reindex(columns=seen)
        errors = green[[name for name in seen if name.endswith("_sd")]]
        drivers = frame[list(DRIVERS)].join(green.drop(columns=errors.columns), how="outer")
        values, flags = complete(drivers, inside, latitude[site], str(archives[site]))
        rest = frame.drop(columns=list(DRIVERS)).reindex(inside).join(errors)
        for part in (values, flags.add_suffix("_flag"), rest):
            for name in part.columns:
                columns.setdefault(name, []).append(part[name].to_numpy())
    daily = xr.Dataset(coords={"time": inside, "site": list(frames)})
    for name, parts in columns.items():
        kind = np.int8 if name.endswith("_flag") else np.float32
        daily[name] = (("time", "site"), np.stack(parts, axis=1).astype(kind), attributes(name, {**VARIABLES, **more}))
    return daily


def with_co2(daily: xr.Dataset, co2: np.ndarray) -> xr.Dataset:
    """Towers with the CO2 of the air [ppm], `[time]`, the same at all sites."""
    both = np.repeat(np.asarray(co2, np.float32)[:, None], daily.sizes["site"], axis=1)
    flags = np.full(both.shape, DERIVED, np.int8)
    return daily.assign(co2=(("time", "site"), both, attributes("co2")), co2_flag=(("time", "site"), flags, attributes("co2_flag")))


def describe(table: pd.DataFrame, frames: Mapping[str, pd.DataFrame], daily: xr.Dataset) -> pd.DataFrame:
    """The site table with the covariates that follow from the series."""
    ends: dict[str, Any] = {}
    for name in (name for name in ("fapar", "nirv") if name in daily):
        known = daily[name].notnull().any("time").to_numpy()
        base, top = np.full((2, daily.sizes["site"]), np.nan)
        base[known], top[known] = daily[name].isel(site=known).quantile([0.05, 0.95], dim="time").to_numpy()
        ends |= {f"{name}_base": base, f"{name}_top": top}
    first, last = daily.indexes["time"][[0, -1]]
    return table.assign(
        first=[max(frame.index[0], first) for frame in frames.values()],
        last=[min(frame.index[-1], last) for frame in frames.values()],
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
