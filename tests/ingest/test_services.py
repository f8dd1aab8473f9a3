"""A region built from real servers: a STAC API, files over HTTP; a server that fails in the middle costs nothing that was done."""

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import zarr

from benchmarks.local_server import local_server
from hybridflux.ingest.build import build_region
from hybridflux.ingest.config import load_config
from tests.data.imagery.stac_server import BIG, cog, flanders, item, stac_api

pytestmark = pytest.mark.long

DATES = [60, 62, 65, 68, 70, 72, 75, 77, 80, 84]  # of the real cube, May to August 2018
BANDS = ("B04", "B08", "SCL")
SHIFTED = set(DATES[::2])  # stored as baseline 05.00 would: 1000 more, the offset to be taken off again
CDSE = {"raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0, "data_type": "uint16"}]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name, value in {"MAX_RETRY": "1", "RETRY_DELAY": "0.05", "TIMEOUT": "2", "CONNECTTIMEOUT": "2"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)


@pytest.fixture(scope="module")
def files(shared, tmp_path_factory):
    """COGs of some dates, half of them with the offset of baseline 05.00."""
    folder = tmp_path_factory.mktemp("files")
    for index in DATES:
        for band in BANDS:
            stored, grid, _ = flanders(shared, index, band, shift=1000 if index in SHIFTED and band != "SCL" else 0)
            cog(folder / f"d{index}_{band}.tif", stored, grid)
    return folder


def items_at(address, shared):
    """The items of the files at a server."""
    items = []
    for index in DATES:
        hrefs = {band: f"{address}/d{index}_{band}.tif" for band in BANDS}
        _, fine, when = flanders(shared, index, "B04")
        baseline = {"s2:processing_baseline": "05.00" if index in SHIFTED else "02.12", "s2:mgrs_tile": "31UDS"}
        items.append(item(f"S2B_31UDS_{index}_L2A", when, hrefs, fine, baseline, CDSE if index in SHIFTED else {}, "proj:code"))
    return items


def configuration(shared, dataset, place):
    config = load_config("flanders-demo").at(shared / "data").model_dump()
    config["imagery"] = [{"dataset": dataset, "place": place}]
    config["period"] = {"start": "2018-06-01", "end": "2018-08-31", "lead": 31}
    config["vegetation"] = {}
    return type(load_config("flanders-demo")).model_validate(config)


def quiet_build(*arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels that are not mapped
        return build_region(*arguments, **options)


@contextmanager
def served(files, shared, folder):
    """A server of the files, of an address of its own, and the configuration of a region whose scenes a STAC API lists."""
    with local_server(files) as server, stac_api(folder, items_at(server.address, shared)) as api:
        yield server, configuration(shared, "sentinel-2-l2a", f"{api}#scenes")


@pytest.fixture(scope="module")
def whole(files, shared, tmp_path_factory):
    """A build to which nothing happens."""
    folder = tmp_path_factory.mktemp("whole")
    with served(files, shared, folder) as (_, config):
        quiet_build(config, folder / "r.zarr")
    return folder / "r.zarr"


def test_a_failing_server_costs_nothing_that_was_done(files, shared, whole, tmp_path):
    out = tmp_path / "r.zarr"
    with served(files, shared, tmp_path) as (server, config):
        server.faults[f"d{DATES[6]}_B08"] = {"status": 500, "times": BIG}
        with pytest.raises(OSError, match=f"d{DATES[6]}_B08.*500"):
            quiet_build(config, out)
        done = len(list((tmp_path / "r.build" / "views").glob("*.json")))
        assert 6 <= done < len(DATES)  # those in flight come to their end
        server.faults.clear()
        server.seen.clear()
        assert quiet_build(config, out, resume=True).scenes == len(DATES)
    assert not server.seen[f"/d{DATES[2]}_B08.tif"]  # what was read is not read again
    assert server.seen[f"/d{DATES[6]}_B08.tif"]
    for name in ("fapar", "fapar_sd"):
        one, other = (zarr.open_array(store / name, mode="r")[:] for store in (out, whole))
        np.testing.assert_array_equal(one, other)


def test_services_and_files_give_the_same_views(shared, whole, tmp_path):
    """Through STAC, HTTP and two offsets, or straight from the cube: the same NDVI of the same pixels."""
    place, cube = str(shared / "data" / "eo" / "flanders_s2"), tmp_path / "r.zarr"
    quiet_build(configuration(shared, "sentinel-2-l2a-cube", place), cube)
    views, days = {}, {}
    for name, store in (("stac", whole), ("cube", cube)):
        views[name] = zarr.open_array(store.with_suffix(".build") / "views.zarr" / "ndvi", mode="r")[:]
        days[name] = [scene["day"] for scene in zarr.open_group(store, mode="r").attrs["scenes"]]
    found = [days["cube"].index(day) for day in days["stac"]]
    assert len(found) == len(DATES)
    np.testing.assert_allclose(views["stac"], views["cube"][found], atol=1)
