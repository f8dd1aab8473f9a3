"""STAC servers and files that fail: passing faults are waited for, lasting ones are errors, and nothing partial is taken for complete."""

import json
import sys
import urllib.request
import warnings

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from benchmarks.local_server import local_server
from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.network import Patience
from tests.data.imagery.stac_server import BIG, cog, collection_file, item, stac_api

pytestmark = pytest.mark.long

HLS = load_catalog()["hls-s30"]
GRID = GeoBox((300, 300), rasterio.Affine(30, 0, 501360, 0, -30, 5629680), "EPSG:32631")
WHEN = np.datetime64("2018-05-06T10:54:21")
DAYS = (np.datetime64("2018-05-01"), np.datetime64("2018-05-31"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Three tries a second each, tenths of seconds apart."""
    for name, value in {"MAX_RETRY": "2", "RETRY_DELAY": "0.05", "TIMEOUT": "1", "CONNECTTIMEOUT": "1"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)


def surface():
    return np.random.default_rng(0).integers(100, 4000, GRID.shape.yx).astype(np.int16)  # does not compress: files of many blocks


@pytest.fixture
def server(tmp_path):
    with local_server(tmp_path) as running:
        yield running


@pytest.fixture
def scene(server, tmp_path):
    """One scene over HTTP; files have a name of their own, as GDAL remembers addresses that failed."""
    name = tmp_path.name
    cog(tmp_path / f"{name}_B04.tif", surface(), GRID, nodata=-9999)
    cog(tmp_path / f"{name}_Fmask.tif", np.zeros(GRID.shape.yx, np.uint8), GRID, nodata=255)
    hrefs = {band: f"{server.address}/{name}_{band}.tif" for band in ("B04", "Fmask")}
    place = collection_file(tmp_path / "items.json", [item("HLS.S30.T31UDS.2018126", WHEN, hrefs, GRID)])
    (found,) = stac_scenes(HLS, str(place), GRID, *DAYS)
    return found


FAULTS = {
    "500 twice": {"status": 500, "times": 2},
    "stall": {"stall": 2.0, "times": 1},
    "reset": {"reset": True, "times": 2, "methods": ("GET",)},
    "cut short": {"cut": 1000, "times": 2, "methods": ("GET",)},
}


@pytest.mark.parametrize("fault", [dict(fault) for fault in FAULTS.values()], ids=FAULTS)
def test_passing_faults_of_a_file_are_waited_for(server, scene, fault):
    server.faults["B04.tif"] = fault
    np.testing.assert_allclose(scene.read(GRID, ["B04"])["B04"], surface() * 1e-4, atol=1e-6)
    assert fault["times"] == 0


def test_a_file_that_never_comes_is_an_error_with_its_address(server, scene, tmp_path):
    server.faults["B04.tif"] = {"status": 500, "times": BIG}
    with pytest.raises(
        OSError, match=r"band B04 of item HLS.S30.T31UDS.2018126 cannot be read from http://.*_B04.tif .*500.*repeated up to 2 times"
    ):
        scene.read(GRID, ["B04"])
    assert server.seen[f"/{tmp_path.name}_B04.tif"] == 3
    server.faults.clear()
    np.testing.assert_allclose(scene.read(GRID, ["B04"])["B04"], surface() * 1e-4, atol=1e-6)  # later, in the same process


@pytest.mark.parametrize("grid", [GRID, GRID.zoom_out(2), GRID.to_crs("EPSG:2154")], ids=["same grid", "averaged", "warped"])
def test_a_truncated_file_is_an_error_whatever_the_grid(scene, tmp_path, grid):
    (path,) = tmp_path.glob("*_B04.tif")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(OSError, match="incomplete"):
        scene.read(grid, ["B04"])


def test_a_truncated_jpeg_2000_is_an_error(tmp_path, write_raster, truncated):
    """By several threads GDAL decodes the rest as numbers that are in no file, and raises nothing."""
    grid = GeoBox((1200, 1200), GRID.affine, GRID.crs)
    numbers = np.random.default_rng(0).integers(100, 4000, grid.shape.yx).astype(np.int16)
    hrefs = {"B04": str(write_raster(tmp_path / "B04.jp2", numbers, grid)), "Fmask": str(tmp_path / "Fmask.tif")}
    cog(tmp_path / "Fmask.tif", np.zeros(grid.shape.yx, np.uint8), grid, nodata=255)
    (found,) = stac_scenes(HLS, str(collection_file(tmp_path / "items.json", [item("HLS.T31UDS.2018126", WHEN, hrefs, grid)])), grid, *DAYS)
    truncated(tmp_path / "B04.jp2")
    with pytest.raises(OSError, match="band B04 of item HLS.T31UDS.2018126 cannot be read from .*B04.jp2 .*incomplete"):
        found.read(grid, ["B04"])


def test_part_of_a_truncated_file_that_is_there_is_not_read_as_missing(scene, tmp_path):
    (path,) = tmp_path.glob("*_B04.tif")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for rows in (slice(0, 40), slice(200, 300)):
        try:
            values = scene.read(GRID[rows, :], ["B04"])["B04"]
        except OSError:
            continue
        np.testing.assert_allclose(values, surface()[rows] * 1e-4, atol=1e-6)


@pytest.fixture
def api(server, tmp_path):
    """A STAC API whose landing page goes through the server that can fail."""
    with stac_api(tmp_path, [item("HLS.S30.T31UDS.2018126", WHEN, {"B04": "B04.tif"}, GRID)]) as address:
        landing = json.load(urllib.request.urlopen(address))
        (tmp_path / "landing.json").write_text(json.dumps(landing))
        yield f"{server.address}/landing.json#scenes"


@pytest.mark.parametrize("fault", [{"status": 503, "times": 2}, {"stall": 2.0, "times": 1}], ids=["503 twice", "stall"])
def test_passing_faults_of_a_search_are_waited_for(server, api, fault):
    server.faults["landing"] = fault
    assert len(stac_scenes(HLS, api, GRID, *DAYS)) == 1 and fault["times"] == 0


def test_a_search_that_never_succeeds_is_an_error(server, api):
    server.faults["landing"] = {"status": 500, "times": BIG}
    with pytest.raises(ConnectionError, match=r"search at http://.*/landing.json failed, 3 tries, .*out of order.* GDAL_HTTP_MAX_RETRY"):
        stac_scenes(HLS, api, GRID, *DAYS)
    server.faults["landing"] = {"status": 403, "times": BIG}
    with pytest.raises(ConnectionError, match="failed, 1 tries"):  # what cannot pass is not repeated
        stac_scenes(HLS, api, GRID, *DAYS)


def test_a_server_that_is_not_there_is_an_error(server):
    with pytest.raises(ConnectionError, match="search at http://127.0.0.1:9/stac failed, 3 tries"):
        stac_scenes(HLS, "http://127.0.0.1:9/stac#scenes", GRID, *DAYS)


def test_fewer_items_than_announced_are_a_warning(monkeypatch):
    from pystac_client import ItemSearch

    feature = item("HLS.S30.T31UDS.2018126", WHEN, {"B04": "B04.tif"}, GRID).to_dict()
    monkeypatch.setattr(ItemSearch, "pages_as_dicts", lambda self: iter([{"features": [feature], "numberMatched": 7}]))
    monkeypatch.setattr("pystac_client.Client.open", lambda url, **options: _Client())
    with pytest.warns(UserWarning, match="announced 7 items of scenes and gave 1"):
        assert len(stac_scenes(HLS, "http://127.0.0.1:9/stac#scenes", GRID, *DAYS)) == 1


class _Client:
    def search(self, **question):
        from pystac_client import ItemSearch

        return ItemSearch("http://127.0.0.1:9/stac/search", **question)


def test_the_environment_sets_the_patience_and_gdal_keeps_its_own(monkeypatch):
    assert Patience.from_environment() == Patience(repeats=2, pause=0.05, answer=1.0, connect=1.0)
    assert "GDAL_HTTP_MAX_RETRY" not in Patience().gdal()
    monkeypatch.delenv("GDAL_HTTP_MAX_RETRY")
    assert Patience().gdal()["GDAL_HTTP_MAX_RETRY"] == "5"


def test_without_odc_stac_the_extra_is_named(scene, monkeypatch):
    monkeypatch.setitem(sys.modules, "odc.stac", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'hybridflux\[ingest\]'"):
        scene.read(GRID, ["B04"])


@pytest.mark.parametrize("content", ['{"type": "Nothing"}', "[]", "no JSON"])
def test_a_file_that_is_not_stac_is_named(tmp_path, content):
    path = tmp_path / "items.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="items.json is not the JSON of a STAC item, item collection or catalog"):
        stac_scenes(HLS, str(path), GRID, *DAYS)


def test_an_item_without_projection_is_read_as_any_other(server, scene, tmp_path):
    content = json.loads((tmp_path / "items.json").read_text())
    (feature,) = content["features"]
    feature["stac_extensions"], feature["properties"] = [], {"datetime": feature["properties"]["datetime"]}
    for asset in feature["assets"].values():
        asset.pop("proj:shape", None), asset.pop("proj:transform", None)
    second = json.loads(json.dumps(feature)) | {"id": "HLS.S30.T31UDS.2018126.second"}
    (tmp_path / "items.json").write_text(json.dumps(content | {"features": [feature, second]}))
    (plain,) = stac_scenes(HLS, str(tmp_path / "items.json"), GRID, *DAYS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        np.testing.assert_allclose(plain.read(GRID, ["B04"])["B04"], surface() * 1e-4, atol=1e-6)
