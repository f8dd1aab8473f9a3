"""Runs to look at: one whose maps are made up, without a model; and two that were mapped for real, with the same draws."""

import json
import shutil
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import numpy as np
import pytest
import zarr

from hybridflux.region.store import layout
from hybridflux.region.store.grid import Grid

SHAPE, TILE, MONTHS = (600, 540), 100, 14
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"


def made_up_run(path, *, shape=SHAPE, west=500_000.0):
    """A run of monthly and annual maps and of a trend; a corner is outside. Returns its values by array as stored."""
    rng, grid, values = np.random.default_rng(0), Grid("EPSG:2154", west, 6_800_000.0, 10.0, shape, TILE), {}
    spec = {"start": "2021-01-01", "end": "2022-02-28", "spread": "parameter", "draws": 4, "changes": []}
    record = {"state": "done", "title": f"Valley {EVIL}", "region": str(path / "gone.zarr"), "spec": spec, "config_hash": "0" * 64}
    (path / "tiles").mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(record | {"provenance": {"hybridflux": "0"}}))
    root = zarr.create_group(path / "fluxes.zarr")
    firsts = {"annual": np.array(["2021", "2022"], "datetime64[Y]"), "monthly": np.arange("2021-01", "2022-03", dtype="datetime64[M]")}
    firsts["record"] = firsts["annual"][:1]
    mapped = {"annual": np.array([365, 59]), "record": np.array([424])}
    fluxes = {"NEE": 0.01, "NEE_sd": 0.01, "NEE_q05": 0.01, "NEE_q95": 0.01, "GPP": 0.02}
    trends = {"NEE_trend": 0.01, "NEE_trend_sd": 0.01, "NEE_trend_rising": 1e-3, "GPP_trend": 0.01}
    for name, first in firsts.items():
        group = root.create_group(name)
        for axis, (at, described) in layout.axes(grid.x, grid.y).items():
            layout.put(group, axis, at, (axis,), **described)
        layout.put(group, "spatial_ref", np.int32(0), (), **layout.spatial_ref(grid.crs, grid.west, grid.north, grid.pixel))
        day = first.astype("datetime64[D]")
        days = (first + 1).astype("datetime64[D]") - day
        layout.put(group, "time", (day - layout.EPOCH).astype(int), ("time",), **layout.TIME, units=layout.TIME_UNITS, calendar="standard")
        layout.put(group, "days", mapped.get(name, days.astype(int)), ("time",))
        for array, scale in (trends if name == "record" else fluxes).items():
            made = rng.integers(-900, 900, (len(first), *shape)).astype(np.int16)
            made += {"NEE_q05": -500, "NEE_q95": 500}.get(array, 0)
            made = np.abs(made) if array.endswith(("_sd", "_rising")) or array == "GPP" else made
            made[:, :TILE, :TILE] = layout.NODATA
            attributes = {"units": "1" if array.endswith("_rising") else "g m-2", "scale_factor": scale, "_FillValue": layout.NODATA}
            stored = group.create_array(
                array, shape=made.shape, dtype=np.int16, chunks=(len(first), TILE, TILE), compressors=layout.codecs(),
                dimension_names=("time", "y", "x"), fill_value=layout.NODATA, attributes=attributes,
            )  # fmt: skip
            stored[:] = made
            values[f"{name}/{array}"] = made
    for row in range(-(-shape[0] // TILE)):
        for column in range(-(-shape[1] // TILE)):
            (path / "tiles" / f"r{row:03d}_c{column:03d}.json").touch()
    return values


@pytest.fixture(scope="session")
def made_up(tmp_path_factory):
    """The run whose maps are made up: `path`, `values`."""
    path = tmp_path_factory.mktemp("made_up") / "run"
    return SimpleNamespace(path=path, values=made_up_run(path))


@pytest.fixture
def own(made_up, tmp_path):
    """A copy of it that a test may change."""
    shutil.copytree(made_up.path, tmp_path / "run", ignore=shutil.ignore_patterns("view.cache"))
    return tmp_path / "run"


def served(runs):
    """A server at work, until the test ends."""
    from hybridflux.view.server import serve

    with serve(runs) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(made_up):
    """A server of the run whose maps are made up."""
    yield from served([made_up.path])


class Connection(HTTPConnection):
    """Sends any target."""

    def _encode_request(self, request):
        return request.encode("utf-8")

    def _validate_path(self, url):
        pass


def ask(server, rest="", *, method="GET", body=None, whole=None, **headers):
    """Status, headers and content of an answer; `whole` is a target that replaces the address with the key."""
    connection = Connection("127.0.0.1", server.server_port, timeout=60)
    connection.putrequest(method, whole if whole is not None else f"/{server.key}/{rest}", skip_host=True, skip_accept_encoding=True)
    headers = {"Host": f"127.0.0.1:{server.server_port}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    for name, value in (headers | ({} if body is None else {"Content-Length": str(len(body))})).items():
        for one in [value] if isinstance(value, str) else value:
            connection.putheader(name, one)
    connection.endheaders(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), content


@pytest.fixture(scope="session")
def mapped(tmp_path_factory):
    """Two real runs of the same draws, `control` and `changed`, with the region."""
    from hybridflux.region.drivers.calendar import Period
    from hybridflux.region.drivers.open import open_region
    from hybridflux.region.map import map_region
    from tests.region.conftest import a_posterior
    from tests.region.conftest import made_up as a_region

    folder: Path = tmp_path_factory.mktemp("mapped")
    a_region(folder / "region.zarr")
    posterior, region = a_posterior(), open_region(folder / "region.zarr")
    for name, where in (("control", region), ("changed", region.with_changes({"rain": "*0.3"}))):
        map_region(posterior, where, folder / name, draws=4, period=Period("2018-05-01", "2018-07-31"))
    return SimpleNamespace(control=folder / "control", changed=folder / "changed", region=folder / "region.zarr")
