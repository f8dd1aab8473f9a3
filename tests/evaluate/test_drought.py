"""Dryness, the driest and hottest days, and the drought split, on small series known by hand."""

from dataclasses import replace

import numpy as np
import pytest

from hybridflux.evaluate.baselines import Climatology
from hybridflux.evaluate.baselines.predictors import predictor_table
from hybridflux.evaluate.dryness import dryness
from hybridflux.evaluate.extremes import DRIEST, HOTTEST, Drought, DroughtAnomaly, Tail
from hybridflux.evaluate.scores import score_table
from hybridflux.evaluate.seasons import month_of
from hybridflux.evaluate.splits import leave_drought_out, only_days
from hybridflux.model.sequences import Sequences
from hybridflux.process.water import potential_evaporation

DAYS = np.arange("2001-01-01", "2005-01-01", dtype="datetime64[D]")
SUMMER = np.isin(month_of(DAYS), (5, 6, 7, 8, 9))
JUNE_2003 = (DAYS >= np.datetime64("2003-06-01")) & (DAYS < np.datetime64("2003-10-01"))


def sequences(rain=None, tair=20.0, nee=None, places=1, latitude=48.0, longitude=2.0):
    shape = (len(DAYS), places)
    wet = np.full(shape, 10.0) if rain is None else np.broadcast_to(np.asarray(rain, float).reshape(len(DAYS), -1), shape)
    drivers = {
        "tair": np.broadcast_to(np.asarray(tair, float).reshape(-1, 1), shape),
        "par": np.full(shape, 9.0), "rain": wet, "fapar": np.full(shape, 0.5), "plant_type": np.zeros(places, int),
    }  # fmt: skip
    target = np.zeros(shape) if nee is None else np.broadcast_to(np.asarray(nee, float).reshape(len(DAYS), -1), shape)
    where = {"latitude": np.full(places, latitude), "longitude": np.full(places, longitude)}
    return Sequences(tuple(f"S{at}" for at in range(places)), DAYS, drivers, {"nee": np.array(target)}, {}, **where)


def test_dryness_grows_by_evaporation_and_ends_with_rain():
    rain = np.full(len(DAYS), 10.0)
    rain[500:530] = 0.0
    dry = dryness(sequences(rain))[:, 0]
    assert dry[:500].max() < 0.1  # rain replaces what evaporates and drains
    # typical parameters: cover 0.25 + 0.75 x 0.5, capacity 150 mm, 2 % of the water above one half drains
    evaporated = float(potential_evaporation(tair=20.0, par=9.0, evaporation_scalar=0.65)) * 0.625
    kept = (1 - dry[500]) * 150 - evaporated
    assert (1 - dry[501]) * 150 == pytest.approx(kept - 0.02 * (kept - 75), rel=1e-5)
    assert np.diff(dry[500:530]).min() > 0 and dry[529] > 0.4
    assert dry[545] < 0.15


def test_dryness_says_what_is_missing():
    bare = sequences()
    del bare.drivers["rain"]
    with pytest.raises(ValueError, match="dryness reads rain"):
        dryness(bare)
    with pytest.raises(ValueError, match="extreme days need rain"):
        leave_drought_out(bare)


def test_hottest_are_a_tenth_of_the_measured_days_of_the_season():
    tair = np.arange(len(DAYS), dtype=float)
    nee = np.where(np.arange(len(DAYS)) % 2, 1.0, np.nan)
    found = HOTTEST.days(sequences(tair=tair, nee=nee))[:, 0]
    counted = np.flatnonzero(SUMMER & np.isfinite(nee))
    np.testing.assert_array_equal(np.flatnonzero(found), counted[-len(counted) // 10 :][: found.sum()])
    assert found.sum() == pytest.approx(0.1 * len(counted), abs=1)
    observed = np.arange(len(DAYS), dtype=float)
    starts, y, x = Tail(HOTTEST)(sequences(tair=tair, nee=nee), observed, 2 * observed[None])
    np.testing.assert_array_equal(starts, DAYS[found])
    np.testing.assert_allclose(x[0], 2 * y)


def test_the_warm_season_follows_the_latitude_of_each_place():
    """A northern, a southern and an equatorial tower side by side: each has the hottest days of its own warm season."""
    rng = np.random.default_rng(1)
    three = replace(sequences(tair=rng.normal(size=len(DAYS)), places=3), latitude=np.array([45.0, -35.3, 0.5]))
    found = HOTTEST.days(three)
    months = [set(month_of(DAYS[found[:, at]])) for at in range(3)]
    assert months == [{5, 6, 7, 8, 9}, {11, 12, 1, 2, 3}, set(range(1, 13))]
    for at in range(3):
        np.testing.assert_array_equal(found[:, at], HOTTEST.days(three.select([f"S{at}"]))[:, 0])


def test_a_summer_drought_of_the_south_is_found_there():
    rain = np.full(len(DAYS), 10.0)
    spell = (DAYS >= np.datetime64("2002-12-20")) & (DAYS < np.datetime64("2003-03-01"))
    rain[spell] = 0.0
    found = DRIEST.days(sequences(rain, latitude=-35.0))[:, 0]
    assert DAYS[found].min() > np.datetime64("2002-12-20") and DAYS[found].max() < np.datetime64("2003-03-20")
    assert not (DRIEST.days(sequences(rain))[:, 0] & spell).any()  # in the north the same days are winter


@pytest.mark.parametrize(("latitude", "longitude", "there"), [(48.0, 2.0, True), (40.0, -88.0, False), (-35.3, 149.0, False)])
def test_european_droughts_are_of_europe(latitude, longitude, there):
    days = Drought().days(sequences(latitude=latitude, longitude=longitude))[:, 0]
    assert days[JUNE_2003].all() == there


def test_who_does_not_say_where_it_is_has_no_season():
    nowhere = replace(sequences(), latitude=None)
    for kind in (HOTTEST, Drought()):
        with pytest.raises(ValueError, match="S0 .* give `latitude`"):
            kind.days(nowhere)


def test_baselines_know_the_season_of_the_south():
    """A climatology and trees fitted in the north read a southern tower half a year apart."""
    season = 5 - 4 * np.cos(2 * np.pi * np.arange(len(DAYS)) / 365.25)
    north, south = sequences(nee=season), sequences(latitude=-35.0)
    predicted = Climatology(variables=("nee",)).fit(north).predict(south)["nee"][:, 0]
    summer, winter = (np.isin(month_of(DAYS), months) for months in ((12, 1), (6, 7)))
    assert predicted[summer].mean() > 8 and predicted[winter].mean() < 2
    same = Climatology(variables=("nee",)).fit(south).predict(south)["nee"]
    np.testing.assert_allclose(same, 0.0)
    number = predictor_table(south, ("day_of_year",), "trees")[:, 0, 0]
    assert number[DAYS == np.datetime64("2001-07-01")] == 1 and number[DAYS == np.datetime64("2001-06-30")] == 366


def test_driest_days_are_those_of_the_dry_spell_of_each_place_alone():
    rain = np.full((len(DAYS), 2), 10.0)
    spell = (DAYS >= np.datetime64("2002-07-01")) & (DAYS < np.datetime64("2002-09-10"))
    other = (DAYS >= np.datetime64("2004-07-01")) & (DAYS < np.datetime64("2004-09-10"))
    rain[spell, 0], rain[other, 1] = 0.0, 0.0
    two = sequences(rain, places=2)
    found = DRIEST.days(two)
    assert found.sum(axis=0) == pytest.approx([0.1 * SUMMER.sum()] * 2, abs=1)
    for at, dry in enumerate((spell, other)):
        assert DAYS[found[:, at]].min() > DAYS[dry].min() and DAYS[found[:, at]].max() <= DAYS[dry].max() + 14
        np.testing.assert_array_equal(found[:, at], DRIEST.days(two.select([f"S{at}"]))[:, 0])


def test_drought_split_tests_summers_of_drought_and_the_driest_days():
    rain = np.full(len(DAYS), 10.0)
    spell = (DAYS >= np.datetime64("2002-07-01")) & (DAYS < np.datetime64("2002-09-10"))
    rain[spell] = 0.0
    whole = sequences(rain)
    fit, test = leave_drought_out(whole)
    assert fit.shape == test.shape == (len(DAYS), 1) and (fit ^ test).all()
    assert test[JUNE_2003, 0].all()
    expected = JUNE_2003 | DRIEST.days(whole)[:, 0]
    np.testing.assert_array_equal(test[:, 0], expected)
    assert test[spell, 0].sum() > 40 and not test[(DAYS >= np.datetime64("2003-10-01")), 0].any()
    assert np.isnan(only_days(whole, fit).targets["nee"][JUNE_2003]).all()
    events_only = leave_drought_out(whole, Drought(years=(2004,), months=(7,)))[1][:, 0]
    assert events_only[(DAYS >= np.datetime64("2004-07-01")) & (DAYS < np.datetime64("2004-08-01"))].all()


def test_drought_anomaly_is_the_departure_from_undisturbed_years():
    season = 5.0 * np.sin(2 * np.pi * np.arange(len(DAYS)) / 365.25)
    rain = np.full(len(DAYS), 10.0)
    rain[JUNE_2003] = 0.0
    observed = season + np.where(JUNE_2003, 2.0, 0.0)
    draws = np.stack([season + 7.0 + np.where(JUNE_2003, 0.5, 0.0), season])
    starts, y, x = DroughtAnomaly(window=1)(sequences(rain, nee=observed), observed, draws)
    assert (starts >= np.datetime64("2003-05-29")).all() and (starts < np.datetime64("2003-10-01")).all() and len(starts) == 18
    np.testing.assert_allclose(y, 2.0, atol=0.05)  # a few hundredths: the leap year moves the sine by parts of a day
    np.testing.assert_allclose(x[0], 0.5, atol=0.05)  # the constant error of 7 is gone
    np.testing.assert_allclose(x[1], 0.0, atol=0.05)


def test_two_years_are_no_usual_course():
    rain = np.full(len(DAYS), 10.0)
    rain[JUNE_2003] = 0.0
    observed = np.where(DAYS < np.datetime64("2004-01-01"), 1.0, np.nan)  # two summers without drought are left
    starts, *_ = DroughtAnomaly(window=1)(sequences(rain, nee=observed), observed, np.ones((2, len(DAYS))))
    assert len(starts) == 0
    assert len(DroughtAnomaly(window=1, least_years=2)(sequences(rain, nee=observed), observed, np.ones((2, len(DAYS))))[0]) == 18


def test_drought_scores_by_name():
    season = 5.0 * np.sin(2 * np.pi * np.arange(len(DAYS)) / 365.25)
    rain = np.full(len(DAYS), 10.0)
    rain[JUNE_2003] = 0.0
    whole = sequences(rain, nee=season + np.where(JUNE_2003, 2.0, 0.0))
    table = score_table(whole, {"nee": season[:, None] + 4.0}, step=("drought", "driest", "day"))
    assert table.step.tolist() == ["drought", "driest", "day"] and set(table.variable) == {"NEE"}
    assert table.rmse[0] == pytest.approx(2.0, abs=0.1) and table.bias[0] == pytest.approx(-2.0, abs=0.1)
    assert table.bias[1] == pytest.approx(2.0, abs=1e-5)
