"""Chromium without a window, driven by its own DevTools protocol: no package is needed but tornado, which dask brings."""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60  # seconds


def program():
    """Path of Chromium, or None: HYBRIDFLUX_CHROMIUM names another one."""
    return os.environ.get("HYBRIDFLUX_CHROMIUM") or next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class Browser:
    """One page. All it asks for is in `requests`, what its scripts complain of in `complaints`."""

    def __init__(self, width=1280, height=800, phone=False):
        self.size, self.phone = (width, height), phone
        self.loop, self.requests, self.complaints, self.number, self.answers = asyncio.new_event_loop(), [], [], 0, {}

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="hybridflux-chromium-")
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]
        flags += ["--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "--lang=en"]
        self.process = subprocess.Popen([program(), *flags, "about:blank"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.loop.run_until_complete(self._connect())
        return self

    def __exit__(self, *error):
        self.loop.run_until_complete(self._disconnect())
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _disconnect(self):
        self.socket.close()  # inside of the loop: another test may have left the thread without one
        self.process.terminate()
        self.process.wait(20)
        await asyncio.sleep(0.1)
        self.reading.cancel()
        await asyncio.gather(self.reading, return_exceptions=True)

    async def _connect(self):
        from tornado.websocket import websocket_connect

        file = Path(self.folder) / "DevToolsActivePort"
        for _ in range(PATIENCE * 10):
            if file.exists() and "\n" in file.read_text():
                break
            await asyncio.sleep(0.1)
        port, path = file.read_text().split()
        self.socket = await websocket_connect(f"ws://127.0.0.1:{port}{path}", max_message_size=1 << 28)
        self.reading = asyncio.ensure_future(self._read())
        self.session = None
        pages = (await self._send("Target.getTargets"))["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self.session = (await self._send("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self._send(f"{domain}.enable")
        (width, height), density = self.size, 2 if self.phone else 1
        size = {"width": width, "height": height, "deviceScaleFactor": density, "mobile": self.phone}
        await self._send("Emulation.setDeviceMetricsOverride", **size)

    async def _read(self):
        while (text := await self.socket.read_message()) is not None:
            message = json.loads(text)
            if "id" in message:
                self.answers.pop(message["id"]).set_result(message)
            elif message["method"] == "Network.requestWillBeSent":
                self.requests.append(message["params"]["request"]["url"])
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(message["params"]["exceptionDetails"].get("exception", {}).get("description", "exception"))
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] == "error":
                self.complaints.append(message["params"]["entry"]["text"])

    async def _send(self, method, **parameters):
        self.number += 1
        answer = self.answers[self.number] = self.loop.create_future()
        message = {"id": self.number, "method": method, "params": parameters} | ({"sessionId": self.session} if self.session else {})
        await self.socket.write_message(json.dumps(message))
        found = await asyncio.wait_for(answer, PATIENCE)
        if "error" in found:
            raise RuntimeError(f"{method}: {found['error']}")
        return found["result"]

    def send(self, method, **parameters):
        """A command of the protocol."""
        return self.loop.run_until_complete(self._send(method, **parameters))

    def run(self, script):
        """The value of an expression of JavaScript, awaited."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def wait(self, script, seconds=PATIENCE):
        """Wait until an expression is true."""
        for _ in range(int(seconds * 20)):
            if self.run(f"(async () => !!({script}))()"):
                return
            self.loop.run_until_complete(asyncio.sleep(0.05))
        raise TimeoutError(f"{script}; complaints: {self.complaints}")

    def open(self, address):
        """Go to a page and wait for the map."""
        self.send("Page.navigate", url=address)
        self.wait("window.viewer && viewer.map.view && viewer.status.dataset.loading === '0'")

    def settle(self, seconds=PATIENCE):
        """Wait until all tiles of the map as it is now are drawn."""
        two = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        self.wait(f"await {two}, viewer.map.draw(), viewer.tiles.loading === 0", seconds)

    def click(self, x, y):
        """Click at a place of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def drag(self, start, end):
        """Drag from one place to another."""
        self.send("Input.dispatchMouseEvent", type="mousePressed", x=start[0], y=start[1], button="left", clickCount=1)
        for part in (0.3, 0.6, 1.0):
            x, y = (a + part * (b - a) for a, b in zip(start, end, strict=True))
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button="left", buttons=1)
        self.send("Input.dispatchMouseEvent", type="mouseReleased", x=end[0], y=end[1], button="left", clickCount=1)

    def press(self, key):
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, path):
        """A screenshot."""
        Path(path).write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png")["data"]))
