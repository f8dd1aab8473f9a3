"""Sun geometry of a day: radiation at the top of the atmosphere and day length."""

from __future__ import annotations

import numpy as np

from hybridflux.units import PAR_PER_SHORTWAVE

_SOLAR_CONSTANT = 0.0820  # MJ m-2 min-1, Allen et al. 1998 (FAO-56) eq. 21


def _geometry(latitude, day_of_year):
    """Relative distance factor, latitude and declination [rad], sunset hour angle [rad]; FAO-56 equations 23 to 25."""
    year_angle = 2 * np.pi * np.asarray(day_of_year, float) / 365.0
    latitude = np.radians(np.asarray(latitude, float))
    declination = 0.409 * np.sin(year_angle - 1.39)
    sunset = np.arccos(np.clip(-np.tan(latitude) * np.tan(declination), -1.0, 1.0))
    return 1 + 0.033 * np.cos(year_angle), latitude, declination, sunset


def potential_par(latitude, day_of_year):
    """Photosynthetically active radiation at the top of the atmosphere [MJ m-2 d-1].

    Args:
        latitude: latitude [degrees_north].
        day_of_year: 1 to 366; broadcasts with `latitude`.

    Returns:
        Extraterrestrial radiation of FAO-56 equation 21 times the PAR share of shortwave radiation.

    >>> round(float(potential_par(-20.0, 246) / PAR_PER_SHORTWAVE), 1)  # FAO-56 example 8
    32.2
    """
    distance, latitude, declination, sunset = _geometry(latitude, day_of_year)
    height = sunset * np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.sin(sunset)
    return PAR_PER_SHORTWAVE * np.maximum(24 * 60 / np.pi * _SOLAR_CONSTANT * distance * height, 0.0)


def day_fraction(latitude, day_of_year):
    """Share of the day with the sun up [1]; FAO-56 equation 34 over 24 h.

    >>> round(24 * float(day_fraction(-20.0, 246)), 1)  # FAO-56 example 9
    11.7
    """
    *_, sunset = _geometry(latitude, day_of_year)
    return sunset / np.pi


def sine_of_elevation(latitude, day_of_year, solar_time):
    """Sine of the elevation of the sun [1], negative at night; Allen et al. 1998 (FAO-56) eq. 24 and 28.

    Args:
        latitude: latitude [degrees_north].
        day_of_year: 1 to 366.
        solar_time: true solar time [h]; all three broadcast.

    >>> round(float(np.degrees(np.arcsin(sine_of_elevation(45.0, 172, 12.0)))), 1)  # 45 + 23.4 at the solstice
    68.4
    """
    _, latitude, declination, _ = _geometry(latitude, day_of_year)
    angle = np.pi / 12 * (np.asarray(solar_time) - 12)
    return np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle)


def equation_of_time(day_of_year: np.ndarray) -> np.ndarray:
    """Advance of the sun over mean solar time [h]; Spencer's series as shortened in Allen et al. 1998 (FAO-56) eq. 32 and 33.

    >>> [round(float(equation_of_time(day)) * 60) for day in (42, 307)]  # least in February, most in November [min]
    [-15, 16]
    """
    angle = 2 * np.pi * (np.asarray(day_of_year) - 81) / 364
    return 0.1645 * np.sin(2 * angle) - 0.1255 * np.cos(angle) - 0.025 * np.sin(angle)
