"""The correlation of population effects with distance: recovered from towers in pairs, the prior from towers far apart."""

import jax.numpy as jnp
import numpy as np
import pytest

from hybridflux.inference import fit_effect_correlation
from hybridflux.inference.fit_effect_correlation import PRIOR_LENGTH, distances, learn
from hybridflux.inference.methods.base import places_of
from hybridflux.model.effect_correlation import EffectCorrelation
from hybridflux.model.flux import HybridFlux
from hybridflux.model.learned import physics_effects, with_learned
from hybridflux.model.sequences import Sequences
from hybridflux.model.sources import Pooled, Shared
from hybridflux.process import light, respiration

PAIRS = 60
DAYS = np.arange("2019-01-01", "2019-01-03", dtype="datetime64[D]")


def towers(apart_km, correlation, seed=0):
    """Pairs of towers, 300 km from each other; a model of one draw with three parameters whose effects correlate within a pair."""
    latitude, longitude = np.repeat(np.linspace(30.0, 65.0, 10), PAIRS // 5), np.tile(np.repeat(np.linspace(0.0, 40.0, 6), 2), 10)
    latitude = latitude + np.tile([0.0, apart_km / 111.195], PAIRS)
    rng, model = np.random.default_rng(seed), HybridFlux(
        gpp=(light.absorbed, light.saturation), reco=(respiration.lin_gpp,),
        sources={name: Pooled(Shared()) for name in ("light_use_efficiency", "light_saturation", "respiration_ref")},
    )  # fmt: skip
    effects = {}
    for name in physics_effects(model):
        shared, own = rng.standard_normal((2, 1, PAIRS)), rng.standard_normal((1, 2 * PAIRS))
        effects[name] = jnp.asarray(np.sqrt(correlation) * np.repeat(shared[0], 2, 1) + np.sqrt(1 - correlation) * own, jnp.float32)
    places, kinds = tuple(f"P{at}" for at in range(2 * PAIRS)), np.repeat(np.arange(PAIRS) % 2, 2).astype(np.int32)
    nothing = np.full((len(DAYS), len(places)), np.nan)
    return with_learned(model, effects), Sequences(places, DAYS, {"plant_type": kinds}, {"nee": nothing}, {}, latitude, longitude)


def test_distances_are_great_circles():
    away = distances(np.array([48.0, 48.0, 49.0]), np.array([2.0, 3.0, 2.0])) / 1e3
    assert away[0, 2] == pytest.approx(111.2, abs=0.1) and away[0, 1] == pytest.approx(111.2 * np.cos(np.radians(48)), abs=0.3)


@pytest.mark.parametrize("correlation", [0.1, 0.8])
def test_pairs_of_towers_say_how_much_of_an_effect_is_shared(correlation):
    found = learn(*towers(5.0, correlation))
    assert float(sum(EffectCorrelation(found["length"], found["nugget"]).parts(np.array([5e3])))[0]) == pytest.approx(correlation, abs=0.12)
    assert found["pairs"] == PAIRS and sum(one["pairs"] for one in found["plant_types"].values()) == PAIRS
    assert EffectCorrelation.of({"effect_correlation": found}).nugget == found["nugget"]


@pytest.mark.parametrize("apart_km", [250.0, 0.001], ids=["far apart", "two names of one place"])
def test_towers_without_neighbours_leave_the_prior(apart_km):
    found = learn(*towers(apart_km, 0.0))
    assert found["pairs"] == 0 and found["nugget"] == pytest.approx(0.5, abs=0.12)
    assert found["length"] == pytest.approx(PRIOR_LENGTH, rel=0.3)  # lengths above the distance are excluded
    assert EffectCorrelation.of({}) == EffectCorrelation()


def test_a_posterior_remembers_where_its_towers_stand():
    _, series = towers(5.0, 0.5)
    found = places_of(series, {"nee": 0})
    assert (found["P1"]["latitude"], found["P1"]["longitude"]) == pytest.approx((series.latitude[1], series.longitude[1]), abs=1e-6)
    assert "latitude" not in places_of(Sequences(series.places, DAYS, series.drivers, series.targets, {}), {"nee": 0})["P1"]


def test_nothing_is_learned_where_nobody_said_where_the_towers_are():
    model, series = towers(5.0, 0.5)
    assert learn(model, Sequences(series.places, DAYS, series.drivers, series.targets, {})) is None
    assert fit_effect_correlation.learn(HybridFlux(gpp=model.gpp, reco=model.reco, sources={"respiration_ref": Shared()}), series) is None
