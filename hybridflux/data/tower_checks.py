"""Checks of tower data: wrong units, values out of bounds, a latitude that contradicts the radiation, next to no respiration."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from hybridflux.data.solar import potential_par
from hybridflux.data.weather.air import saturation_pressure
from hybridflux.vocabulary import VARIABLES, Variable

_LOG = logging.getLogger("hybridflux.data")
_TOLERATED = 0.005  # share of days out of bounds that are dropped and not refused
_COLUMN = {"par": "SW_IN_F", "par_potential": "SW_IN_POT", "day_fraction": "DAY_D", "nee_uncertainty": "NEE_VUT_REF_RANDUNC"}
_WARMTH = ("tair", "tmin", "tmax", "tair_night", "tair_day")
_DRIEST, _WETTEST = 5.0, 12000.0  # mm yr-1: hyper-arid deserts have some 10, the wettest places on earth 11,900
_SATURATED_SHARE = 0.1  # of saturation vapour pressure; the driest hundredth of days exceeds 0.47 at each of 117 towers, 0.047 in kPa
_NIGHT_UPTAKE = -1.0  # gC m-2 d-1, median of nights; the least of 117 towers is -0.35
_SAME_OF_HALVES, _SAME_OF_FLUXES = (0.999, 1.02), (0.9, 1.8)
"""Correlation from which on two columns are one quantity, and the factor between them that no record has: NEE is 0.997 to 1.001 times
what day and night give at 129 towers, and 0.94 to 1.13 times RECO - GPP at 146; umol m-2 s-1 taken for gC m-2 d-1 makes 0.964."""
_LATITUDE_ERROR = 0.12  # share of potential radiation; 5 degrees of latitude make about 0.08, swapped coordinates 0.3 and more


def column_of(name: str) -> str:
    """The FLUXNET column behind a variable, for messages."""
    return _COLUMN.get(name) or VARIABLES[name].fluxnet or name


def check_units(frame: pd.DataFrame, where: str) -> None:
    """Refuse columns whose usual values betray another unit.

    Args:
        frame: daily values with vocabulary names, converted as if the file had FLUXNET units.
        where: name of the file, for messages.

    Raises:
        ValueError: kelvin, Pa, kPa, J or MJ m-2, photons, m or a fraction where FLUXNET has degC, hPa, W m-2, mm and percent; NEE of the
            opposite sign.
    """
    usual = {name: frame[name].quantile([0.5, 0.99]).to_numpy() for name in (*_WARMTH, "vpd", "par", "swc")}
    clearest = (frame["par"] / frame["par_potential"].where(frame["par_potential"] > 1)).quantile(0.99)
    dryness = (frame["vpd"] / saturation_pressure(frame["tair"])).quantile([0.5, 0.99]).to_numpy()
    rain = frame["rain"].mean() * 365 if frame["rain"].notna().sum() > 300 else np.nan
    suspicions = [(name, usual[name][0] > 100, "kelvin; FLUXNET has degC") for name in _WARMTH]
    suspicions += [
        ("vpd", usual["vpd"][0] > 60 or (dryness[0] > 5 and usual["tair"][0] < 60), "Pa; FLUXNET has hPa"),
        ("vpd", usual["tair"][1] < 60 and dryness[1] < _SATURATED_SHARE, "kPa; FLUXNET has hPa"),
        ("par", usual["par"][0] > 100, "J m-2; FLUXNET has W m-2, the mean of the day"),
        ("par", clearest < 0.15, "MJ m-2; FLUXNET has W m-2, the mean of the day"),
        ("par", clearest > 1.2, "umol m-2 s-1 of photons; FLUXNET has W m-2, the mean of the day"),
        ("swc", usual["swc"][1] <= 0.01, "m3 m-3; FLUXNET has percent"),
        ("rain", rain < _DRIEST, f"m or kg m-2 s-1, or has no rain at all ({rain:.2g} a year); FLUXNET has mm d-1"),
        ("rain", rain > _WETTEST, f"0.1 mm or mm of another period ({rain:.0f} a year); FLUXNET has mm d-1"),
    ]
    for name, suspicious, unit in suspicions:
        if suspicious:
            raise ValueError(f"{where}, column {column_of(name)} looks like {unit}; convert it")
    _check_sign(frame, where)
    _check_size(frame, where)


def _check_size(frame: pd.DataFrame, where: str) -> None:
    """Refuse NEE that is a multiple of what its day and night, or GPP and RECO, give."""
    day = frame["day_fraction"]
    parts = {
        "NEE_VUT_REF_DAY and _NIGHT": (day * frame["nee_day"] + (1.0 - day) * frame["nee_night"], *_SAME_OF_HALVES),
        "RECO - GPP": (frame["reco"] - frame["gpp"], *_SAME_OF_FLUXES),
    }
    for what, (expected, least_correlation, largest_factor) in parts.items():
        both = pd.DataFrame({"nee": frame["nee"], "expected": expected}).dropna()
        if len(both) <= 100 or np.corrcoef(both["nee"], both["expected"])[0, 1] < least_correlation:
            continue
        factor = float((both["nee"] ** 2).sum() / (both["expected"] ** 2).sum()) ** 0.5
        if not 1.0 / largest_factor < factor < largest_factor:
            raise ValueError(
                f"{where}, column NEE_VUT_REF is {factor:.3g} times {what}: one of them is in another unit, gCO2 for instance; FLUXNET has "
                "gC m-2 d-1 in daily files (NEE_VUT_REF_DAY and _NIGHT umol m-2 s-1), umol m-2 s-1 in half-hourly ones; convert it"
            )


def _check_sign(frame: pd.DataFrame, where: str) -> None:
    """Refuse NEE that is positive when plants take up carbon: it contradicts RECO - GPP, or is negative in usual nights."""
    night = frame["nee_night"].dropna()
    balance = (frame["reco"] - frame["gpp"]).where(frame["nee"].notna()).dropna()
    opposite = len(balance) > 100 and np.corrcoef(balance, frame["nee"][balance.index])[0, 1] < -0.5
    if opposite or (len(night) > 100 and night.median() < _NIGHT_UPTAKE):
        why = "falls where RECO - GPP rises" if opposite else f"is {night.median():.1f} gC m-2 d-1 in the usual night"
        raise ValueError(f"{where}, column NEE_VUT_REF {why}; FLUXNET counts NEE positive to the atmosphere: change its sign")


@dataclass(frozen=True)
class Screen:
    """What the record of a tower must fulfil to be learned from: rules of physics, declared before any score was looked at.

    Attributes:
        least_respiration: RECO over GPP. Ecosystems respire four fifths of their GPP on the mean (Baldocchi 2008, 10.1071/BT07151); of 117
            towers one has less than 0.35 (IT-Lav, 0.17), the next has 0.52. A record that respires next to nothing has lost carbon dioxide
            that drains from a slope at night, or has a faulty sensor, and looks like a sink.
        days: measured days from which on that is asked; records of the growing season alone, which are shorter, go down to 0.31.
    """

    least_respiration: float = 0.35
    days: int = 700

    def fault(self, frame: pd.DataFrame) -> str | None:
        """What is implausible, in words; None where nothing is.

        Args:
            frame: daily `gpp` and `reco`, where they are measured.
        """
        both = frame[["gpp", "reco"]].dropna()
        if len(both) < self.days or both["gpp"].sum() <= 0:
            return None
        share = both["reco"].sum() / both["gpp"].sum()
        if share >= self.least_respiration:
            return None
        return (
            f"RECO is {share:.2f} of GPP over {len(both)} measured days, less than {self.least_respiration:g}; does CO2 drain from "
            "the site at night? `screen=None`, on the command line --no-screen, takes it nevertheless"
        )


def drop_outliers(frame: pd.DataFrame, where: str, more: Mapping[str, Variable] = MappingProxyType({})) -> pd.DataFrame:
    """Values outside the bounds of the vocabulary, or of the rows of further targets, become NaN, with a warning, if they are few.

    Raises:
        ValueError: they are many.
    """
    out = frame.copy()
    for name in frame.columns:
        row = more.get(name) or VARIABLES.get(name.removesuffix("_measured"))
        low, high = row.bounds if row else (0.0, np.inf)
        if name in ("gpp", "reco"):
            low = -high  # partitioned fluxes scatter around zero
        wrong = (frame[name] < low) | (frame[name] > high)
        if not wrong.any():
            continue
        day = frame.index[np.flatnonzero(wrong)[0]]
        column = more[name].fluxnet if name in more else column_of(name)
        message = f"{where}, column {column}: {int(wrong.sum())} days of `{name}` outside {low:g} to {high:g}"
        message += f", the first on {day:%Y-%m-%d} ({frame.at[day, name]:g})"
        if wrong.sum() > max(3, _TOLERATED * frame[name].notna().sum()):
            raise ValueError(f"{message}; check the unit of the column")
        _LOG.warning("%s; dropped", message)
        out.loc[wrong, name] = np.nan
    return out


def check_latitude(frame: pd.DataFrame, latitude: float, where: str) -> None:
    """Refuse a latitude that contradicts the potential radiation of the file, or measured radiation above the potential one.

    Args:
        frame: daily `par` and `par_potential`.
        latitude: latitude of sites.csv [degrees_north].
        where: name of the file, for messages.

    Raises:
        ValueError: they differ by more than a shift of a few degrees.
    """
    measured = frame["par"].dropna()
    if len(measured) > 300:
        beyond = float((measured > 1.2 * potential_par(latitude, measured.index.day_of_year.to_numpy()) + 1).mean())
        if beyond > 0.05:
            raise ValueError(
                f"{where}: SW_IN_F is above the sun outside the atmosphere on {beyond:.0%} of the days at the latitude {latitude:g} of "
                "sites.csv; south is negative; are lat and lon swapped?"
            )
    known = frame["par_potential"].dropna()
    if len(known) < 300:
        return
    sun = potential_par(latitude, known.index.day_of_year.to_numpy())
    error = float(np.abs(sun - known.to_numpy()).mean() / known.mean())
    if error > _LATITUDE_ERROR:
        raise ValueError(f"{where}: SW_IN_POT is {error:.0%} off for the latitude {latitude:g} of sites.csv; are lat and lon swapped?")
