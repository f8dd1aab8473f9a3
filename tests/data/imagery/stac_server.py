"""Real servers for tests, on free ports: files over HTTP that can be made to fail, a STAC API, an object store; and what they serve."""

import json
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from contextlib import contextmanager
from functools import cache
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pystac
import pytest
import rasterio
from odc.geo.geobox import GeoBox

PROGRAMS = Path(sys.executable).parent
BIG = 1_000_000  # faults that never end


def cog(path, stored, grid, nodata=0):
    """Write stored numbers as a cloud-optimised GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    form = {"dtype": stored.dtype, "count": 1, "height": grid.shape.y, "width": grid.shape.x, "crs": str(grid.crs)}
    with rasterio.open(path, "w", driver="COG", transform=grid.transform, nodata=nodata, compress="deflate", **form) as file:
        file.write(stored, 1)
    return path


def item(name, when, hrefs, grid, properties=None, extra=None, dialect="proj:code"):
    """A STAC item of assets on grids; `grid` is that of the finest."""
    code = grid.crs.epsg
    projection = {"proj:code": f"EPSG:{code}"} if dialect == "proj:code" else {"proj:epsg": code}
    version = "v2.0.0" if dialect == "proj:code" else "v1.1.0"
    made = pystac.Item(
        name,
        grid.geographic_extent.json,
        list(grid.geographic_extent.boundingbox.bbox),
        when.astype("datetime64[us]").item(),
        {"platform": "sentinel-2b"} | projection | (properties or {}),
        stac_extensions=[f"https://stac-extensions.github.io/projection/{version}/schema.json"],
        collection="scenes",
    )
    for key, href in hrefs.items():
        fields = {"proj:shape": list(grid.shape.yx), "proj:transform": list(grid.transform)} if key.lower()[:3] != "scl" else {}
        made.add_asset(key, pystac.Asset(str(href), media_type=pystac.MediaType.COG, extra_fields=fields | (extra or {})))
    return made


def collection_file(path, items):
    """A static item collection."""
    pystac.ItemCollection(items).save_object(str(path))
    return path


class _Handler(SimpleHTTPRequestHandler):
    """Files with byte ranges, as object stores serve them; `server.faults` maps a part of a path to what befalls its next requests."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen[self.path] += 1
        for part, faults in self.server.faults.items():
            if part in self.path and faults["times"] > 0 and self.command in faults.get("methods", ("GET", "HEAD")):
                faults["times"] -= 1
                if status := faults.get("status"):
                    return self._send(status, b"out of order")
                if faults.get("reset"):  # SO_LINGER 0: the connection ends with RST
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self.connection.close()
                    self.close_connection = True
                    return None
                if "stall" in faults:
                    time.sleep(faults["stall"])
                if "cut" in faults:
                    self.server.cut = faults["cut"]
        path = Path(self.translate_path(self.path))
        if not path.is_file():
            return self._send(404, b"")
        content = path.read_bytes()
        asked = self.headers.get("Range")
        if not asked:
            return self._send(200, content)
        first, last = asked.removeprefix("bytes=").split("-")
        part = content[int(first) : int(last) + 1 if last else None]
        if not part:
            return self._send(416, b"")
        return self._send(206, part, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(content)}"})

    do_HEAD = do_GET

    def _send(self, status, body, headers=None):
        try:
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body)), "Accept-Ranges": "bytes"} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            cut, self.server.cut = self.server.cut, None
            if self.command == "GET":
                self.wfile.write(body[:cut])
            if cut is not None:  # less than was announced
                self.close_connection = True
        except OSError:  # who asked has lost patience
            self.close_connection = True

    def log_message(self, *args):
        pass


@contextmanager
def files_server(folder):
    """A web server of a folder; gives its address, the faults it can be told and the requests it has seen."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *args: _Handler(*args, directory=str(folder)))
    server.faults, server.seen, server.cut, server.daemon_threads = {}, Counter(), None, True
    server.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def program(name, arguments, ready):
    """A server program on a free port; skips the test where it is not installed. `{port}` in its arguments is filled in."""
    path = PROGRAMS / name if (PROGRAMS / name).exists() else shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed (extra `dev`)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(path), *(str(argument).format(port=port) for argument in arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=2).close()
                break
            except OSError:
                assert process.poll() is None, f"{name} ended with {process.returncode}"
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def stac_api(folder, items):
    """A STAC API of items, all of the collection `scenes`."""
    extent = pystac.Extent(pystac.SpatialExtent([[-180, -90, 180, 90]]), pystac.TemporalExtent([[None, None]]))
    collection = folder / "collection.json"
    collection.write_text(json.dumps(pystac.Collection("scenes", "of the tests", extent, href="./collection.json").to_dict()))
    listed = collection_file(folder / "listed.json", items)
    with program("rustac", ["serve", "--addr", "127.0.0.1:{port}", collection, listed], "/") as address:
        yield address


@contextmanager
def object_store():
    """A local S3."""
    with program("moto_server", ["-H", "127.0.0.1", "-p", "{port}"], "/moto-api/") as address:
        yield address


@cache
def _cube(shared, band):
    import xarray as xr

    size = "20m" if band == "SCL" else "10m"
    path = shared / "data" / "eo" / "flanders_s2" / f"S2_L2A_{size}_00002806639B424A_32631_2017-08-01_2018-11-30.nc"
    with xr.open_dataset(path, engine="h5netcdf", mask_and_scale=False) as cube:
        return cube[band].values, cube["timestamp"].values, int(size[:2])


def flanders(shared, index, band, shift=0):
    """Stored numbers of a date of the real cube, their grid and time; `shift` is added where there is a value."""
    cube, times, pixel = _cube(shared, band)
    grid = GeoBox(cube.shape[1:], rasterio.Affine(pixel, 0, 501360, 0, -pixel, 5629680), "EPSG:32631")
    return np.where(cube[index] > 0, cube[index] + shift, 0).astype(cube.dtype), grid, times[index]
