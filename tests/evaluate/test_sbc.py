"""Simulation-based calibration passes a sampler that is right and fails those that are broken on purpose."""

import jax
import numpy as np
import pandas as pd
import pytest

from hybridflux.evaluate.sbc import SbcRanks, calibrate, ecdf_band, ecdf_difference, one_by_one, uniformity, vectorised_nuts
from hybridflux.inference import MAP
from hybridflux.model import observe
from hybridflux.model.flux import HybridFlux
from hybridflux.model.noise import Laplace
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Fixed, Pooled, Shared
from hybridflux.process import light, respiration

pytestmark = pytest.mark.long

REPLICATIONS, DRAWS = 96, 63


def model(weight=1.0, **sources):
    return HybridFlux(
        gpp=(light.absorbed,),
        reco=(respiration.basal, respiration.q10_response),
        sources={"light_use_efficiency": Shared(), "respiration_ref": Shared(), "q10": Shared(), **sources},
        observed=(observe.nee(Laplace(slope=Fixed(0.1)), weight=weight),),
    )


@pytest.fixture(scope="module")
def towers(toy):
    """Two towers, observed every second week."""
    nee = np.full((len(toy.days), len(toy.codes)), np.nan)
    nee[::14] = 0.0
    return Sequences(tuple(f"S{at}" for at in range(len(toy.codes))), toy.days, toy.drivers, {"nee": nee}, {}).select(["S0", "S1"])


@pytest.fixture(scope="module")
def kept():
    """Draws of the No-U-Turn sampler, made once, handed to the breakers."""
    return {}


@pytest.fixture(scope="module")
def right(kept):
    def sample(model, data, key):
        if not kept:
            kept.update(vectorised_nuts(warmup=250, draws=DRAWS, thin=3, depth=5)(model, data, key))
        return kept

    return sample


def judged(towers, sampler):
    table = uniformity(calibrate(model(), towers, sampler, replications=REPLICATIONS, draws=DRAWS, seed=1))
    return table.set_index("quantity")


def test_nuts_is_calibrated(towers, right):
    table = judged(towers, right)
    assert set(table.index) == {"light_use_efficiency", "respiration_ref", "q10", "noise_floor.nee", "mean nee", "log likelihood"}
    assert set(table.verdict) == {"uniform"}
    assert table.spread.between(0.6, 1.4).all() and table.bias.abs().max() < 0.1


def about_mean(values, factor):
    middle = values.mean(axis=1, keepdims=True)
    return middle + factor * (values - middle)


@pytest.mark.parametrize("factor, verdict", [(0.5, "too narrow"), (2.0, "too wide")])
def test_draws_of_the_wrong_spread_fail(towers, right, factor, verdict):
    table = judged(towers, lambda *data: {name: about_mean(values, factor) for name, values in right(*data).items()})
    assert set(table.verdict[["light_use_efficiency", "respiration_ref", "q10", "noise_floor.nee"]]) == {verdict}


def test_scaled_draws_fail(towers, right):
    table = judged(towers, lambda *data: {name: 0.5 * values for name, values in right(*data).items()})
    assert "uniform" not in set(table.verdict[["light_use_efficiency", "respiration_ref", "q10"]])


def test_a_biased_sampler_fails(towers, right):
    def shifted(*data):
        drawn = right(*data)
        q10 = drawn["sources.q10.z"]
        return {**drawn, "sources.q10.z": q10 + 0.6 * q10.std(axis=1, keepdims=True)}

    table = judged(towers, shifted)
    assert table.verdict["q10"] == "biased" and table.bias["q10"] < 0  # draws too high: the truth ranks low
    assert table.verdict["respiration_ref"] == "uniform"


def test_a_sampler_that_returns_the_prior_is_caught_by_the_likelihood_alone(towers):
    def prior(model, data, key):
        shape = (REPLICATIONS, DRAWS)
        names = ("sources.light_use_efficiency.z", "sources.respiration_ref.z", "sources.q10.z", "observed.nee.error.sources.noise_floor.z")
        return {name: jax.random.normal(jax.random.fold_in(key, at), shape) for at, name in enumerate(names)}

    table = judged(towers, prior)
    assert table.verdict["log likelihood"] == "biased"
    assert set(table.verdict.drop("log likelihood")) == {"uniform"}


def test_methods_are_calibrated_one_by_one_with_their_populations(towers):
    pooled = model(respiration_ref=Pooled(Shared()))
    found = calibrate(pooled, towers, one_by_one(MAP(steps=20)), replications=3, draws=1)
    assert "sources.respiration_ref.z.spread" in found.ranks
    assert found.ranks.shape[0] == 3 and found.ranks.isin([0, 1]).all().all()


def test_what_cannot_be_calibrated_is_refused(towers):
    with pytest.raises(ValueError, match="weight 0.2"):
        calibrate(model(weight=0.2), towers, one_by_one(MAP()))
    with pytest.raises(ValueError, match="gives 1 draws, 7"):
        calibrate(model(), towers, one_by_one(MAP(steps=5)), replications=2, draws=7)


def test_false_alarms_are_as_rare_as_stated():
    rng = np.random.default_rng(0)
    alarms = [
        "".join(uniformity(SbcRanks(pd.DataFrame(rng.integers(0, 16, (64, 4))), 15), bins=8).verdict) != "uniform" * 4
        for _ in range(100)
    ]
    assert np.sum(alarms) <= 5  # 1 expected; more than 5 has a probability of 0.0005


def test_moments_of_uniform_ranks_are_those_of_the_table():
    every = SbcRanks(pd.DataFrame({"a": np.repeat(np.arange(16), 5)}), 15)
    row = uniformity(every).iloc[0]
    assert row.bias == pytest.approx(0.0) and row.spread == pytest.approx(1.0) and row.chi2_p > 0.99 and row.verdict == "uniform"
    assert np.abs(ecdf_difference(every.ranks["a"].to_numpy(), 15)).max() < 1e-12


def test_the_band_holds_uniform_ranks_as_often_as_it_says():
    ranks = np.random.default_rng(3).integers(0, 32, (1000, 80))
    at, half = ecdf_band(80, 31, level=0.9)
    inside = (np.abs(ecdf_difference(ranks, 31)) <= half + 1e-12).all(axis=1)
    assert at[0] == 0 and at[-1] == 1
    assert inside.mean() == pytest.approx(0.9, abs=0.03)
