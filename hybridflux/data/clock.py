"""The clock of half-hourly time stamps: local standard time, another zone, or civil time with daylight saving."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hybridflux.data.solar import equation_of_time

_KNOWN, _UNKNOWN = 0.75, 3.25
"""Tolerance of the hour of the highest sun [h]. Clouds move the centre of light by half an hour at most, a wrong time zone by an hour or
more; where utc_offset is not given, legal time differs from that of the sun by up to 3 h (western China)."""
_SIDE_DAYS, _FEWEST_DAYS = 21, 10  # before and after a change of the clocks; of these with light
_JUMP = 0.5  # h in a year; 91 years of six European towers show at most 0.31 h, the same stamped with daylight saving at least 0.67 h
_CERTAIN = 4.0  # standard errors that a jump must exceed besides
_CIVIL_CLOCKS = ("Europe/Paris", "America/New_York", "Australia/Sydney", "Pacific/Auckland", "America/Santiago", "America/Sao_Paulo")
"""Time zones whose rules of daylight saving stand for those of their part of the world."""


@dataclass(frozen=True)
class Noon:
    """The hour of the highest sun in local standard time, and the tolerance for the centre of the light.

    Attributes:
        hour: mean over the year [h].
        tolerance: [h].
    """

    hour: float
    tolerance: float = _KNOWN

    @classmethod
    def of(cls, longitude: float, utc_offset: float) -> Noon:
        """From longitude [degrees_east] and the offset of local standard time [h], NaN where that is not known.

        >>> Noon.of(15.0, 1.0).hour
        12.0
        """
        return cls(12.0, _UNKNOWN) if np.isnan(utc_offset) else cls(float(12 - longitude / 15 + utc_offset))


def check_clock(light: pd.Series, middle: pd.Series, noon: Noon | None, where: str) -> None:
    """Refuse stamps that are not local standard time, by the light of the file.

    Args:
        light: shortwave radiation of each step [W m-2], NaN where missing.
        middle: middle of each step as stamped.
        noon: noon of the site; None where its position is not known, so that only daylight saving is tested.
        where: name of the file, for messages.

    Raises:
        ValueError: the light is centred on another hour, in all years or in one, or jumps by an hour where clocks are changed.
    """
    light = light.clip(lower=0).fillna(0.0).to_numpy(float)
    if light.sum() == 0:
        return
    if noon is not None:
        _check_noon(light, middle, noon, where)
    jumps, error = daylight_saving(light, middle)
    late = {zone: years for zone in jumps if (years := _late_years(jumps[zone], error))}
    if late:
        zone = max(late, key=lambda name: sum(jumps[name][year] for year in late[name]))
        mean = np.mean([jumps[zone][year] for year in late[zone]])
        raise ValueError(
            f"{where}: in {', '.join(map(str, late[zone]))} the light comes {mean:.1f} h later when the clocks of {zone} are set to summer "
            "time, and goes back in autumn: the stamps are clock time with daylight saving; write local standard time all year"
        )


def _late_years(jumps: dict[int, float], error: float) -> list[int]:
    """Years with daylight saving: all where their mean shows it, else the single years that show it, if they are several."""
    if np.mean(list(jumps.values())) > max(_JUMP, _CERTAIN * error / len(jumps) ** 0.5):
        return list(jumps)
    late = [year for year, jump in jumps.items() if jump > max(_JUMP, _CERTAIN * error)]
    return late if len(late) > 1 else []


def _check_noon(light: np.ndarray, middle: pd.Series, noon: Noon, where: str) -> None:
    angle = (middle.dt.hour + middle.dt.minute / 60 - noon.hour).to_numpy() * np.pi / 12
    year = middle.dt.year.to_numpy()

    def late(rows):
        return 12 / np.pi * np.arctan2((light[rows] * np.sin(angle[rows])).sum(), (light[rows] * np.cos(angle[rows])).sum())

    full = [int(one) for one in np.unique(year) if light[year == one].sum() > 0.2 * light.sum() / len(np.unique(year))]
    for rows, when in ((slice(None), ""), *((year == one, f" in {one}") for one in full)):
        if abs(late(rows)) > noon.tolerance:
            sun = (
                f"the sun of this longitude and utc_offset on {noon.hour:.1f} h"
                if noon.tolerance == _KNOWN
                else "the sun of local time near 12 h (sites.csv gives no utc_offset)"
            )
            raise ValueError(
                f"{where}: the light{when} is centred on {(noon.hour + late(rows)) % 24:.1f} h, {sun}; "
                "the stamps must be local standard time without daylight saving, or utc_offset in sites.csv is wrong"
            )


def daylight_saving(light: np.ndarray, middle: pd.Series) -> tuple[dict[str, dict[int, float]], float]:
    """Delay of the light after the clocks of a zone go forward, and advance after they go back: mean of both changes [h].

    The centre of the light of each day, corrected by the equation of time (the sun's own advance over clocks, within 0.3 h), is compared
    between the three weeks before and after each change. It stays the same in standard time.

    Args:
        light: `[step]`, not negative.
        middle: middle of each step.

    Returns:
        Zone -> year -> jump; without years and zones that have no change of the clocks within the record. And the standard error of
        the jump of a year, from the scatter from day to day.
    """
    hour = (middle.dt.hour + middle.dt.minute / 60).to_numpy()
    sums = pd.DataFrame({"light": light, "moment": light * hour}).groupby(middle.dt.normalize().to_numpy()).sum().asfreq("D")
    centre = (sums["moment"] / sums["light"].where(sums["light"] > 0)).to_numpy() + equation_of_time(sums.index.day_of_year.to_numpy())
    noons = sums.index + pd.Timedelta(hours=12)
    jumps_by_zone: dict[str, dict[int, list[float]]] = {}
    for zone in _CIVIL_CLOCKS:
        offset = (noons - noons.tz_localize(zone).tz_convert("UTC").tz_localize(None)) / pd.Timedelta(hours=1)
        change = np.diff(np.asarray(offset))
        for at in np.flatnonzero(np.abs(change) == 1) + 1:
            before, after = centre[max(at - _SIDE_DAYS, 0) : at], centre[at : at + _SIDE_DAYS]
            if min(np.isfinite(before).sum(), np.isfinite(after).sum()) >= _FEWEST_DAYS:
                jump = change[at - 1] * (np.nanmedian(after) - np.nanmedian(before))
                jumps_by_zone.setdefault(zone, {}).setdefault(int(noons[at].year), []).append(jump)
    scatter = 1.4826 * np.nanmedian(np.abs(np.diff(centre))) / 2**0.5 if len(centre) > 1 else np.nan
    error = float(1.25 * scatter / _SIDE_DAYS**0.5)  # of two medians, for the mean of two changes
    return {zone: {year: float(np.mean(jumps)) for year, jumps in years.items()} for zone, years in jumps_by_zone.items()}, error
