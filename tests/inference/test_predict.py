"""`predict` for people: a seed instead of a key, xarray with units and sign."""

import jax
import numpy as np
import pytest
import xarray as xr

from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.learned import learned, with_learned, with_places

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def posterior(pooled_model, pooled_series):
    indices = Indices.of(pooled_series.select(pooled_series.places[:3]))
    model = with_places(pooled_model, indices.sizes())
    leaves = learned(model)
    values = {name: 0.3 * jax.random.normal(jax.random.key(at), (6, *leaf.shape)) for at, (name, leaf) in enumerate(leaves.items())}
    return Posterior(with_learned(model, values), indices)


def test_prediction_is_xarray_with_units_and_sign(posterior, pooled_series, tmp_path):
    found = posterior.predict(pooled_series, seed=3)
    assert found["nee"].dims == ("draw", "time", "place") and found["nee"].attrs["units"] == "gC m-2 d-1"
    assert found.sizes == {"draw": 6, "time": len(pooled_series.days), "place": len(pooled_series.places)}
    assert "positive to the atmosphere" in found.attrs["sign"] and found.attrs["spread"] == "parameter+random_effects"
    np.testing.assert_allclose(found["nee"], found["reco"] - found["gpp"], atol=1e-4)
    assert found["known"].values.sum() == 3 and bool(found["known"].sel(place=pooled_series.places[0]))
    assert (found["time"].values.astype("datetime64[D]") == pooled_series.days).all()
    found.to_netcdf(tmp_path / "predicted.nc", engine="h5netcdf")
    xr.testing.assert_identical(xr.open_dataset(tmp_path / "predicted.nc", engine="h5netcdf").load()["nee"], found["nee"])


def test_a_seed_repeats_and_another_differs(posterior, pooled_series):
    new = pooled_series.select(pooled_series.places[-1:])
    one, same, other = (posterior.predict(new, seed=seed, noise=True)["nee"].values for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert not np.allclose(one, other)
    assert posterior.predict(new, noise=True, draws=15, variables=("nee",)).sizes["draw"] == 15


def test_towers_are_asked_for_what_the_model_needs(posterior, pooled_series):
    class Towers:
        def sequences(self, names):
            assert set(names) >= set(posterior.model.needs())
            return pooled_series

    xr.testing.assert_identical(posterior.predict(Towers()), posterior.predict(pooled_series))


def test_what_a_model_does_not_predict_is_refused(posterior, pooled_series):
    with pytest.raises(KeyError, match="`?swc`?.* it predicts nee, gpp, reco"):
        posterior.predict(pooled_series, variables=("swc",))
