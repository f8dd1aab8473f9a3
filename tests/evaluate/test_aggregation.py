"""Weeks, months, years and departures from the usual, by hand."""

import numpy as np
import pytest

from hybridflux.evaluate.aggregation import DAY, MONTH, WEEK, YEAR, Anomaly
from hybridflux.evaluate.seasons import day_of_year, month_of, seasonal_cycle, years_seen
from hybridflux.evaluate.steps import MEANING, STEPS, step_named
from hybridflux.model.sequences import Sequences

DAYS = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")


def place(days=DAYS):
    drivers = {name: np.ones((len(days), 1), np.float32) for name in ("tair", "par", "rain", "fapar")}
    where = {"latitude": np.array([48.0]), "longitude": np.array([2.0])}
    return Sequences(("S0",), days, drivers, {"nee": np.full((len(days), 1), np.nan)}, {}, **where)


def test_day_and_month_of_the_year():
    days = np.array(["2001-01-01", "2004-12-31", "1969-07-15"], "datetime64[D]")
    np.testing.assert_array_equal(day_of_year(days), [1, 366, 196])
    np.testing.assert_array_equal(month_of(days), [1, 12, 7])


def test_year_is_the_mean_of_observed_days_times_365():
    observed = np.full(len(DAYS), np.nan)
    observed[:251] = 2.0
    observed[365 : 365 + 250] = 1.0  # 2002: one day too few
    draws = np.stack([np.arange(len(DAYS), dtype=float), np.ones(len(DAYS))])
    starts, y, x = YEAR(place(), observed, draws)
    assert starts.tolist() == [np.datetime64("2001-01-01").item()]
    np.testing.assert_allclose(y, [730.0])
    np.testing.assert_allclose(x, [[125 * 365.0], [365.0]])  # only the observed days of the prediction


def test_months_with_few_days_are_left_out():
    observed = np.full(len(DAYS), np.nan)
    observed[:31] = 1.0
    observed[31 : 31 + 14] = 5.0
    observed[59:90:2] = np.arange(16)
    starts, y, _ = MONTH(place(), observed, np.zeros((1, len(DAYS))))
    assert [str(day) for day in starts] == ["2001-01-01", "2001-03-01"]
    np.testing.assert_allclose(y, [1.0, 7.5])


def test_a_week_has_seven_days_and_needs_four():
    observed = np.full(len(DAYS), np.nan)
    observed[3:10] = np.arange(7)  # Thursday 2001-01-04 to Wednesday
    observed[10:14] = 8.0
    observed[17:20] = 9.0
    starts, y, x = WEEK(place(), observed, np.arange(len(DAYS), dtype=float)[None])
    assert [str(day) for day in starts] == ["2001-01-04", "2001-01-11"]
    np.testing.assert_allclose(y, [3.0, 8.0])
    np.testing.assert_allclose(x, [[6.0, 11.5]])


@pytest.mark.parametrize("name", STEPS)
def test_nothing_observed_gives_no_period(name):
    starts, y, x = step_named(name)(place(), np.full(len(DAYS), np.nan), np.zeros((3, len(DAYS))))
    assert len(starts) == len(y) == 0 and x.shape == (3, 0)


def test_days_are_the_observed_days():
    observed = np.where(np.arange(len(DAYS)) % 2, 1.0, np.nan)
    starts, y, x = DAY(place(), observed, np.arange(2.0 * len(DAYS)).reshape(2, -1))
    np.testing.assert_array_equal(starts, DAYS[1::2])
    np.testing.assert_array_equal(x[0], np.arange(len(DAYS))[1::2])
    assert (y == 1.0).all()


FOUR = np.arange("2001-01-01", "2005-01-01", dtype="datetime64[D]")
LEVEL = {2001: 1.0, 2002: 2.0, 2003: 6.0, 2004: 7.0}


def four_years():
    """The level of the year plus the month, and draws that are ten times that, or off by a constant."""
    year = FOUR.astype("datetime64[Y]").astype(int) + 1970
    values = np.array([LEVEL[each] for each in year]) + month_of(FOUR)
    return values, np.stack([10 * values, values + 3.0])


def test_an_anomaly_is_the_difference_from_the_same_month_of_other_years():
    values, draws = four_years()
    values[(FOUR >= np.datetime64("2003-02-01")) & (FOUR < np.datetime64("2003-03-01"))] = np.nan
    starts, y, x = Anomaly(MONTH, 12)(place(FOUR), values, draws)
    of = {str(start)[:7]: at for at, start in enumerate(starts)}
    assert len(starts) == 47 and "2003-02" not in of
    assert [y[of[f"{year}-01"]] for year in LEVEL] == pytest.approx([-3.0, -2.0, 2.0, 3.0])
    assert y[of["2001-02"]] == pytest.approx(1.0 - 10.0 / 3.0)  # over the three years of February
    np.testing.assert_allclose(x[0], 10 * y, atol=1e-9)
    np.testing.assert_allclose(x[1], y, atol=1e-9)  # a constant error is gone


def test_anomalies_need_three_years_of_the_month():
    values, draws = four_years()
    values[FOUR >= np.datetime64("2003-07-01")] = np.nan
    starts, *_ = Anomaly(MONTH, 12)(place(FOUR), values, draws)
    assert sorted({int(str(start)[5:7]) for start in starts}) == [1, 2, 3, 4, 5, 6] and len(starts) == 18


def test_interannual_variability_is_the_difference_from_the_mean_year():
    values, draws = four_years()
    starts, y, x = Anomaly(YEAR, 1)(place(FOUR), values, draws)
    assert len(starts) == 4 and y.sum() == pytest.approx(0.0, abs=1e-9)
    assert y[2] - y[1] == pytest.approx(4.0 * 365)
    np.testing.assert_allclose(x, [10 * y, y], atol=1e-9)
    few = np.where(FOUR < np.datetime64("2003-01-01"), values, np.nan)
    assert len(Anomaly(YEAR, 1)(place(FOUR), few, draws)[0]) == 0


def test_seasonal_cycle_by_hand():
    days = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    values = np.where(days < np.datetime64("2002-01-01"), day_of_year(days), day_of_year(days) + 2.0)
    cycle = seasonal_cycle(days, values, window=3)
    assert cycle[99] == pytest.approx(101.0)  # days 99 to 101, mean of two years
    assert cycle[0] == pytest.approx(np.mean([1, 3, 2, 4]))  # 31 December is day 365, the window reaches day 366, never observed
    values[day_of_year(days) == 100] = np.nan
    assert seasonal_cycle(days, np.stack([values, 2 * values]), window=1)[:, 99].tolist() == pytest.approx([np.nan] * 2, nan_ok=True)


def test_years_seen_by_hand():
    seen = np.isin(DAYS, np.array(["2001-03-01", "2002-03-03", "2002-12-31"], "datetime64[D]"))
    count = years_seen(DAYS, seen, window=5)
    assert [count[day - 1] for day in (58, 59, 60, 61, 62, 63, 64, 65)] == [1, 1, 2, 2, 2, 1, 1, 0]
    assert [count[day - 1] for day in (363, 366, 1, 2)] == [1, 1, 1, 0]


def test_every_step_is_explained_and_an_unknown_one_refused():
    assert set(STEPS) == set(MEANING)
    with pytest.raises(ValueError, match="Did you mean `anomaly`"):
        step_named("anomalie")
