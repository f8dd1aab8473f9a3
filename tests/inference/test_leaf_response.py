"""The response of leaves to missing rain: what the deficit is, that known slopes are found, and that draws are what they say."""

import json

import numpy as np
import pytest

from hybridflux.inference.fit_leaf_response import CONTROLS, TowerSteps, fit_beside_water, fit_leaf_response
from hybridflux.model.leaf_response import LEAF_RESPONSE, LeafResponse
from hybridflux.process.leaves import FIRST_DAYS, REFERENCE_EVAPORATION, rain_deficit
from hybridflux.process.water import potential_evaporation
from hybridflux.vocabulary import PLANT_TYPES

MEMORY = 60.0
TRUE = {"CRO": (-0.12, -0.04), "ENF": (-0.02, -0.01)}
PLACE_SD = (0.03, 0.01)


def weather(days=800, seed=1):
    random = np.random.default_rng(seed)
    season = np.sin(2 * np.pi * (np.arange(days) - 110) / 365.25)
    return {"tair": 10 + 8 * season, "par": 6 + 4 * season, "rain": random.gamma(0.3, 7.0, days)}


def towers(number=24, years=8, heat=0.0, seed=2):
    """Towers whose leaves follow the deficit by known slopes, and the heat of the month, which goes with the deficit."""
    random = np.random.default_rng(seed)
    found = []
    for place in range(number):
        kind = list(TRUE)[place % 2]
        year, season = (one.ravel() for one in np.meshgrid(np.arange(years), np.arange(15) / 15, indexing="ij"))
        anomaly = np.repeat(random.normal(0, 0.5, years), 15) + random.normal(0, 0.2, len(year))
        deficit = np.maximum(0.5 + np.sin(np.pi * season) + anomaly, 0.0)
        hot = anomaly + random.normal(0, 0.5, len(year))
        slopes = np.array(TRUE[kind]) + np.array(PLACE_SD) * random.normal(size=2)
        nirv = -1.5 + 0.3 * np.sin(np.pi * season) + slopes[0] * deficit + heat * hot + random.normal(0, 0.08, len(year))
        lswi = 0.2 + slopes[1] * deficit + random.normal(0, 0.03, len(year))
        controls = np.column_stack([hot, random.normal(size=(len(year), 2))])
        wrong = np.maximum(deficit + random.normal(0, 0.5, len(year)), 0.0)
        found.append(TowerSteps(f"T{place}", kind, year, season, np.ones(len(year)), {"nirv": nirv, "lswi": lswi},
                                {MEMORY: deficit, 15.0: wrong}, controls))  # fmt: skip
    return found


def test_the_deficit_is_a_weighted_mean_of_evaporation_minus_rain():
    drivers = weather()
    found = rain_deficit(**drivers, memory_days=45.0)
    missing = np.asarray(potential_evaporation(tair=drivers["tair"], par=drivers["par"], evaporation_scalar=REFERENCE_EVAPORATION), float)
    missing -= drivers["rain"]
    day, weight = 700, np.exp(-np.arange(701) / 45.0)
    mean = (weight * missing[day::-1]).sum() * (1 - np.exp(-1 / 45.0)) + np.exp(-701 / 45.0) * missing[:FIRST_DAYS].mean()
    assert mean > 0 and found[day] == pytest.approx(mean, rel=1e-6)
    wet = drivers | {"rain": drivers["rain"] + 10.0}
    assert not rain_deficit(**wet, memory_days=45.0).any()
    dry = rain_deficit(**drivers | {"rain": 0.6 * drivers["rain"]}, memory_days=45.0)
    assert np.all(dry >= found) and (dry - found).max() > 0.3


def test_known_slopes_are_found_beside_heat():
    """Slopes, spread of places and the memory are those of the truth; without heat beside it the deficit takes the slope of heat too."""
    fit = fit_leaf_response(towers(heat=-0.1), memories=(15.0, MEMORY))
    assert fit.memory_days == MEMORY
    for kind, slopes in TRUE.items():
        for index, slope in zip(("nirv", "lswi"), slopes, strict=True):
            assert abs(fit.mean[index][kind] - slope) < 2.5 * fit.sd[index][kind] < 0.06, (kind, index)
    assert fit.place_sd["nirv"] == pytest.approx(PLACE_SD[0], abs=0.015) and fit.place_sd["lswi"] == pytest.approx(PLACE_SD[1], abs=0.005)
    unseen = fit.of_type("nirv", "GRA")
    assert unseen == fit.of_type("nirv", "other") and unseen[1] > fit.of_type("nirv", "CRO")[1]
    confounded = fit_leaf_response(towers(heat=-0.1), memories=(MEMORY,), controls=False)
    assert confounded.mean["nirv"]["CRO"] < fit.mean["nirv"]["CRO"] - 0.03


def test_what_heat_does_beside_the_deficit_is_found_and_the_rest_does_nothing():
    found = fit_beside_water(towers(heat=-0.1), MEMORY)
    assert list(found) == list(CONTROLS)
    for driver, truth in (("temperature", -0.1), ("light", 0.0), ("vpd", 0.0)):
        for kind in TRUE:
            assert abs(found[driver].mean["nirv"][kind] - truth) < 2.5 * found[driver].sd["nirv"][kind] < 0.03, (driver, kind)


def test_a_tower_that_is_never_dry_says_nothing_and_none_is_refused():
    wet = [one.only(np.arange(len(one)) >= 0) for one in towers()]
    soaked = TowerSteps("wet", "CRO", wet[0].year, wet[0].season, wet[0].weight, wet[0].values,
                        {MEMORY: np.zeros(len(wet[0]))}, wet[0].controls)  # fmt: skip
    with_it, without = (fit_leaf_response(of, memories=(MEMORY,)) for of in ([*wet, soaked], wet))
    assert with_it.mean["nirv"]["CRO"] == pytest.approx(without.mean["nirv"]["CRO"], abs=1e-4)
    with pytest.raises(ValueError, match="no tower has 30 steps"):
        fit_leaf_response([one.only(np.arange(len(one)) < 10) for one in towers()])


def test_draws_are_what_they_say_and_survive_a_record():
    again = LeafResponse(**json.loads(json.dumps(LEAF_RESPONSE.to_json())))
    assert again == LEAF_RESPONSE
    drawn, fewer = again.drawn(2000, seed=3), again.drawn(5, seed=3)
    for index in ("nirv", "lswi"):
        np.testing.assert_array_equal(drawn[index][:, :5], fewer[index])
        for kind in ("GRA", "ENF", "SAV"):
            mean, sd = LEAF_RESPONSE.of_type(index, kind)
            of = drawn[index][PLANT_TYPES.index(kind)]
            assert of.mean() == pytest.approx(mean, abs=3 * sd / 2000**0.5) and of.std() == pytest.approx(sd, rel=0.06), (index, kind)
    grass, crop = (drawn["nirv"][PLANT_TYPES.index(kind)] for kind in ("GRA", "CRO"))
    assert np.cov(grass, crop)[0, 1] == pytest.approx(LEAF_RESPONSE.common_sd["nirv"] ** 2, abs=3e-4)
    assert np.corrcoef(grass, drawn["lswi"][PLANT_TYPES.index("GRA")])[0, 1] == pytest.approx(LEAF_RESPONSE.correlation, abs=0.06)
