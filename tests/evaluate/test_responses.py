"""Response curves against the closed form of a model without memory, and predictions by draws that left a tower out."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from hybridflux.evaluate.corners import DRY_HOT, GROWING, GROWTH, WET_COOL, Corner, days_of_growth
from hybridflux.evaluate.predictions import predictions
from hybridflux.evaluate.responses import SEEN, Response, responses, table_of
from hybridflux.evaluate.signs import SIGNS, contradictions, sentences
from hybridflux.vocabulary import PLANT_TYPES


@pytest.fixture(scope="module")
def found(posterior, sequences):
    return {(one.plant_type, one.driver): one for one in responses(posterior, sequences, corners=(GROWTH,), draws=10)}


def test_every_plant_type_and_driver_the_model_reads(found):
    drivers = ("par", "tair", "vpd", "fapar")  # no soil water in it
    assert set(found) == {(code, driver) for code in ("ENF", "DBF", "CRO") for driver in drivers}
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
    days = [days_of_growth(one, np.isfinite(at.targets["nee"]))[0] for one in (at, green)]
    np.testing.assert_array_equal(*days)


def test_the_range_seen_is_that_of_the_measured_days(sequences, found):
    measured = np.isfinite(sequences.targets["nee"][:, 1])
    np.testing.assert_allclose(found["DBF", "tair"].seen, np.quantile(sequences.drivers["tair"][measured, 1], SEEN), rtol=1e-5)
    for one in found.values():
        assert one.grid[0] <= one.seen[0] < one.seen[1] <= one.grid[-1]


def test_a_corner_is_where_its_drivers_are_extreme_together():
    """Air that is hot is dry here, but on one day: that day is at no corner. A driver that is not there counts nothing."""
    hot = np.arange(101.0)
    dry = hot.copy()
    dry[100] = -1.0  # the hottest day is humid
    drivers = {"tair": hot[::-1], "vpd": dry[::-1]}
    np.testing.assert_array_equal(Corner("", {"tair": 0.95, "vpd": 0.95, "rew": 0.05}, days=2).choose(drivers, 0), [5, 6])
    np.testing.assert_array_equal(Corner("", {"tair": 0.0, "vpd": 0.0}, days=2).choose(drivers, 0), [99, 100])
    assert len(Corner("", {"lswi": 0.0}, days=7).choose(drivers, 0)) == 7


def test_days_of_a_corner_and_what_moves_along_a_driver(posterior, sequences):
    """On dry and hot days VPD is higher; the factor of VPD moves with it alone; GPP on them is the product of its factors' days."""
    found = {(one.corner, one.driver): one for one in responses(posterior, sequences.select(["S1"]), draws=4)}
    dry, wet = found[DRY_HOT.name, "vpd"], found[WET_COOL.name, "vpd"]
    assert dry.rug.min() > wet.rug.max() and found[DRY_HOT.name, "tair"].rug.mean() > found[WET_COOL.name, "tair"].rug.mean()
    assert dry.days == DRY_HOT.days and set(dry.factors) == {"vpd_exponential"} and not found[DRY_HOT.name, "par"].factors
    assert set(found[WET_COOL.name, "tair"].factors) == {"lloyd_taylor"}
    sensitivity = posterior.thin(4).parameter_draws()["vpd_sensitivity"]
    np.testing.assert_allclose(dry.factors["vpd_exponential"], np.exp(-sensitivity[:, None] * dry.grid), rtol=1e-4)


def test_curves_as_a_table(found):
    table = table_of([found["DBF", "vpd"]])
    assert set(table.of) == {"GPP", "RECO", "vpd_exponential"} and len(table) == 3 * 25 and set(table.units) == {"hPa"}
    assert ((table.q05 <= table.q50) & (table.q50 <= table.q95)).all() and 0 < table.seen.sum() < len(table)


def made(driver, low, high, curve, flux="gpp"):
    grid = np.linspace(low, high, 21)
    values = np.stack([curve(grid, draw) for draw in range(10)])
    return Response("CRO", "growing season", driver, grid, {"gpp": values, "reco": values} | {flux: values}, {}, (low, high), grid, 1)


def test_the_probability_of_a_contradiction_is_the_share_of_draws_that_go_the_other_way():
    """GPP rises with VPD in three draws of ten; what is known begins at 10 hPa, and below it may rise."""
    rising = made("vpd", 0.0, 20.0, lambda vpd, draw: 10.0 + np.where(draw < 3, 0.2, -0.2) * np.clip(vpd - 10.0, 0.0, None))
    found = contradictions([rising])
    assert found[["flux", "expected", "probability"]].values.tolist() == [["GPP", "falls", 0.3]]
    humid = made("vpd", 0.0, 20.0, lambda vpd, draw: 10.0 + 0.5 * np.clip(vpd, 0.0, 10.0))
    assert contradictions([humid]).probability.tolist() == [0.0]
    assert contradictions([made("vpd", 0.0, 9.0, lambda vpd, draw: vpd)]).empty  # no sign is known of humid air
    dip = made("lswi", -0.2, 0.6, lambda lswi, draw: 10.0 - np.sin(np.pi * np.clip(lswi / 0.6, 0, 1)))  # ends where it began
    (row,) = contradictions([dip]).itertuples()
    assert row.probability == 1.0 and row.wrong_way == pytest.approx(np.ptp(dip.flux["gpp"][0]) / dip.flux["gpp"][0].mean())
    (text,) = sentences(contradictions([dip, humid]))
    assert text.startswith("CRO, growing season: GPP does not follow `lswi` as physics has it, with a probability of 1.00")


def test_the_physics_of_the_package_never_contradict_their_signs(posterior, sequences):
    found = contradictions(responses(posterior, sequences, draws=10))
    assert set(found.driver) == {"par", "fapar", "tair"} <= {one.driver for one in SIGNS}  # these towers saw no air above 10 hPa
    assert found.probability.max() == 0.0 and not sentences(found)


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
