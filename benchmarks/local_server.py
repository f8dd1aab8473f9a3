"""A web server on a free port of this machine that fails as those of providers do: for tests and benchmarks.

It serves a folder, and what `answers` gives for a path: JSON (dict), bytes, the address to which it redirects (str), or a file (Path).
Files are served with byte ranges, as object stores do.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PIECE = 1 << 16  # bytes that are sent at once, so that a bounded rate flows evenly


class LocalServer(ThreadingHTTPServer):
    """The server, what is to befall its next requests, and what it has seen.

    Attributes:
        address: `http://127.0.0.1:PORT`.
        folder: files, none where it is None.
        answers: path without its query -> answer; anything with `get`.
        faults: part of a path -> what befalls its next requests: `times` of them, of `methods`; `status` (with `headers`), `reset`, `stall`
            in seconds, `cut` after so many bytes.
        chance: gives what befalls a request of a path, by chance; None for nothing.
        rate: bytes a second for all connections together; None is unbounded.
        latency: seconds before each answer.
        seen: requests by path, with their query.
        statuses: answers by status.
        sent: bytes of content.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, folder: Path | None = None):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address, self.folder = f"http://127.0.0.1:{self.server_address[1]}", folder
        self.answers, self.faults, self.chance, self.rate, self.latency = {}, {}, None, None, 0.0
        self.seen, self.statuses, self.sent = Counter(), Counter(), 0
        self._lock, self._free = threading.Lock(), 0.0

    def befalls(self, path: str, method: str) -> dict:
        """The fault of a request, empty for none."""
        with self._lock:
            self.seen[path] += 1
            for part, fault in self.faults.items():
                if part in path and fault["times"] > 0 and method in fault.get("methods", ("GET", "HEAD", "POST")):
                    fault["times"] -= 1
                    return fault
        return (self.chance(path) if self.chance else None) or {}

    def wait_for(self, size: int) -> None:
        """Count bytes, and wait until the rate lets them pass."""
        with self._lock:
            self.sent += size
            now = time.monotonic()
            self._free = max(self._free, now) + (size / self.rate if self.rate else 0.0)
            pause = self._free - now
        if self.rate:
            time.sleep(pause)

    def found(self, path: str):
        """The answer to a path; None where there is none."""
        answer = self.answers.get(path.partition("?")[0])
        if answer is None and self.folder is not None and ".." not in path:
            file = self.folder / path.partition("?")[0].lstrip("/")
            return file if file.is_file() else None
        return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LocalServer

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.server.befalls(self.path, self.command)
        time.sleep(self.server.latency + fault.get("stall", 0.0))
        if fault.get("reset"):  # SO_LINGER 0: the connection ends with RST
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif status := fault.get("status"):
            self._send(status, b"out of order", fault.get("headers"))
        else:
            answer = self.server.found(self.path)
            self._answer(answer(self.path, body) if callable(answer) else answer, fault.get("cut"))

    do_HEAD = do_POST = do_GET

    def _answer(self, answer, cut: int | None) -> None:
        if answer is None:
            self._send(404, b"")
        elif isinstance(answer, str):
            self._send(302, b"", {"Location": answer})
        elif isinstance(answer, Path):
            self._send_file(answer, cut)
        else:
            self._send(200, answer if isinstance(answer, bytes) else json.dumps(answer).encode(), {"Content-Type": "application/json"}, cut)

    def _send_file(self, path: Path, cut: int | None) -> None:
        size, asked = path.stat().st_size, self.headers.get("Range")
        first, _, last = (asked or "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if start >= stop:
            self._send(416, b"")
            return
        with open(path, "rb") as file:
            file.seek(start)
            part = file.read(stop - start)
        self._send(206, part, {"Content-Range": f"bytes {start}-{stop - 1}/{size}"}, cut) if asked else self._send(200, part, cut=cut)

    def _send(self, status: int, body: bytes, headers: dict | None = None, cut: int | None = None) -> None:
        try:
            self.server.statuses[status] += 1
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body)), "Accept-Ranges": "bytes"} | (headers or {})).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                body = body[:cut]
                for start in range(0, len(body), PIECE):
                    piece = body[start : start + PIECE]
                    self.server.wait_for(len(piece))
                    self.wfile.write(piece)
            if cut is not None:  # less than was announced
                self.close_connection = True
        except OSError:  # who asked has lost patience
            self.close_connection = True

    def log_message(self, *args):
        pass


@contextmanager
def local_server(folder: Path | None = None):
    """A server that runs."""
    server = LocalServer(folder)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
