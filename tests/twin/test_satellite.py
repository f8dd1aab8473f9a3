"""Clouds and revisits of Sentinel-2, and the daily series made of what it saw."""

import numpy as np
import pytest

from hybridflux.twin.satellite import Observations, fill_daily, observe, overcast

DAYS = 730
SEASON = np.sin(2 * np.pi * (np.arange(DAYS) - 80) / 365)
CLEARNESS = 0.43 + 0.10 * SEASON + 0.08 * np.random.default_rng(1).standard_normal(DAYS)


@pytest.fixture(scope="module")
def truth():
    curve = (0.55 + 0.3 * SEASON).astype(np.float32)
    return np.broadcast_to(curve[:, None, None], (DAYS, 40, 40))


@pytest.fixture(scope="module")
def seen(truth):
    return observe(truth, CLEARNESS, np.random.default_rng(2))


def test_two_orbits_of_five_days(seen):
    assert set(np.diff(seen.when)) == {2, 3}
    both = np.isfinite(seen.fapar[..., -1]).any(1)
    one = np.isfinite(seen.fapar[..., 0]).any(1)
    assert one.sum() < 0.75 * both.sum()


def test_winter_is_cloudier_than_summer(seen):
    day = seen.when % 365
    summer, winter = seen.clear_share[(day > 150) & (day < 240)], seen.clear_share[(day < 45) | (day > 320)]
    assert 0.3 < summer.mean() < 0.6 and 0.05 < winter.mean() < 0.35
    assert 0.8 < overcast(np.array(0.33)) < 0.95
    assert (seen.clear_share == 0).mean() > 0.2 and (seen.clear_share > 0.9).mean() > 0.05


def test_views_scatter_and_some_clouds_are_missed(truth, seen):
    error = (seen.fapar - truth[seen.when])[np.isfinite(seen.fapar)]
    assert 0.02 < np.median(np.abs(error)) / 0.6745 < 0.04
    assert 0.005 < (error < -0.15).mean() < 0.12 and (error > 0.15).mean() < 0.001


def test_the_daily_series_is_close_to_the_truth_and_not_the_truth(truth, seen):
    error = fill_daily(seen, DAYS) - truth
    assert np.isfinite(error).all()
    assert 0.01 < np.sqrt((error**2).mean()) < 0.05
    assert abs(error.mean()) < 0.01


def test_a_lone_dip_goes_and_a_harvest_stays():
    curve = np.where(np.arange(100) < 60, 0.8, 0.15).astype(np.float32)
    when = np.arange(0, 100, 5)
    series = curve[when].copy()
    series[5] = 0.3  # an unnoticed cloud
    daily = fill_daily(Observations(when, series[:, None, None], np.ones(20)), 100)[:, 0, 0]
    assert daily[25] > 0.75 and daily[70] < 0.2


def test_a_pixel_never_seen_is_refused():
    nothing = np.full((3, 1, 1), np.nan, np.float32)
    with pytest.raises(ValueError, match="no clear view"):
        fill_daily(Observations(np.array([0, 5, 10]), nothing, np.zeros(3)), 15)
