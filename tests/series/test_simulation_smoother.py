"""Draws scatter about the mean as the standard deviation says, and wander as the process does."""

from dataclasses import replace

import numpy as np
import pytest

from hybridflux.series import draw, fill


def test_draws_have_the_mean_and_sd_of_the_series(made):
    process = replace(made.process, widening=1.3)
    filled = fill(made.values, made.when, made.days, process=process)
    paths = np.stack(list(draw(made.values, made.when, made.days, process=process, draws=24, seed=0)))
    z = (paths - filled.mean) / filled.sd
    assert z.mean() == pytest.approx(0, abs=0.01) and z.std() == pytest.approx(1, abs=0.01)
    by_day = z.std(axis=(0, 2))
    assert by_day.min() > 0.93 and by_day.max() < 1.07
    assert np.abs(z[..., 0].std(0) - 1).mean() < 0.2


def test_draws_of_an_unseen_pixel_wander_as_the_process_does(made, kernel):
    none = np.full_like(made.values, np.nan)
    paths = np.stack(list(draw(none, made.when, made.days, process=made.process, draws=4, seed=1)))
    errors = paths - paths.mean(axis=(0, 2), keepdims=True)
    for lag in (1, 10, 40):
        got = (errors[:, 100] * errors[:, 100 + lag]).mean()
        assert got == pytest.approx(kernel(made.process, lag), rel=0.15)


def test_common_share_is_the_correlation_of_neighbours(made):
    none = np.full_like(made.values, np.nan)
    for common in (0.0, 0.5, 1.0):
        paths = np.stack(list(draw(none, made.when, made.days, process=made.process, draws=12, seed=2, common=common)))
        error = paths[:, ::60] - fill(none, made.when, made.days, process=made.process).mean[::60]
        assert error.mean(2).var() / error.var() == pytest.approx(common, abs=0.2)
    with pytest.raises(ValueError, match="share of variance"):
        next(draw(none, made.when, made.days, process=made.process, draws=1, seed=0, common=1.5))


def test_a_seed_is_a_draw(made):
    one, two, other = (next(draw(made.values, made.when, made.days, process=made.process, draws=3, seed=seed)) for seed in (4, 4, 5))
    np.testing.assert_array_equal(one, two)
    assert np.abs(one - other).max() > 0.05 and one.dtype == np.float32
