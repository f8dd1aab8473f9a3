"""A filled series: equal to the dense process, honest, the same however the pixels are cut, and strict about days."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hybridflux.series import SeriesProcess, fill
from hybridflux.series.lanes import LANES
from tests.series.conftest import PROCESS, drops

REFERENCE = Path(__file__).parents[1] / "reference"


def drops_of(made, used):
    """Where the cleaning saw a drop `[view, pixel]`."""
    views, pixels = np.where(used, made.values, np.nan), range(0, made.values.shape[1], LANES)
    return np.concatenate([drops(views[:, one : one + LANES], 0.0, made.when, 1.0, made.process)[1] for one in pixels], axis=1) > 0


def test_mean_and_sd_equal_dense_process(made, dense):
    filled = fill(made.values, made.when, made.days, process=made.process)
    assert filled.mean.dtype == filled.sd.dtype == np.float32
    untouched = np.flatnonzero(~drops_of(made, filled.used).any(0))  # a drop opens the process, which the dense one does not know
    assert len(untouched) > 250
    for pixel in untouched[:20]:
        mean, variance = dense(made.process, np.where(filled.used, made.values, np.nan)[:, pixel], made.when, made.days)
        np.testing.assert_allclose(filled.mean[:, pixel], mean, atol=5e-6)
        np.testing.assert_allclose(filled.sd[:, pixel], np.sqrt(variance), rtol=1e-3)
    clear = np.isfinite(made.values)
    assert not filled.used[~clear].any() and filled.used[clear].mean() > 0.99  # few views of the process look wrong to it


def disturbed(make):
    """Twelve pixels with clouds that the mask missed, a glint, cuts, a long gap and one without views; variances that pixels differ by."""
    made = make(12, seed=8, process=replace(PROCESS, freedom=8.0, widening=1.2, season_error=np.diag([1e-4, 4e-4, 1e-4]).tolist()))
    values, row = made.values.copy(), np.arange(len(made.when))
    values[np.isin(row, [12, 13, 40]), :6] -= 0.3
    values[25, 2:9] += 0.35
    values[row >= 33, 4:10] -= 0.4
    values[(row > 15) & (row < 30), 10] = np.nan
    values[:, 11] = np.nan
    return replace(made, values=values)


def test_results_are_those_of_the_day_by_day_smoother(make):
    """Reference values of the smoother that this one replaced (tests/reference/PROVENANCE.md)."""
    made = disturbed(make)
    filled = fill(made.values, made.when, made.days, process=made.process)
    kept = np.loadtxt(REFERENCE / "filled_series.csv", delimiter=",", skiprows=1)
    days, (mean, sd) = kept[:, 0].astype(int), np.split(kept[:, 1:], 2, axis=1)
    np.testing.assert_allclose(filled.mean[days], mean, atol=1e-5)
    np.testing.assert_allclose(filled.sd[days], sd, atol=1e-5)
    assert (~filled.used & np.isfinite(made.values)).sum() == 9


def test_intervals_hold_what_they_claim(made):
    filled = fill(made.values, made.when, made.days, process=made.process)
    z = np.abs(filled.mean - made.truth) / filled.sd
    assert (z < 1.645).mean() == pytest.approx(0.90, abs=0.01) and (z < 0.674).mean() == pytest.approx(0.50, abs=0.015)
    wide = fill(made.values, made.when, made.days, process=replace(made.process, widening=1.5))
    np.testing.assert_allclose(wide.sd, 1.5 * filled.sd, rtol=1e-5)
    np.testing.assert_array_equal(wide.mean, filled.mean)
    np.testing.assert_allclose(filled.view_sd, made.process.view_sd, rtol=1e-5)


def test_lively_pixels_get_wider_intervals(made):
    process = replace(made.process, freedom=10.0)
    centre = process.season[0]
    loud = fill(centre + 3 * (made.values - centre), made.when, made.days, process=process)
    usual = fill(made.values, made.when, made.days, process=process)
    quiet = fill(centre + 0.3 * (made.values - centre), made.when, made.days, process=process)
    assert np.median(loud.view_sd) > 1.5 * np.median(usual.view_sd) > 2 * np.median(quiet.view_sd)


def test_pixels_do_not_know_of_each_other(made):
    values = np.tile(made.values, (1, 3))[:, : 8 * LANES + 100]
    whole = fill(values, made.when, made.days, process=made.process)
    order = np.random.default_rng(0).permutation(values.shape[1])
    mixed = fill(values[:, order], made.when, made.days, process=made.process)
    np.testing.assert_array_equal(mixed.mean, whole.mean[:, order])
    np.testing.assert_array_equal(mixed.sd, whole.sd[:, order])
    np.testing.assert_array_equal(mixed.used, whole.used[:, order])
    part = fill(values[:, 17:40], made.when, made.days, process=made.process)
    np.testing.assert_array_equal(part.mean, whole.mean[:, 17:40])
    assert fill(values[:, :0], made.when, made.days, process=made.process).mean.shape == (made.days, 0)


def test_unit_of_the_index_does_not_matter(made):
    p = made.process
    thousand = replace(
        p, season=tuple(1000 * s for s in p.season), fast_sd=1000 * p.fast_sd, slow_sd=1000 * p.slow_sd, view_sd=1000 * p.view_sd
    )
    one, other = (fill(v, made.when, made.days, process=q) for v, q in ((made.values, p), (1000 * made.values, thousand)))
    np.testing.assert_array_equal(one.used, other.used)
    np.testing.assert_allclose(other.mean, 1000 * one.mean, rtol=1e-4)
    np.testing.assert_allclose(other.sd, 1000 * one.sd, rtol=1e-3)


def test_pixel_never_seen_is_the_season_with_the_full_sd(made, dense):
    filled = fill(np.full_like(made.values, np.nan), made.when, made.days, process=made.process)
    mean, _ = dense(made.process, np.full(len(made.when), np.nan), made.when, made.days)
    np.testing.assert_allclose(filled.mean, np.repeat(mean[:, None], 300, 1), atol=1e-6)
    np.testing.assert_allclose(filled.sd, made.process.signal_sd, rtol=1e-4)
    assert not filled.used.any()
    none = fill(np.zeros((0, 3)), np.zeros(0, int), 40, process=made.process)
    np.testing.assert_allclose(none.sd, made.process.signal_sd, rtol=1e-4)


def test_sd_grows_into_a_gap_up_to_the_signal_sd(made):
    quick = replace(made.process, fast_days=10.0, slow_days=30.0)
    values = np.where(made.when[:, None] <= 100, made.values, np.nan)
    filled = fill(values, made.when, made.days, process=quick)
    assert (np.diff(filled.sd[103:], axis=0) > -1e-6).all()
    assert (filled.sd[101] < 0.8 * quick.signal_sd).any()
    np.testing.assert_allclose(filled.sd[-1], quick.signal_sd, rtol=1e-3)
    ahead = filled.mean[-1] - (0.6 - 0.1 * np.cos(2 * np.pi * 299 / 365.2425) + 0.05 * np.sin(2 * np.pi * 299 / 365.2425))
    assert np.abs(ahead).max() < 0.01  # back at the season


def test_two_views_of_a_day_count_as_two(made):
    values = np.full_like(made.values[:, :1], np.nan)
    twice = np.flatnonzero(made.when == 102)
    values[twice[0]] = 0.7
    one = fill(values, made.when, made.days, process=made.process)
    values[twice] = [[0.68], [0.72]]
    two = fill(values, made.when, made.days, process=made.process)
    signal, noise = made.process.signal_sd**2, made.process.view_sd**2
    assert one.sd[102, 0] ** 2 == pytest.approx(signal * noise / (signal + noise), rel=1e-3)
    assert two.sd[102, 0] ** 2 == pytest.approx(signal * noise / (2 * signal + noise), rel=1e-3)


@pytest.mark.parametrize(
    ("when", "said"),
    [([0, 7, 6], "view 2 of day 6 follows one of day 7"), ([0, 5, 30], "view 2 is of day 30, outside the series of days 0 to 29"),
     ([-1, 5, 6], "view 0 is of day -1"), ([0, 5], "shape"), ([0.0, 1.0, 2.0], "integers")],
)  # fmt: skip
def test_days_that_do_not_fit_are_named(made, when, said):
    with pytest.raises(ValueError, match=said):
        fill(np.zeros((3, 2)), np.array(when), 30, process=made.process)


def test_infinite_value_is_named(made):
    with pytest.raises(ValueError, match="view 1 of day 4 has an infinite value"):
        fill(np.array([[0.1], [np.inf]]), np.array([0, 4]), 10, process=made.process)


def test_process_is_plain_and_strict():
    import json
    from dataclasses import asdict

    process = SeriesProcess((np.float32(0.5), 0.1, 0.2), 0.1, 30.0, 0.1, 800.0, 0.03)
    assert SeriesProcess(**json.loads(json.dumps(asdict(process)))) == process
    for wrong in ({"view_sd": 0.0}, {"fast_days": np.nan}, {"season": (0.5, 0.1)}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            replace(process, **wrong)
