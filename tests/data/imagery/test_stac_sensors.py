"""HLS, Landsat and MODIS through the same reader, by their TOML alone: band names, scale, missing values, quality bits."""

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery.stac import stac_scenes
from tests.data.imagery.stac_server import cog, collection_file, item

CATALOG = load_catalog()
GRID = GeoBox((20, 30), rasterio.Affine(30, 0, 501360, 0, -30, 5629680), "EPSG:32631")
DAY = np.datetime64("2018-05-06")
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"


def scene_of(dataset, folder, files, grid=GRID, name="x", **changes):
    """The one scene of an item of these arrays."""
    hrefs = {asset: cog(folder / f"{asset}.tif", stored, grid, nodata) for asset, (stored, nodata) in files.items()}
    one = item(name, np.datetime64(f"{DAY}T10:54:21"), hrefs, grid, **changes)
    return one, str(collection_file(folder / "items.json", [one])), CATALOG[dataset]


def numbers(dtype):
    return np.arange(600, dtype=dtype).reshape(20, 30)


def test_hls_is_read_by_its_bits(tmp_path):
    stored, fmask = numbers(np.int16) - 50, np.full((20, 30), 64, np.uint8)  # aerosol alone
    stored[0, 0] = -9999
    for column, bits in ((3, 1 << 1), (4, 1 << 2), (5, 1 << 3), (6, 1 << 4), (7, 1 << 5), (8, 255)):
        fmask[:, column] = bits
    _, place, dataset = scene_of("hls-s30", tmp_path, {"B04": (stored, -9999), "Fmask": (fmask, 255)}, name="HLS.S30.T31UDS.2018126")
    (scene,) = stac_scenes(dataset, place, GRID, DAY, DAY)
    values = scene.read(GRID, ["B04"])["B04"]
    masked = [3, 4, 5, 6, 8]
    assert np.isnan(values[:, masked]).all() and np.isnan(values[0, 0])
    keep = np.setdiff1d(np.arange(1, 30), masked)
    np.testing.assert_allclose(values[:, keep], stored[:, keep] * 1e-4, atol=1e-7)
    assert values[0, 1] < 0  # negative reflectance stays, and so does water
    assert "offset" not in scene.origin["items"][0]


def test_landsat_has_its_own_scale_and_names(tmp_path):
    stored, quality = numbers(np.uint16) + 7000, np.full((20, 30), 1 << 6, np.uint16)  # bit 6: clear
    stored[1, 1], quality[1, 1] = 0, 1
    for column, bit in ((3, 1), (4, 2), (5, 3), (6, 4), (7, 5)):
        quality[:, column] |= 1 << bit
    quality[:, 8] |= 1 << 7  # water
    files = {"red": (stored, 0), "nir08": (stored + 500, 0), "qa_pixel": (quality, 1)}
    _, place, dataset = scene_of("landsat-c2-l2", tmp_path, files, name="LC08_L2SP_199025_20180506_02_T1")
    (scene,) = stac_scenes(dataset, place, GRID, DAY, DAY)
    read = scene.read(GRID, ["B04", "B8A"])
    assert np.isnan(read["B04"][:, 3:8]).all() and np.isnan(read["B04"][1, 1]) and np.isfinite(read["B04"][:, 8]).all()
    assert read["B04"][0, 0] == pytest.approx(7000 * 0.0000275 - 0.2, abs=1e-7)  # reflectance of the product guide: 2.75e-5 DN - 0.2
    assert read["B8A"][0, 0] == pytest.approx(7500 * 0.0000275 - 0.2, abs=1e-7)


def test_modis_comes_from_its_sinusoidal_grid_at_the_middle_of_eight_days(tmp_path):
    pixel, centre = 463.3127165, GRID.extent.centroid.to_crs(SINUSOIDAL).coords[0]
    grid = GeoBox((12, 12), rasterio.Affine(pixel, 0, centre[0] - 6 * pixel, 0, -pixel, centre[1] + 6 * pixel), SINUSOIDAL)
    stored, state = np.arange(1000, 1144, dtype=np.int16).reshape(12, 12), np.full((12, 12), 1 << 3, np.uint16)  # land
    state[6, 6] |= 1 << 10
    files = {"sur_refl_b01": (stored, -28672), "sur_refl_state_500m": (state, 65535)}
    one, _, dataset = scene_of("modis-09a1", tmp_path, files, grid, name="MOD09A1.A2018121.h18v04.061")
    one.datetime = None
    one.properties |= {"start_datetime": "2018-05-01T00:00:00Z", "end_datetime": "2018-05-09T00:00:00Z", "proj:code": None}
    one.properties["proj:wkt2"] = grid.crs.to_wkt(version="WKT2_2019")
    place = str(collection_file(tmp_path / "items.json", [one]))
    (scene,) = stac_scenes(dataset, place, GRID, np.datetime64("2018-05-01"), np.datetime64("2018-05-31"))
    assert scene.day == np.datetime64("2018-05-05")
    values = scene.read(GRID, ["B04"])["B04"]
    x, y = np.meshgrid(GRID.coordinates["x"].values, GRID.coordinates["y"].values)
    east, north = rasterio.warp.transform("EPSG:32631", SINUSOIDAL, x.ravel(), y.ravel())
    column, row = ~grid.transform * (np.array(east), np.array(north))
    expected = stored[row.astype(int), column.astype(int)].reshape(GRID.shape.yx) * 1e-4
    cloudy = (state[row.astype(int), column.astype(int)] != 1 << 3).reshape(GRID.shape.yx)
    inside = (np.abs(column % 1 - 0.5) < 0.45).reshape(GRID.shape.yx) & (np.abs(row % 1 - 0.5) < 0.45).reshape(GRID.shape.yx)
    assert inside.mean() > 0.6 and cloudy.any() and not cloudy.all()
    np.testing.assert_array_equal(np.isnan(values)[inside], cloudy[inside])
    np.testing.assert_allclose(values[inside & ~cloudy], expected[inside & ~cloudy], atol=1e-7)
