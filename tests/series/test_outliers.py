"""Clouds go, harvests and mowing stay."""

import numpy as np
import pytest

from hybridflux.series import SeriesProcess, fill
from hybridflux.series.cleaning import clean, variance_factor, variances_of, view_axis
from hybridflux.series.lanes import LANES
from hybridflux.series.outliers import LARGEST_SQUARE
from tests.series.conftest import drops

PROCESS = SeriesProcess(season=(0.6,), fast_sd=0.1, fast_days=30.0, slow_sd=0.1, slow_days=500.0, view_sd=0.03)
WHEN = np.arange(2, 297, 5)


def meadow(rng, pixels):
    """Flat grass at 0.75 with noise."""
    return 0.75 + 0.02 * rng.standard_normal((len(WHEN), pixels))


def test_a_mowing_drop_stays_sharp_and_a_cloud_goes():
    rng = np.random.default_rng(0)
    values = meadow(rng, 50)
    clouded = values.copy()
    cloud, mown = np.searchsorted(WHEN, [82, 182])
    clouded[cloud] -= 0.3
    for series in (values, clouded):
        series[mown:] -= 0.35
    plain, filled = (fill(series, WHEN, 300, process=PROCESS) for series in (values, clouded))
    assert not filled.used[cloud].any() and filled.used[np.arange(len(WHEN)) != cloud].mean() > 0.98
    assert np.abs(filled.mean[82] - plain.mean[82]).max() < 0.03
    assert np.median(filled.mean[177] - filled.mean[182]) == pytest.approx(0.35, abs=0.02)
    middle = np.argmax(filled.mean[170:] < 0.575, axis=0) + 170
    assert (middle > 177).all() and (middle <= 182).all()
    assert (filled.sd[179] > 2 * filled.sd[170]).all()  # the day of the mowing is not known
    assert filled.sd[182].mean() < 0.03


def test_two_clouds_in_a_row_go_too():
    values = meadow(np.random.default_rng(1), 40)
    values[20] -= 0.35
    values[21] -= 0.25
    filled = fill(values, WHEN, 300, process=PROCESS)
    assert not filled.used[[20, 21]].any()
    assert filled.mean[WHEN[20]].min() > 0.65


def test_a_drop_just_before_a_cloud_is_still_a_drop():
    values = meadow(np.random.default_rng(2), 40)
    values[30:] -= 0.35
    values[31] = np.nan
    values[33] -= 0.15
    filled = fill(values, WHEN, 300, process=PROCESS)
    assert filled.used[30].all() and (filled.mean[WHEN[29]] - filled.mean[WHEN[30]]).min() > 0.25


def test_last_view_cannot_be_confirmed_and_is_not_believed():
    values = meadow(np.random.default_rng(3), 20)
    values[-1] -= 0.4
    filled = fill(values, WHEN, 300, process=PROCESS)
    assert not filled.used[-1].any() and filled.mean[-1].min() > 0.65


def test_smooth_senescence_is_no_drop():
    values = meadow(np.random.default_rng(4), 30) - np.clip((WHEN - 120) / 60, 0, 1)[:, None] * 0.45
    filled = fill(values, WHEN, 300, process=PROCESS)
    assert filled.used.mean() > 0.99
    assert np.abs(filled.mean[150] - (0.75 - 0.225)).max() < 0.06
    kept, opening = drops(values, 0.0, WHEN, 1.0, PROCESS)
    assert not opening.any() and np.isfinite(kept).all()


def test_drop_opens_the_days_between_its_two_views():
    values = np.array([0.8, 0.8, np.nan, 0.3, 0.3, 0.3], np.float32)[:, None]
    when = np.array([0, 5, 10, 15, 20, 25])
    _, opening = drops(values, 0.0, when, 1.0, PROCESS)
    np.testing.assert_allclose(opening[:, 0], [0, 0, 0.025, 0.025, 0, 0], rtol=1e-5)
    _, opening = drops(values, 0.0, when, 30.0, PROCESS)
    assert not opening.any(), "a pixel that varies so much has no drop there"


def test_only_the_worst_of_neighbouring_outliers_goes():
    """The excess of a view is positive where it is an outlier and the next view is not a worse one."""
    values, when = np.full((6, 1), 0.5, np.float32), np.arange(6)
    excess = np.array([-0.2, -1.2, 1.5, 1.1, -0.0, 1.3], np.float32)[:, None]
    kept, _ = drops(values, excess, when, 1.0, PROCESS)
    assert np.isnan(kept[:, 0]).tolist() == [False, False, True, False, False, True]


def test_variance_factor_is_between_prior_and_data():
    count = np.array([20.0, 20.0])
    np.testing.assert_allclose(variance_factor(count * [1.0, 4.0], count, 10.0), [1.0, (10 + 80) / 30], rtol=1e-6)
    wild = fill(0.6 + 3.0 * np.array([[1.0], [-1.0]]).repeat(40, 1).T.reshape(-1, 2), np.arange(0, 200, 5), 200, process=PROCESS)
    assert (wild.view_sd <= PROCESS.view_sd * np.sqrt((10 + 40 * LARGEST_SQUARE) / 50) + 1e-6).all()


def test_a_pixel_is_cleaned_alike_beside_any_others():
    """A pass that changes no pixel of a block is its last one: blocks of one kind of pixel, and of all kinds, to the last bit."""
    process = SeriesProcess((0.5,), fast_sd=0.1, fast_days=30.0, slow_sd=0.05, slow_days=1000.0, view_sd=0.02)
    random, when = np.random.default_rng(0), np.arange(0, 400, 5)
    values = (0.02 * random.normal(size=(80, 2 * LANES))).astype(np.float32)
    cloudy = np.arange(2 * LANES) % 3 == 0
    values[10:14, cloudy] -= [[0.3], [0.7], [0.25], [0.4]]  # of neighbouring clouds each pass takes the worst
    values[40:42, cloudy] -= [[0.5], [0.2]]
    values[60:, cloudy] -= 0.4
    axis, variances = view_axis(process, when), variances_of(process)
    mixed = clean(values, axis, variances)
    assert np.isnan(mixed.views[:, cloudy]).sum(0).min() >= 2, "several passes reject views"
    assert mixed.opening[60, cloudy].min() > 0
    for kind in (cloudy, ~cloudy):
        for one, other in zip(clean(values[:, kind], axis, variances), mixed, strict=True):
            np.testing.assert_array_equal(one, other[..., kind])
