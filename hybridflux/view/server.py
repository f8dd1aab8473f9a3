"""The server of the viewer: this machine only, one session, nothing but the runs that it was started with.

No path of a request becomes a path of a file: every address is one of a few patterns of numbers and known names, and the files of the
page are in memory. Who may ask is decided before anything else: the host must be this machine (the name of a page elsewhere may be made to
point here, "DNS rebinding"), a request must not come from another page, and the address must begin with a key that is made anew at each
start, because other users of the machine reach its ports too.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from hybridflux.limits import brief
from hybridflux.view.viewer import ZONE, Viewer
from hybridflux.view.viewer_page import ASSETS, SCRIPTS, live_page

LOOPBACK = "127.0.0.1"
LARGEST = 200_000  # bytes of what a page may send
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip
NUMBER = r"(\d{1,7})"
TILE = re.compile(rf"tile/{NUMBER}/(annual|monthly|daily|record|{ZONE})/(\w{{1,80}})/{NUMBER}/{NUMBER}/{NUMBER}/{NUMBER}", re.ASCII)
PIXEL = re.compile(rf"pixel/{NUMBER}/{NUMBER}/{NUMBER}", re.ASCII)
ZONES = re.compile(rf"zones/{NUMBER}/(\d{{4}}(?:-\d\d)?)/{NUMBER}", re.ASCII)
POLYGON = re.compile(rf"polygon/{NUMBER}", re.ASCII)
JSON, BYTES = "application/json", "application/octet-stream"


class ViewerServer(ThreadingHTTPServer):
    """Serves one viewer on the loopback.

    Attributes:
        viewer: what is looked at.
        key: first part of every address.
    """

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, viewer: Viewer, port: int = 0):
        super().__init__((LOOPBACK, port), _Handler)
        self.viewer, self.key = viewer, secrets.token_urlsafe(18)
        self.files = {name: (ASSETS / name).read_bytes() for name in (*SCRIPTS, "viewer.css")}
        self.page = live_page(viewer.describe()).encode()

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{LOOPBACK}:{self.server_port}/{self.key}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """Hosts that a request may name."""
        return f"{LOOPBACK}:{self.server_port}", f"localhost:{self.server_port}"


class _Refusal(Exception):
    """A request that is not answered."""

    def __init__(self, status: HTTPStatus, message: str = ""):
        super().__init__(message)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    """Answers of a `ViewerServer`."""

    server: ViewerServer
    server_version, sys_version = "hybridflux", ""
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Pages, tiles, series, states of polygons."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A polygon."""
        self._answer(self._post)

    def log_message(self, *arguments) -> None:
        """Silent: addresses hold the key."""

    def _answer(self, made) -> None:
        try:
            kind, content = made(self._checked())
            self._send(HTTPStatus.OK, kind, content)
        except _Refusal as refusal:
            self._refuse(refusal.status, str(refusal))
        except (IndexError, KeyError):
            self._refuse(HTTPStatus.NOT_FOUND, "")
        except (ValueError, OSError, ImportError) as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, brief(str(error)))

    def _checked(self) -> str:
        """The part of the address behind the key, of a request that may be answered.

        Raises:
            _Refusal: it may not.
        """
        hosts = self.headers.get_all("Host") or []
        if len(hosts) != 1 or hosts[0].lower() not in self.server.hosts:
            raise _Refusal(HTTPStatus.MISDIRECTED_REQUEST)
        origin = self.headers.get("Origin")
        if origin is not None and origin not in {f"http://{host}" for host in self.server.hosts}:
            raise _Refusal(HTTPStatus.FORBIDDEN)
        key, slash, rest = self.path.removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(key.encode(), self.server.key.encode()):
            raise _Refusal(HTTPStatus.NOT_FOUND)
        clicked = rest == "" and self.headers.get("Sec-Fetch-Dest") == "document"  # the address in the terminal of a notebook, say
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin") and not clicked:
            raise _Refusal(HTTPStatus.FORBIDDEN)
        return rest

    def _get(self, rest: str) -> tuple[str, bytes]:
        viewer = self.server.viewer
        if rest == "":
            return "text/html; charset=utf-8", self.server.page
        if rest in self.server.files:
            return f"text/{'css' if rest.endswith('.css') else 'javascript'}; charset=utf-8", self.server.files[rest]
        if found := TILE.fullmatch(rest):
            run, group, array, *place = found.groups()
            return BYTES, viewer.tile(int(run), group, array, *map(int, place))
        if found := PIXEL.fullmatch(rest):
            return JSON, _json(viewer.pixel(*map(int, found.groups())))
        if found := ZONES.fullmatch(rest):
            zones = viewer.zones[int(found[1])]
            return JSON, _json(zones.by_number(found[2], zones.variables[int(found[3])]))
        if found := POLYGON.fullmatch(rest):
            return JSON, _json(viewer.drawn[int(found[1])].to_json())
        if rest == "polygons.gpkg":
            return "application/geopackage+sqlite3", viewer.geopackage()
        raise _Refusal(HTTPStatus.NOT_FOUND)

    def _post(self, rest: str) -> tuple[str, bytes]:
        if self.headers.get("Content-Type") != JSON or self.headers.get("Origin") is None:
            raise _Refusal(HTTPStatus.FORBIDDEN)
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST:
            self.close_connection = True
            raise _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(int(length))
        if rest != "polygon":
            raise _Refusal(HTTPStatus.NOT_FOUND)
        try:
            sent = json.loads(body)
            run, other, corners = int(sent["run"]), sent.get("other"), sent["corners"]
            other = None if other is None else int(other)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise _Refusal(HTTPStatus.BAD_REQUEST, "a polygon is sent as {run, corners}") from error
        return JSON, _json({"number": self.server.viewer.draw(run, corners, other)})

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        if self.command == "POST":
            self.close_connection = True  # what was sent may not have been read
        self._send(status, "text/plain; charset=utf-8", (message or status.phrase).encode())

    def _send(self, status: HTTPStatus, kind: str, content: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(content))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (ConnectionError, TimeoutError):  # the page went on to other tiles
            self.close_connection = True


def _json(content: dict) -> bytes:
    return json.dumps(content, allow_nan=False).encode()


def serve(runs: list[Path], *, region: Path | None = None, ledger: Path | None = None, port: int = 0) -> ViewerServer:
    """A server of some runs that is bound, and not yet at work (`serve_forever`).

    Args:
        runs: run folders on one grid.
        region: where their region store is now, if not where it was.
        ledger: table of `hybridflux ledger` of the first run, shown by zone.
        port: of the loopback; any free one by default.

    Raises:
        FileNotFoundError: as `Viewer.open`.
        ValueError: as `Viewer.open`, or the port is taken.
    """
    viewer = Viewer.open(runs, region, ledger)
    try:
        return ViewerServer(viewer, port)
    except OSError as error:
        raise ValueError(f"port {port} of {LOOPBACK} cannot be used ({error.strerror}); leave --port out, or name another") from error
