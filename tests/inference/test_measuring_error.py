"""The measuring error of a day from successive days: found beside errors with a memory, none where there is none."""

import numpy as np
import pytest

from hybridflux.inference.mean_residuals import Record
from hybridflux.inference.measuring_error import measuring_error

DAYS, PLACES = 6 * 365, 8
SEASON = 4.0 * (1.0 - np.cos(2.0 * np.pi * np.arange(DAYS) / 365.0))


def records(floor, slope, known=0.0, model=1.0, gaps=0.2):
    """Residuals of a flux of 0 to 8 with a model error that has a memory of twenty days, and Student errors of measuring."""
    random, found = np.random.default_rng(4), []
    for _ in range(PLACES):
        kept = np.exp(-1.0 / 20.0)
        path, shock = np.zeros(DAYS), random.standard_normal(DAYS)
        for day in range(1, DAYS):
            path[day] = kept * path[day - 1] + (1.0 - kept**2) ** 0.5 * shock[day]
        sd = np.sqrt((floor + slope * SEASON) ** 2 + known**2)
        residual = model * (0.3 + 0.2 * SEASON) * path + sd * random.standard_t(5, DAYS) * 0.6**0.5
        residual[random.random(DAYS) < gaps] = np.nan
        flux, known_error = SEASON.astype(np.float32), np.full(DAYS, known, np.float32)
        found.append(Record((flux + residual).astype(np.float32), flux, flux, np.zeros((0, DAYS), np.float32), known_error))
    return found


@pytest.mark.parametrize(("floor", "slope"), [(0.4, 0.07), (0.1, 0.15)])
@pytest.mark.parametrize("known", [0.0, 0.5])
def test_floor_and_growth_are_recovered_beside_an_error_with_a_memory(floor, slope, known):
    found = measuring_error(records(floor, slope, known))
    assert found["noise_floor"] == pytest.approx(floor, abs=0.08)
    assert found["noise_slope"] == pytest.approx(slope, abs=0.03)


def test_a_flux_without_a_measuring_error_has_none():
    """The model alone differs from day to day by up to 0.6, which is not taken for one."""
    found = measuring_error(records(0.0, 0.0))
    assert found["noise_floor"] + 8.0 * found["noise_slope"] < 0.2
    assert np.nanstd(np.diff(records(0.0, 0.0)[0].observed - SEASON)) > 0.3


def test_nothing_is_said_of_days_that_do_not_follow_each_other():
    some = records(0.4, 0.1)
    for one in some:
        one.observed[::2] = np.nan
    assert measuring_error(some) == {} and measuring_error([]) == {}
    for one in records(0.4, 0.1, gaps=0.0):
        weeks = [one._replace(observed=np.where(np.arange(DAYS) // 7 == week, one.observed, np.nan)) for week in range(40)]
        assert measuring_error(weeks) == {}  # many places, of which none has enough
