"""Predicted fluxes of towers as a table: sums of draws over whole periods, beside what was measured."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.predicted_periods import COLUMNS, PERIODS, predicted_periods
from hybridflux.evaluate.steps import steps_named
from hybridflux.inference.tower_residuals import of_posterior
from hybridflux.model.structural_error import NAMES, StructuralError

pytestmark = pytest.mark.long
ENDS = {"S0": ("2001-01-01", "2002-12-31"), "S3": ("2001-03-10", "2002-11-30")}


@pytest.fixture(scope="module")
def towers(sequences):
    """Two towers, one of them of a shorter record; rain was missing in July 2001 at the first one."""
    chosen = sequences.select([*ENDS])
    chosen.targets["nee"][:31, 0] = 1.5  # each day of January was measured
    rain = np.zeros((len(chosen.days), 2), bool)
    rain[181:212, 0] = True
    sites = pd.DataFrame([(pd.Timestamp(first), pd.Timestamp(last)) for first, last in ENDS.values()], [*ENDS], ["first", "last"])
    return SimpleNamespace(sites=sites, sequences=lambda _: chosen, climatologies=lambda _: {"rain": rain})


@pytest.fixture(scope="module")
def table(posterior, towers):
    return predicted_periods(posterior, towers, step=("day", "month", "year"), draws=60)


def rows(table, site, step, variable="NEE"):
    return table[(table.site == site) & (table.step == step) & (table.variable == variable)]


def test_each_whole_period_of_a_record_has_a_row(table):
    assert tuple(table) == COLUMNS
    assert rows(table, "S0", "year").period.tolist() == ["2001", "2002"] and rows(table, "S3", "year").empty
    assert rows(table, "S3", "month").period.tolist() == [str(one) for one in np.arange("2001-04", "2002-12", dtype="datetime64[M]")]
    assert rows(table, "S3", "day").period.iloc[[0, -1]].tolist() == ["2001-03-10", "2002-11-30"]
    assert dict(table.groupby("site").known.first()) == {"S0": True, "S3": False}
    assert rows(table, "S0", "month").days.tolist()[:2] == [31, 28] and set(rows(table, "S0", "year").units) == {"gC m-2 yr-1"}


def test_draws_are_summed_before_their_quantiles_are_taken(table, posterior, towers):
    here, key = towers.sequences(()).select(["S0"]), jax.random.fold_in(jax.random.key(0), 0)
    drawn = [posterior.thin(60).simulate(here, key=key, noise=noise, discrepancy=True)["nee"] for noise in (False, True)]
    exact, sums = (np.asarray(one)[:, :365, 0].sum(axis=1, dtype=float) for one in drawn)
    year = rows(table, "S0", "year").iloc[0]
    assert year[["mean", "sd", "q05", "q50", "q95"]].tolist() == pytest.approx(
        [exact.mean(), sums.std(ddof=1), *np.quantile(sums, (0.05, 0.5, 0.95))], rel=1e-4
    )
    daily = rows(table, "S0", "day")[:365]
    assert year["mean"] == pytest.approx(daily["mean"].sum(), rel=1e-5)
    assert year["q95"] - year["q05"] < 0.7 * (daily["q95"] - daily["q05"]).sum()


def test_nee_is_reco_minus_gpp(table):
    flux = table.pivot_table("mean", ["site", "step", "period"], "variable")
    np.testing.assert_allclose(flux["NEE"], flux["RECO"] - flux["GPP"], rtol=1e-4, atol=1e-5)


def test_residuals_move_the_mean_of_sites_of_the_fit_alone(table, posterior, towers):
    """The structural error of another site has no mean; that of sixty draws of a year would be some tens of gC m-2."""
    prior = StructuralError({name: np.zeros(posterior.draws, np.float32) for name in NAMES})
    remembering = replace(posterior, structure=prior, residuals=of_posterior(posterior, towers.sequences(()).select(["S0"])))
    given = predicted_periods(remembering, towers, step=("month",), draws=60, residuals="all-months")
    for site, known in (("S0", True), ("S3", False)):
        without, with_residuals = (rows(one, site, "month")["mean"].to_numpy() for one in (table, given))
        assert np.allclose(with_residuals, without, rtol=1e-5, atol=1e-6) != known


def test_only_periods_that_were_measured_whole_have_an_observed_value(table, towers):
    months = rows(table, "S0", "month").set_index("period")
    assert months.observed["2001-01"] == 1.5 and months.observed.notna().sum() == 1
    measured = towers.sequences(()).targets["nee"][:, 0]
    np.testing.assert_allclose(rows(table, "S0", "day").observed, measured, rtol=1e-6)


def test_periods_tell_the_drivers_that_were_missing(table):
    months = rows(table, "S0", "month").set_index("period")
    assert months.climatology["2001-07"] == 1 and months["filled"]["2001-07"] == "rain" and months["filled"]["2001-06"] == ""
    assert rows(table, "S0", "year").climatology.tolist() == pytest.approx([31 / 365, 0])
    assert not rows(table, "S3", "month").climatology.any()


def test_progress_names_each_tower(posterior, towers):
    calls = []
    predicted_periods(posterior, towers, step=("year",), draws=20, progress=lambda *one: calls.append(one))
    assert calls == [(1, 2, "S0"), (2, 2, "S3")]


@pytest.mark.parametrize("names", ["", "week", "day,mnth"])
def test_other_periods_are_refused_with_those_there_are(names):
    with pytest.raises(ValueError, match="there are day, month, year"):
        steps_named(names, PERIODS)
