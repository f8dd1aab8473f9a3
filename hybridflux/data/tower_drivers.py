"""Drivers of one tower on the common days: derived where a file lacks them, then without gaps."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hybridflux.data import solar
from hybridflux.data.gaps import CLIMATOLOGY, DERIVED, GIVEN, LONGEST_LINE, fill
from hybridflux.data.reflectance import INDICES_AT_TOWERS
from hybridflux.data.tower_checks import column_of

_MAY_LACK = ("swc", "fapar", "tmax", "tair_day", "vpd_day", *INDICES_AT_TOWERS)
_ENOUGH_OWN_DAYS = 365
# Least squares over 172,000 days of 76 European towers (rmse 1.7 and 0.9 K): tair minus this = level + sky * clearness + air * sqrt(vpd)
_BELOW_MEAN = {"tmin": (0.75, 2.90, 0.97), "tair_night": (-0.63, 1.83, 0.75)}  # K, K, K hPa-0.5
_USUAL_CLEARNESS = 0.45  # on days without sun


def complete(frame: pd.DataFrame, days: pd.DatetimeIndex, latitude: float, where: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Drivers of a tower on the common days without gaps, and a flag for each value.

    Short gaps are interpolated linearly (not those of rain), long ones get the seasonal mean of the site; `tmin` and `tair_night` follow
    from the daily mean where the file lacks them, `par_potential` and `day_fraction` from the sun. `swc`, `tmax`, `tair_day`, `vpd_day` and
    satellite series stay NaN where a site has none at all.

    Args:
        frame: daily drivers, NaN where missing; a satellite series may begin before the tower and end after it.
        days: the common axis.
        latitude: latitude of the tower [degrees_north].
        where: name of the file, for messages.

    Raises:
        ValueError: a driver that every tower must have is missing on all days.
    """
    frame, derived = derive_temperatures(frame)
    axis = pd.date_range(min(days[0], frame.index[0]), max(days[-1], frame.index[-1]), freq="D", name="time")
    frame, derived = frame.reindex(axis), derived.reindex(axis, fill_value=False)
    day_of_year = axis.day_of_year.to_numpy()
    sun = {"par_potential": solar.potential_par(latitude, day_of_year), "day_fraction": solar.day_fraction(latitude, day_of_year)}
    values, flags = {}, {}
    for name in frame.columns:
        column = frame[name].to_numpy(float)
        known = np.isfinite(column)
        if name in sun:
            values[name], flags[name] = np.where(known, column, sun[name]), np.where(known, GIVEN, DERIVED)
        elif known.any():
            values[name], flags[name] = fill(column, day_of_year, longest_line=0 if name == "rain" else LONGEST_LINE)
        elif name in _MAY_LACK:
            values[name], flags[name] = column, np.full(len(axis), CLIMATOLOGY)
        else:
            raise ValueError(f"{where}, column {column_of(name)}: missing on all days; leave this site out with `sites`")
        if name in derived:
            flags[name] = np.where(derived[name] & (flags[name] == GIVEN), DERIVED, flags[name])
    if "tmax" in values:
        values["tmax"] = np.maximum(values["tmax"], values["tair"])  # a filled maximum may lie below the mean of a warm day
    return pd.DataFrame(values, index=axis).loc[days], pd.DataFrame(flags, index=axis, dtype=np.int8).loc[days]


def derive_temperatures(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`tmin` and `tair_night` from the daily mean where a file has none: under a clear sky and in dry air the night is colder.

    The level is that of the site's own days if it has a year of them.

    Returns:
        The frame with both columns filled, and a mask of the filled values.
    """
    frame = frame.copy()
    clearness = (frame["par"] / frame["par_potential"].where(frame["par_potential"] > 0.5)).clip(0, 1).fillna(_USUAL_CLEARNESS)
    dryness = np.sqrt(frame["vpd"].clip(lower=0))
    derived = {}
    for name, (level, sky, air) in _BELOW_MEAN.items():
        below = (level + sky * clearness + air * dryness).clip(lower=0)
        own = frame["tair"] - frame[name]
        if own.notna().sum() >= _ENOUGH_OWN_DAYS:
            below = (below + (own - below).mean()).clip(lower=0)
        derived[name] = frame[name].isna() & frame["tair"].notna() & below.notna()
        frame[name] = frame[name].where(~derived[name], frame["tair"] - below)
    return frame, pd.DataFrame(derived)
