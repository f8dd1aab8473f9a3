"""Places known and new, thinning, the file."""

import dataclasses
import warnings

import jax
import numpy as np
import pytest
import xarray as xr

from hybridflux.inference import NUTS, SVI, Ensemble, Posterior
from hybridflux.model.learned import learned
from tests.inference.conftest import dark_series

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def pooled(pooled_model, pooled_series):
    return NUTS(warmup=200, draws=250, mode_steps=500).fit(pooled_model, pooled_series, seed=1)


def test_known_places_keep_their_level_and_new_ones_spread_like_the_population(pooled, pooled_series):
    observed = np.nanmean(pooled_series.targets["nee"], axis=0)
    known = np.asarray(pooled.simulate(pooled_series, key=jax.random.key(0))["nee"])[:, 0]
    np.testing.assert_allclose(known.mean(0), observed, atol=0.15)
    new = dark_series([2.0, 2.0])
    new = type(new)(("new-1", "new-2"), new.days, new.drivers, new.targets, {})
    levels = np.asarray(pooled.simulate(new, key=jax.random.key(0))["nee"])[:, 0]
    assert levels.std(0).min() > 5 * known.std(0).max()
    assert 0.5 < levels[:, 0].std() / observed.std() < 2.0
    assert abs(np.corrcoef(levels.T)[0, 1]) < 0.5, "two new places draw their own effects"


def test_a_place_is_the_same_whoever_stands_beside_it(pooled, pooled_series):
    alone = pooled.simulate(pooled_series.select(["P4"]), key=jax.random.key(3))["nee"]
    np.testing.assert_allclose(alone[..., 0], pooled.simulate(pooled_series, key=jax.random.key(3))["nee"][..., 4], rtol=1e-5)


def test_population_spread_is_recovered_from_left_out_places(pooled_model, pooled_series):
    posterior = Ensemble(members=4, steps=600).fit(pooled_model, pooled_series, seed=2)
    sd = 0.5 * np.exp(0.5 * np.asarray(learned(posterior.model)["sources.respiration_ref.z.spread"]))
    assert np.all((0.2 < sd) & (sd < 1.0)), "places differ by 0.4 in log, about 0.47 in the unconstrained space"
    levels = np.asarray(posterior.simulate(pooled_series, key=jax.random.key(0))["nee"])[:, 0]
    np.testing.assert_allclose(levels, np.nanmean(pooled_series.targets["nee"], axis=0) + 0 * levels, atol=0.35)


def test_a_last_place_without_measurements_is_left_out_by_no_draw(pooled_model, pooled_series):
    """A batch of days does not know it; its effects are of the population."""
    six = pooled_series.select(pooled_series.places[:6])
    bare = dataclasses.replace(six, targets={"nee": np.where(np.arange(6) < 5, six.targets["nee"], np.nan)})
    posterior = Ensemble(members=4, steps=300).fit(pooled_model, bare, seed=2)
    assert [len(posterior.info["draws_without"][place]) for place in six.places] == [1, 1, 1, 1, 1, 0]
    assert posterior.info["structural_error"]["data_towers"] == 5
    levels = np.asarray(posterior.simulate(bare, key=jax.random.key(0))["nee"])[:, 0]
    assert np.ptp(levels[:, 5]) > 3 * np.ptp(levels[:, :5], axis=0).max()


def test_structure_widens_what_is_predicted_and_is_kept_on_disk(pooled_model, pooled_series, tmp_path):
    posterior = Ensemble(members=4, steps=300).fit(pooled_model, pooled_series, seed=2)
    assert posterior.info["structural_error"]["residuals"] == "of draws that left the tower out"
    many = posterior.thin(200)
    sd_of_mean = lambda one: np.asarray(one.simulate(pooled_series, key=jax.random.key(1), noise=True)["nee"]).mean(axis=1).std(axis=0)  # noqa: E731
    assert np.all(sd_of_mean(many) > sd_of_mean(dataclasses.replace(many, structure=None)))
    posterior.save(tmp_path / "posterior.nc")
    again = Posterior.load(tmp_path / "posterior.nc").simulate(pooled_series, key=jax.random.key(1), noise=True)["nee"]
    np.testing.assert_allclose(again, posterior.simulate(pooled_series, key=jax.random.key(1), noise=True)["nee"], rtol=1e-5, atol=1e-5)


def test_thin_takes_and_repeats(pooled):
    assert pooled.thin(50).draws == 50
    many = pooled.thin(700)
    assert many.draws == 700
    first = np.asarray(learned(many.model)["sources.respiration_ref.source.z"])
    np.testing.assert_array_equal(first[:200], first[500:700])


def test_physical_draws_are_inside_bounds_and_prior_differs(pooled):
    draws, prior = pooled.parameter_draws(), pooled.prior_draws(1000)
    assert draws["respiration_ref"].shape == (500,)
    assert draws["respiration_ref"].std() < 0.6 * prior["respiration_ref"].std()


def test_file_opens_in_arviz(pooled, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # arviz 0.23 announces its next version at import
        import arviz
    pooled.save(tmp_path / "posterior.nc")
    data = arviz.from_netcdf(tmp_path / "posterior.nc")
    assert data.posterior["respiration_ref"].dims == ("chain", "draw")
    assert data.posterior.sizes["chain"] == 2 and "diverging" in data.sample_stats
    assert data.observed_data["nee"].sizes == {"day": 200, "place": 12}


def test_strangers_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="hybridflux fit"):
        Posterior.load(tmp_path / "none.nc")
    (tmp_path / "cut.nc").write_bytes(b"CDF\x01 not really")
    with pytest.raises(ValueError, match="cannot be read|not a posterior"):
        Posterior.load(tmp_path / "cut.nc")
    xr.Dataset({"a": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(ValueError, match="not a posterior"):
        Posterior.load(tmp_path / "other.nc")


def test_variational_spread_agrees_with_nuts_on_centre_and_population(pooled, pooled_model, pooled_series):
    """Ridges between the centre and the effects make a plain Gaussian guide several times too narrow."""
    other = SVI(steps=1500, mode_steps=500, draws=500).fit(pooled_model, pooled_series, seed=4)
    for name in ("sources.respiration_ref.source.z", "sources.respiration_ref.z.spread"):
        exact, approximate = (np.asarray(learned(one.model)[name]) for one in (pooled, other))
        assert 0.6 < approximate.std() / exact.std() < 1.5, name
        assert abs(approximate.mean() - exact.mean()) < exact.std(), name
