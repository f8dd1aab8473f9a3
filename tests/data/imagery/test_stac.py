"""Sentinel-2 by STAC from real servers: values, offsets, masks, tiles, zones, what a search would cost."""

import json
from dataclasses import dataclass

import numpy as np
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from benchmarks.local_server import local_server
from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery import masks
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.imagery.stac_search import expected, service_of
from hybridflux.data.imagery.stac_signing import _known, signed
from tests.data.imagery.stac_server import cog, collection_file, flanders, item, object_store, stac_api

CATALOG = load_catalog()
S2 = CATALOG["sentinel-2-l2a"]
START, END = np.datetime64("2018-05-01"), np.datetime64("2018-07-31")
CDSE = {"raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0, "data_type": "uint16"}]}
DIALECTS = {  # date of the cube -> names of B04, B08, SCL; properties; fields of assets; shift of the stored numbers
    53: (("red", "nir", "scl"), {"s2:processing_baseline": "05.00", "earthsearch:boa_offset_applied": False}, CDSE, 1000),
    70: (("B04", "B08", "SCL"), {"s2:processing_baseline": "02.12", "s2:mgrs_tile": "31UDS"}, {}, 0),
    77: (("B04_10m", "B08_10m", "SCL_20m"), {"processing:version": "05.11", "grid:code": "MGRS-31UDS"}, CDSE, 1000),
}


@pytest.fixture(scope="module")
def patient():
    """GDAL and searches that wait for tenths of a second, not minutes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MAX_RETRY": "3", "RETRY_DELAY": "0.05", "TIMEOUT": "1", "CONNECTTIMEOUT": "1"}.items():
            patch.setenv(f"GDAL_HTTP_{name}", value)
        yield patch


def write(folder, shared, index, *, part=slice(None)):
    """The files of a date, and an item that names them relative to the folder."""
    names, properties, fields, shift = DIALECTS[index]
    hrefs = {}
    for name, band in zip(names, ("B04", "B08", "SCL"), strict=True):
        stored, grid, when = flanders(shared, index, band, shift=0 if band == "SCL" else shift)
        columns = part if band != "SCL" else slice(part.start and part.start // 2, part.stop and part.stop // 2)
        path = cog(folder / f"{index}{part.start or ''}" / f"{name}.tif", stored[:, columns], grid[:, columns])
        hrefs[name] = path.relative_to(folder).as_posix()
        fine = grid[:, part] if band == "B04" else fine
    return item(f"S2B_31UDS_{index}_L2A", when, hrefs, fine, properties, fields, "proj:code" if index == 53 else "proj:epsg")


def at(items, prefix):
    """Items whose files lie under an address."""
    items = [pystac.Item.from_dict(one.to_dict(include_self_link=False)) for one in items]
    for one in items:
        for asset in one.assets.values():
            asset.href = f"{prefix}/{asset.href}"
    return items


@dataclass
class Served:
    """Three dates on disk, over HTTP and in a STAC API."""

    folder: object
    items: list
    files: object
    api: str
    grid: GeoBox
    shared: object


@pytest.fixture(scope="module")
def served(shared, tmp_path_factory, patient):
    folder = tmp_path_factory.mktemp("stac")
    items = [write(folder, shared, index) for index in DIALECTS]
    with local_server(folder) as files, stac_api(folder, at(items, files.address)) as api:
        yield Served(folder, items, files, api, flanders(shared, 53, "B04")[1], shared)


def reflectance(shared, index, band):
    """What the cube holds where its classes are clear."""
    stored, grid, _ = flanders(shared, index, band)
    labels = np.kron(flanders(shared, index, "SCL")[0], np.ones((2, 2), np.int32)).astype(np.int32)
    clear = masks.clear(S2.mask, np.where(labels == 0, masks.NO_LABEL, labels), 10.0)
    return np.where(clear & (stored > 0), stored * 1e-4, np.nan)


def assert_cube(shared, found):
    """The three dates are read as they are, whatever dialect and shift they are served in."""
    for scene, index in zip(found, DIALECTS, strict=True):
        assert scene.day == flanders(shared, index, "B04")[2].astype("datetime64[D]")
        read = scene.read(flanders(shared, index, "B04")[1], ["B04", "B08"])
        for band, values in read.items():
            assert values.dtype == np.float32
            np.testing.assert_allclose(values, reflectance(shared, index, band), atol=1e-6)


def test_a_stac_api_over_http_gives_the_numbers_of_the_cube(served):
    found = stac_scenes(S2, f"{served.api}#scenes", served.grid, START, END)
    assert_cube(served.shared, found)
    assert [scene.origin["items"][0]["offset"] for scene in found] == [-0.1, 0.0, -0.1]
    assert [scene.origin["items"][0]["offset_from"] for scene in found] == ["boa_offset_applied", "processing baseline", "raster:bands"]
    assert [scene.origin["items"][0]["baseline"] for scene in found] == ["05.00", "02.12", "05.11"]
    assert found[0].origin["bands"] == ["B04", "B08", "SCL"]
    json.dumps([scene.origin for scene in found])


def test_files_in_an_object_store_are_read_as_over_http(served, tmp_path, patient):
    import boto3

    with object_store() as address, pytest.MonkeyPatch.context() as patch:
        secrets = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        gdal = {"AWS_S3_ENDPOINT": address.removeprefix("http://"), "AWS_HTTPS": "NO", "AWS_VIRTUAL_HOSTING": "FALSE"}
        for name, value in (secrets | gdal).items():
            patch.setenv(name, value)
        store = boto3.client("s3", endpoint_url=address)
        store.create_bucket(Bucket="eodata")
        for path in served.folder.rglob("*.tif"):
            store.upload_file(str(path), "eodata", path.relative_to(served.folder).as_posix())
        place = collection_file(tmp_path / "items.json", at(served.items, "s3://eodata"))
        assert_cube(served.shared, stac_scenes(S2, str(place), served.grid, START, END))


def test_a_static_collection_with_relative_addresses(served):
    place = collection_file(served.folder / "items.json", served.items)
    assert_cube(served.shared, stac_scenes(S2, str(place), served.grid, START, END))


def test_a_static_catalog(served):
    catalog = pystac.Catalog("catalog", "of the tests", href=str(served.folder / "catalog.json"))
    catalog.add_items(at(served.items, served.files.address))
    catalog.normalize_and_save(str(served.folder / "saved"), pystac.CatalogType.SELF_CONTAINED)
    assert_cube(served.shared, stac_scenes(S2, str(served.folder / "saved" / "catalog.json"), served.grid, START, END))


def test_a_window_is_a_part_of_the_whole_and_nothing_lies_outside(served):
    place = collection_file(served.folder / "items.json", served.items)
    scene = stac_scenes(S2, str(place), served.grid, START, END)[0]
    whole = scene.read(served.grid, ["B04"])["B04"]
    np.testing.assert_array_equal(scene.read(served.grid[10:31, 7:40], ["B04"])["B04"], whole[10:31, 7:40])
    assert np.isnan(scene.read(served.grid.translate_pix(500, 0), ["B04"])["B04"]).all()


def test_days_outside_and_places_elsewhere_are_not_found(served):
    place = f"{served.api}#scenes"
    assert [str(scene.day) for scene in stac_scenes(S2, place, served.grid, np.datetime64("2018-06-30"), np.datetime64("2018-06-30"))] == [
        "2018-06-30"
    ]
    assert stac_scenes(S2, place, served.grid, np.datetime64("2018-07-01"), np.datetime64("2018-07-22")) == []
    elsewhere = GeoBox((8, 8), rasterio.Affine(10, 0, 700000, 0, -10, 5_000_000), "EPSG:32631")
    assert stac_scenes(S2, place, elsewhere, START, END) == []


def test_neighbours_of_unequal_offset_are_one_scene(served, shared, tmp_path):
    left, right = write(tmp_path, shared, 70, part=slice(0, 40)), write(tmp_path, shared, 77, part=slice(24, 64))
    right.datetime = left.datetime
    right.id, right.properties["grid:code"] = "S2B_31UES_70_L2A", "MGRS-31UES"
    place = collection_file(tmp_path / "items.json", [right, left])
    (scene,) = stac_scenes(S2, str(place), served.grid, START, END)
    values = scene.read(served.grid, ["B08"])["B08"]
    np.testing.assert_allclose(values[:, :24], reflectance(shared, 70, "B08")[:, :24], atol=1e-6)
    np.testing.assert_allclose(values[:, 42:], reflectance(shared, 77, "B08")[:, 42:], atol=1e-6)

    assert np.isfinite(values[26:36, 26:38]).all()
    labels, grid, _ = flanders(shared, 77, "SCL")
    labels[15, 15:17] = 9  # 10 m: rows 30 and 31, columns 30 to 33, where the tiles overlap
    cog(tmp_path / right.assets["SCL_20m"].href, labels[:, 12:32], grid[:, 12:32])
    hidden = np.isnan(scene.read(served.grid, ["B08"])["B08"])
    assert hidden[28:34, 30:34].all() and not hidden[26:36, [26, 37]].any(), "what one tile calls cloudy, and 20 m around it"
    np.testing.assert_array_equal(hidden[:, :24], np.isnan(values[:, :24]))


def test_two_utm_zones_over_one_region(tmp_path):
    def surface(grid):  # a plane in longitude and latitude, whatever the zone
        x, y = np.meshgrid(grid.coordinates["x"].values, grid.coordinates["y"].values)
        lon, lat = rasterio.warp.transform(grid.crs, "EPSG:4326", x.ravel(), y.ravel())
        return (2000 + 1e5 * np.array(lon) + 2e5 * (np.array(lat) - 48.5)).reshape(grid.shape.yx)

    region = GeoBox((60, 80), rasterio.Affine(10, 0, 278100, 0, -10, 5_376_400), "EPSG:32631")
    middle, items = region.extent.centroid, []
    for zone, code, shift in ((30, "30UYU", -300), (31, "31UBP", 300)):
        centre = middle.to_crs(f"EPSG:326{zone}").coords[0]
        corner = [round(centre[0], -1) + shift - 600, round(centre[1], -1) + 500]
        grid = GeoBox((100, 120), rasterio.Affine(10, 0, corner[0], 0, -10, corner[1]), f"EPSG:326{zone}")
        for name, stored in (("B04", surface(grid).astype(np.uint16)), ("SCL", np.full(grid.shape.yx, 4, np.uint8))):
            cog(tmp_path / code / f"{name}.tif", stored, grid)
        properties = {"s2:processing_baseline": "02.14", "s2:mgrs_tile": code}
        hrefs = {name: f"{code}/{name}.tif" for name in ("B04", "SCL")}
        items.append(item(f"S2A_{code}", np.datetime64("2021-06-01T10:50:00"), hrefs, grid, properties))
    place = collection_file(tmp_path / "items.json", items)
    (scene,) = stac_scenes(S2, str(place), region, np.datetime64("2021-06-01"), np.datetime64("2021-06-01"))
    values = scene.read(region, ["B04"])["B04"]
    assert len(scene.origin["items"]) == 2
    slope = 1e-4 * 10 * np.hypot(1e5 / 73_700, 2e5 / 111_200)  # of a pixel
    np.testing.assert_allclose(values, surface(region) * 1e-4, atol=slope)


def test_a_scene_processed_again_is_read_once_in_its_newest_baseline(served, shared, tmp_path):
    old, new = write(tmp_path, shared, 70), write(tmp_path, shared, 53)
    new.datetime, new.id = old.datetime, "S2B_31UDS_70_again"
    new.properties |= {"s2:mgrs_tile": "31UDS", "s2:processing_baseline": "05.10"}
    place = collection_file(tmp_path / "items.json", [old, new])
    (scene,) = stac_scenes(S2, str(place), served.grid, START, END)
    assert scene.origin["superseded"] == [old.id] and [one["id"] for one in scene.origin["items"]] == [new.id]
    np.testing.assert_allclose(scene.read(served.grid, ["B04"])["B04"], reflectance(shared, 53, "B04"), atol=1e-6)


def test_missing_numbers_do_not_spread_when_pixels_are_averaged(tmp_path):
    grid = GeoBox((40, 40), rasterio.Affine(10, 0, 501360, 0, -10, 5629680), "EPSG:32631")
    stored = np.full((40, 40), 700, np.uint16)
    stored[::2, ::3] = 0
    cog(tmp_path / "B04.tif", stored, grid, nodata=None)  # the file does not say what is missing, the catalog does
    cog(tmp_path / "SCL.tif", np.full((40, 40), 4, np.uint8), grid)
    one = item(
        "S2A_31UDS_x", np.datetime64("2018-05-06T10:50:00"), {"B04": "B04.tif", "SCL": "SCL.tif"}, grid, {"s2:processing_baseline": "02.08"}
    )
    place = collection_file(tmp_path / "items.json", [one])
    (scene,) = stac_scenes(S2, str(place), grid, START, END)
    fine, coarse = (scene.read(grid.zoom_out(factor), ["B04"])["B04"] for factor in (1, 4))
    assert np.isnan(fine).sum() == (stored == 0).sum() and np.nanmax(np.abs(fine - 0.07)) < 1e-6
    np.testing.assert_allclose(coarse, 0.07, atol=1e-6)


def test_a_missing_asset_names_item_band_and_what_there_is(served, shared, tmp_path):
    one = write(tmp_path, shared, 77)
    place = collection_file(tmp_path / "items.json", [one])
    (scene,) = stac_scenes(S2, str(place), served.grid, START, END)
    with pytest.raises(ValueError, match="S2B_31UDS_77_L2A has no asset of band B11.*swir16.*its assets are B04_10m, B08_10m, SCL_20m"):
        scene.read(served.grid, ["B11"])
    with pytest.raises(ValueError, match="no band `B4`.*Did you mean"):
        scene.read(served.grid, ["B4"])


def test_places_that_are_none():
    with pytest.raises(ValueError, match="neither a file nor a service of sentinel-2-l2a; it has earth-search, cdse"):
        service_of(S2, "earthsearch")
    with pytest.raises(ValueError, match="names no collection; write URL#collection"):
        service_of(S2, "https://example.org/stac")
    grid = GeoBox((8, 8), rasterio.Affine(10, 0, 501360, 0, -10, 5629680), "EPSG:32631")
    with pytest.raises(FileNotFoundError, match="no file nowhere.json"):
        stac_scenes(S2, "nowhere.json", grid, START, END)


def test_what_a_search_would_cost_without_asking():
    grid = GeoBox((1000, 2000), rasterio.Affine(10, 0, 600000, 0, -10, 5_400_000), "EPSG:32631")
    cost = expected(S2, "earth-search", grid, np.datetime64("2020-01-01"), np.datetime64("2020-12-31"), ["B04", "B08", "B11"])
    assert cost.request["url"] == "https://earth-search.aws.element84.com/v1"
    assert cost.request["collections"] == ["sentinel-2-c1-l2a"]
    west, south, east, north = cost.request["bbox"]
    assert west < 4.36 < 4.63 < east and south < 48.66 < 48.74 < north
    assert cost.request["datetime"] == "2019-12-31T23:42:01Z/2020-12-31T23:42:00Z"  # days of the sun at 4.5 degrees east
    fine, coarse = ((1 + 1000 * scale / 1024) * (1 + 2000 * scale / 1024) for scale in (1.0, 0.5))  # blocks of a file of 10 m and of 20 m
    of_scene = 1.2 * 0.6 * 1024**2 * (2 * fine + 2 * fine + 2 * coarse + coarse)  # two bands of 10 m, one and SCL, of 8 bits, of 20 m
    assert cost.scenes == 92 and cost.bytes == pytest.approx(of_scene * 92)
    assert json.dumps(cost.request)


def test_addresses_of_the_planetary_computer_are_signed_once_per_container(monkeypatch):
    asked = []

    def answer(address):
        asked.append(address)
        return b'{"token": "st=1&sig=abc", "msft:expiry": "2999-01-01T00:00:00Z"}'

    monkeypatch.setattr("hybridflux.data.imagery.stac_signing.answer", answer)
    _known.clear()
    blob = "https://sentinel2l2a01.blob.core.windows.net/sentinel2-l2/31/U/DS/B04.tif"
    assert signed(blob) == signed(blob) == f"{blob}?st=1&sig=abc" and signed(f"{blob}?sig=x") == f"{blob}?sig=x"
    assert signed("https://example.org/B04.tif") == "https://example.org/B04.tif"
    assert asked == ["https://planetarycomputer.microsoft.com/api/sas/v1/token/sentinel2l2a01/sentinel2-l2"]
    _known.clear()
