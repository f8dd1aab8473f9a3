"""Elevation, stacks of land covers, and what downloads would ask for."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import terrain
from hybridflux.data.land.landcover import OUTSIDE
from hybridflux.data.land.layers import Layer, stack
from hybridflux.data.land.requests import glo30_tiles, requests, worldcover_tiles
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


def test_what_is_missing_is_sea_and_told(grid, raster):
    heights = np.full((40, 40), 12.0, np.float32)
    heights[:, :10] = -9999
    with pytest.warns(UserWarning, match="no value on 25.0% of the grid, taken as sea"):
        found = terrain.read(DEM, raster("coast.tif", heights, nodata=-9999), grid)
    assert (found.values[:, :10] == 0).all() and found.values[0, -1] == 12
    with pytest.raises(ValueError, match="-9999 .*declare it with"):
        terrain.read(DEM, raster("undeclared.tif", heights), grid)
    with pytest.raises(ValueError, match="no value on the grid"):
        terrain.read(DEM, raster("far.tif", heights, west=0), grid)


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
