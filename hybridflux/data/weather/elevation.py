"""From coarse cells to pixels: the nearest cell, split into bands of elevation with the temperature and humidity of each."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from hybridflux.data.weather.air import saturation_pressure
from hybridflux.data.weather.daily_weather import Weather

LAPSE = 6.5e-3  # K m-1, ICAO standard atmosphere (Doc 7488)
_WARMTH = ("tair", "tmin", "tmax", "tair_night", "tair_day")
_DRYNESS = {"vpd": "tair", "vpd_day": "tair_day"}  # and the temperature of the same hours
_GRAVITY_OVER_GAS = 9.80665 / 287.05  # K m-1; over T it is the relative decrease of pressure with height; ICAO constants
_ZERO = 273.15  # K


def cells(weather: Weather, latitude: np.ndarray, longitude: np.ndarray, elevation: np.ndarray | None = None, band: float = 100.0):
    """The weather cell of each pixel, and the weather of these cells.

    Without elevation a pixel has the nearest cell. With it, the pixels of a cell are grouped into bands; the weather of a band is
    that of the cell with the temperatures of the mean height of its pixels (standard lapse rate, the same at all hours,
    although nights often have a smaller one or inversions), and the vapour pressure of air of the same specific humidity. Radiation and
    rain are those of the cell. The heights are relative to the cell's own, or where that is not known to the mean of its pixels.

    Args:
        weather: weather of the coarse cells.
        latitude: latitudes of the pixels `[y, x]`, degrees north.
        longitude: longitudes of the pixels `[y, x]`, degrees east.
        elevation: elevations of the pixels `[y, x]` [m], NaN where unknown; None for no correction.
        band: height of a band [m].

    Returns:
        The number of the cell of each pixel `[y, x]` int32, and the weather of these cells.

    Raises:
        ValueError: shapes differ, or the band is not positive.
    """
    if band <= 0:
        raise ValueError(f"a band of elevation is {band} m high; give a positive number such as 100")
    if latitude.shape != longitude.shape or (elevation is not None and elevation.shape != latitude.shape):
        raise ValueError(f"latitude {latitude.shape}, longitude {longitude.shape} and elevation {np.shape(elevation)} must be of one shape")
    centres = cKDTree(_on_sphere(weather.latitude, weather.longitude))
    nearest = centres.query(_on_sphere(latitude.ravel(), longitude.ravel()))[1]
    if elevation is None:
        used, cell = np.unique(nearest, return_inverse=True)
        return cell.reshape(latitude.shape).astype(np.int32), _at(weather, used, weather.elevation[used], np.zeros(len(used)), {})
    height, own = _heights(weather, nearest, elevation.ravel().astype(float))
    keys, cell = np.unique(np.stack([nearest, np.floor(height / band).astype(int)]), axis=1, return_inverse=True)
    cell = cell.ravel()
    mean = np.bincount(cell, height) / np.bincount(cell)
    rise = mean - own[keys[0]]
    known = np.isfinite(weather.elevation)
    note = {"lapse_rate": LAPSE, "band": band, "vapour": "specific humidity kept", "own_elevation_known": bool(known.all()),
            "without_height": float(np.isnan(elevation).mean()), "rise": [float(rise.min()), float(rise.max())]}  # fmt: skip
    return cell.reshape(latitude.shape).astype(np.int32), _at(weather, keys[0], mean, rise, {"elevation_correction": note})


def _on_sphere(latitude: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    up, east = np.radians(latitude), np.radians(longitude)
    return np.stack([np.cos(up) * np.cos(east), np.cos(up) * np.sin(east), np.sin(up)], axis=-1)


def _heights(weather: Weather, nearest: np.ndarray, height: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the pixels without gaps, and of the cells: their own or the mean of their pixels."""
    n = len(weather.latitude)
    known = np.isfinite(height)
    count = np.bincount(nearest[known], minlength=n)
    mean = np.bincount(nearest[known], height[known], n) / np.maximum(count, 1)
    own = np.where(np.isfinite(weather.elevation), weather.elevation, mean)
    return np.where(known, height, own[nearest]), own


def _at(weather: Weather, used: np.ndarray, elevation: np.ndarray, rise: np.ndarray, note: dict) -> Weather:
    """Weather of some cells, each raised by `rise` [m]."""
    values = {name: part[:, used] for name, part in weather.values.items()}
    asked = [(of, air) for of, air in _DRYNESS.items() if {of, air} <= set(values)]
    dry = {of: vpd_at(values[air].astype(float), values[of].astype(float), rise) for of, air in asked}
    moved = {name: part - LAPSE * rise if name in _WARMTH else part for name, part in values.items()} | dry
    moved = {name: part.astype(np.float32) for name, part in moved.items()}
    return Weather(weather.days, moved, weather.latitude[used], weather.longitude[used], elevation, weather.origin | note)


def vpd_at(tair, vpd, rise):
    """Vapour pressure deficit [hPa] of the same air `rise` metres higher.

    Saturation falls with the temperature; the vapour pressure falls with the pressure of the air, since a well mixed layer has one
    specific humidity: its dew point falls by about 2 K km-1. Only differences enter, so a rise of 0 changes nothing.

    Args:
        tair: daily mean temperature below [degC].
        vpd: vapour pressure deficit below [hPa].
        rise: difference of height [m]; broadcasts.
    """
    saturated = saturation_pressure(tair)
    vapour = np.maximum(saturated - vpd, 0.0)
    thinner = np.exp(-_GRAVITY_OVER_GAS * rise / (tair + _ZERO - 0.5 * LAPSE * rise))
    return np.maximum(vpd + saturation_pressure(tair - LAPSE * rise) - saturated - vapour * (thinner - 1.0), 0.0)
