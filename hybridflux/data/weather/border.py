"""Conversion of weather to vocabulary units, choice of the cells of an extent, and the checks of both."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from hybridflux.data.catalog import Band, Dataset
from hybridflux.data.weather.daily_weather import DAILY, Weather
from hybridflux.data.weather.weather_checks import check_air, check_bounds, check_gaps, check_radiation, check_rain, land
from hybridflux.units import PAR_PER_SHORTWAVE, convert
from hybridflux.vocabulary import VARIABLES

Extent = tuple[float, float, float, float]
"""West, south, east, north [degrees]."""
_DEGREE = 111.195  # km of latitude
_SPELLINGS = {
    "kelvin": "K", "celsius": "degC", "c": "degC", "degc": "degC", "°c": "degC", "degree_celsius": "degC", "degrees_celsius": "degC",
    "mm day-1": "mm d-1", "mm/day": "mm d-1", "j m-2 day-1": "J m-2 d-1", "mj m-2 day-1": "MJ m-2 d-1", "w/m2": "W m-2",
    "mbar": "hPa", "hpa": "hPa", "kpa": "kPa", "pa": "Pa", "j m-2": "J m-2", "j/m2": "J m-2",
}  # fmt: skip


def find_band(dataset: Dataset, names) -> dict[str, str]:
    """Names of the bands in a file, by name or alias, ignoring case, dashes and underscores.

    Args:
        dataset: entry of the catalog.
        names: names of the variables or columns of a file.

    Returns:
        Name of the band -> name in the file.
    """
    plain = {_plain(str(name)): str(name) for name in names}
    variables = {}
    for band in dataset.bands:
        for name in (band.name, *band.aliases):
            if _plain(name) in plain:
                variables[band.name] = plain[_plain(name)]
                break
    return variables


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def to_units(band: Band, values: np.ndarray, units: str | None, where: str) -> np.ndarray:
    """Values of a band in the units of the vocabulary, or of the band where it is not a variable; NaN where missing.

    Args:
        band: band of the catalog.
        values: values of the file, unpacked.
        units: units by the file, or None where it has none.
        where: file and variable, for messages.

    Raises:
        ValueError: the units of the file differ from those of the catalog.
    """
    check_spelling(band, units, where)
    values = np.asarray(values, np.float64)
    if band.nodata is not None:
        values = np.where(values == band.nodata, np.nan, values)
    values = band.scale * values + band.offset
    if band.variable is None:
        return values
    values = convert(values, band.units, VARIABLES[band.variable].units)
    return values * PAR_PER_SHORTWAVE if band.shortwave else values


def check_spelling(band: Band, units: str | None, where: str) -> None:
    """Refuse a file whose units are not those of the catalog; time units are not compared, because `J m-2` may belong to a day or an hour.

    Raises:
        ValueError: they differ.
    """
    if not units or _spelled(units).removesuffix(" d-1") == _spelled(band.units).removesuffix(" d-1"):
        return
    raise ValueError(f"{where} is in `{units}`, the catalog says `{band.units}` for `{band.name}`; set `units` there or convert the file")


def _spelled(units: str) -> str:
    plain = re.sub(r"\s+", " ", units.replace("**", "").replace("^", "")).strip()
    return _SPELLINGS.get(plain.lower(), plain)


def choose_cells(latitude: np.ndarray, longitude: np.ndarray, extent: Extent, spacing: float, where: str) -> np.ndarray:
    """Positions of the cells whose centre lies in the extent grown by one cell; at least the nearest one.

    Args:
        latitude: latitudes of the cells `[cell]`, degrees north.
        longitude: longitudes of the cells `[cell]`, degrees east, -180 to 180.
        extent: west, south, east, north [degrees].
        spacing: distance of two cells [degrees].
        where: file, for the message.

    Raises:
        ValueError: the extent lies outside the cells.
    """
    west, south, east, north = extent
    inside = (longitude >= west - spacing) & (longitude <= east + spacing) & (latitude >= south - spacing) & (latitude <= north + spacing)
    if not inside.any():
        raise ValueError(
            f"{where} covers {longitude.min():.2f} to {longitude.max():.2f} degrees east and {latitude.min():.2f} to {latitude.max():.2f} "
            f"north; the extent {west:.2f} {south:.2f} {east:.2f} {north:.2f} lies outside it: request this area"
        )
    return np.flatnonzero(inside)


def square_kilometres(extent: Extent) -> float:
    """Area of an extent [km2]."""
    west, south, east, north = extent
    return (north - south) * (east - west) * np.cos(np.radians((south + north) / 2)) * _DEGREE**2


def wanted_days(start: np.datetime64, end: np.datetime64) -> np.ndarray:
    """Every day from `start` to `end`, both included.

    Raises:
        ValueError: `end` before `start`.
    """
    start, end = np.datetime64(start, "D"), np.datetime64(end, "D")
    if end < start:
        raise ValueError(f"the period ends ({end}) before it starts ({start}); swap the two dates")
    return np.arange(start, end + 1)


def place_of_days(days: np.ndarray, wanted: np.ndarray, where: str) -> np.ndarray:
    """Positions of the wanted days among those of a file.

    Raises:
        ValueError: a day comes twice or is missing; names the day.
    """
    ordered, count = np.unique(days, return_counts=True)
    if (count > 1).any():
        raise ValueError(f"{where}: {ordered[count > 1][0]} comes {count[count > 1][0]} times; keep one file of each period")
    missing = np.setdiff1d(wanted, days)
    if len(missing):
        raise ValueError(f"{where}: {len(missing)} of {len(wanted)} days are missing, the first is {missing[0]}; get that month")
    order = np.argsort(days)
    return order[np.searchsorted(days[order], wanted)]


def assemble(days, values: Mapping[str, np.ndarray], latitude, longitude, elevation, origin: dict, where: str) -> Weather:
    """Checked weather, without the cells that have no values, which are sea.

    Args:
        days: days `[time]`.
        values: name -> `[time, cell]` in vocabulary units.
        latitude: `[cell]`, degrees north.
        longitude: `[cell]`, degrees east.
        elevation: `[cell]` [m], NaN where unknown.
        origin: files and derived variables.
        where: names of the files, for messages.

    Raises:
        ValueError: a variable is missing, has gaps, or shows another unit.
    """
    lacking = [name for name in DAILY if name not in values]
    if lacking:
        raise ValueError(f"{where} gives no {', '.join(lacking)}; it gives {', '.join(values) or 'nothing'}")
    known = land(values, latitude, longitude, where)
    values = {name: np.asarray(part[:, known], np.float32) for name, part in values.items()}
    places = [np.broadcast_to(np.asarray(part, float), known.shape)[known] for part in (latitude, longitude, elevation)]
    for name, part in values.items():
        check_gaps(name, part, days, where)
        check_bounds(name, part, days, where)
    check_radiation(values["par"], places[0], days, where)
    check_air(values, where)
    check_rain(values["rain"], where)
    return Weather(np.asarray(days, "datetime64[D]"), values, *places, origin)
