"""Months and years from observed days only."""

import numpy as np
import pytest

from hybridflux.evaluate.periods import aggregate

DAYS = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")


def test_year_is_the_mean_of_observed_days_times_365():
    observed = np.full(len(DAYS), np.nan)
    observed[:251] = 2.0
    observed[365 : 365 + 250] = 1.0  # 2002: one day too few
    draws = np.stack([np.arange(len(DAYS), dtype=float), np.ones(len(DAYS))])
    starts, y, x = aggregate(DAYS, observed, draws, "year")
    assert starts.tolist() == [np.datetime64("2001-01-01").item()]
    np.testing.assert_allclose(y, [730.0])
    np.testing.assert_allclose(x, [[125 * 365.0], [365.0]])  # only the observed days of the prediction


def test_months_with_few_days_are_left_out():
    observed = np.full(len(DAYS), np.nan)
    observed[:31] = 1.0
    observed[31 : 31 + 14] = 5.0
    observed[59:90:2] = np.arange(16)
    starts, y, _ = aggregate(DAYS, observed, np.zeros((1, len(DAYS))), "month")
    assert [str(day) for day in starts] == ["2001-01-01", "2001-03-01"]
    np.testing.assert_allclose(y, [1.0, 7.5])


@pytest.mark.parametrize("step", ["day", "month", "year"])
def test_nothing_observed_gives_no_period(step):
    starts, y, x = aggregate(DAYS, np.full(len(DAYS), np.nan), np.zeros((3, len(DAYS))), step)
    assert len(starts) == len(y) == 0 and x.shape == (3, 0)


def test_days_are_the_observed_days():
    observed = np.where(np.arange(len(DAYS)) % 2, 1.0, np.nan)
    starts, y, x = aggregate(DAYS, observed, np.arange(2.0 * len(DAYS)).reshape(2, -1), "day")
    np.testing.assert_array_equal(starts, DAYS[1::2])
    np.testing.assert_array_equal(x[0], np.arange(len(DAYS))[1::2])
    assert (y == 1.0).all()
