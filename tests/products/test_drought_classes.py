"""Losses by class and the probability that two differ, of sums whose truth is known."""

import numpy as np
import pytest

from hybridflux.causes import CAUSES, change_name
from hybridflux.products.drought_classes import FIRST, OPEN, SECOND, class_table, difference_table
from hybridflux.products.drought_pixels import ClassSums

DRAWS = 400
TRUE = {"maize": (-150.0, 1000.0), "grass": (-150.0, 500.0), "orchard": (-100.0, 800.0)}
"""Change of GPP and usual GPP [gC m-2]."""


def made_up(own=20.0, draws=DRAWS):
    """Sums whose draws share an error of 60 gC m-2, and have one of their own of `own`."""
    random = np.random.default_rng(5)
    common = 60.0 * random.normal(size=draws)
    change = np.array([loss + common + own * random.normal(size=draws) for loss, _ in TRUE.values()])
    sums = {change_name(flux, cause): np.zeros_like(change) for flux in ("gpp", "reco") for cause in CAUSES}
    sums |= {"gpp_by_soil_water": 0.75 * change, "gpp_by_vpd": 0.25 * change, "reco_by_soil_water": 0.4 * change}
    sums |= {"gpp": change + np.array([usual for _, usual in TRUE.values()])[:, None], "reco": 500 + 0 * change}
    sums |= {"water_missing": 92 * 30 + 0 * change}
    return ClassSums(tuple(TRUE), np.array([2e4, 1e4, 1e4]), np.array([200, 100, 100]), sums, 92, "parameter", np.arange(3),
                     np.full(3, np.nan))


def test_classes_differ_by_what_draws_do_not_share():
    """The common error cancels in the difference of two classes; equal losses are as likely either way."""
    table = difference_table("crop", made_up()).set_index(["first", "second", "variable", "cause", "units"]).sort_index()
    gpp = table.xs(("GPP", "all", "gC m-2"), level=("variable", "cause", "units"))
    assert gpp.loc[("maize", "orchard"), "mean"] == pytest.approx(-50, abs=4)
    assert gpp.loc[("maize", "orchard"), "sd"] == pytest.approx(20 * np.sqrt(2), rel=0.1)
    assert gpp.loc[("maize", "orchard"), "probability"] == pytest.approx(0.961, abs=0.03)  # Phi(50 / 28.3)
    assert gpp.loc[("maize", "grass"), "probability"] == pytest.approx(0.5, abs=0.08) and gpp.loc[("maize", "grass"), "verdict"] == OPEN
    assert gpp.loc[("grass", "orchard"), "verdict"] == FIRST
    nee = table.xs(("NEE", "all"), level=("variable", "cause"))
    assert nee.loc[("maize", "orchard"), "mean"].item() == pytest.approx(-0.6 * gpp.loc[("maize", "orchard"), "mean"], abs=0.1)
    assert nee.loc[("maize", "orchard"), "probability"].item() == gpp.loc[("maize", "orchard"), "probability"]  # more lost, NEE is higher
    percent = table.xs(("GPP", "all", "%"), level=("variable", "cause", "units"))
    assert percent.loc[("maize", "grass"), "mean"] == pytest.approx(15, abs=2) and percent.loc[("maize", "grass"), "verdict"] == SECOND
    water = table.xs(("GPP", "soil_water"), level=("variable", "cause"))["mean"]
    np.testing.assert_allclose(water, 0.75 * gpp["mean"].values)


def test_classes_without_a_difference_are_as_likely_either_way_and_few_draws_decide_nothing():
    same = made_up()
    same.sums["gpp_by_soil_water"][1] = same.sums["gpp_by_soil_water"][0]
    row = difference_table("crop", same).query("first == 'maize' and second == 'grass' and cause == 'soil_water'").iloc[0]
    assert (row["probability"], row["mean"], row["verdict"]) == (0.5, 0.0, OPEN)
    few = difference_table("crop", made_up(own=1.0, draws=8))
    assert few["probability"].max() == 1.0 and (few["verdict"] == OPEN).all()


def test_the_ledger_of_a_class_is_that_of_a_place():
    table = class_table("crop", made_up()).set_index(["class", "variable", "cause"]).sort_index()
    maize = table.loc["maize"]
    assert maize.loc[("GPP", "all"), "mean"] == pytest.approx(maize.loc["GPP"].loc[[*CAUSES], "mean"].sum())
    assert maize.loc[("GPP", "all"), "usual"] == pytest.approx(1000, abs=1e-6) and maize.loc[("water missing", ""), "mean"] == 30
    assert (table["area_ha"].loc["maize"] == 2).all() and (table["pixels"].loc["grass"] == 100).all()
