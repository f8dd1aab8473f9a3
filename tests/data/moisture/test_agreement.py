"""Observed moisture beside a modelled bucket."""

import numpy as np
import pytest

from hybridflux.data.moisture.agreement import against_bucket

MODEL_DAYS = np.arange(np.datetime64("2017-01-01"), np.datetime64("2019-01-01"))


def bucket(seed=0):
    """A year's course and spells of weeks."""
    spells = np.convolve(np.random.default_rng(seed).normal(size=len(MODEL_DAYS) + 9), np.ones(10) / 10, "valid")
    return 0.6 + 0.3 * np.cos(2 * np.pi * np.arange(len(MODEL_DAYS)) / 365) + 0.3 * spells


def test_any_rising_function_of_the_model_agrees_fully():
    water = bucket()
    seen = slice(None, None, 3)
    agreement = against_bucket(MODEL_DAYS[seen], np.exp(3 * water[seen]) * 40, MODEL_DAYS, water)
    assert agreement.n == len(water[seen]) and agreement.rank == pytest.approx(1.0)
    opposite = against_bucket(MODEL_DAYS[seen], -water[seen], MODEL_DAYS, water)
    assert opposite.rank == pytest.approx(-1.0) and opposite.rank_anomaly == pytest.approx(-1.0)


def test_the_season_alone_is_no_skill_in_departures():
    agreement = against_bucket(MODEL_DAYS, bucket(1), MODEL_DAYS, bucket(2))
    assert agreement.rank > 0.6 and abs(agreement.rank_anomaly) < 0.25


def test_gaps_and_too_few_days():
    water = bucket()
    observed = np.where(np.arange(len(water)) < 29, water, np.nan)
    agreement = against_bucket(MODEL_DAYS, observed, MODEL_DAYS, water)
    assert agreement.n == 29 and agreement.rank is None and agreement.rank_anomaly is None
    assert against_bucket(MODEL_DAYS, observed, MODEL_DAYS, water, fewest=20).rank == pytest.approx(1.0)
    assert against_bucket(MODEL_DAYS, np.ones(len(water)), MODEL_DAYS, water).rank is None, "a constant has no rank"
    sparse = slice(None, None, 20)
    agreement = against_bucket(MODEL_DAYS[sparse], water[sparse], MODEL_DAYS, water)
    assert agreement.rank == pytest.approx(1.0) and agreement.n_anomaly == 0 and agreement.rank_anomaly is None
    assert against_bucket(MODEL_DAYS + 5000, water, MODEL_DAYS, water).n == 0


def test_refused():
    with pytest.raises(ValueError, match="give one value for each day"):
        against_bucket(MODEL_DAYS[:5], np.ones(4), MODEL_DAYS, bucket())
    with pytest.raises(ValueError, match="comes twice"):
        against_bucket(MODEL_DAYS[[0, 0, 1]], np.ones(3), MODEL_DAYS, bucket())
