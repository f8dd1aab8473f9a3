"""Response curves against the closed form of a model without memory, and predictions by draws that left a tower out."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from hybridflux.evaluate.predictions import predictions
from hybridflux.evaluate.responses import GROWING, SEEN, _days_of_growth, responses
from hybridflux.vocabulary import PLANT_TYPES


@pytest.fixture(scope="module")
def found(posterior, sequences):
    return {(one.plant_type, one.driver): one for one in responses(posterior, sequences, draws=10)}


def test_every_plant_type_and_driver_the_model_reads(found):
    assert set(found) == {(code, driver) for code in ("ENF", "DBF", "CRO") for driver in ("par", "tair", "vpd")}  # no soil water in it
    assert found["ENF", "par"].towers == 2 and found["CRO", "par"].towers == 1


def test_light_is_linear_and_vpd_exponential_in_a_model_that_is(posterior, found):
    light = found["DBF", "par"]
    slope = light.flux["gpp"] / light.grid
    np.testing.assert_allclose(slope[:, 1:], np.broadcast_to(slope[:, -1:], slope[:, 1:].shape), rtol=1e-3)
    dry = found["DBF", "vpd"]
    sensitivity = posterior.thin(10).parameter_draws()["vpd_sensitivity"]
    fallen = -np.log(dry.flux["gpp"][:, -1] / dry.flux["gpp"][:, 5]) / (dry.grid[-1] - dry.grid[5])
    np.testing.assert_allclose(fallen, sensitivity, rtol=2e-3)
    np.testing.assert_allclose(dry.flux["reco"], np.broadcast_to(dry.flux["reco"][:, :1], dry.flux["reco"].shape), rtol=1e-4)


def test_the_level_is_that_of_the_days_themselves(posterior, sequences, found):
    """GPP at the light of a day, averaged over the days of growth: PAR x fapar x LUE x exp(-k VPD), at the centre of the population."""
    curve, at = found["CRO", "par"], 3
    growing = np.isfinite(sequences.targets["nee"][:, at]) & (sequences.drivers["tair"][:, at] > GROWING)
    growing &= sequences.drivers["fapar"][:, at] >= np.median(sequences.drivers["fapar"][:, at])
    drawn = posterior.thin(10).parameter_draws()
    of_day = sequences.drivers["fapar"][growing, at] * np.exp(-drawn["vpd_sensitivity"][:, None] * sequences.drivers["vpd"][growing, at])
    expected = drawn["light_use_efficiency"][:, PLANT_TYPES.index("CRO")] * of_day.mean(axis=1) * curve.grid[-1]
    assert curve.days == 200 <= growing.sum()  # a sample of them
    np.testing.assert_allclose(curve.flux["gpp"][:, -1], expected, rtol=0.03)


def test_days_of_growth_are_green_days_by_nirv_too(sequences):
    at = sequences.select(["S3"])
    others = {name: values for name, values in at.drivers.items() if name != "fapar"}
    green = replace(at, drivers=others | {"nirv": 0.4 * at.drivers["fapar"]})
    days = [_days_of_growth(one, np.isfinite(at.targets["nee"]), seed=0)[0] for one in (at, green)]
    np.testing.assert_array_equal(*days)


def test_the_range_seen_is_that_of_the_measured_days(sequences, found):
    measured = np.isfinite(sequences.targets["nee"][:, 1])
    np.testing.assert_allclose(found["DBF", "tair"].seen, np.quantile(sequences.drivers["tair"][measured, 1], SEEN), rtol=1e-5)
    for one in found.values():
        assert one.grid[0] <= one.seen[0] < one.seen[1] <= one.grid[-1]


def test_a_tower_left_out_is_predicted_by_the_draws_without_it(posterior, sequences):
    """S1 was left out by draws 4 and 7: its parameters are theirs, its effects are drawn from the population."""
    informed = replace(posterior, info={"draws_without": {"S0": [], "S1": [4, 7]}})
    options = {"variables": ("gpp",), "draws": 6}
    away = list(predictions(informed, sequences, **options, left_out=True))
    assert [one.tower.places for one in away] == [("S1",)] and not away[0].known
    by_two = posterior.pick([4, 7]).thin(6)
    new = replace(sequences.select(["S1"]), places=("somewhere",))
    key = jax.random.fold_in(jax.random.key(0), 1)
    expected = np.asarray(by_two.simulate(new, key=key, noise=True, variables=("gpp",))["gpp"])
    np.testing.assert_array_equal(away[0].draws["gpp"], expected)
    known = [one.known for one in predictions(informed, sequences, **options)]
    assert known == [True, True, True, False]
