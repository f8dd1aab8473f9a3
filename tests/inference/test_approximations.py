"""Every approximate posterior beside the sampler, where the sampler is affordable: eight synthetic towers, bucket, site effects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference import NUTS, SVI, Ensemble, LaplaceApproximation
from hybridflux.inference.batch import Indices, batch, names_of
from hybridflux.inference.methods.fisher_whitening import whitened
from hybridflux.inference.methods.gaussian_vi import sharpened
from hybridflux.model import HybridFlux, Pooled, Sequences, Shared, observe
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.process import light, respiration, stress, water

pytestmark = pytest.mark.long

PLACES, DAYS = 8, 250


@pytest.fixture(scope="module")
def model():
    return HybridFlux(
        gpp=(light.absorbed, light.saturation, stress.water_ramp),
        reco=(respiration.basal, respiration.lloyd_taylor),
        memory=(water.BUCKET,),
        sources={
            "light_use_efficiency": Pooled(Shared()), "respiration_ref": Pooled(Shared()), "light_saturation": Shared(),
            "activation_temp": Shared(),
        },
        observed=(observe.nee(),),
    )  # fmt: skip


@pytest.fixture(scope="module")
def series(model):
    """Fluxes of the model itself at a draw of the prior, with its own errors and gaps."""
    rng = np.random.default_rng(0)
    when = np.datetime64("2018-01-01") + np.arange(DAYS).astype("timedelta64[D]")
    season = -np.cos(2 * np.pi * np.arange(DAYS) / 365.25)[:, None] + 0.0 * np.zeros(PLACES)
    weather = rng.normal(size=season.shape)
    drivers = {
        "tair": 10 + 9 * season + 3 * weather, "par": np.maximum(6 + 4 * season + weather, 0.3), "fapar": 0.5 + 0.3 * season,
        "rain": rng.gamma(0.3, 7.0, season.shape),
    }  # fmt: skip
    drivers = {name: values.astype(np.float32) for name, values in drivers.items()} | {"plant_type": np.zeros(PLACES, np.int32)}
    places = tuple(f"P{number}" for number in range(PLACES))
    blank = Sequences(places, when, drivers, {"nee": np.zeros(season.shape, np.float32)}, {})
    true = with_places(model, Indices.of(blank).sizes())
    true = with_learned(true, {name: 0.5 * rng.normal(size=leaf.shape).astype(np.float32) for name, leaf in learned(true).items()})
    nee = np.array(true.observed["nee"].error.sample(jax.random.key(1), true.fluxes(names_of(true, blank))["nee"], jnp.zeros(())))
    nee[rng.random(nee.shape) < 0.3] = np.nan
    return Sequences(places, when, drivers, {"nee": nee.astype(np.float32)}, {})


@pytest.fixture(scope="module")
def exact(model, series):
    return NUTS(warmup=150, draws=400).fit(model, series, seed=1)


def beside(posterior, exact):
    """Mean minus exact mean over exact sd, and ratio of sds, of every learned number."""
    told, true = learned(posterior.model), learned(exact.model)
    flat = lambda leaves: np.concatenate([np.asarray(leaves[name]).reshape(len(leaves[name]), -1) for name in sorted(true)], 1)  # noqa: E731
    one, other = flat(told), flat(true)
    return (one.mean(0) - other.mean(0)) / other.std(0), one.std(0) / other.std(0)


@pytest.mark.parametrize("method", [LaplaceApproximation(draws=1000), SVI(draws=1000)], ids=lambda method: type(method).__name__)
def test_gaussians_have_the_means_and_spreads_of_the_sampler(method, model, series, exact):
    shift, ratio = beside(method.fit(model, series, seed=2), exact)
    assert np.abs(shift).max() < 0.35
    assert 0.7 < ratio.min() and ratio.max() < 1.35 and np.median(ratio) == pytest.approx(1.0, abs=0.1)


def test_sharpening_mends_a_centre_that_was_off(model, series, exact):
    """Started two standard deviations away from the sampler's mean, the Gaussian comes back to it."""
    data = batch(model := with_places(model, Indices.of(series).sizes()), series)
    means = {name: leaf.mean(0) for name, leaf in learned(exact.model).items()}
    off = {name: mean + (2 * learned(exact.model)[name].std(0) if "activation" in name else 0) for name, mean in means.items()}
    around = sharpened(model, data, whitened(model, data, off), jax.random.key(0), rounds=12)
    assert around.unrest < 0.25
    found = np.asarray(around.white.leaves(jnp.zeros(around.white.size))["sources.activation_temp.z"])
    spread = np.asarray(learned(exact.model)["sources.activation_temp.z"]).std()
    assert abs(found - means["sources.activation_temp.z"]) < 0.3 * spread


def test_the_sampler_mixes_in_a_ball(exact):
    """Short trees, many effective draws per gradient: what white coordinates are for."""
    told = exact.info["diagnostics"]
    assert told["r_hat_max"] < 1.02 and told["divergences"] == 0
    assert told["mean_steps"] <= 7 and told["ess_min"] / told["gradients"] > 0.03


@pytest.mark.filterwarnings("ignore::hybridflux.inference.methods.base.InferenceWarning")
def test_an_ensemble_is_centred_but_not_a_posterior(model, series, exact):
    """Members agree with the sampler on the mean; their spread is of the right size only roughly, which is what a user is told."""
    shift, ratio = beside(Ensemble(members=32, steps=1500).fit(model, series, seed=3), exact)
    assert np.median(np.abs(shift)) < 0.5 and 0.3 < np.median(ratio) < 3.0
