"""Tiles and answers of services: read in parts over HTTP, asked again when the service fails, never half."""

import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hybridflux.data.catalog import load_catalog
from hybridflux.data.land import landcover, services, soil, terrain
from hybridflux.data.network import answer

CATALOG = load_catalog()


class Service(BaseHTTPRequestHandler):
    """Files of a dictionary with byte ranges; `fails` answers of an address are `status`, addresses in `halves` break off."""

    files: dict[str, bytes] = {}
    fails: dict[str, int] = {}
    halves: set[str] = set()
    asked: list[str] = []
    status = 500

    def do_HEAD(self):
        self._send(body=False)

    def do_GET(self):
        self._send(body=True)

    def log_message(self, *_):
        """Nothing on the terminal."""

    def _send(self, *, body):
        self.asked.append(self.path)
        if self.fails.get(self.path, 0) > 0:
            self.fails[self.path] -= 1
            self.send_error(self.status)
            return
        if self.path not in self.files:
            self.send_error(404)
            return
        content = self.files[self.path]
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start, stop = (int(asked[1]), int(asked[2] or len(content) - 1) + 1) if asked else (0, len(content))
        part = content[start:stop]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(part)))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{start + len(part) - 1}/{len(content)}")
        self.end_headers()
        if body:
            self.wfile.write(part[: len(part) // 2] if self.path in self.halves else part)


@pytest.fixture
def service():
    """A service on the loopback address; `address` and the class attributes of `Service`."""
    handler = type("Fresh", (Service,), {"files": {}, "fails": {}, "halves": set(), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    handler.address = f"http://127.0.0.1:{server.server_port}"
    yield handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name, value in {"MAX_RETRY": "2", "RETRY_DELAY": "0.01", "TIMEOUT": "5"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)


@pytest.mark.parametrize("status", [500, 429])
def test_a_failing_service_is_asked_again(service, status):
    service.files["/a"], service.fails["/a"], service.status = b"whole", 2, status
    assert answer(service.address + "/a") == b"whole" and service.asked.count("/a") == 3
    service.fails["/a"] = 9
    with pytest.raises(ConnectionError, match=f"/a failed, 3 tries, the last with: HTTP Error {status}.*run again later"):
        answer(service.address + "/a")


def test_half_an_answer_is_none(service):
    service.files["/b"] = b"0123456789"
    service.halves.add("/b")
    with pytest.raises(ConnectionError, match="/b failed, 3 tries, .*IncompleteRead"):
        answer(service.address + "/b")


def test_a_wrong_address_is_not_repeated(service):
    with pytest.raises(ConnectionError, match="/none failed, 1 tries, .*404.*Check address"):
        answer(service.address + "/none")
    assert service.asked == ["/none"]
    with pytest.raises(ConnectionError, match="closed failed, 3 tries"):
        answer("http://127.0.0.1:9/closed")


@pytest.fixture
def tiles(tmp_path):
    """Address and folder of a service in a process of its own: GDAL holds the interpreter while it waits for an answer."""
    folder = tmp_path / "served"
    folder.mkdir()
    with subprocess.Popen([sys.executable, __file__, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().strip(), folder
        process.terminate()


def test_tiles_are_read_in_parts_and_the_sea_has_none(tiles, grid, raster, monkeypatch):
    """A tile of elevation covers the grid; that of land cover does not exist, as in the open sea."""
    address, folder = tiles
    monkeypatch.setattr(services, "_GLO30", address + "/{0}.tif")
    monkeypatch.setattr(services, "_WORLDCOVER", address + "/{}")
    heights = raster("dem.tif", np.full((60, 60), 88.0, np.float32), west=649900, north=6860100)
    heights.rename(folder / f"{services.glo30_tiles(*services.extent(grid))[0]}.tif")
    found = terrain.read(CATALOG["copernicus-dem-glo30"], "service", grid)
    assert (found.values == 88).all() and found.origin["files"][0].startswith("/vsicurl/http://127.0.0.1")
    with pytest.raises(ValueError, match="no value on the grid"):
        landcover.read(CATALOG["worldcover"], "service", grid)


def test_layers_of_the_soil_service(service, grid, raster, monkeypatch):
    monkeypatch.setattr(services, "_SOILGRIDS", service.address + "/{layer}")
    stored = {"sand": 400, "clay": 200, "soc": 145, "cfvo": 0}
    for band, value in stored.items():
        for top, bottom in services.SLICES[:5]:
            path = raster("layer.tif", np.full((4, 4), value, np.int16), pixel=200.0)
            service.files[f"/{band}_{top}-{bottom}cm_mean"] = path.read_bytes()
    found = soil.capacity(CATALOG["soilgrids"], "service", grid)
    np.testing.assert_allclose(found.values, 142.4, atol=1.0)  # loam without stones, 1 m
    assert len(found.origin["files"]) == 20 and len(service.asked) == 20


def test_other_datasets_are_not_fetched(grid):
    with pytest.raises(ValueError, match="oso is not fetched by hybridflux; obtain it and name the folder"):
        landcover.read(CATALOG["oso"], "service", grid)


def serve(folder: Path) -> None:
    """Serve the files of a folder as they are when they are asked for, until the process ends; prints its address."""

    class Folder(Service):
        def _send(self, *, body):
            self.files.update({f"/{path.name}": path.read_bytes() for path in folder.iterdir()})
            super()._send(body=body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Folder)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
