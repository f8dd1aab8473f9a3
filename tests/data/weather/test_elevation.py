"""Weather of bands of elevation: what falls is kept, what warms is moved, nothing changes where nothing rises."""

import numpy as np
import pytest

from hybridflux.data.weather.air import saturation_pressure, vpd_of_dewpoint, vpd_of_extremes, vpd_of_humidity
from hybridflux.data.weather.daily_weather import Weather
from hybridflux.data.weather.elevation import LAPSE, cells, vpd_at
from tests.reference import rows

DAYS = np.arange(np.datetime64("2018-05-01"), np.datetime64("2018-05-04"))


def weather(elevation=(200.0, 800.0)):
    values = {name: np.tile(np.array(pair, np.float32), (3, 1)) for name, pair in
              {"tair": (15, 11), "tmin": (8, 5), "tmax": (22, 17), "tair_night": (10, 7), "tair_day": (18, 14),
               "vpd_day": (9, 6), "par": (9, 8), "vpd": (6, 4), "rain": (1, 3)}.items()}  # fmt: skip
    return Weather(DAYS, values, np.array([45.0, 45.0]), np.array([6.0, 6.1]), np.array(elevation), {"dataset": "x"})


def pixels(shape=(20, 30)):
    latitude = np.repeat(np.linspace(45.04, 44.96, shape[0])[:, None], shape[1], axis=1)
    return latitude, np.repeat(np.linspace(5.96, 6.14, shape[1])[None], shape[0], axis=0)


def test_without_elevation_the_nearest_cell():
    latitude, longitude = pixels()
    cell, used = cells(weather(), latitude, longitude)
    assert cell.dtype == np.int32 and np.array_equal(cell, (longitude > 6.05).astype(int))
    assert all(np.array_equal(used.values[name], part) for name, part in weather().values.items())
    cell, used = cells(weather(), latitude[:, :5], longitude[:, :5])
    assert len(used.latitude) == 1 and not cell.any(), "cells of no pixel are not carried along"


def test_flat_land_at_the_height_of_the_cell_changes_nothing():
    latitude, longitude = pixels()
    cell, used = cells(weather((300.0, 300.0)), latitude, longitude, np.full(latitude.shape, 300.0))
    for name, part in weather().values.items():
        assert np.array_equal(used.values[name][:, cell], part[:, (longitude > 6.05).astype(int)])


def test_bands_keep_radiation_and_rain_and_follow_the_lapse_rate():
    latitude, longitude = pixels()
    height = np.repeat(np.linspace(150, 1450, 20)[:, None], 30, axis=1)
    cell, used = cells(weather(), latitude, longitude, height)
    coarse = (longitude > 6.05).astype(int)
    for name in ("par", "rain"):
        assert np.array_equal(used.values[name][:, cell], weather().values[name][:, coarse])
    for name in ("tair", "tmin", "tmax", "tair_night", "tair_day"):
        exact = weather().values[name][:, coarse] - LAPSE * (height - np.array([200.0, 800.0])[coarse])
        assert np.abs(used.values[name][:, cell] - exact).max() <= LAPSE * 100, "within a band of 100 m"
        assert used.values[name][:, cell].mean() == pytest.approx(exact.mean(), abs=1e-4), "the mean is that of the pixels"
    assert np.all(np.diff(used.values["vpd"][0][cell][:, 0]) <= 0), "drier air below"
    assert np.all(np.diff(used.values["vpd_day"][0][cell][:, 0]) <= 0)
    assert used.origin["elevation_correction"]["own_elevation_known"] is True


def test_unknown_height_of_a_cell_is_the_mean_of_its_pixels():
    latitude, longitude = pixels()
    height = np.repeat(np.linspace(150, 1450, 20)[:, None], 30, axis=1)
    cell, used = cells(weather((np.nan, np.nan)), latitude, longitude, height)
    assert used.values["tair"][0][cell][:, 0].mean() == pytest.approx(15.0, abs=1e-4)
    assert used.origin["elevation_correction"]["own_elevation_known"] is False
    height[3, 4] = np.nan
    cell, used = cells(weather(), latitude, longitude, height)
    assert used.values["tair"][0, cell[3, 4]] == pytest.approx(15.0, abs=LAPSE * 100)
    assert used.origin["elevation_correction"]["without_height"] == pytest.approx(1 / height.size)


def test_vapour_of_higher_air():
    assert vpd_at(15.0, 6.0, 0.0) == 6.0
    higher = vpd_at(15.0, 6.0, 1000.0)
    vapour = saturation_pressure(8.5) - higher
    below = saturation_pressure(15.0) - 6.0
    assert vapour / below == pytest.approx(898.75 / 1013.25, abs=0.003), "ICAO: pressure at 1000 m over that at sea level"
    temperatures = np.linspace(-20, 20, 4001)
    dew = [np.interp(one, saturation_pressure(temperatures), temperatures) for one in (below, vapour)]
    assert dew[0] - dew[1] == pytest.approx(1.7, abs=0.3), "a dew point falls by nearly 2 K km-1"
    assert vpd_at(10.0, 0.0, 3000.0) == 0.0


def test_refused():
    latitude, longitude = pixels()
    with pytest.raises(ValueError, match="must be of one shape"):
        cells(weather(), latitude, longitude, np.zeros((2, 2)))
    with pytest.raises(ValueError, match="give a positive number"):
        cells(weather(), latitude, longitude, np.zeros(latitude.shape), band=0.0)


def test_saturation_pressure_against_published_values():
    """FAO-56 table 2.3; example 3: 15 and 24.5 degC; example 5: humidity. Pressures of hybridflux are in hPa."""
    published = [(row["tair_degC"], row["pressure_kPa"]) for row in rows("saturation_vapour.csv") if "pressure_kPa" in row]
    tair, kilopascal = np.array(published).T
    assert saturation_pressure(tair) == pytest.approx(10 * kilopascal, abs=0.01)
    assert vpd_of_extremes(15.0, 24.5, 0.0) == pytest.approx(23.9, abs=0.05)  # example 3: es = 2.39 kPa
    assert vpd_of_humidity(18.0, 25.0, 0.68) == pytest.approx(26.2 * 0.32, abs=0.1)  # example 5: es about 2.62 kPa
    assert vpd_of_dewpoint(20.0, 20.0) == 0.0 and vpd_of_dewpoint(20.0, 21.0) == 0.0
