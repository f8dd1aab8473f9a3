"""A posterior in ArviZ: its draws by name and unit, what was observed, and the log likelihood of each day."""

import numpy as np
import pytest

from hybridflux.inference import MAP
from hybridflux.inference.arviz_groups import draws_dataset
from hybridflux.inference.batch import series
from hybridflux.inference.convergence import arviz, convergence
from hybridflux.inference.joint import log_likelihood
from hybridflux.model.learned import over_draws
from hybridflux.vocabulary import PARAMETERS, PLANT_TYPES
from tests.inference.test_checks import Stub

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]


@pytest.fixture(scope="module")
def fitted(pooled_model, pooled_series):
    return MAP(steps=200).fit(pooled_model, pooled_series, seed=1)


def test_draws_have_their_names_units_and_prior(fitted):
    data = fitted.to_arviz()
    np.testing.assert_array_equal(data["posterior"]["respiration_ref"][0], fitted.parameter_draws()["respiration_ref"])
    assert data["posterior"]["respiration_ref"].attrs["units"] == "gC m-2 d-1"
    assert data["prior"]["respiration_ref"].dims == ("chain", "draw")
    assert data["observed_data"]["nee"].sizes == {"day": 200, "place": 12}


def test_places_and_units_of_a_network_are_no_plant_types():
    """Whatever had fifteen of them was labelled ENF to BSV, a network of fifteen units twice."""
    values, types = np.zeros((4, 15)), len(PLANT_TYPES)
    row = PARAMETERS["respiration_ref"]
    found = draws_dataset({"respiration_ref": values, "effect": values, "weight": np.zeros((4, types, types))}, 2, {"respiration_ref": row})
    assert found["respiration_ref"].dims == ("chain", "draw", "plant_type") and list(found["plant_type"].values) == list(PLANT_TYPES)
    assert found["effect"].dims == ("chain", "draw", "effect_dim_0")
    assert found["weight"].dims == ("chain", "draw", "weight_dim_0", "weight_dim_1")


def test_log_likelihood_of_each_day_sums_to_that_of_the_fit(fitted, pooled_model, pooled_series):
    posterior = Stub().fit(pooled_model, pooled_series)
    data = posterior.to_arviz(pooled_series)
    of_days = data["log_likelihood"]["nee"]
    measured = np.isfinite(pooled_series.targets["nee"])
    assert of_days.sizes == {"chain": 1, "draw": 2, "nee_day": measured.sum()}
    whole = series(posterior.model, pooled_series)
    np.testing.assert_allclose(of_days.sum("nee_day")[0], over_draws(posterior.model, lambda draw: log_likelihood(draw, whole)), rtol=1e-4)
    day, place = np.nonzero(measured)
    assert list(of_days["nee_place_of"].values[:5]) == [pooled_series.places[at] for at in place[:5]]
    np.testing.assert_array_equal(data["observed_data"]["nee"], pooled_series.targets["nee"][day, place])


def test_r_hat_and_effective_draws_of_known_chains():
    """Independent draws: R-hat is 1, every draw counts. A chain that stays elsewhere: R-hat far above 1. An AR(1) of .9: a 19th counts."""
    rng = np.random.default_rng(0)
    independent = rng.normal(size=(4, 1000))
    slow = np.zeros((4, 1000))
    for at in range(1, 1000):
        slow[:, at] = 0.9 * slow[:, at - 1] + rng.normal(size=4)
    found = convergence({"independent": independent, "apart": independent + 3 * np.arange(4)[:, None], "slow": slow})
    assert found["independent"][0] == pytest.approx(1.0, abs=0.01) and found["independent"][1] == pytest.approx(4000, rel=0.15)
    assert found["apart"][0] > 1.5
    assert found["slow"][1] == pytest.approx(4000 / 19, rel=0.4)


def test_arviz_summarises_it(fitted):
    assert "respiration_ref" in arviz().summary(fitted.thin(8).to_arviz(), kind="stats").index


def test_places_of_no_fit_draw_their_effects_by_the_seed(fitted, pooled_series):
    away = pooled_series.select(pooled_series.places[:2])
    renamed = type(away)(("X", "Y"), away.days, away.drivers, away.targets, {})
    one, same, other = (fitted.thin(4).to_arviz(renamed, seed=seed)["log_likelihood"]["nee"].values for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)
