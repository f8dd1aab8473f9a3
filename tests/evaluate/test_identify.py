"""The guard calls a parameter estimated only where the data say so, and finds the dead ones."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.evaluate.alive import effect_of_parameters
from hybridflux.evaluate.identify import ALIVE, LEAST_DRAWS, correlated, excerpt, identify
from hybridflux.inference.batch import Indices
from hybridflux.inference.posterior import Posterior
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import learned, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Neural, Shared
from hybridflux.process import light, respiration, stress

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def towers(toy):
    targets = {"nee": np.zeros((len(toy.days), len(toy.codes)))}
    return Sequences(tuple(f"S{at}" for at in range(len(toy.codes))), toy.days, toy.drivers, targets, {})


def never_dry(tair, rew_wilting):
    """A stress factor that forgot its parameter, as a released code once did."""
    return jnp.ones_like(tair) + 0.0 * jnp.clip(rew_wilting, 0.0, 0.0)


def model(**sources):
    return HybridFlux(
        gpp=(light.absorbed, stress.vpd_exponential, never_dry),
        reco=(respiration.basal, respiration.lloyd_taylor),
        sources={
            "light_use_efficiency": Neural("plant_type", "tair", width=3), "vpd_sensitivity": Shared(), "rew_wilting": Shared(),
            "respiration_ref": Shared(), "activation_temp": Shared(), **sources,
        },
    )  # fmt: skip


@pytest.fixture(scope="module")
def guard(toy, towers):
    draws = toy.stacked(model(), 400, spread=1.0)
    leaves = dict(learned(draws))
    leaves["sources.vpd_sensitivity.z"] = 0.2 * leaves["sources.vpd_sensitivity.z"]
    leaves["sources.respiration_ref.z"] = 0.8 * leaves["sources.respiration_ref.z"]
    leaves["sources.activation_temp.z"] = 0.3 * leaves["sources.vpd_sensitivity.z"] / 0.2 + 0.02 * leaves["sources.activation_temp.z"]
    leaves["sources.rew_wilting.z"] = 0.1 * leaves["sources.rew_wilting.z"]
    return identify(Posterior(with_learned(draws, leaves), Indices(("S0",), (2001,))), towers, days=200)


def test_verdicts(guard):
    verdict = guard.parameters.set_index("parameter").verdict
    assert verdict["vpd_sensitivity"] == "estimated"
    assert verdict["respiration_ref"] == "weak"
    assert verdict["light_use_efficiency"] == "prior"
    assert verdict["rew_wilting"] == "dead"  # however narrow its posterior


def test_what_a_network_can_imitate_is_not_called_estimated(toy, towers):
    draws = toy.stacked(model(light_use_efficiency=Neural("plant_type", "vpd", width=3)), 40, spread=0.2)
    verdict = identify(Posterior(draws, Indices(("S0",), (2001,))), towers, days=60).parameters.set_index("parameter").verdict
    assert (verdict["vpd_sensitivity"], verdict["activation_temp"]) == ("imitated", "estimated")


def test_contraction_is_one_minus_the_variance_of_z(guard):
    by_parameter = guard.parameters.set_index("parameter").contraction
    by_leaf = guard.leaves.set_index("leaf").contraction
    assert by_leaf["sources.vpd_sensitivity.z"] == pytest.approx(0.96, abs=0.01)
    assert by_parameter["vpd_sensitivity"] == pytest.approx(0.96, abs=0.02)
    assert by_parameter["respiration_ref"] == pytest.approx(by_leaf["sources.respiration_ref.z"], abs=0.1)


def test_confounded_pair_is_named(guard):
    assert guard.pairs[["first", "second"]].values.tolist() == [["activation_temp", "vpd_sensitivity"]]
    assert guard.pairs.correlation[0] > 0.9
    assert any("`activation_temp` and `vpd_sensitivity` are confounded" in text for text in guard.warnings)


def test_dead_leaf_and_noise_that_is_alive(guard):
    effect = guard.leaves.set_index("leaf").effect
    assert effect["sources.rew_wilting.z"] == 0.0
    assert effect["observed.nee.error.sources.noise_floor.z"] > ALIVE
    assert effect.drop("sources.rew_wilting.z").min() > ALIVE
    assert any("`rew_wilting` is dead" in text for text in guard.warnings)


def test_nothing_is_estimated_from_few_draws(toy, towers):
    few = Posterior(toy.stacked(model(), LEAST_DRAWS - 1, spread=0.01), Indices(("S0",), (2001,)))
    found = identify(few.thin(2 * LEAST_DRAWS), towers, days=60)  # repeated draws are no more draws
    assert set(found.parameters.verdict) == {"undecided", "dead"}
    assert found.pairs.empty and found.leaves.contraction.isna().all()
    assert "too few" in found.warnings[0]


def test_fixed_parameters_are_tried_too(toy, towers):
    fixed = model(vpd_sensitivity=Fixed(0.02), rew_wilting=Fixed())
    effects = effect_of_parameters(fixed, toy.drivers)
    assert effects["rew_wilting"] == 0.0 and effects["vpd_sensitivity"] > 0.05
    guard = identify(Posterior(toy.stacked(fixed, 30), Indices(("S0",), (2001,))), towers, days=60)
    assert guard.parameters.set_index("parameter").verdict[["vpd_sensitivity", "rew_wilting"]].tolist() == ["fixed", "dead"]


def test_excerpt_takes_different_types_and_the_best_observed_days(toy, towers):
    nee = np.full((len(toy.days), len(toy.codes)), np.nan)
    nee[300:400] = 1.0
    few = excerpt(replace(towers, targets={"nee": nee}), places=3, days=100)
    assert few.places == ("S0", "S1", "S3")  # ENF, DBF, CRO: not two ENF
    assert few.days[0] == toy.days[300] and len(few.days) == 100 and np.isfinite(few.targets["nee"]).all()
    assert excerpt(towers, places=9, days=9999).places == towers.places


def test_correlated_ignores_constants():
    x = np.random.default_rng(0).normal(size=50)
    assert correlated({"a": x, "b": np.zeros(50), "c": -x}).values.tolist() == [["a", "c", pytest.approx(-1.0)]]
    assert correlated({}).empty
