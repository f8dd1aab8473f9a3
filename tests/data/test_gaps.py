"""Gap filling, seasons and running means."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.gaps import CLIMATOLOGY, GIVEN, INTERPOLATED, fill, seasonal_mean, trailing_mean

DAYS = pd.date_range("2001-01-01", "2003-12-31")
DOY = DAYS.day_of_year.to_numpy()
SEASON = 10 + 8 * np.cos(2 * np.pi * (DOY - 200) / 365)


def test_short_gaps_are_lines_and_long_ones_the_season():
    values = SEASON.copy()
    values[100:107] = np.nan
    values[300:308] = np.nan
    filled, flags = fill(values, DOY)
    assert np.isfinite(filled).all()
    assert (flags[100:107] == INTERPOLATED).all() and (flags[300:308] == CLIMATOLOGY).all()
    assert (flags == GIVEN).sum() == len(values) - 15
    np.testing.assert_allclose(np.diff(filled[99:108]), (values[107] - values[99]) / 8)
    np.testing.assert_allclose(filled[300:308], SEASON[300:308], atol=0.3)


def test_before_and_after_the_record_the_season_repeats():
    values = np.where((DAYS.year == 2002), SEASON, np.nan)
    filled, flags = fill(values, DOY)
    np.testing.assert_allclose(filled, SEASON, atol=0.3)
    assert (flags[DAYS.year != 2002] == CLIMATOLOGY).all()


def test_rain_is_never_a_line():
    values = np.array([0.0, np.nan, 20.0])
    assert fill(values, np.array([1, 2, 3]), longest_line=0)[1].tolist() == [GIVEN, CLIMATOLOGY, GIVEN]


def test_a_full_series_is_unchanged():
    filled, flags = fill(SEASON, DOY)
    assert filled is SEASON and not flags.any()


@pytest.mark.parametrize("known_days", [range(1, 60), [17], [366]])
def test_a_season_is_complete_whatever_is_known(known_days):
    values = np.where(np.isin(DOY, list(known_days)), 4.0, np.nan)
    if 366 in known_days:
        values[0] = 4.0  # no leap year here
    np.testing.assert_allclose(seasonal_mean(values, DOY), 4.0)


def test_trailing_mean_equals_pandas():
    values = np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32)
    expected = pd.DataFrame(values.astype(float)).rolling(30, min_periods=1).mean().to_numpy()
    ours = trailing_mean(values, 30)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_trailing_mean_of_an_unknown_window():
    with pytest.raises(ValueError, match="over 31 days; there are 7, 30, 90"):
        trailing_mean(np.zeros(50), 31)
