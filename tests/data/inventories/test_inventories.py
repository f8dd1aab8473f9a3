"""Inventories: errors by hand, published equations, real plots, and that no stock passes for a change."""

import numpy as np
import pandas as pd
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from shapely import box

from hybridflux.data.inventories import biomass_map, ifn, plots, sampling, species, stock_changes, tree_carbon
from hybridflux.products.inventory import read_inventory


def test_stratified_mean_by_hand():
    """Two strata, 3 ha and 1 ha: means 10 and 30, variances of the means 4/2 and 50/2.

    Mean 0.75 * 10 + 0.25 * 30 = 15; variance 0.75^2 * (4 / 3) + 0.25^2 * (50 / 2) = 0.75 + 1.5625.
    """
    values, strata = np.array([8.0, 10.0, 12.0, 25.0, 35.0]), np.array(["a", "a", "a", "b", "b"])
    found = sampling.stratified(values, strata, {"a": 3.0, "b": 1.0})
    assert found.mean == pytest.approx(15.0) and found.se == pytest.approx(np.sqrt(0.75 + 1.5625)) and found.plots == 5


def test_stratification_pays_where_strata_differ():
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1], 100)
    values = rng.normal(np.where(strata == 0, 20.0, 200.0), 10.0)
    assert sampling.stratified(values, strata, {0: 1.0, 1: 1.0}).se < 0.2 * sampling.simple(values).se


def test_the_standard_error_covers_the_truth():
    """Of 400 samples of a skewed population, the 95 % interval holds the mean in about 95 %."""
    rng = np.random.default_rng(1)
    found = [sampling.simple(rng.gamma(2.0, 40.0, 60)) for _ in range(400)]
    inside = np.mean([abs(estimate.mean - 80.0) < 2.0 * estimate.se for estimate in found])
    assert 0.91 < inside < 0.98


def test_faults_of_samples():
    assert np.isnan(sampling.simple(np.array([3.0])).se)
    with pytest.raises(ValueError, match="no plot"):
        sampling.simple(np.array([]))
    with pytest.raises(ValueError, match="1 of 2 plots have no value; a plot without trees has 0"):
        sampling.simple(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="must be the same"):
        sampling.stratified(np.ones(2), np.array(["a", "a"]), {"a": 1.0, "b": 1.0})


def test_volume_of_an_oak_by_hand():
    """Vallet et al. 2006, oak of 40 cm and 25 m: c = 125.66 cm, form 0.471 - 0.04335 + 0.377 * 11.210 / 25 = 0.59670, cylinder pi m3."""
    found = tree_carbon.total_volume(np.array([40.0]), np.array([25.0]), np.array([species.OAK]))
    assert found[0] == pytest.approx(0.59670 * np.pi, rel=1e-4)


@pytest.mark.parametrize("group", tree_carbon.VALLET)
def test_forms_of_adult_trees_are_those_of_trees(group):
    diameter, height = np.meshgrid([20.0, 40.0, 60.0], [15.0, 25.0, 35.0])
    volume = tree_carbon.total_volume(diameter.ravel(), height.ravel(), np.full(9, group))
    form = volume / (np.pi / 4 * (diameter.ravel() / 100) ** 2 * height.ravel())
    assert (0.35 < form).all() and (form < 0.85).all()


def test_heights_are_recovered_from_their_curve():
    rng = np.random.default_rng(2)
    diameter = rng.uniform(8, 60, 300)
    truth = 1.3 + (diameter / (1.5 + 0.17 * diameter)) ** 2
    known = np.where(rng.uniform(size=300) < 0.4, truth, np.nan)
    found = tree_carbon.filled_heights(diameter, known, np.full(300, species.FIR))
    np.testing.assert_allclose(found, truth, rtol=1e-6)
    with pytest.raises(ValueError, match="0 measured heights are too few"):
        tree_carbon.filled_heights(diameter, np.full(300, np.nan), np.full(300, species.FIR))


def test_wood_of_unknown_species_is_told():
    table = pd.DataFrame({"Essence": ["Hêtre", *(species.MEAN_WOOD, species.MEAN_BROADLEAF, species.MEAN_CONIFER)],
                          "infradensite": [0.55, 0.54, 0.57, 0.42]})  # fmt: skip
    with pytest.warns(UserWarning, match="25.0% of the trees name no species"):
        found = species.wood_density(pd.Series(["09", "68CE", "49AM", ""]), table)
    np.testing.assert_allclose(found, [0.55, 0.42, 0.57, 0.54])
    with pytest.raises(ValueError, match="lacks Conifères"):
        species.wood_density(pd.Series(["09"]), table[:3])


def test_plots_without_trees_count():
    found = plots.per_plot(np.array([2.0, 3.0]), np.array([7, 7]), np.array([5, 7, 9]))
    assert found.tolist() == [0.0, 5.0, 0.0]
    with pytest.raises(ValueError, match="1 trees belong to plots"):
        plots.per_plot(np.ones(1), np.array([8]), np.array([5]))
    with pytest.raises(ValueError, match="stand twice"):
        plots.per_plot(np.ones(1), np.array([5]), np.array([5, 5]))


def test_living_biomass_of_the_loire(shared):
    """481 plots of department 42. Basal area and stems are design-based; the carbon is of the order of French forests, 80 tC ha-1."""
    folder = shared / "data" / "eo" / "nfi"
    with pytest.warns(UserWarning, match="living trees have no diameter or no weight"):
        found = ifn.living(folder / "ifn_live_trees_dep42_2015_2018.csv.gz", folder / "wood_density_by_species.csv", [])
    row = found.iloc[0]
    assert row["n_plots"] == 481 and row["pool"] == "biomass" and row["campaign"] == "2015-2018"
    assert row["stock_tC_ha"] == pytest.approx(94.3, abs=1.0) and row["se"] == pytest.approx(3.0, abs=0.2)


def test_dead_wood_of_france_and_of_a_circle(shared):
    """Dead stems of the campaigns 2014-2019: 1.67 tC ha-1 over 33,167 plots; a circle has fewer plots and a larger error."""
    folder = shared / "data" / "eo" / "nfi"
    files = [folder / name for name in ("ifn_plots_2005_2019.parquet", "ifn_dead_trees.parquet", "wood_density_by_species.csv")]
    france = ifn.dead_wood(*files, range(2014, 2020), [])
    zones = [plots.Circle("Vosges", 990000, 6780000, 40000), plots.Polygon("Landes", box(370000, 6310000, 430000, 6400000))]
    local = ifn.dead_wood(*files, range(2014, 2020), zones)
    assert france["n_plots"].iloc[0] == 33167 and france["stock_tC_ha"].iloc[0] == pytest.approx(1.67, abs=0.02)
    assert france["se"].iloc[0] == pytest.approx(0.024, abs=0.002)
    assert local["zone"].tolist() == ["Vosges", "Landes"] and (local["se"] > france["se"].iloc[0]).all()
    vosges, landes = local["stock_tC_ha"]
    assert vosges > 3 * landes, "natural stands of the mountains keep more dead wood than the pine plantations of the Landes"
    with pytest.warns(UserWarning) as caught:
        ifn.dead_wood(*files, range(2007, 2011), [])
    assert any("mix two rules for dead trees" in str(warning.message) for warning in caught)
    with pytest.raises(ValueError, match="no plot of the campaigns 1990"):
        ifn.dead_wood(*files, [1990], [])


def test_tables_that_do_not_fit(tmp_path):
    (tmp_path / "p.csv").write_text("idp,x\n1,2\n")
    with pytest.raises(ValueError, match="no column xl93, yl93, Annee; it has idp, x"):
        plots.read_table(tmp_path / "p.csv", ifn.PLOTS)
    (tmp_path / "p.parquet").write_bytes(b"PAR1 nothing")
    with pytest.raises(ValueError, match="p.parquet is damaged"):
        plots.read_table(tmp_path / "p.parquet", ifn.PLOTS)
    with pytest.raises(FileNotFoundError):
        plots.read_table(tmp_path / "no.csv", ifn.PLOTS)


def test_limits_of_the_error_of_a_map():
    sd = np.full((20, 30), 8.0)
    sd[:, :5] = np.nan
    assert biomass_map.mean_error(sd, 100.0, 0.0) == pytest.approx(8.0 / np.sqrt(500))  # independent pixels
    assert biomass_map.mean_error(sd, 100.0, 1e9) == pytest.approx(8.0, rel=1e-4)  # one common error
    errors = [biomass_map.mean_error(sd, 100.0, length) for length in (0.0, 100.0, 1000.0, 1e4)]
    assert errors == sorted(errors) and errors[1] > errors[0]


def test_correlated_error_by_the_full_sum():
    rng = np.random.default_rng(3)
    sd = rng.uniform(5, 20, (6, 7))
    sd[2, 3] = np.nan
    rows, columns = np.nonzero(np.isfinite(sd))
    value = sd[rows, columns]
    distance = 100.0 * np.hypot(rows[:, None] - rows, columns[:, None] - columns)
    expected = np.sqrt((value[:, None] * value * np.exp(-distance / 300.0)).sum()) / len(value)
    assert biomass_map.mean_error(sd, 100.0, 300.0) == pytest.approx(expected, rel=1e-10)


def test_zones_of_a_biomass_map(tmp_path):
    import rasterio

    grid = GeoBox((20, 20), Affine(100, 0, 650000, 0, -100, 6860000), "EPSG:2154")
    zone = np.repeat([[1, 2]], 10, axis=1).repeat(20, axis=0)
    for name, left, right in (("N50E000_ESACCI-BIOMASS-L4-AGB-MERGED-100m-2020-fv6.0.tif", 100, 200),
                              ("N50E000_ESACCI-BIOMASS-L4-AGB_SD-MERGED-100m-2020-fv6.0.tif", 40, 60)):  # fmt: skip
        with rasterio.open(tmp_path / name, "w", driver="GTiff", height=20, width=20, count=1, dtype="uint16",
                           crs="EPSG:2154", transform=grid.transform) as file:  # fmt: skip
            file.write(np.where(zone == 1, left, right).astype(np.uint16), 1)
    found = biomass_map.stocks(tmp_path, tmp_path, grid, zone, {1: "west", 2: "east", 3: "none"}, campaign="2020")
    assert found["zone"].tolist() == ["west", "east"] and found["stock_tC_ha"].tolist() == pytest.approx([47.5, 95.0])
    assert found["se"].tolist() == pytest.approx([0.475 * 40, 0.475 * 60], rel=0.02)  # 2 km within 50 km: hardly less than one pixel
    with rasterio.open(tmp_path / "N50E000_ESACCI-BIOMASS-L4-AGB-MERGED-100m-2020-fv6.0.tif", "r+") as file:
        file.write(np.full((1, 1), 65535, np.uint16), 1, window=((3, 4), (5, 6)))
    with pytest.raises(ValueError, match="AGB-MERGED.* holds 65535 to 65535 on 1 of .*declare it with"):  # else 380 t ha-1 more in the mean
        biomass_map.stocks(tmp_path, tmp_path, grid, zone, {1: "west"}, campaign="2020")


def test_changes_need_two_visits_and_are_read_by_the_budget(tmp_path):
    """Paired soil sites: gains 1, 2 and 3 tC ha-1 in 10 years are 20 +- 10 / sqrt(3) gC m-2 yr-1."""
    sites = pd.DataFrame(
        {"zone": "region", "first_year": 2005, "second_year": 2015, "first": [50.0, 80.0, 60.0], "second": [51.0, 82.0, 63.0]}
    )
    table = stock_changes.changes(sites, zone="zone", pool="soil")
    assert table["value"].iloc[0] == pytest.approx(20.0) and table["sd"].iloc[0] == pytest.approx(10.0 / np.sqrt(3), abs=1e-3)
    stock_changes.write(table, tmp_path / "inventory.csv")
    entry = read_inventory(tmp_path / "inventory.csv")[0]
    assert entry.years == (2005, 2014) and entry.pools["soil"] == pytest.approx((20.0, 5.774), abs=1e-3)
    with pytest.raises(ValueError, match="one visit gives stock, not change"):
        stock_changes.changes(sites.assign(second_year=2005), zone="zone", pool="soil")
    with pytest.raises(ValueError, match="zone region has one place"):
        stock_changes.changes(sites[:1], zone="zone", pool="soil")
    with pytest.raises(ValueError, match="pool `litter`"):
        stock_changes.changes(sites, zone="zone", pool="litter")
    with pytest.raises(ValueError, match="no column second"):
        stock_changes.changes(sites.drop(columns="second"), zone="zone", pool="soil")


def test_a_stock_table_is_no_change_table(tmp_path):
    sites = pd.DataFrame({"zone": ["a", "a", "b", "b"], "stock": [50.0, 60.0, 70.0, 90.0]})
    table = stock_changes.soil_stocks(sites, zone="zone", stock="stock", campaign="2000-2009")
    assert table["stock_tC_ha"].tolist() == [55.0, 80.0] and table["se"].tolist() == [5.0, 10.0]
    stock_changes.write(table, tmp_path / "stock.csv")
    with pytest.raises(ValueError, match="lacks column land_cover"):
        read_inventory(tmp_path / "stock.csv")


def test_a_table_of_plots_with_semicolons_and_decimal_commas_is_the_same(tmp_path):
    """The published tables of IGN have semicolons; a French spreadsheet adds decimal commas and a byte order mark."""
    table = pd.DataFrame({"idp": [1, 2], "xl93": [650000.5, 651000.25], "espar": ["02", "51"]})
    table.to_csv(tmp_path / "plain.csv", index=False)
    table.to_csv(tmp_path / "french.csv", index=False, sep=";", decimal=",", encoding="utf-8-sig")
    french, plain = (plots.read_table(tmp_path / f"{name}.csv", ("idp", "xl93")) for name in ("french", "plain"))
    pd.testing.assert_frame_equal(french, plain)
    (tmp_path / "page.csv").write_text("<html>login</html>")
    with pytest.raises(ValueError, match="page.csv is a web page"):
        plots.read_table(tmp_path / "page.csv", ("idp",))
