"""Hours of a day: how GPP goes with the light and RECO with the temperature of the hour, as shares that add up to 1."""

from __future__ import annotations

import numpy as np

from hybridflux.data.solar import equation_of_time, sine_of_elevation
from hybridflux.process.respiration import lloyd_taylor
from hybridflux.vocabulary import PARAMETERS

HOURS = 24
STEPS = 6  # of an hour, over which the light is averaged
WARMEST = 15.0  # mean solar time of the highest temperature [h]: assumed; the lowest is then at 3 h


def light_shares(day: np.datetime64, latitude: np.ndarray, longitude: np.ndarray, utc_offset: float) -> np.ndarray:
    """Share of the light of a day without clouds in each of its hours `[hour, cell]`; where the sun does not rise, all hours are equal.

    GPP in proportion to light: its saturation at noon and the clouds of the hour are left out.

    Args:
        day: of the standard time.
        latitude: of the cells [degrees].
        longitude: of the cells [degrees].
        utc_offset: of the standard time [h].
    """
    clock = (np.arange(HOURS * STEPS) + 0.5)[:, None] / STEPS
    number = int((day - day.astype("datetime64[Y]").astype("datetime64[D]")).astype(int)) + 1
    light = sine_of_elevation(latitude, number, solar_time(clock, longitude, utc_offset) + equation_of_time(number))
    hours = np.maximum(light, 0.0).reshape(HOURS, STEPS, -1).mean(1)
    total = hours.sum(0)
    return np.where(total > 0, hours / np.where(total > 0, total, 1.0), 1 / HOURS)


def temperature_shares(tair: float, tmin: float, longitude: np.ndarray, utc_offset: float) -> np.ndarray:
    """Share of each hour in the respiration of a day `[hour, cell]`, by Lloyd & Taylor's response with its typical sensitivity.

    The temperature is a sine about the mean of the day, lowest at `tmin`, highest at `WARMEST`.

    Args:
        tair: mean temperature of the day [degC].
        tmin: lowest temperature of the day [degC].
        longitude: of the cells [degrees].
        utc_offset: of the standard time [h].
    """
    when = solar_time(np.arange(HOURS)[:, None] + 0.5, longitude, utc_offset)
    temperature = tair + max(tair - tmin, 0.0) * np.cos(2 * np.pi * (when - WARMEST) / HOURS)
    response = np.asarray(lloyd_taylor(tair=temperature, activation_temp=PARAMETERS["activation_temp"].typical), float)
    total = response.sum(0)
    return np.where(total > 0, response / np.where(total > 0, total, 1.0), 1 / HOURS)


def solar_time(clock: np.ndarray, longitude: np.ndarray, utc_offset: float) -> np.ndarray:
    """Mean solar time [h] of hours of the clock."""
    return clock - utc_offset + np.asarray(longitude) / 15
