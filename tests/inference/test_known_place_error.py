"""The error that is left at a place that a model knows: recovered beside the spread of the draws; its intervals hold what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference import error_hyperparameters, fit_known_place_error
from hybridflux.inference.mean_residuals import Record
from hybridflux.model.known_place_error import KnownPlaceError
from hybridflux.model.sources import to_raw
from hybridflux.model.structural_error import StructuralError, amplitude
from hybridflux.vocabulary import CARBON, PARAMETERS

pytestmark = pytest.mark.long

KEPT = 0.15  # of the departure of a draw, of RECO
PLACES, DAYS, SPREAD = 16, 4 * 365, 0.5
TRUTH = {
    "structural_floor": 0.15, "structural_slope": 0.12, "structural_days": 60.0, "structural_transient_days": 20.0,
    "structural_recurring": 0.05, "structural_year": 0.02, "structural_place": 0.001, "structural_amplitude": SPREAD, "noise_floor": 0.3,
    "noise_slope": 0.1,
}  # fmt: skip
SEASON = np.sin(2.0 * np.pi * (np.arange(DAYS) - 110) / 365.25)
ACTIVITY = (3.0 + 2.5 * SEASON)[:, None] * np.linspace(0.7, 1.3, PLACES)
KINDS = np.repeat([0, 8], PLACES // 2)


@pytest.fixture(scope="module")
def error():
    return StructuralError({name: jnp.float32(to_raw(value, PARAMETERS[name])) for name, value in TRUTH.items()})


def measured(error, size, seed):
    """A flux of minus half the activity with the error, `[time, place]`."""
    flux, activity = (jnp.asarray(values, jnp.float32) for values in (-0.5 * ACTIVITY, ACTIVITY))
    return np.asarray(error.sample_of_amplitude(jax.random.key(seed), flux, activity, jnp.zeros(()), jnp.asarray(size)))


@pytest.fixture(scope="module")
def learned(error):
    """Amplitudes of the places, and what was learned; the draws of the model differ by more than its error.

    The true NEE is one more of them; the true RECO is nearer to their mean than a draw is.
    """
    random = np.random.default_rng(1)
    size = np.asarray(amplitude(SPREAD, random.standard_normal(PLACES)), np.float32)
    apart = 0.5 * random.standard_normal((33, PLACES, 2)) @ np.stack([np.ones(DAYS), SEASON])
    draws, truth = apart[:32] - apart[:32].mean(0), apart[32]
    observed = measured(error, size, 2) + truth.T
    records = []
    for place in range(PLACES):
        slopes, activity = (draws[:, place] / 31.0**0.5).astype(np.float32), ACTIVITY[:, place].astype(np.float32)
        of = Record(observed[:, place].astype(np.float32), -0.5 * activity, activity, slopes, np.zeros(DAYS, np.float32))
        near = of._replace(observed=of.observed - (1.0 - KEPT) * truth[place].astype(np.float32))
        records.append((place, {"nee": of, "gpp": of._replace(slopes=0.0 * slopes), "reco": near}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(error_hyperparameters, "RESAMPLES", 6)
        return size, *fit_known_place_error.of_records(records, PLACES, KINDS, seed=0)


def sizes(error, activity=4.0):
    """Standard deviation of the error of a month, of each draw."""
    values = error.variance_of_mean(*(jnp.float32(one) for one in (activity, 2.0, 4.0, 0.0, 1e6, 30.0)))
    return np.sqrt(np.asarray(values))


def test_its_size_at_each_place_is_recovered(learned, error):
    size, found, about = learned
    truth = size * sizes(error)
    of_places = np.median(found.amplitude["nee"] * sizes(found.error["nee"])[:, None], axis=0)
    assert np.corrcoef(np.log(of_places), np.log(truth))[0, 1] > 0.85
    assert np.median(of_places / truth) == pytest.approx(1.0, abs=0.2)
    assert about["nee"]["data_towers"] == PLACES

def test_its_measuring_error_is_that_of_successive_days(learned):
    """In every draw, not only in their median: thousands of days say it, and the prior does not."""
    _, found, _ = learned
    values = found.error["nee"].values()
    for name in ("noise_floor", "noise_slope"):
        np.testing.assert_allclose(values[name], TRUTH[name], rtol=0.3)


def test_what_is_kept_of_the_departures_of_draws_is_recovered(learned):
    """All of it where the truth is one more draw, a part where it is nearer to their mean; without departures the prior, about all."""
    _, found, about = learned
    kept = {name: about[name]["kept_of_departures"] for name in CARBON}
    assert kept["nee"][0] > 0.7 and kept["gpp"][1] < 0.4 < kept["gpp"][0]
    assert kept["reco"][1] < KEPT < kept["reco"][2] < 0.4
    assert np.median(found.departure["reco"]) == pytest.approx(kept["reco"][0], abs=1e-3)
    of_places = {name: np.median(found.amplitude[name] * sizes(found.error[name])[:, None], axis=0) for name in ("nee", "reco")}
    assert np.median(of_places["reco"] / of_places["nee"]) == pytest.approx(1.0, abs=0.2)  # the error beside it is the same


def test_what_the_draws_differ_by_is_not_counted_twice(learned):
    """Of GPP the same record was given, without the departures of the draws: all of it is error there."""
    _, found, _ = learned
    of_places = {name: np.median(found.amplitude[name] * sizes(found.error[name])[:, None], axis=0) for name in ("nee", "gpp")}
    assert np.median(of_places["gpp"] / of_places["nee"]) > 1.3


@pytest.fixture(scope="module")
def not_seen(learned, error):
    """Years that were not seen: as they are drawn `[draw, time, place]`, and four of the truth `[time, place]`."""
    size, found, _ = learned
    draws = len(found.amplitude["nee"])
    one = found.at(range(PLACES), 20 * draws)
    flux, activity = (jnp.asarray(values, jnp.float32) for values in (-0.5 * ACTIVITY, ACTIVITY))
    keys = jax.random.split(jax.random.key(5), 20 * draws)
    drawn = jax.vmap(lambda of, key: of.sample("nee", key, flux, activity, jnp.zeros(())))(one, keys)
    return np.asarray(drawn), [measured(error, size, seed) for seed in range(10, 14)]


@pytest.mark.parametrize(("length", "most"), [(1, 0.96), (30, 0.96), (365, 0.99)])
def test_intervals_of_a_year_that_was_not_seen_hold_what_they_say(not_seen, length, most):
    """Rather more than 90 %: sixteen towers leave the hyperparameters open, and cannot say that nothing lasts, which the prior expects."""
    drawn, truths = not_seen
    means = lambda values: values[: DAYS // length * length].reshape(DAYS // length, length, PLACES).mean(1)  # noqa: E731
    low, high = np.quantile([means(values) for values in drawn], (0.05, 0.95), axis=0)
    truth = np.concatenate([means(one) for one in truths])
    inside = (np.tile(low, (4, 1)) <= truth) & (truth <= np.tile(high, (4, 1)))
    assert 0.87 < inside.mean() < most
    assert inside.mean(0).min() > 0.7  # of each place, whose amplitude was learned


def test_places_without_evidence_have_the_prior_of_places_that_nobody_measured():
    found, about = fit_known_place_error.of_records([], 10, KINDS, seed=0)
    assert set(found.error) == set(CARBON) and found.amplitude["nee"].shape == (error_hyperparameters.RESAMPLES, PLACES)
    assert about["nee"]["data_towers"] == 0.0
    assert np.median(sizes(found.error["nee"])) == pytest.approx(0.65 * 4.0**0.5, rel=0.5)


def test_draws_of_a_file_of_before_keep_all_of_their_departures(learned):
    _, found, _ = learned
    arrays = {name: values for name, values in found.to_arrays().items() if not name.endswith(".departure")}
    before, again = (KnownPlaceError.from_arrays(one) for one in (arrays, found.to_arrays()))
    for name in CARBON:
        np.testing.assert_array_equal(before.departure[name], 1.0)
        np.testing.assert_array_equal(again.departure[name], found.departure[name])
        assert before.departure[name].shape == found.departure[name].shape
