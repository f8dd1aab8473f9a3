"""The server gives the values of the store, to this session only, and nothing else."""

import json
import os
import re
import socket
import struct

import numpy as np
import pytest
from typer.testing import CliRunner

from hybridflux.cli import app
from hybridflux.limits import Refused
from hybridflux.region.store.layout import NODATA
from hybridflux.view.pyramid import SIDE, BlockMemory
from hybridflux.view.run_maps import ENDING, RunMaps
from hybridflux.view.server import LARGEST, ViewerServer, serve
from tests.view.conftest import EVIL, ask, made_up_run, served

CORNERS = [[500_100, 6_799_900], [500_900, 6_799_900], [500_900, 6_799_200]]


def test_tiles_are_the_values_of_the_store(server, made_up):
    status, _, content = ask(server, "tile/0/monthly/NEE/3/0/1/0")
    assert status == 200
    np.testing.assert_array_equal(np.frombuffer(content, "<i2").reshape(SIDE, SIDE), made_up.values["monthly/NEE"][3, 256:512, :256])


def test_the_series_of_a_pixel_is_the_store(server, made_up):
    found = json.loads(ask(server, "pixel/0/333/212")[2])
    for name, values in made_up.values.items():
        group, array = name.split("/")
        layer = ENDING.sub("", array)
        scale = {"GPP": 0.02, "NEE_trend_rising": 1e-3}.get(layer, 0.01)
        np.testing.assert_allclose(found["series"][group][layer][array.removeprefix(layer)], values[:, 333, 212] * scale, rtol=1e-9)
    outside = json.loads(ask(server, "pixel/0/5/5")[2])
    assert outside["series"]["annual"]["NEE"][""] == [None, None] and made_up.values["annual/NEE"][0, 5, 5] == NODATA


def test_the_page_describes_the_run_and_runs_nothing_of_its_names(server):
    status, headers, page = ask(server)
    assert status == 200 and EVIL.encode() not in page and b"<script>alert" not in page and b"<img" not in page
    data = json.loads(page.split(b'id="description">')[1].split(b"</script>")[0])
    [run] = data["runs"]
    assert run["title"] == f"Valley {EVIL}" and run["groups"]["annual"]["frames"] == ["2021", "2022, 59 days"]
    assert data["levels"] == 3 and data["grid"] == {"height": 600, "width": 540, "west": 500_000.0, "north": 6_800_000.0, "pixel": 10.0}
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy


def test_it_is_bound_to_the_loopback_alone(server):
    assert server.server_address[0] == "127.0.0.1"
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", server.server_port), timeout=5)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"}, {"Host": "evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Host": "127.0.0.1:{port}.evil.example"},
        {"Host": ""},
        {"Host": ["127.0.0.1:{port}", "evil.example"]}, {"Origin": "http://evil.example"}, {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
    ],
)  # fmt: skip
def test_other_hosts_and_pages_are_refused(server, headers):
    def named(value):
        return [one.format(port=server.server_port) for one in value] if isinstance(value, list) else value.format(port=server.server_port)

    status, _, content = ask(server, "", **{name: named(value) for name, value in headers.items()})
    assert status in (403, 421) and b"Valley" not in content


def test_a_link_to_the_page_may_be_clicked_and_nothing_else_of_it_embedded(server):
    clicked = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    status, headers, _ = ask(server, "", **clicked)
    assert status == 200 and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert ask(server, "pixel/0/333/212", **clicked)[0] == 403
    assert ask(server, "", **clicked | {"Sec_Fetch_Dest": "iframe"})[0] == 403


@pytest.mark.parametrize("key", ["", "x", "Ä", "{key}x", "{short}", "%00"])
def test_without_its_key_nothing_is_answered(server, key):
    key = key.format(key=server.key, short=server.key[:-1])
    assert ask(server, whole=f"/{key}/")[0] == 404
    assert ask(server, whole="/")[0] == 404 and ask(server, whole=f"/{server.key}")[0] == 404


@pytest.mark.parametrize(
    "rest",
    [
        "../../etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%2f..%2fetc%2fpasswd", "..\\..\\etc\\passwd", "/etc/passwd", "//etc/passwd",
        "run.json", "%72un.json", "viewer.css/../../run.json", "viewer.css%00", "./viewer.css", "tile/0/monthly/..%2fNEE/0/0/0/0",
        "tile/0/../NEE/0/0/0/0",
        "tile/0/monthly/time/0/0/0/0", "tile/1/monthly/NEE/0/0/0/0", "tile/0/monthly/NEE/٣/0/0/0", "tile/0/zone/zone/0/0/0/0",
        "tile/0/monthly/NEE/0/99/0/0", "pixel/0/600/0", "polygon/0", "zones/9/2021/0", "file:///etc/passwd", "viewer_page.py", "?x",
    ],
)  # fmt: skip
def test_paths_outside_of_the_run_and_unknown_names_are_refused(server, rest):
    status, _, content = ask(server, rest)
    assert status == 404 and b"root:" not in content and b"config_hash" not in content


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "HEAD", "CONNECT", "TRACE"])
def test_other_methods_are_refused(server, method):
    assert ask(server, method=method)[0] == 501


def posted(server, body, **headers):
    given = {"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{server.server_port}"} | headers
    return ask(server, "polygon", method="POST", body=body, **{name: value for name, value in given.items() if value})


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"Origin": None}, 403), (b"{}", {"Content_Type": "text/plain"}, 403), (b"{}", {"Origin": "http://evil.example"}, 403),
        (b"{", {}, 400), (b"[]", {}, 400), (b"[" * 50_000, {}, 400), (b" " * (LARGEST + 1), {}, 413),
        (json.dumps({"run": 7, "corners": CORNERS}).encode(), {}, 404), (json.dumps({"run": -1, "corners": CORNERS}).encode(), {}, 404),
        (json.dumps({"run": 0, "corners": CORNERS[:2]}).encode(), {}, 422), (json.dumps({"run": 0, "corners": "abc"}).encode(), {}, 422),
        (json.dumps({"run": 0, "corners": [[0, 0], [1, 1], [1, 0], [0, 1]]}).encode(), {}, 422),
        (b'{"run": 0, "corners": [[0, 0], [1, Infinity], [1, 0]]}', {}, 422),
    ],
)  # fmt: skip
def test_a_polygon_is_looked_at_before_any_work(server, body, headers, status):
    assert posted(server, body, **headers)[0] == status
    assert not server.viewer.drawn


def test_half_a_request_does_not_stop_others(server):
    with socket.create_connection(("127.0.0.1", server.server_port)) as one:
        one.sendall(b"GET /")
        assert ask(server)[0] == 200
    with socket.create_connection(("127.0.0.1", server.server_port)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.sendall(f"GET /{server.key}/ HTTP/1.1\r\nHost: 127.0.0.1:{server.server_port}\r\n\r\n".encode())
    assert ask(server)[0] == 200


def test_links_out_of_the_run_are_refused(own, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes((own / "fluxes.zarr/monthly/NEE/c/0/3/3").read_bytes())
    chunk = own / "fluxes.zarr/monthly/NEE/c/0/2/2"
    chunk.unlink()
    chunk.symlink_to(secret)
    for server in served([own]):
        status, _, content = ask(server, "tile/0/monthly/NEE/0/0/0/0")
        assert status == 422 and b"link out of the run folder" in content
        assert ask(server, "tile/0/monthly/GPP/0/0/0/0")[0] == 200
    os.rename(own / "fluxes.zarr/annual/NEE", tmp_path / "NEE")
    (own / "fluxes.zarr/annual/NEE").symlink_to(tmp_path / "NEE")
    with pytest.raises(Refused, match="link out of the run folder"):
        RunMaps.open(own, BlockMemory())


def test_a_damaged_chunk_is_named(own):
    chunk = own / "fluxes.zarr/monthly/NEE/c/0/2/2"
    content = bytearray(chunk.read_bytes())
    content[len(content) // 2] ^= 1
    chunk.write_bytes(content)
    run = RunMaps.open(own, BlockMemory())
    with pytest.raises(ValueError, match="monthly/NEE is damaged.*hybridflux map --run"):
        run.pyramid("monthly", "NEE").tile(0, 0, 0, 0)


def test_the_command_says_where_and_ends_by_ctrl_c(made_up, monkeypatch):
    def stopped(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(ViewerServer, "serve_forever", stopped)
    said = CliRunner().invoke(app, ["view", str(made_up.path), "--no-browser"])
    assert said.exit_code == 0 and re.match(r"http://127\.0\.0\.1:\d+/[\w-]{24}/\n", said.output) and said.output.endswith("ended\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ValueError, match="cannot be used.*leave --port out"):
            serve([made_up.path], port=taken.getsockname()[1])


def test_what_cannot_be_viewed_is_said(made_up, tmp_path):
    with pytest.raises(FileNotFoundError, match="not a run folder"):
        serve([tmp_path])
    made_up_run(tmp_path / "other", shape=(90, 90), west=600_000.0)
    with pytest.raises(ValueError, match="not on the same grid; view each of them alone"):
        serve([made_up.path, tmp_path / "other"])
    (tmp_path / "other" / "fluxes.zarr").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match="has no maps"):
        serve([tmp_path / "other"])
