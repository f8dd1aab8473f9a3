"""Weather generator for western Europe, daily: seasons, weather systems shared by neighbouring places, a wet summer and a drought.

The statistics follow the tower records of FR-Gri and FR-Fon (FLUXNET2015, 2010-2014): monthly temperature and its range, persistence
of anomalies (0.8 from day to day), wet spells, clearness of wet and dry days, dew point close to the minimum of the day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv, ndtr

from hybridflux.data.solar import day_fraction, potential_par
from hybridflux.data.weather.air import saturation_pressure
from hybridflux.evaluate.seasons import day_of_year

PERSISTENCE = 0.8  # share of the temperature anomaly of a day that remains on the next
WET_AFTER_DRY, WET_AFTER_WET = 0.30, 0.60
RAIN_SHAPE, RAIN_MEAN = 0.8, 3.7  # gamma law of the rain of a wet day, mm d-1
CLEARNESS_LIMITS = 0.06, 0.78


@dataclass(frozen=True)
class Climate:
    """Positions and climate of the places; all `[place]`.

    Attributes:
        latitude: [degrees_north].
        x: easting [km].
        y: northing [km].
        elevation: [m].
        reach: distance at which weather anomalies correlate by 1/e [km].
    """

    latitude: np.ndarray
    x: np.ndarray
    y: np.ndarray
    elevation: np.ndarray
    reach: float = 600.0

    def mixing(self) -> np.ndarray:
        """Cholesky factor that correlates independent normal numbers of the places `[place, place]`."""
        distance = np.hypot(self.x[:, None] - self.x, self.y[:, None] - self.y)
        return np.linalg.cholesky(np.exp(-distance / self.reach) + 1e-6 * np.eye(len(self.x)))


@dataclass(frozen=True)
class Spell:
    """A summer of blocked weather, dry, hot and clear, or its opposite.

    Attributes:
        start: first day.
        end: last day.
        strength: 0 leaves the season as it is; 0.7 is close to 2018 and 2022 in northern France, -0.5 to 2021.
    """

    start: np.datetime64
    end: np.datetime64
    strength: float

    def weight(self, days: np.ndarray) -> np.ndarray:
        """Strength on each day, with shoulders of two weeks `[time, 1]`."""
        from_start = (days - self.start).astype(int) / 14.0
        from_end = (self.end - days).astype(int) / 14.0
        return self.strength * np.clip(np.minimum(from_start, from_end) + 1.0, 0.0, 1.0)[:, None]


SUMMERS = (
    Spell(np.datetime64("2021-06-05"), np.datetime64("2021-08-31"), -0.5),
    Spell(np.datetime64("2022-06-05"), np.datetime64("2022-08-31"), 0.7),
)
"""A cool, wet summer and then a drought."""


def make_weather(climate: Climate, days: np.ndarray, rng: np.random.Generator, spells: Sequence[Spell] = SUMMERS) -> dict[str, np.ndarray]:
    """Weather of all places.

    Args:
        climate: the places.
        days: `datetime64[D]`, consecutive, `[time]`.
        rng: source of random numbers.
        spells: unusual summers.

    Returns:
        `tair tmin tmax tair_night` [degC], `par par_potential` [MJ m-2 d-1], `day_fraction` [1], `vpd` [hPa], `rain` [mm d-1] and
        `co2` [ppm], each float32 `[time, place]`.
    """
    season = np.cos(2 * np.pi * (day_of_year(days) - 15) / 365.25)[:, None]  # 1 in mid-January, -1 in mid-July
    dry = sum((spell.weight(days) for spell in spells), np.zeros((len(days), 1)))
    chance = _Chance(rng, climate.mixing(), len(days))

    rain = _rain(chance, climate, season, dry)
    wet = rain > 0
    clearness = _clearness(chance, season, wet, dry)
    tair = _temperature(chance, climate, days, season, clearness, dry)
    daily_range = clearness * (12.5 - 4.2 * season) + 1.2 + 0.6 * np.abs(chance.normal())
    tmin, tmax = tair - 0.5 * daily_range, tair + 0.5 * daily_range
    light = day_fraction(climate.latitude, day_of_year(days)[:, None])
    potential = potential_par(climate.latitude, day_of_year(days)[:, None])

    dew_point = tmin - np.where(wet, -0.7, 0.2 - 0.6 * season) - 2.5 * dry + 1.3 * chance.normal()
    dew_point = np.minimum(dew_point, tair - 0.3)
    vpd = np.maximum(0.5 * (saturation_pressure(tmin) + saturation_pressure(tmax)) - saturation_pressure(dew_point), 0.05)
    years = (days - np.datetime64("2016-01-01")).astype(int)[:, None] / 365.25
    values = {
        "tair": tair, "tmin": tmin, "tmax": tmax, "tair_night": tair - 0.5 * light**2 * daily_range,
        "par": clearness * potential, "par_potential": potential, "day_fraction": light, "vpd": vpd, "rain": rain,
        "co2": 403.0 + 2.4 * years + 4.0 * season + np.zeros_like(tair),
    }  # fmt: skip
    return {name: value.astype(np.float32) for name, value in values.items()}


class _Chance:
    """Random numbers correlated between places, `[time, place]`."""

    def __init__(self, rng, mixing, steps):
        self._rng, self._mixing, self._steps = rng, mixing, steps

    def normal(self) -> np.ndarray:
        return self._rng.standard_normal((self._steps, len(self._mixing))) @ self._mixing.T

    def uniform(self) -> np.ndarray:
        return ndtr(self.normal())


def _rain(chance, climate, season, dry):
    """Wet and dry days as a Markov chain, amounts from a gamma law; a drought makes both rare [mm d-1]."""
    draw, amount = chance.uniform(), chance.uniform()
    after_dry = WET_AFTER_DRY * (1 + 0.15 * season) * (1 - 0.7 * dry)
    after_wet = WET_AFTER_WET * (1 - 0.45 * dry)
    wet = np.zeros(draw.shape, bool)
    yesterday = np.zeros(draw.shape[1], bool)
    for day in range(len(draw)):
        yesterday = wet[day] = draw[day] < np.where(yesterday, after_wet[day], after_dry[day])
    mean = RAIN_MEAN * (1 - 0.15 * season) * (1 - 0.2 * dry) * (1 + climate.elevation / 900.0)
    return np.where(wet, gammaincinv(RAIN_SHAPE, np.clip(amount, 1e-6, 1 - 1e-6)) * mean / RAIN_SHAPE, 0.0)


def _clearness(chance, season, wet, dry):
    """Share of the potential radiation that arrives [1]."""
    typical = np.where(wet, 0.31 - 0.08 * season, 0.50 - 0.11 * season) + 0.06 * dry
    noise = _persistent(chance.normal(), 0.25)
    odds = np.log(typical / (1 - typical)) + (0.65 + 0.15 * season) * noise
    return np.clip(1 / (1 + np.exp(-odds)), *CLEARNESS_LIMITS)


def _temperature(chance, climate, days, season, clearness, dry):
    """Mean of the day [degC]: a season lagging the sun by a month, weather anomalies, warm clear summer days and cold clear winter days."""
    lagged = np.cos(2 * np.pi * (day_of_year(days) - 22) / 365.25)[:, None]
    mean = 11.8 - 0.65 * (climate.latitude - 48.7) - 0.0055 * (climate.elevation - 150.0)
    anomaly = (2.7 + 0.7 * season) * _persistent(chance.normal(), PERSISTENCE)
    return mean - 7.7 * lagged + anomaly - 6.0 * season * (clearness - 0.42 + 0.10 * season) + 2.2 * dry


def _persistent(shocks, share):
    """First-order autoregression of unit variance."""
    series = np.empty_like(shocks)
    series[0] = shocks[0]
    for day in range(1, len(shocks)):
        series[day] = share * series[day - 1] + np.sqrt(1 - share**2) * shocks[day]
    return series
