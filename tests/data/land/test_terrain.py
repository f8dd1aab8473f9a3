"""Elevation, stacks of land covers, and what downloads would ask for."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import terrain
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.layers import Layer, stack
from hybridflux.data.land.services import glo30_tiles, requests, worldcover_tiles
from hybridflux.vocabulary import PLANT_TYPES

CATALOG = load_catalog()
DEM = CATALOG["copernicus-dem-glo30"]


def test_averaging_conserves_the_mean(raster):
    heights = np.random.default_rng(0).normal(200, 50, (40, 40)).astype(np.float32)
    coarse = GeoBox((4, 4), Affine(100, 0, 650000, 0, -100, 6860000), "EPSG:2154")
    found = terrain.read(DEM, raster("dem.tif", heights), coarse)
    np.testing.assert_allclose(found.values, heights.reshape(4, 10, 4, 10).mean((1, 3)), rtol=1e-5)
    assert found.values.mean() == pytest.approx(heights.mean(), rel=1e-6)


def test_a_slope_in_degrees_keeps_its_slope(grid, raster):
    """Height = 1000 m per degree north of 48: bilinear on the 10 m grid, exact for a plane."""
    south, west, step = 48.7, 2.2, 1 / 3600
    rows = np.arange(720, dtype=np.float32)
    heights = np.broadcast_to((1000 * ((south + 720 * step - (rows + 0.5) * step) - 48))[:, None], (720, 720)).astype(np.float32)
    path = raster("dem.tif", heights, pixel=step, crs="EPSG:4326", west=west, north=south + 720 * step)
    found = terrain.read(DEM, path, grid)
    latitude = np.array([grid.geographic_extent.boundingbox.bottom, grid.geographic_extent.boundingbox.top])
    assert found.values[0, 20] == pytest.approx(1000 * (latitude[1] - 48), abs=0.2)
    assert found.values[-1, 20] == pytest.approx(1000 * (latitude[0] - 48), abs=0.2)


def heights_with(gap, level=12.0):
    heights = np.full((40, 40), level, np.float32)
    heights[gap] = np.nan
    return heights


def covered_by(name, where=np.s_[:0], other="WAT"):
    cover = np.full((40, 40), PLANT_TYPES.index(name), np.uint8)
    cover[where] = OUTSIDE if other is None else PLANT_TYPES.index(other)
    return cover


WEST = np.s_[:, :20]


def test_a_gap_is_sea_only_where_the_land_cover_says_water(grid, raster):
    """A coast: 200 m without heights are sea on water, and refused on land or where nothing says what is there."""
    path = raster("coast.tif", heights_with(WEST, 8.0))
    with pytest.warns(UserWarning, match="no value on 50.00% of the grid: 50.00% taken as sea, 0 m"):
        found = terrain.read(DEM, path, grid, cover=covered_by("GRA", WEST))
    assert (found.values[:, :20] == 0).all() and (found.values[:, 20:] == 8).all() and found.origin["taken_as_sea"] == 0.5
    with pytest.raises(
        ValueError,
        match=r"37.50% of the grid, 48.8\d* to 48.8\d* N, 2.3\d* to 2.3\d* E, and no land cover.*add Copernicus\S*N48_00_E002_00_DEM",
    ):
        terrain.read(DEM, path, grid)
    with pytest.raises(ValueError, match=r"the land cover is land \(ENF\).*not sea, and too wide"):
        terrain.read(DEM, path, grid, cover=covered_by("ENF"))
    with pytest.raises(ValueError, match="no value on the grid"):
        terrain.read(DEM, raster("far.tif", np.ones((9, 9), np.float32), west=0), grid)


def test_a_lake_takes_the_level_of_its_shore_not_of_the_sea(grid, raster):
    heights = np.broadcast_to(400.0 + np.abs(np.arange(40) - 15.0)[:, None], (40, 40)).astype(np.float32).copy()
    heights[10:28, 10:28] = np.nan
    cover = covered_by("DBF", np.s_[10:28, 10:28])
    with pytest.warns(UserWarning, match="20.25% taken as water at the level of its lowest shore"):
        found = terrain.read(DEM, raster("lake.tif", heights), grid, cover=cover)
    assert (found.values[10:28, 10:28] == 400).all() and found.origin["taken_as_sea"] == 0


def test_a_seam_between_tiles_is_interpolated(grid, raster):
    """100 m between known sides, on a slope of 45 degrees: within 50 m everywhere; the sides stay as they are."""
    slope = np.broadcast_to(1000 + 10.0 * np.arange(40), (40, 40)).astype(np.float32).copy()
    gap = np.s_[:, 16:25]
    holed = slope.copy()
    holed[gap] = np.nan
    with pytest.warns(UserWarning, match="22.50% filled from neighbours within 50 m"):
        found = terrain.read(DEM, raster("seam.tif", holed), grid, cover=covered_by("ENF"))
    assert np.abs(found.values - slope).max() < 50 and found.origin["filled_from_neighbours"] == 0.225
    np.testing.assert_array_equal(found.values[:, :16], slope[:, :16])


def test_a_seam_at_the_edge_of_the_grid_sees_the_heights_beyond_it(grid, raster):
    wide = np.broadcast_to(500 + 10.0 * np.arange(50), (40, 50)).astype(np.float32).copy()
    holed = wide.copy()
    holed[:, 38:42] = np.nan
    with pytest.warns(UserWarning, match="filled from neighbours"):
        found = terrain.read(DEM, raster("edge.tif", holed), grid)
    assert np.abs(found.values - wide[:, :40]).max() < 15  # from one side alone the last column would be 20 m low


def test_pixels_without_a_plant_type_take_the_nearest_height(grid, raster):
    with pytest.warns(UserWarning, match="12.50% filled from neighbours within 50 m, 37.50% without a plant type, at the nearest height"):
        found = terrain.read(DEM, raster("rim.tif", heights_with(WEST, 700.0)), grid, cover=covered_by("DBF", WEST, None))
    assert (found.values == 700).all()


def test_zeros_on_a_mountain_are_missing_and_a_polder_is_not(grid, raster):
    mountain = heights_with(np.s_[:0], 900.0)
    mountain[5:30, 5:30] = 0
    with pytest.raises(ValueError, match="too wide to be filled"):
        terrain.read(DEM, raster("zeros.tif", mountain), grid, cover=covered_by("ENF"))
    raster("tiles/a_dem.tif", heights_with(np.s_[:0], 900.0)[:, :20])
    folder = raster("tiles/b_dem.tif", np.zeros((40, 20), np.float32), west=650200).parent
    with pytest.raises(ValueError, match="too wide to be filled"):  # a whole file of zeros
        terrain.read(DEM, folder, grid, cover=covered_by("ENF"))
    polder = heights_with(np.s_[:0], 2.0)
    polder[5:30, 5:30] = 0
    np.testing.assert_array_equal(terrain.read(DEM, raster("polder.tif", polder), grid, cover=covered_by("GRA")).values, polder)


@pytest.mark.parametrize("missing", [-9999, -32767, 9.96921e36])
def test_an_undeclared_missing_value_is_found_before_it_is_averaged(raster, missing):
    """One pixel of 100 in the mean of a coarse pixel would be 17 m instead of 120 m, within all bounds."""
    heights = np.full((40, 40), 120.0, np.float32)
    heights[15, 15] = missing
    coarse = GeoBox((4, 4), Affine(100, 0, 650000, 0, -100, 6860000), "EPSG:2154")
    with pytest.raises(ValueError, match=r"holds .* on 1 of the 1600 pixels.*declare it with `gdal_edit.py -a_nodata"):
        terrain.read(DEM, raster("undeclared.tif", heights), coarse)
    heights[15, 15] = 120
    heights[10:20, 10:20] = missing
    with pytest.raises(ValueError, match="declare it with"):
        terrain.read(DEM, raster("undeclared.tif", heights), coarse)
    with pytest.raises(ValueError, match="too wide"):  # a whole pixel of 100 m without a height is no seam
        terrain.read(DEM, raster("declared.tif", heights, nodata=missing), coarse)


def test_a_declared_scale_is_applied(grid, raster):
    import rasterio

    path = raster("decimetres.tif", np.full((40, 40), 1234, np.int16))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.1,), (10.0,)
    assert terrain.read(DEM, path, grid).values[0, 0] == pytest.approx(133.4)


def cover(name):
    return PLANT_TYPES.index(name)


def test_upper_layers_win_where_they_know():
    parcels, leaves, base = (np.full((2, 3), OUTSIDE, np.uint8) for _ in range(3))
    base[:] = cover("MF")
    base[1] = cover("URB")
    leaves[:, 1:] = cover("DBF")
    parcels[0, 2] = cover("CRO")
    found = stack([Layer("rpg", parcels), Layer("bd-foret-v2", leaves, over=("MF",)), Layer("worldcover", base)])
    assert [PLANT_TYPES[index] for index in found.plant_type[0]] == ["MF", "DBF", "CRO"]
    assert (found.plant_type[1] == cover("URB")).all(), "a leaf type refines trees, it does not plant them in towns"
    assert found.origin["layers"] == {"rpg": round(1 / 6, 6), "bd-foret-v2": round(1 / 6, 6), "worldcover": round(4 / 6, 6)}
    assert found.layer[0].tolist() == [2, 1, 0]


def test_an_empty_layer_changes_nothing_and_faults_are_named():
    empty, base = np.full((2, 2), OUTSIDE, np.uint8), np.full((2, 2), cover("GRA"), np.uint8)
    np.testing.assert_array_equal(stack([Layer("rpg", empty), Layer("oso", base)]).plant_type, base)
    assert (stack([Layer("rpg", empty)]).plant_type == OUTSIDE).all()
    with pytest.raises(ValueError, match=r"different grids: a \(2, 2\), b \(3, 2\)"):
        stack([Layer("a", base), Layer("b", np.zeros((3, 2), np.uint8))])
    with pytest.raises(ValueError, match="layer a: OAK are not plant types"):
        stack([Layer("a", base, over=("OAK",)), Layer("b", base)])
    with pytest.raises(ValueError, match="at least one"):
        stack([])


def test_tile_names():
    assert worldcover_tiles(2.9, 47.9, 3.1, 48.1) == [
        f"ESA_WorldCover_10m_2021_v200_{corner}_Map.tif" for corner in ("N45E000", "N45E003", "N48E000", "N48E003")
    ]
    assert worldcover_tiles(-1.5, -0.5, -1.0, -0.1) == ["ESA_WorldCover_10m_2021_v200_S03W003_Map.tif"]
    assert glo30_tiles(-0.5, 43.2, 0.2, 43.3) == [
        "Copernicus_DSM_COG_10_N43_00_W001_00_DEM",
        "Copernicus_DSM_COG_10_N43_00_E000_00_DEM",
    ]
    assert glo30_tiles(2.0, 48.0, 3.0, 49.0) == ["Copernicus_DSM_COG_10_N48_00_E002_00_DEM"]


def test_requests_have_addresses_and_sizes():
    region = GeoBox((5000, 5000), Affine(10, 0, 620000, 0, -10, 6880000), "EPSG:2154")  # 50 km x 50 km
    dem, cover, soil = (requests(CATALOG[name], region) for name in ("copernicus-dem-glo30", "worldcover", "soilgrids"))
    assert all(item["address"].startswith("https://") and item["bytes"] > 0 for item in (*dem, *cover, *soil))
    assert len(soil) == 4 * 5 and soil[0]["name"] == "sand_0-5cm_mean.tif"
    assert 5e6 < sum(item["bytes"] for item in dem) < 40e6  # 50 km of 1 arc second: 4 million pixels, 2 to 4 bytes each
    with pytest.raises(
        ValueError, match="corine is not fetched by hybridflux; obtain it and name the folder as its place: land.copernicus.eu"
    ):
        requests(CATALOG["corine"], region)
