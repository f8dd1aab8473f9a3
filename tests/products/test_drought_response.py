"""Soil moisture against its usual course, and slopes of losses along it, with a known truth."""

import numpy as np
import pytest

from hybridflux.products.drought_response import decades, parts_of, slopes
from hybridflux.products.moisture_anomaly import departure

DAYS = np.arange(np.datetime64("2010-01-01"), np.datetime64("2019-01-01"))
SEASON = np.arange(np.datetime64("2018-06-01"), np.datetime64("2018-09-01"))
OF_YEAR = (DAYS - DAYS.astype("datetime64[Y]")).astype(int)
YEAR = DAYS.astype("datetime64[Y]").astype(int) + 1970


def record(anomalies, gaps=0.0):
    """A record of one cell whose course is that of every year, plus the anomaly of a year."""
    random = np.random.default_rng(2)
    values = 0.25 + 0.1 * np.cos(2 * np.pi * OF_YEAR / 365.25) + np.array([anomalies.get(year, 0.0) for year in YEAR.tolist()])
    return np.where(random.random(len(DAYS)) < gaps, np.nan, values)[:, None]


def departed(values, days=DAYS):
    return departure("swi", "m3 m-3", days, values, SEASON, np.array([50.0]), np.array([3.0]))


@pytest.mark.parametrize("gaps", [0.0, 0.8])
def test_a_dry_year_departs_by_what_it_is_drier_and_the_other_years_say_how_unusual_that_is(gaps):
    usual = {year: 0.02 * (-1) ** year for year in range(2010, 2018)}
    found = departed(record(usual | {2018: -0.06}, gaps))
    assert found.years == tuple(range(2010, 2018))
    assert found.season.item() == pytest.approx(-0.06, abs=0.002 if not gaps else 0.006)
    assert found.sd.item() == pytest.approx(0.0214, abs=0.002 if not gaps else 0.006)  # of four +0.02 and four -0.02
    assert np.isfinite(found.daily).mean() == pytest.approx(1 - gaps, abs=0.12)


def test_without_three_other_years_nothing_is_usual_and_a_cell_without_views_stays_unknown():
    values = record({})
    assert departed(values[YEAR >= 2016], DAYS[YEAR >= 2016]) is None
    blind = np.concatenate([values, np.full_like(values, np.nan)], 1)
    found = departure("swi", "1", DAYS, blind, SEASON, np.array([50.0, 50.1]), np.array([3.0, 3.0]))
    assert np.isnan(found.season[1]) and np.isnan(found.sd[1]) and abs(found.season[0]) < 1e-3
    assert found.nearest(np.array([3.01, 2.9]), np.array([50.09, 49.9])).tolist() == [1, 0]


def test_slopes_per_draw_are_those_of_the_lines_that_were_put_in():
    """Per 0.01 m3 m-3 and per sd; the weight of a part does not matter on a line, and draws keep their own slope."""
    true = np.array([1000.0, 2000.0, 3000.0])  # gC m-2 per m3 m-3, of three draws
    at = np.linspace(-0.1, 0.0, 5)[:, None]
    rows = list(slopes(at, true * at - 40.0, np.array([1.0, 5.0, 2.0, 1.0, 9.0]), "m3 m-3", 0.03, "gC m-2"))
    assert [row["units"] for row in rows] == ["gC m-2 per 0.01 m3 m-3", "gC m-2 per sd of 0.03 m3 m-3"]
    assert [row["mean"] for row in rows] == pytest.approx([20.0, 60.0]) and rows[0]["sd"] == pytest.approx(10.0)
    assert not list(slopes(at[:2], at[:2], np.ones(2), "1", 0.1, "gC m-2")) and not list(slopes(0 * at, at, np.ones(5), "1", 0.1, "gC m-2"))


def test_days_without_a_view_are_in_no_mean_of_ten_days_and_parts_hold_as_many_pixels_each():
    water = np.where(np.arange(92) % 3 == 0, np.linspace(-0.1, 0.1, 92), np.nan)
    change = np.linspace(-0.1, 0.1, 92) * np.array([[50.0], [100.0]])
    at, means, days = decades(water, change)
    np.testing.assert_allclose(means, at * [50.0, 100.0], rtol=1e-12)
    assert days.sum() == 31 and len(at) == 10
    edges = parts_of(np.arange(800.0) ** 2)
    assert np.histogram(np.arange(800.0) ** 2, [*edges, 1e9])[0].tolist() == [100] * 8
