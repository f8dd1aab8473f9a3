"""What a STAC service or a collection may lead to: real servers on this machine that answer with addresses of others."""

from contextlib import contextmanager

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox

from benchmarks.local_server import local_server
from hybridflux.data.catalog import load_catalog
from hybridflux.data.imagery import reader
from hybridflux.data.imagery.stac import stac_scenes
from hybridflux.data.network import answer
from hybridflux.limits import Refused
from tests.data.imagery.stac_server import cog, collection_file, item

HLS = load_catalog()["hls-s30"]
GRID = GeoBox((60, 60), rasterio.Affine(30, 0, 501360, 0, -30, 5629680), "EPSG:32631")
WHEN = np.datetime64("2018-05-06T10:54:21")
DAYS = (np.datetime64("2018-05-01"), np.datetime64("2018-05-31"))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name, value in {"MAX_RETRY": "0", "RETRY_DELAY": "0.05", "TIMEOUT": "2", "CONNECTTIMEOUT": "2"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)


@contextmanager
def service(answers):
    """A server; `answers(address)` gives path -> JSON, bytes, or an address to which it redirects."""
    with local_server() as server:
        server.answers = answers(server.address)
        yield server


def landing(address, search=None):
    return {
        "type": "Catalog", "id": "c", "description": "d", "stac_version": "1.0.0",
        "conformsTo": ["https://api.stacspec.org/v1.0.0/core", "https://api.stacspec.org/v1.0.0/item-search"],
        "links": [
            {"rel": "root", "href": address, "type": "application/json"},
            {"rel": "search", "href": search or f"{address}/search", "type": "application/geo+json", "method": "POST"},
        ],
    }  # fmt: skip


def api(hrefs, pages=None, search=None):
    """Answers of a search that gives one item with these addresses, or several pages."""

    def answers(address):
        feature = item("HLS.S30.T31UDS.2018126", WHEN, hrefs(address), GRID).to_dict()
        page = {"type": "FeatureCollection", "features": [feature], "links": []}
        found = page | (pages(address) if pages else {})
        return {"": landing(address), "/": landing(address, search and search(address)), "/search": found}

    return answers


def read(place):
    (found,) = stac_scenes(HLS, place, GRID, *DAYS)
    return found.read(GRID, ["B04"])["B04"]


SOMEWHERE = {
    "file": ("file:///etc/passwd", "only http.* may be read"),
    "path": ("/etc/passwd", "only http.* may be read"),
    "vsi": ("/vsicurl/http://127.0.0.1/x.tif", "virtual file system"),
    "vsi encoded": ("https://127.0.0.1/%2Fvsizip/x.tif", "virtual file system"),
    "ftp": ("ftp://127.0.0.1/x.tif", "only http"),
    "bucket": ("s3://bucket/x.tif", "only http"),
    "driver": ("NETCDF:/etc/passwd:x", "only http"),
    "host": ("https://evil.example/x.tif", "host evil.example is none of those the source declares .127.0.0.1"),
    "user": ("http://127.0.0.1@evil.example/x.tif", "host evil.example is none"),
    "metadata": ("http://169.254.169.254/latest/meta-data", "host 169.254.169.254 is none"),
}


@pytest.mark.parametrize(("href", "reason"), SOMEWHERE.values(), ids=SOMEWHERE)
def test_an_item_of_a_service_leads_only_to_its_hosts(href, reason):
    with service(api(lambda address: {"B04": href, "Fmask": href})) as running, pytest.raises(Refused, match=reason):
        read(f"{running.address}/#scenes")


@pytest.mark.parametrize("trusted", [None, "localhost", "local*"])
def test_a_redirection_to_another_host_is_refused_unless_the_user_trusts_it(tmp_path, monkeypatch, trusted):
    if trusted:
        monkeypatch.setenv("HYBRIDFLUX_HOSTS", f"a.example, {trusted}")
    for name in ("B04", "Fmask"):
        cog(tmp_path / f"{tmp_path.name}_{name}.tif", np.full(GRID.shape.yx, 0 if name == "Fmask" else 700, np.int16), GRID, nodata=-9999)

    def answers(address):
        found = api(lambda address: {name: f"{address}/{tmp_path.name}_{name}.tif" for name in ("B04", "Fmask")})(address)
        port = files.server_address[1]
        return found | {f"/{tmp_path.name}_{name}.tif": f"http://localhost:{port}/{tmp_path.name}_{name}.tif" for name in ("B04", "Fmask")}

    with local_server(tmp_path) as files, service(answers) as running:
        if trusted:
            np.testing.assert_allclose(read(f"{running.address}/#scenes"), 0.07, atol=1e-6)
        else:
            with pytest.raises(Refused, match="host localhost is none of those"):
                read(f"{running.address}/#scenes")
            assert not files.seen


@pytest.mark.parametrize("where", ["file:///etc/passwd", "http://localhost:9/search"])
def test_a_search_does_not_leave_its_service(where):
    answers = api(lambda address: {"B04": f"{address}/a.tif"}, search=lambda address: where)
    with service(answers) as running, pytest.raises(Refused, match="gives the address|declares"):
        read(f"{running.address}/#scenes")


def test_a_redirected_search_does_not_leave_its_service():
    def answers(address):
        return {"/": landing(address), "/search": "http://localhost:9/search"}

    with service(answers) as running, pytest.raises(Refused, match="host localhost"):
        read(f"{running.address}/#scenes")


def test_a_next_that_leads_back_is_an_error():
    again = {"rel": "next", "method": "GET"}
    answers = api(lambda address: {"B04": "a.tif"}, lambda address: {"links": [again | {"href": f"{address}/search"}]})
    with service(answers) as running, pytest.raises(OSError, match="same items again on page 2: its `next` leads back"):
        stac_scenes(HLS, f"{running.address}/#scenes", GRID, *DAYS)


def test_pages_and_answers_have_limits(monkeypatch):
    with service(api(lambda address: {"B04": "a.tif"})) as running:
        monkeypatch.setenv("HYBRIDFLUX_LIMIT_ANSWER", "300")
        with pytest.raises(Refused, match="at most 300 bytes.*HYBRIDFLUX_LIMIT_ANSWER"):
            stac_scenes(HLS, f"{running.address}/#scenes", GRID, *DAYS)
        with pytest.raises(Refused, match="HYBRIDFLUX_LIMIT_ANSWER"):
            answer(f"{running.address}/search")
        monkeypatch.setenv("HYBRIDFLUX_LIMIT_ANSWER", "1e6")
        assert len(stac_scenes(HLS, f"{running.address}/#scenes", GRID, *DAYS)) == 1
        assert answer(f"{running.address}/search").startswith(b"{")


def test_an_answer_stays_at_its_host():
    with service(lambda address: {"/a": "http://localhost:9/b", "/c": f"{address}/d", "/d": b"here"}) as running:
        with pytest.raises(Refused, match="sends readers to http://localhost:9/b"):
            answer(f"{running.address}/a")
        assert answer(f"{running.address}/c") == b"here"


def test_a_collection_on_disk_is_followed_to_files_but_to_no_virtual_file_system(tmp_path):
    hrefs = dict.fromkeys(("B04", "Fmask"), "/vsizip//etc/x.zip/a.tif")
    with pytest.raises(Refused, match="virtual file system"):
        read(str(collection_file(tmp_path / "items.json", [item("a", WHEN, hrefs, GRID)])))


def test_a_raster_of_an_item_that_describes_other_files_is_refused(tmp_path):
    for name in ("B04", "Fmask"):
        (tmp_path / f"{name}.tif").write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')
    hrefs = {name: str(tmp_path / f"{name}.tif") for name in ("B04", "Fmask")}
    with pytest.raises(Refused, match="describes other files"):
        read(str(collection_file(tmp_path / "items.json", [item("a", WHEN, hrefs, GRID)])))


SECRETS = ("hunter2", "c2lnbmF0dXJl", "ABCDEF123")


def test_signatures_and_passwords_are_in_no_message_and_no_origin():
    signed = "/a.tif?sig=c2lnbmF0dXJl%3D&se=2020&X-Amz-Signature=ABCDEF123&X-Amz-Security-Token=ABCDEF123"
    with service(api(lambda address: {name: address.replace("//", "//me:hunter2@") + signed for name in ("B04", "Fmask")})) as running:
        place = running.address.replace("//", "//me:hunter2@") + "/?token=ABCDEF123#scenes"
        (scene,) = reader("stac")(HLS, place.replace("/?token=ABCDEF123", "/"), GRID, *DAYS)
        with pytest.raises(OSError, match=r"cannot be read from http://REDACTED@127.0.0.1.*/a.tif\?sig=REDACTED") as broken:
            scene.read(GRID, ["B04"])
        running.answers = {}
        with pytest.raises(ConnectionError, match="REDACTED@127") as failed:
            reader("stac")(HLS, place, GRID, *DAYS)
        with pytest.raises(ValueError, match="names no collection") as wrong:
            reader("stac")(HLS, place.partition("#")[0], GRID, *DAYS)
    for text in (str(broken.value), str(failed.value), str(wrong.value)):
        assert not any(secret in text for secret in SECRETS), text
