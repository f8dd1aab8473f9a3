"""Every approximate posterior beside the sampler, where the sampler is affordable: eight synthetic towers, bucket, site effects."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference import NUTS, SVI, Ensemble, LaplaceApproximation, RandomisedEnsemble
from hybridflux.inference.batch import Batch, Indices, batch, names_of
from hybridflux.inference.methods.fisher_whitening import whitened
from hybridflux.inference.methods.gaussian_vi import sharpened
from hybridflux.inference.methods.randomised import draw_populations
from hybridflux.model import HybridFlux, Pooled, Sequences, Shared, observe
from hybridflux.model.learned import learned, with_learned, with_places
from hybridflux.process import light, respiration, stress, water

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_resamples")]

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
    fitted, true = learned(posterior.model), learned(exact.model)
    flat = lambda leaves: np.concatenate([np.asarray(leaves[name]).reshape(len(leaves[name]), -1) for name in sorted(true)], 1)  # noqa: E731
    one, other = flat(fitted), flat(true)
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
    diagnostics = exact.info["diagnostics"]
    assert diagnostics["r_hat_max"] < 1.02 and diagnostics["divergences"] == 0
    assert diagnostics["mean_steps"] <= 7 and diagnostics["ess_min"] / diagnostics["gradients"] > 0.03


@pytest.mark.parametrize(("method", "narrowest", "widest"), [
    (Ensemble(members=16, steps=500), 0.0, 0.5), (RandomisedEnsemble(members=32, steps=1200, rate=0.08), 0.8, 1.3),
], ids=["anchors alone", "data and anchors"])  # fmt: skip
def test_members_spread_like_the_posterior_only_if_their_data_were_drawn_too(method, narrowest, widest, model, series, exact):
    """Whatever the data determine keeps far too narrow a spread by anchors alone; both are centred on the mean of the sampler."""
    there = with_places(model, Indices.of(series).sizes())
    drawn = method.draw(there, batch(there, series), jax.random.key(1), lambda done, total, message: None).leaves
    fitted, true = (
        {
            name: np.asarray(values) * np.exp(0.5 * np.asarray(leaves[name.replace("effect", "spread")]))[:, None] if "effect" in name
            else np.asarray(values) for name, values in leaves.items() if "spread" not in name
        }
        for leaves in (drawn, learned(exact.model))
    )  # fmt: skip
    shift = np.concatenate([np.ravel((fitted[name].mean(0) - true[name].mean(0)) / true[name].std(0)) for name in sorted(true)])
    ratio = np.concatenate([np.ravel(fitted[name].std(0) / true[name].std(0)) for name in sorted(true)])
    assert np.median(np.abs(shift)) < 0.5
    assert narrowest < np.median(ratio) < widest


def test_the_spread_of_a_population_is_drawn_from_its_density_given_the_effects():
    """Two populations of the same law: the mean and the variance of the logarithm of the variance ratio, by quadrature."""
    model = with_places(HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), sources={"respiration_ref": Pooled(Shared())}),
                        {"site": 6, "site_year": 6})  # fmt: skip
    effect, spread, members = "sources.respiration_ref.z.effect", "sources.respiration_ref.z.spread", 3000
    own = np.array([1.5, -2.0, 0.4, -0.3, 1.1, 9.0], np.float32)  # nothing was measured at the last
    at = jnp.linspace(-1.0, 1.0, members)
    leaves = {effect: jnp.asarray(own) * jnp.exp(-0.5 * at)[:, None], spread: at}
    seen = jnp.broadcast_to(jnp.arange(6) < 5, (2, 6))
    data = Batch({"site": jnp.arange(6)}, {}, {"nee": seen}, {})
    after = draw_populations(np.random.default_rng(0), model, leaves, data)
    np.testing.assert_allclose(after[effect] * np.exp(0.5 * after[spread])[:, None], np.broadcast_to(own, (members, 6)), rtol=1e-4)
    grid = np.linspace(-6, 6, 2001)
    density = np.exp(-0.5 * (grid**2 + 5 * grid + (own[:5] ** 2).sum() * np.exp(-grid)))
    mean = (grid * density).sum() / density.sum()
    sd = np.sqrt(((grid - mean) ** 2 * density).sum() / density.sum())
    assert np.mean(after[spread]) == pytest.approx(mean, abs=4 * sd / members**0.5) and np.std(after[spread]) == pytest.approx(sd, rel=0.05)
