"""Plots that were visited twice: growth, felling and mortality by hand, on the tables of IGN, and as `hybridflux inventory` reads them."""

import numpy as np
import pandas as pd
import pytest

from hybridflux.data.inventories import plots, revisits, tree_carbon
from hybridflux.products.inventory import read_inventory

DENSITY = pd.DataFrame({
    "Essence": ["Infradensité moyenne", "Feuillus (moyenne)", "Conifères (moyenne)", "Chêne sessile", "Epicéa commun"],
    "infradensite": [0.48, 0.53, 0.40, 0.55, 0.38],
})  # fmt: skip


def height_of(diameter):
    """On a curve of Naslund, so that a fitted one is exact."""
    return 1.3 + (diameter / (2.0 + 0.2 * diameter)) ** 2


def export(folder):
    """Two plots of 2016 in the layout of IGN: oaks and spruces of 10 to 49 cm; one tree is felled, one blown down, one is new."""
    diameter = np.arange(10.0, 50.0)
    tree = np.arange(1, 41)
    first = pd.DataFrame({
        "CAMPAGNE": 2016, "IDP": np.where(tree <= 20, 7, 8), "A": tree, "ESPAR": np.where(tree <= 20, "3", "62"), "VEGET": "0",
        "VEGET5": "", "C13": diameter * np.pi / 100.0, "HTOT": height_of(diameter), "W": 40.0,
    })  # fmt: skip
    second = first.assign(CAMPAGNE=2021, ESPAR="", VEGET="", VEGET5="0", C13=(diameter + 1.5) * np.pi / 100.0, HTOT=np.nan, W=np.nan)
    second.loc[[4, 25], ["VEGET5", "C13"]] = [["6", np.nan], ["A", np.nan]]
    new = {"CAMPAGNE": 2021, "IDP": 8, "A": 41, "ESPAR": "62", "VEGET": "0", "VEGET5": "", "C13": 8.0 * np.pi / 100.0}
    once = first.assign(IDP=9)  # of a plot that nobody visited again
    table = pd.concat([first, second, pd.DataFrame([new]), once])
    table.to_csv(folder / "ARBRE.csv", sep=";", index=False)
    place = {"IDP": [7, 8, 7, 8, 9], "CAMPAGNE": [2016, 2016, 2021, 2021, 2016], "XL": [1e5, 2e5, 1e5, 2e5, 3e5], "YL": 6.5e6}
    pd.DataFrame(place).to_csv(folder / "PLACETTE.csv", sep=";", index=False)
    DENSITY.to_csv(folder / "density.csv", index=False)
    return folder / "ARBRE.csv", folder / "PLACETTE.csv", folder / "density.csv"


def carbon(diameter, espar):
    """Of one tree, 40 to the hectare [tC ha-1]."""
    heights = np.arange(10.0, 50.0)
    table = pd.DataFrame({"dbh": heights, "height": height_of(heights), "espar": espar, "density_factor": 40.0})
    table.loc[0, ["dbh", "height"]] = diameter, height_of(diameter)
    return tree_carbon.living_carbon(table, DENSITY)[0]


def test_flows_of_the_published_tables_are_those_of_the_trees(tmp_path):
    arbre, placette, density = export(tmp_path)
    found = revisits.flows(revisits.of_export(arbre, placette, 2016), density).set_index("plot")
    assert found.index.tolist() == [7, 8] and found["land_cover"].tolist() == ["DBF", "ENF"] and found["x"].tolist() == [1e5, 2e5]
    assert found.loc[7, "felling"] == pytest.approx(carbon(14.0, "03") / 5.0, rel=1e-6) and found.loc[7, "mortality"] == 0.0
    assert found.loc[8, "mortality"] == pytest.approx(carbon(35.0, "62") / 5.0, rel=1e-6) and found.loc[8, "felling"] == 0.0
    grown = sum(carbon(one + 1.5, "03") - carbon(one, "03") for one in np.arange(10.0, 30.0) if one != 14.0) / 5.0
    assert found.loc[7, "increment"] == pytest.approx(grown, rel=1e-4)
    assert found["ingrowth"].tolist() == [0.0, pytest.approx(carbon(8.0, "62") / 5.0, rel=1e-4)]


def test_what_cannot_give_a_change_is_refused(tmp_path):
    arbre, placette, density = export(tmp_path)
    with pytest.raises(ValueError, match="no plot of 2015 was visited again in 2020; name another campaign"):
        revisits.of_export(arbre, placette, 2015)
    trees = revisits.of_export(arbre, placette, 2016)
    with pytest.raises(ValueError, match="no plot of the table was visited twice; one visit gives stocks"):
        revisits.flows(trees[trees["density_factor"].notna()], density)
    with pytest.raises(ValueError, match="1 trees stand twice at a visit"):
        revisits.flows(pd.concat([trees, trees[:1]]), density)
    with pytest.raises(ValueError, match="the table of trees has no column status5"):
        revisits.flows(trees.drop(columns="status5"), density)


def test_sixty_plots_of_the_loire_grow_as_ign_says(shared, tmp_path):
    """Increment, mortality and felling, tC ha-1 yr-1, of the Massif central in the balance of IGN: 1.9 to 3.8, 0.3 to 0.5, 0.2 to 4.3."""
    folder = shared / "data" / "eo" / "nfi"
    if not folder.is_dir():
        pytest.skip(f"no tables of IGN at {folder}")
    trees = plots.read_table(folder / "ifn_live_trees_dep42_2015_2018.csv.gz", revisits.TREES)
    found = revisits.flows(trees, folder / "wood_density_by_species.csv")
    assert len(found) == 61 and set(found["year"]) == {2016}
    assert 1.9 < found["increment"].mean() < 3.8 and 0.3 < found["mortality"].mean() < 0.5 and 0.2 < found["felling"].mean() < 4.3
    zones, sd = [plots.Circle("north", 789_000.0, 6_530_000.0, 25_000.0)], {}
    for felled in (True, False):
        table = revisits.changes(found, zones, felled=felled)
        table.to_csv(tmp_path / "inventory.csv", index=False)
        entries = read_inventory(tmp_path / "inventory.csv")
        assert {one.zone for one in entries} == {"north"} and {one.land_cover for one in entries} == set(table["land_cover"])
        net = [one.pools["biomass"][0] + one.pools["export"][0] for one in entries]
        before = table.drop_duplicates("land_cover")
        np.testing.assert_allclose(net, before["increment"] + before["ingrowth"] - before["mortality"], atol=0.3)
        sd[felled] = before.set_index("land_cover")["sd"]
    assert sd[False]["ENF"] < 0.3 * sd[True]["ENF"] and set(table[table["pool"] == "export"]["value"]) == {0.0}
