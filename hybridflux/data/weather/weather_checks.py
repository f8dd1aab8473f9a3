"""Checks of weather: values within bounds, radiation below that of a clear sky, vapour pressure below saturation, no gaps.

A physical impossibility is refused, because another unit is likely; unusual values are warned of. Both messages give the numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np

from hybridflux.data.solar import potential_par
from hybridflux.data.weather.air import saturation_pressure
from hybridflux.vocabulary import VARIABLES

_CLEAREST = (0.12, 1.15)  # share of the radiation at the top of the atmosphere on the clearest day: below and above, another unit
_ENOUGH_DAYS, _SEASON = 20, 90  # days that hold a clear day; days that hold one without any cloud
_DARKEST = 0.01  # the thickest cloud lets 3 to 5 % through; less on the clearest day is another unit
_SUSPECT = 0.38  # of the clearest day of a season: PAR in the place of shortwave radiation gives 0.45 x 0.75 = 0.34
_DISORDER = 1.0, 0.05  # K and share of days by which minimum, mean and maximum may be out of order, since some products' days differ
_DAMPEST = 0.01  # vapour pressure deficit as a share of saturation: the mean of a season in a cloud forest is above 0.03
_WETTEST_MEAN = 20.0  # mm d-1 over a season; only slopes in the monsoon have more


def land(values: Mapping[str, np.ndarray], latitude, longitude, where: str) -> np.ndarray:
    """Whether a cell has values `[cell]`; cells of the sea have none of any variable.

    Args:
        values: name -> `[time, cell]`.
        latitude: `[cell]`.
        longitude: `[cell]`.
        where: files, for messages.

    Raises:
        ValueError: no cell has values, or a cell has some variables and lacks others.
    """
    cells_with_values = {name: np.isfinite(part).any(axis=0) for name, part in values.items()}
    known, sea = np.logical_and.reduce(list(cells_with_values.values())), ~np.logical_or.reduce(list(cells_with_values.values()))
    lost = np.flatnonzero(~known & ~sea)
    if len(lost):
        cell = lost[0]
        present = ", ".join(name for name, has in cells_with_values.items() if has[cell])
        missing = ", ".join(name for name, has in cells_with_values.items() if not has[cell])
        place = " ".join(f"{float(np.broadcast_to(part, known.shape)[cell]):.2f}" for part in (latitude, longitude))
        raise ValueError(
            f"{where}: {len(lost)} of {len(known)} cells are incomplete: at {place} (north, east) no day has {missing}, but {present} is "
            "present; it is not the sea: get that variable again"
        )
    if not known.any():
        raise ValueError(f"{where}: no cell of the extent holds a number; it lies in the sea, or all values are missing (-9999)")
    return known


def check_gaps(name: str, values: np.ndarray, days: np.ndarray, where: str) -> None:
    """Refuse gaps.

    Args:
        name: name of the variable.
        values: `[time, cell]`.
        days: `[time]`.
        where: file, for the message.

    Raises:
        ValueError: names the first gap.
    """
    gaps = ~np.isfinite(values)
    if gaps.any():
        time, cell = np.argwhere(gaps)[0]
        raise ValueError(
            f"{where}: `{name}` has {int(gaps.sum())} gaps, the first on {days[time]} in cell {cell}; a reanalysis has none: get it again"
        )


def check_bounds(name: str, values: np.ndarray, days: np.ndarray, where: str) -> None:
    """Refuse values outside the bounds of the vocabulary; gaps pass.

    Args:
        name: name of the variable.
        values: `[time, cell]` in its units.
        days: `[time]`.
        where: file, for the message.

    Raises:
        ValueError: names the first value and its day.
    """
    low, high = VARIABLES[name].bounds
    wrong = (values < low) | (values > high)
    if wrong.any():
        time, cell = np.argwhere(wrong)[0]
        raise ValueError(
            f"{where}: `{name}` is {values[time, cell]:.4g} {VARIABLES[name].units} on {days[time]}, outside {low:g} to {high:g}; "
            "check `units`, `scale` and `nodata` of the band in the catalog"
        )


def check_radiation(par: np.ndarray, latitude: np.ndarray, days: np.ndarray, where: str) -> None:
    """Refuse radiation above that of a clear sky, or almost none on the clearest day.

    Args:
        par: `[time, cell]` MJ m-2 d-1.
        latitude: `[cell]` degrees north.
        days: `[time]`.
        where: file, for the message.

    Raises:
        ValueError: another unit, another scale, or sums that were never, or twice, differenced.
    """
    day_of_year = (days - days.astype("datetime64[Y]")).astype(int) + 1
    sun = potential_par(np.asarray(latitude)[None, :], day_of_year[:, None])
    clearest = float(np.max(np.where(sun > 0.5, par / np.maximum(sun, 0.5), 0.0)))
    low, high = _CLEAREST
    lit = bool((sun > 0.5).any())
    if lit and low <= clearest < _SUSPECT and len(days) >= _SEASON:
        warnings.warn(
            f"{where}: on the clearest of {len(days)} days radiation is {clearest:.0%} of that at the top of the atmosphere; 70 to 80 % "
            "are usual: is it PAR, which would be taken for shortwave radiation, or are hours missing?",
            stacklevel=3,
        )
    if clearest > high or (lit and clearest < (low if len(days) >= _ENOUGH_DAYS else _DARKEST)):
        raise ValueError(
            f"{where}: on its clearest day radiation is {clearest:.3g} of that at the top of the atmosphere, {low} to {high} is possible; "
            "check `units` of the band in the catalog, and whether hourly values were accumulated"
        )


def check_air(values: Mapping[str, np.ndarray], where: str) -> None:
    """Refuse temperatures out of order, and a vapour pressure deficit that the temperature does not allow.

    Args:
        values: `tair tmin vpd`, optionally `tmax`: `[time, cell]`, degC and hPa.
        where: file, for messages.

    Raises:
        ValueError: the minimum lies above the mean or the maximum below it; or the deficit exceeds the vapour that saturated air holds.
    """
    slack, share = _DISORDER
    for low, high in (("tmin", "tair"), ("tair", "tmax")):
        if low in values and high in values:
            wrong = float(np.mean(values[low] > values[high] + slack))
            if wrong > share:
                raise ValueError(
                    f"{where}: `{low}` (mean {values[low].mean():.1f} degC) lies more than {slack:g} K above `{high}` (mean "
                    f"{values[high].mean():.1f}) on {wrong:.0%} of the days: columns swapped, or different units?"
                )
    saturated = float(saturation_pressure(values["tair"]).mean())
    deficit = float(values["vpd"].mean(dtype=float))
    if deficit > 1.1 * saturated:
        raise ValueError(
            f"{where}: the mean vapour pressure deficit is {deficit:.3g} hPa, air at these temperatures holds {saturated:.3g} hPa at most: "
            "is it in Pa, or the temperature wrong?"
        )
    if len(values["vpd"]) >= _SEASON and deficit < _DAMPEST * saturated:
        warnings.warn(
            f"{where}: the mean vapour pressure deficit of {len(values['vpd'])} days is {deficit:.2g} hPa, {deficit / saturated:.1%} of "
            "saturation, as if air were always saturated: is it in kPa?",
            stacklevel=3,
        )


def check_rain(rain: np.ndarray, where: str) -> None:
    """Warn of almost no rain, or more than the wettest places have.

    Args:
        rain: `[time, cell]` mm d-1.
        where: file, for messages.
    """
    wettest, mean = float(rain.max()), float(rain.mean(dtype=float))
    if len(rain) >= 60 and 0 < wettest < 0.1:
        warnings.warn(f"{where}: the wettest of {len(rain)} days has {wettest:.2g} mm of rain; is the file in m?", stacklevel=3)
    if len(rain) >= 60 and mean > _WETTEST_MEAN:
        warnings.warn(
            f"{where}: {len(rain)} days have {mean:.0f} mm of rain a day on average, {365 * mean:.0f} mm a year; is it in tenths of a mm, "
            "or does it hold sums over more than a day?",
            stacklevel=3,
        )
