"""The weather is French, reproducible, and has a wet summer and a drought."""

import numpy as np
import pytest

from hybridflux.twin.weather_generator import SUMMERS, Climate, make_weather
from hybridflux.vocabulary import VARIABLES

DAYS = np.arange("2013-01-01", "2023-01-01", dtype="datetime64[D]")
MONTH = DAYS.astype("datetime64[M]").astype(int) % 12 + 1
YEAR = DAYS.astype("datetime64[Y]").astype(int) + 1970
CLIMATE = Climate(np.full(3, 48.7), np.array([0.0, 5.0, 400.0]), np.zeros(3), np.full(3, 150.0))


@pytest.fixture(scope="module")
def weather():
    return make_weather(CLIMATE, DAYS, np.random.default_rng(3))


def test_the_same_seed_gives_the_same_weather(weather):
    again = make_weather(CLIMATE, DAYS, np.random.default_rng(3))
    assert all(np.array_equal(weather[name], again[name]) for name in weather)
    other = make_weather(CLIMATE, DAYS, np.random.default_rng(4))
    assert not np.array_equal(weather["tair"], other["tair"])


def test_all_inside_the_bounds_of_the_vocabulary(weather):
    for name, values in weather.items():
        if name in VARIABLES:
            low, high = VARIABLES[name].bounds
            assert low <= values.min() and values.max() <= high, name
    assert np.all(weather["tmin"] < weather["tair"]) and np.all(weather["tair_night"] < weather["tair"])
    assert np.all(weather["par"] < 0.8 * weather["par_potential"])


@pytest.mark.parametrize(
    ("name", "month", "low", "high"),
    [("tair", 1, 2, 6.5), ("tair", 7, 17.5, 21), ("par", 1, 1.0, 2.2), ("par", 7, 8.3, 10.8), ("vpd", 1, 0.5, 2), ("vpd", 7, 5.5, 10.5)],
)
def test_monthly_means_are_those_of_northern_france(weather, name, month, low, high):
    usual = (YEAR < 2021) & (MONTH == month)
    assert low < weather[name][usual].mean() < high


def test_rain_is_a_climate_of_600_to_900_mm_in_wet_spells(weather):
    usual = YEAR < 2021
    wet = weather["rain"][usual] > 0
    assert 600 < weather["rain"][usual].sum(0).mean() / 8 < 900
    assert wet[1:][wet[:-1]].mean() > wet[1:][~wet[:-1]].mean() + 0.2
    assert weather["par"][usual][wet].mean() < 0.8 * weather["par"][usual][~wet].mean()


def test_neighbours_share_their_weather(weather):
    anomaly = weather["tair"] - np.array([weather["tair"][MONTH == m].mean(0) for m in range(1, 13)])[MONTH - 1]
    near, far = np.corrcoef(anomaly.T)[0, 1:]
    assert near > 0.95 and 0.3 < far < near
    assert 0.65 < np.corrcoef(anomaly[1:, 0], anomaly[:-1, 0])[0, 1] < 0.9


def test_2022_is_a_drought_and_2021_is_not(weather):
    summer = (MONTH >= 6) & (MONTH <= 8)
    rain, vpd, tair = (np.array([weather[n][summer & (YEAR == y)].mean() for y in range(2013, 2023)]) for n in ("rain", "vpd", "tair"))
    assert rain[9] < 0.65 * rain[:8].mean() and rain[8] > 1.1 * rain[:8].mean()
    assert vpd[9] > 1.2 * vpd[:8].mean()
    assert tair[9] > tair[:8].mean() + 0.8
    calm = make_weather(CLIMATE, DAYS, np.random.default_rng(3), spells=())
    before = DAYS < SUMMERS[0].start - 14
    assert np.array_equal(calm["tair"][before], weather["tair"][before])
