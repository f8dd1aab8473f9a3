"""Rank histograms and coverage curves of predictions whose calibration is known."""

import numpy as np

from hybridflux.evaluate.calibration import PIT, coverage_curve, pit, pit_counts, pit_histogram


def drawn(spread, n=5000, draws=50):
    rng = np.random.default_rng(0)
    return rng.normal(size=n), spread * rng.normal(size=(draws, n))


def test_pit_of_calibrated_draws_is_flat():
    histogram = pit_histogram(pit(*drawn(1.0)))
    assert histogram.n.sum() == 5000
    assert abs(histogram.density - 1.0).max() < 4 * np.sqrt(0.1 * 0.9 / 5000) / 0.1


def test_pit_shows_intervals_that_are_too_narrow_or_too_wide():
    narrow, wide = (pit_histogram(pit(*drawn(spread))).density.to_numpy() for spread in (0.5, 2.0))
    assert narrow[[0, -1]].min() > 1.5 and narrow[4:6].max() < 0.8
    assert wide[[0, -1]].max() < 0.5 and wide[4:6].min() > 1.3


def test_pit_by_hand_with_gap_and_ties():
    values = pit(np.array([2.5, np.nan, 1.0]), np.array([[1.0, 1.0, 1.0], [2.0, 2.0, 1.0], [3.0, 3.0, 1.0]]))
    assert 2 / 4 <= values[0] < 3 / 4
    assert np.isnan(values[1])
    assert 0 <= values[2] < 1


def test_coverage_curve_follows_the_levels():
    curve = coverage_curve(*drawn(1.0))
    assert abs(curve.covered - curve.level).max() < 0.03
    narrow = coverage_curve(*drawn(0.5))
    assert (narrow.covered < narrow.level).all()


def test_pit_counts_add_up_and_need_a_spread():
    observed, draws = drawn(0.5)
    observed[:7] = np.nan
    counts = pit_counts(observed, draws)
    assert tuple(counts) == PIT and sum(counts.values()) == 4993
    histogram = pit_histogram(pit(observed, draws)).n
    assert list(counts.values()) == histogram.tolist()
    assert np.isnan(list(pit_counts(observed, draws[:1]).values())).all()
