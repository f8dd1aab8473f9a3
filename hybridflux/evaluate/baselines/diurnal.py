"""Hourly light and temperature of a day from its daily values."""

from __future__ import annotations

import numpy as np

from hybridflux.units import PAR_PER_SHORTWAVE, convert

HOURS = np.arange(24) + 0.5  # solar time, middle of the hour
WARMEST = 15.0  # solar hour of the highest temperature


def hourly_shortwave(par: np.ndarray, day_fraction: np.ndarray) -> np.ndarray:
    """Global radiation [W m-2] of each hour, whose mean is that of the day.

    In proportion to the sine of the sun's elevation, cos h - cos h0 with h the hour angle and h0 = pi day_fraction that of sunset:
    the same cloud all day.

    Args:
        par: `[...]` MJ m-2 d-1.
        day_fraction: `[...]` share of the day with the sun up [1].

    Returns:
        `[..., 24]`.

    >>> round(float(hourly_shortwave(np.array(3.888), np.array(0.5))[12]), 1)  # 100 W m-2 on average
    310.6
    """
    mean = convert(np.asarray(par, float) / PAR_PER_SHORTWAVE, "MJ m-2 d-1", "W m-2")
    angle = (HOURS - 12.0) * np.pi / 12.0
    height = np.maximum(np.cos(angle) - np.cos(np.pi * np.asarray(day_fraction, float))[..., None], 0.0)
    share = height.mean(axis=-1, keepdims=True)
    return mean[..., None] * np.divide(height, share, out=np.zeros_like(height), where=share > 0)


def hourly_temperature(tair: np.ndarray, tmin: np.ndarray) -> np.ndarray:
    """Air temperature [degC] of each hour: a cosine around the mean of the day, down to its minimum, highest at 15 h solar time.

    Args:
        tair: `[...]` mean of the day, degC.
        tmin: `[...]` minimum of the day, degC.

    Returns:
        `[..., 24]`.

    >>> [round(float(hour), 2) for hour in hourly_temperature(np.array(10.0), np.array(4.0))[[2, 14]]]
    [4.05, 15.95]
    """
    swing = np.maximum(np.asarray(tair, float) - np.asarray(tmin, float), 0.0)
    return np.asarray(tair, float)[..., None] + swing[..., None] * np.cos((HOURS - WARMEST) * np.pi / 12.0)
