"""Real servers for tests, on free ports: a STAC API, an object store; and what they and `local_server` serve."""

import json
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from functools import cache
from pathlib import Path

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
