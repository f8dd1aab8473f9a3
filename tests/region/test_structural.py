"""The structural error of a region: its size in a year, its mean, and its memory from month to month."""

import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.sources import to_raw
from hybridflux.model.structural_error import StructuralError
from hybridflux.region.draws.structural_error_paths import ErrorPaths
from hybridflux.vocabulary import PARAMETERS

VALUES = {"structural_floor": 0.5, "structural_slope": 0.3, "structural_days": 30.0, "structural_year": 0.08}
DRAWS = 4000
PERSISTENT = {"structural_recurring": 0.7, "structural_place": 0.1}
"""Beside `VALUES`, which are those of files of earlier versions."""


@pytest.fixture(scope="module")
def error():
    return error_of("2019-01-01")


def error_of(end, **more):
    """The error [gC] of cells of 1, 3 and 1 m2 and GPP = RECO = 4 gC m-2 d-1 from 2018 on; the third is of another plant type."""
    values = {**VALUES, **more, "noise_floor": 0.3, "noise_slope": 0.1}
    structure = StructuralError({name: jnp.asarray([to_raw(value, PARAMETERS[name])], jnp.float32) for name, value in values.items()})
    days = np.arange(np.datetime64("2018-01-01"), np.datetime64(end))
    month = days.astype("datetime64[M]").astype(int) - 48 * 12
    area, months, kinds = np.array([1.0, 3.0, 1.0]), month[-1] + 1, np.array([4, 4, 9])
    carbon = 4.0 * np.ones((3, months, 2, DRAWS)) * np.bincount(month)[:, None, None] * area[:, None, None, None]
    return ErrorPaths.of(structure, DRAWS, month, 3, kinds).monthly_error(carbon, area, kinds)


def test_its_mean_over_the_draws_is_zero_so_that_budgets_agree_with_maps(error):
    np.testing.assert_allclose(error.mean(axis=-1), 0.0, atol=1e-9)


def test_an_annual_sum_is_as_wide_as_the_equations_say(error):
    # persistence over 365 d: 0.1509 of 30 d, 0.7443 of 400 d
    weeks, years = 0.5 + 0.3 * 4.0, 0.08 * 4.0
    x = 365.0 / 400.0
    lasting = 2.0 / x - 2.0 * (1.0 - np.exp(-x)) / x**2
    expected = 365.0 * np.sqrt(weeks**2 * 0.15086 + years**2 * lasting)
    assert error[0].sum(axis=0).std() == pytest.approx(expected, rel=0.05)
    np.testing.assert_allclose(error[1], 3.0 * error[0], rtol=1e-5, err_msg="neighbours err alike")
    assert error[2].sum(axis=0).std() == pytest.approx(expected, rel=0.05)
    assert abs(np.corrcoef(error[0].sum(axis=0), error[2].sum(axis=0))[0, 1]) < 0.06  # plant types err independently


def test_months_remember_the_month_before(error):
    rate = error[0] / np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])[:, None]
    assert 0.3 < np.corrcoef(rate[5], rate[6])[0, 1] < 0.6
    assert abs(np.corrcoef(rate[0], rate[9])[0, 1]) < 0.1


def test_two_years_share_what_lasts_so_that_their_difference_is_known_better():
    found = error_of("2020-01-01", **PERSISTENT)[0].reshape(2, 12, DRAWS).sum(axis=1)
    x, weeks = 365.0 / 400.0, (0.5 + 0.3 * 4.0) ** 2 * 0.15086
    of_years, again = 2.0 / x - 2.0 * (1.0 - np.exp(-x)) / x**2, np.exp(-x) * (np.sinh(x / 2) / (x / 2)) ** 2
    season = (1.7**2) * (1.0 - np.exp(-365.0 / 60.0)) * 60.0 / 365.0  # the recurring part closes the circle of a year
    year = 0.3 * weeks + 0.7 * season + (0.08 * 4.0) ** 2 * of_years + (0.1 * 4.0) ** 2
    difference = 2.0 * (0.3 * weeks + 0.7 * season * (1.0 - np.exp(-0.1)) + (0.08 * 4.0) ** 2 * (of_years - again))
    assert found[1].std() == pytest.approx(365.0 * year**0.5, rel=0.05)
    assert (found[1] - found[0]).std() == pytest.approx(365.0 * difference**0.5, rel=0.05)
