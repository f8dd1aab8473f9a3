"""What is refused at the border: wrong units, values out of bounds, a tower that is not where the table says."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from hybridflux.data.solar import potential_par
from hybridflux.vocabulary import VARIABLES

_LOG = logging.getLogger("hybridflux.data")
_TOLERATED = 0.005  # share of days out of bounds that are dropped and not refused
_COLUMN = {"par": "SW_IN_F", "par_potential": "SW_IN_POT", "day_fraction": "DAY_D", "nee_uncertainty": "NEE_VUT_REF_RANDUNC"}
_WARMTH = ("tair", "tmin", "tmax", "tair_night", "tair_day")
_LATITUDE_ERROR = 0.12  # of potential radiation; 5 degrees of latitude make about 0.08, swapped coordinates 0.3 and more


def column_of(name: str) -> str:
    """The FLUXNET column behind a variable, for messages."""
    return _COLUMN.get(name) or VARIABLES[name].fluxnet or name


def check_units(frame: pd.DataFrame, where: str) -> None:
    """Refuse columns whose usual values betray another unit.

    Args:
        frame: daily values in vocabulary names, converted as if the file had FLUXNET units.
        where: name of the file, for messages.

    Raises:
        ValueError: kelvin, Pa, kPa, J or MJ m-2, or a fraction where FLUXNET has degC, hPa, W m-2 and percent.
    """
    usual = {name: frame[name].quantile([0.5, 0.99]).to_numpy() for name in (*_WARMTH, "vpd", "par", "swc")}
    clearest = (frame["par"] / frame["par_potential"].where(frame["par_potential"] > 1)).quantile(0.99)
    suspicions = [(name, usual[name][0] > 100, "kelvin; FLUXNET has degC") for name in _WARMTH]
    suspicions += [
        ("vpd", usual["vpd"][0] > 60, "Pa; FLUXNET has hPa"),
        ("vpd", usual["vpd"][1] < 4.5 and 15 < usual["tair"][1] < 60, "kPa; FLUXNET has hPa"),
        ("par", usual["par"][0] > 100, "J m-2; FLUXNET has W m-2, the mean of the day"),
        ("par", clearest < 0.15, "MJ m-2; FLUXNET has W m-2, the mean of the day"),
        ("swc", usual["swc"][1] <= 0.01, "m3 m-3; FLUXNET has percent"),
    ]
    for name, suspicious, unit in suspicions:
        if suspicious:
            raise ValueError(f"{where}, column {column_of(name)} looks like {unit}; convert it")


def drop_outliers(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Values outside the bounds of the vocabulary become NaN, with a warning, if they are few.

    Raises:
        ValueError: they are many.
    """
    out = frame.copy()
    for name in frame.columns:
        row = VARIABLES.get(name.removesuffix("_measured"))
        low, high = row.bounds if row else (0.0, np.inf)
        if name in ("gpp", "reco"):
            low = -high  # partitioned fluxes scatter around zero
        wrong = (frame[name] < low) | (frame[name] > high)
        if not wrong.any():
            continue
        day = frame.index[np.flatnonzero(wrong)[0]]
        found = f"{where}, column {column_of(name)}: {int(wrong.sum())} days of `{name}` outside {low:g} to {high:g}"
        found += f", the first on {day:%Y-%m-%d} ({frame.at[day, name]:g})"
        if wrong.sum() > max(3, _TOLERATED * frame[name].notna().sum()):
            raise ValueError(f"{found}; check the unit of the column")
        _LOG.warning("%s; dropped", found)
        out.loc[wrong, name] = np.nan
    return out


def check_latitude(par_potential: pd.Series, latitude: float, where: str) -> None:
    """Refuse a latitude whose sun does not fit the potential radiation of the file.

    Raises:
        ValueError: they differ by more than a shift of a few degrees.
    """
    known = par_potential.dropna()
    if len(known) < 300:
        return
    sun = potential_par(latitude, known.index.day_of_year.to_numpy())
    error = float(np.abs(sun - known.to_numpy()).mean() / known.mean())
    if error > _LATITUDE_ERROR:
        raise ValueError(f"{where}: SW_IN_POT is {error:.0%} off for the latitude {latitude:g} of sites.csv; are lat and lon swapped?")
