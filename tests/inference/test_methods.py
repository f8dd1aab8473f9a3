"""One conformance suite over all methods of the registry."""

import warnings
from dataclasses import replace

import jax
import numpy as np
import pytest

from hybridflux.inference import MAP, NUTS, Posterior, method_of
from hybridflux.inference.methods import METHODS as REGISTRY
from hybridflux.inference.methods.base import InferenceWarning
from hybridflux.model.learned import learned
from hybridflux.model.sources import to_raw
from hybridflux.vocabulary import PARAMETERS
from tests.inference.conftest import SD

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

SETTINGS = {
    "map": ["steps=400"],
    "ensemble": ["members=24", "steps=400"],
    "svi": ["steps=1500", "mode_steps=300", "draws=400"],
    "nuts": ["warmup=100", "draws=200", "mode_steps=300"],
}
METHODS = [method_of(name, SETTINGS.get(name, ())) for name in REGISTRY.own]
SPREADING = METHODS[1:]
EXACT = METHODS[2:]
ids = lambda method: type(method).__name__  # noqa: E731
_FITS = {}


def fitted(method, model, series) -> Posterior:
    """Each method is fitted once to the hand-computed case."""
    return _FITS.setdefault((ids(method), id(model)), method.fit(model, series, seed=3))


@pytest.fixture
def truth(plain_series):
    """Mean and standard deviation of `z` of respiration_ref, from the normal approximation in its own units."""
    row = PARAMETERS["respiration_ref"]
    observed = plain_series.targets["nee"]
    observed = observed[np.isfinite(observed)]
    at = (observed.mean() - row.lower) / (row.upper - row.lower)
    steepness = (row.upper - row.lower) * at * (1 - at) * row.prior_sd
    tail = 39.0
    information = len(observed) * (tail + 1) / (tail + 3) / SD**2 * steepness**2 + 1.0
    mean = (to_raw(observed.mean(), row) - to_raw(row.typical, row)) / row.prior_sd
    return float(mean), float(information**-0.5)


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_mean_of_the_known_posterior(method, plain_model, plain_series, truth):
    z = np.asarray(learned(fitted(method, plain_model, plain_series).model)["sources.respiration_ref.z"])
    assert z.mean() == pytest.approx(truth[0], abs=1.0 * truth[1])


@pytest.mark.parametrize("method", EXACT, ids=ids)
def test_spread_of_the_known_posterior(method, plain_model, plain_series, truth):
    z = np.asarray(learned(fitted(method, plain_model, plain_series).model)["sources.respiration_ref.z"])
    assert z.std() == pytest.approx(truth[1], rel=0.25)


@pytest.mark.parametrize("method", SPREADING, ids=ids)
def test_what_the_data_do_not_touch_keeps_its_prior(method, plain_model, plain_series):
    z = np.asarray(learned(fitted(method, plain_model, plain_series).model)["sources.light_use_efficiency.z"])
    assert abs(z.mean()) < 0.7 and 0.6 < z.std() < 1.4


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_leading_axis_info_and_finite(method, plain_model, plain_series):
    posterior = fitted(method, plain_model, plain_series)
    assert all(leaf.shape[0] == posterior.draws and np.all(np.isfinite(leaf)) for leaf in learned(posterior.model).values())
    assert posterior.info["method"] == ids(method) and posterior.info["seed"] == 3 and posterior.info["observed_days"]["nee"] > 400
    assert posterior.places == plain_series.places and posterior.draws % posterior.chains == 0


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_same_seed_same_draws(method, plain_model, plain_series):
    fewer = {name: few for name, few in {"steps": 60, "warmup": 10, "draws": 10}.items() if name in vars(method)}
    short = type(method)(**{**vars(method), **fewer})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InferenceWarning)  # so short a run has not converged
        one, two = (learned(short.fit(plain_model, plain_series, seed=9).model) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("method", METHODS, ids=ids)
def test_saved_and_loaded_is_the_same(method, plain_model, plain_series, tmp_path):
    posterior = fitted(method, plain_model, plain_series)
    posterior.save(tmp_path / "p.nc")
    again = Posterior.load(tmp_path / "p.nc")
    before, after = learned(posterior.model), learned(again.model)
    assert before.keys() == after.keys() and all(np.array_equal(before[name], after[name]) for name in before)
    key = jax.random.key(0)
    assert np.array_equal(
        posterior.simulate(plain_series, key=key, noise=True)["nee"], again.simulate(plain_series, key=key, noise=True)["nee"]
    )
    assert again.info == posterior.info and again.chains == posterior.chains


@pytest.mark.parametrize("method", SPREADING, ids=ids)
def test_intervals_cover_new_days(method, plain_model, plain_series):
    """Of a model that is known to be right: without the structural error, which three towers do not rule out."""
    posterior = replace(fitted(method, plain_model, plain_series), structure=None).thin(300)
    predicted = np.asarray(posterior.simulate(plain_series, key=jax.random.key(1), noise=True)["nee"])
    low, high = np.quantile(predicted, [0.05, 0.95], axis=0)
    observed = plain_series.targets["nee"]
    seen = np.isfinite(observed)
    share = np.mean((observed[seen] > low[seen]) & (observed[seen] < high[seen]))
    assert share == pytest.approx(0.90, abs=0.05)


def test_bad_chains_are_said_aloud(plain_model, plain_series):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        posterior = NUTS(warmup=2, draws=8, mode_steps=50).fit(plain_model, plain_series, seed=0)
    assert [str(one.message) for one in said if one.category is InferenceWarning] == posterior.info["concerns"]
    assert any("effective draws" in concern or "R-hat" in concern for concern in posterior.info["concerns"])


def test_nothing_measured_is_refused(plain_model, plain_series):
    empty = {"nee": np.full_like(plain_series.targets["nee"], np.nan)}
    with pytest.raises(ValueError, match="none of nee was measured"):
        MAP(steps=10).fit(plain_model, type(plain_series)(plain_series.places, plain_series.days, plain_series.drivers, empty, {}))
