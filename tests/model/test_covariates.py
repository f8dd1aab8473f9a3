"""Covariates of the user's own: their scale, saving and loading, and what is refused."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.model.covariates import scaled
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.power_of import PowerOf
from hybridflux.model.sources import Given, Neural, Pooled
from hybridflux.model.spec import from_spec, to_spec
from hybridflux.process import light, respiration, water
from hybridflux.vocabulary import PARAMETERS, Covariate

HEIGHTS = np.array([10.0, 20.0, 36.0], np.float32)


def model(**sources):
    return HybridFlux(gpp=(light.absorbed,), reco=(respiration.basal,), memory=(water.BUCKET,), sources=sources)


def network(one):
    return one.sources["light_use_efficiency"].source


def test_the_scale_is_that_of_the_towers_of_the_fit_and_goes_with_the_model():
    plain = model(light_use_efficiency=Pooled(Neural("plant_type", "canopy_height")))
    assert "canopy_height" in plain.needs() and "canopy_height" in plain.needs_at_towers()
    with pytest.raises(ValueError, match="`canopy_height` has no centre and scale before a fit; declare them"):
        network(plain).features({"plant_type": np.array([0]), "canopy_height": HEIGHTS[:1]})
    settled = scaled(plain, {"canopy_height": HEIGHTS})
    (own,) = network(settled).own
    assert own.centre == pytest.approx(22.0) and own.scale == pytest.approx(HEIGHTS.std())
    names = {"plant_type": np.array([0, 3, 3]), "canopy_height": HEIGHTS}
    np.testing.assert_allclose(network(settled).features(names)[:, -1], (HEIGHTS - 22) / HEIGHTS.std(), rtol=1e-6)
    spec = json.loads(json.dumps(to_spec(settled)))
    back = with_learned(from_spec(spec), learned(settled))
    row = PARAMETERS["light_use_efficiency"]
    np.testing.assert_array_equal(network(back).raw(row, names), network(settled).raw(row, names))
    again = scaled(back, {"canopy_height": 0 * HEIGHTS})
    assert network(again).own == (own,), "of the first fit, not of the towers of an evaluation"


def test_a_declared_scale_is_kept_and_draws_too():
    plain = model(light_use_efficiency=Pooled(Neural(Covariate("canopy_height", "m", centre=25.0, scale=10.0), "tair_30d")))
    drawn = with_learned(plain, jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf]), learned(plain)))
    (own,) = network(scaled(drawn, {"canopy_height": HEIGHTS})).own
    assert (own.centre, own.scale, own.units) == (25.0, 10.0, "m")
    half = model(light_use_efficiency=Pooled(Neural(Covariate("canopy_height", centre=0.0))))
    settled = scaled(with_learned(half, jax.tree.map(lambda leaf: leaf[None], learned(half))), {"canopy_height": HEIGHTS})
    assert network(settled).own[0].centre == 0.0 and network(settled).z["w1"].shape == (1, 1, 8)


def test_signs_of_a_response_outlive_the_scale():
    """They were lost with it: a network of a user's own column and `falling` VPD could then rise with VPD after a fit."""
    plain = model(light_use_efficiency=Neural("canopy_height", "vpd", "lswi", width=3, reach=2.0, rising=("lswi",), falling=("vpd",)))
    settled = scaled(plain, {"canopy_height": HEIGHTS}).sources["light_use_efficiency"]
    own = {"own": settled.spec()["own"]}
    assert settled.spec() == plain.sources["light_use_efficiency"].spec() | own
    assert (settled.rising, settled.falling, settled.width, settled.reach) == (("lswi",), ("vpd",), 3, 2.0)
    first, _, second = settled.weights
    assert np.all(first[1] <= 0) and np.all(first[2] >= 0) and np.all(second >= 0)


def test_a_spec_without_own_covariates_is_what_it_was():
    assert to_spec(model(light_use_efficiency=Neural("tair_30d")))["sources"]["light_use_efficiency"] == {
        "kind": "Neural", "inputs": ["tair_30d"], "width": 8, "reach": 1.0
    }  # fmt: skip


def test_a_slip_of_the_vocabulary_is_refused_and_can_be_declared():
    for source in (Neural, Given):
        with pytest.raises(KeyError, match="`tairr` is not a variable.*Did you mean `tair`.*is Covariate.'tairr'"):
            source("tairr")
    assert Neural(Covariate("tairr", centre=0, scale=1)).reads() == ("tairr",)
    spec = to_spec(model(root_zone_capacity=Given(Covariate("soil_capacity2"))))
    assert from_spec(spec).sources["root_zone_capacity"].name == "soil_capacity2"
    with pytest.raises(ValueError, match="`tair` is a name of the vocabulary"):
        Covariate("tair")
    with pytest.raises(ValueError, match="the scale of `height` is 0"):
        Covariate("height", scale=0)


def test_towers_that_do_not_vary_or_have_another_unit_are_refused():
    with pytest.raises(ValueError, match="`canopy_height` is 20 at all 1 places of the fit.*declare it"):
        scaled(model(light_use_efficiency=Neural("canopy_height")), {"canopy_height": HEIGHTS[1:2]})
    given = model(root_zone_capacity=Given("my_storage"))
    scaled(given, {"my_storage": 10 * HEIGHTS})
    with pytest.raises(ValueError, match="`my_storage` gives `root_zone_capacity`, and runs from 0.1 to 0.36, all outside its bounds"):
        scaled(given, {"my_storage": HEIGHTS / 100})


@pytest.mark.parametrize("wrapped", [PowerOf, lambda name: Pooled(PowerOf(name))])
def test_a_power_of_what_is_not_above_zero_is_refused(wrapped):
    """It counted as a thousandth of the centre, without a word."""
    of_soil = model(root_zone_capacity=wrapped("soil_capacity"))
    with pytest.raises(ValueError, match="`soil_capacity`, which is not above 0 in 2 of 3 values of the fit, the smallest -9999; correct"):
        scaled(of_soil, {"soil_capacity": np.array([0.0, 150.0, -9999.0], np.float32)})
    scaled(of_soil, {"soil_capacity": np.array([20.0, 150.0, 300.0], np.float32)})
