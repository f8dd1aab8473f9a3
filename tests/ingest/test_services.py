"""A region built from real servers: a STAC API, files over HTTP; a server that fails in the middle costs nothing that was done."""

import warnings

import numpy as np
import pytest
import zarr

from hybridflux.ingest.build import build_region
from hybridflux.ingest.config import load_config
from tests.data.imagery.stac_server import BIG, cog, files_server, flanders, item, stac_api

pytestmark = pytest.mark.long

DATES = [60, 62, 65, 68, 70, 72, 75, 77, 80, 84]  # of the real cube, May to August 2018
SHIFTED = set(DATES[::2])  # stored as baseline 05.00 would: 1000 more, the offset to be taken off again
CDSE = {"raster:bands": [{"scale": 1e-4, "offset": -0.1, "nodata": 0, "data_type": "uint16"}]}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    for name, value in {"MAX_RETRY": "1", "RETRY_DELAY": "0.05", "TIMEOUT": "2", "CONNECTTIMEOUT": "2"}.items():
        monkeypatch.setenv(f"GDAL_HTTP_{name}", value)


def write_items(folder, shared, address):
    """COGs of some dates, half of them with the offset of baseline 05.00, and their items."""
    items = []
    for index in DATES:
        hrefs = {}
        for asset, band in (("B04", "B04"), ("B08", "B08"), ("SCL", "SCL")):
            stored, grid, when = flanders(shared, index, band, shift=1000 if index in SHIFTED and band != "SCL" else 0)
            cog(folder / f"d{index}_{asset}.tif", stored, grid)
            hrefs[asset] = f"{address}/d{index}_{asset}.tif"
            fine = grid if band == "B04" else fine
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


def test_a_failing_server_costs_nothing_that_was_done(shared, tmp_path):
    files = tmp_path / "files"
    with files_server(files) as server:
        items = write_items(files, shared, server.address)
        with stac_api(tmp_path, items) as api:
            config, out = configuration(shared, "sentinel-2-l2a", f"{api}#scenes"), tmp_path / "r.zarr"
            server.faults[f"d{DATES[6]}_B08"] = {"status": 500, "times": BIG}
            with pytest.raises(OSError, match=f"d{DATES[6]}_B08.*500"):
                quiet_build(config, out)
            done = len(list((tmp_path / "r.build" / "views").glob("*.json")))
            assert 6 <= done < len(DATES)  # those in flight come to their end
            server.faults.clear()
            server.seen.clear()
            report = quiet_build(config, out, resume=True)
            assert report.scenes == len(DATES)
            assert not server.seen[f"/d{DATES[2]}_B08.tif"]  # what was read is not read again
            assert server.seen[f"/d{DATES[6]}_B08.tif"]
            whole = quiet_build(config, tmp_path / "whole.zarr")
    assert whole.scenes == report.scenes
    for name in ("fapar", "fapar_sd"):
        one, other = (zarr.open_array(tmp_path / f"{store}.zarr" / name, mode="r")[:] for store in ("r", "whole"))
        np.testing.assert_array_equal(one, other)


def test_services_and_files_give_the_same_views(shared, tmp_path):
    """Through STAC, HTTP and two offsets, or straight from the cube: the same NDVI of the same pixels."""
    files = tmp_path / "files"
    with files_server(files) as server, stac_api(tmp_path, write_items(files, shared, server.address)) as api:
        quiet_build(configuration(shared, "sentinel-2-l2a", f"{api}#scenes"), tmp_path / "stac.zarr")
    quiet_build(configuration(shared, "sentinel-2-l2a-cube", str(shared / "data" / "eo" / "flanders_s2")), tmp_path / "cube.zarr")
    views, days = {}, {}
    for name in ("stac", "cube"):
        views[name] = zarr.open_array(tmp_path / f"{name}.build" / "views.zarr" / "ndvi", mode="r")[:]
        days[name] = [scene["day"] for scene in zarr.open_group(tmp_path / f"{name}.zarr", mode="r").attrs["scenes"]]
    found = [days["cube"].index(day) for day in days["stac"]]
    assert len(found) == len(DATES)
    np.testing.assert_allclose(views["stac"], views["cube"][found], atol=1)
