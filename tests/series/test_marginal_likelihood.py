"""Hyperparameters of the process are recovered on series made with them."""

from dataclasses import replace

import numpy as np
import pytest

from hybridflux.series import fill, learn
from hybridflux.series.hyperparameters import SeriesProcess, season_of, season_sd
from hybridflux.series.marginal_likelihood import fit_season


def test_numbers_come_back(made):
    process = learn(made.values, made.when, made.days)
    assert process.view_sd == pytest.approx(made.process.view_sd, rel=0.05)
    assert process.fast_days == pytest.approx(made.process.fast_days, rel=0.15)
    assert process.fast_sd == pytest.approx(made.process.fast_sd, rel=0.15)
    assert process.signal_sd == pytest.approx(made.process.signal_sd, rel=0.15)
    assert process.widening == pytest.approx(1.0, abs=0.05) and process.freedom > 30
    assert learn(made.values, made.when, made.days) == process


def test_clouds_and_lively_pixels_are_allowed_for(make):
    calm = make(300, 2)
    rng = np.random.default_rng(5)
    factor = np.sqrt(8 / rng.chisquare(8, 300))
    middle = np.nanmean(calm.values, axis=1, keepdims=True)
    values = (middle + factor * (calm.values - middle)).astype(np.float32)
    cloud = rng.random(values.shape) < 0.03
    process = learn(np.where(cloud, values - 0.4, values), calm.when, calm.days)
    assert process.view_sd == pytest.approx(calm.process.view_sd, rel=0.2)
    assert process.freedom < 30
    filled = fill(np.where(cloud, values - 0.4, values), calm.when, calm.days, process=process)
    clear = np.isfinite(values)
    assert filled.used[cloud & clear].mean() < 0.1 and filled.used[clear & ~cloud].mean() > 0.97


def test_season_is_that_of_the_dates(made):
    when = np.arange(0, 730, 5)
    wave = 0.5 - 0.2 * np.cos(2 * np.pi * when / 365.2425)
    values = np.repeat(wave[:, None], 10, 1)
    season, error = fit_season(values, np.ones(values.shape, bool), when, 2)
    np.testing.assert_allclose(season, [0.5, -0.2, 0, 0, 0], atol=5e-3)
    summer = (when % 365 > 120) & (when % 365 < 240)
    short, of_short = fit_season(values[summer], np.ones(values[summer].shape, bool), when[summer], 3)
    assert np.abs(short[1:]).max() < 0.5  # held back where the year is not covered
    numbers = dict(fast_sd=0.1, fast_days=30.0, slow_sd=0.1, slow_days=500.0, view_sd=0.03)
    known, seen = SeriesProcess(season, season_error=error, **numbers), SeriesProcess(short, season_error=of_short, **numbers)
    assert season_sd(known, np.arange(365)).max() < 0.05
    sd = season_sd(seen, np.arange(365))
    assert sd[150:210].max() < 0.06 and sd[0] > 3 * sd[180]  # and said to be unknown there
    truth = 0.5 - 0.2 * np.cos(2 * np.pi * np.arange(365) / 365.2425)
    assert (np.abs(season_of(seen, np.arange(365)) - truth) < 3 * np.maximum(sd, 0.02)).all()


def test_an_unseen_season_widens_the_gap_and_hardly_the_rest():
    plain = SeriesProcess((0.5, -0.2, 0.0), fast_sd=0.1, fast_days=30.0, slow_sd=0.05, slow_days=500.0, view_sd=0.02)
    doubted = replace(plain, season_error=np.diag([0.0, 0.15**2, 0.0]).tolist())
    when = np.arange(75, 290, 5)
    values = season_of(plain, when)[:, None].astype(np.float32) + np.zeros((1, 3), np.float32)
    sure, unsure = (fill(values, when, 365, process=process).sd[:, 0] for process in (plain, doubted))
    assert unsure[0] > 1.5 * sure[0]  # winter: the cosine counts in full
    assert unsure[180] < 0.03


def test_pixels_without_views_are_an_error(made):
    with pytest.raises(ValueError, match="none of 300 pixels has 5 clear views"):
        learn(np.where(np.arange(len(made.when))[:, None] < 4, made.values, np.nan), made.when, made.days)


def test_widening_is_one_for_the_true_numbers_and_more_for_too_small_ones(made):
    from hybridflux.series.marginal_likelihood import widened

    assert widened(made.process, made.values, made.when, made.days).widening == pytest.approx(1.0, abs=0.05)
    p = made.process
    half = replace(p, fast_sd=p.fast_sd / 1.3, slow_sd=p.slow_sd / 1.3, view_sd=p.view_sd / 1.3)
    assert widened(half, made.values, made.when, made.days).widening == pytest.approx(1.3, abs=0.08)
