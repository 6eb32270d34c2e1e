"""A real Chromium without a window, driven over its debugging pipe: no package is needed for that.

Every page is opened with what it asks the network for, what it logs, and what it throws recorded.
"""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "chrome-headless-shell")


def find():
    """Path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


@contextlib.contextmanager
def chromium():
    """Context: yields a Browser, which ends with it."""
    to_read, to_write = os.pipe(), os.pipe()
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --remote-debugging-pipe"
    profile = tempfile.mkdtemp()
    command = 'exec "$0" "$@" 3<&{} 4>&{}'.format(to_read[0], to_write[1])
    process = subprocess.Popen(
        ["bash", "-c", command, find()] + options.split() + ["--user-data-dir=" + profile],
        pass_fds=(to_read[0], to_write[1]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    os.close(to_read[0])
    os.close(to_write[1])
    try:
        with os.fdopen(to_write[0], "rb") as incoming, os.fdopen(to_read[1], "wb") as outgoing:
            yield Browser(incoming, outgoing)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # it and the processes that it started
        process.wait()
        shutil.rmtree(profile, ignore_errors=True)


class Browser:
    """One tab. events: what the page asked for and complained about, [(method, parameters)]."""

    def __init__(self, incoming, outgoing):
        self.incoming, self.outgoing, self.session, self.number, self.events = incoming, outgoing, None, 0, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **parameters):
        """One command of the DevTools protocol -> its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.outgoing.write(json.dumps(message).encode() + b"\0")
        self.outgoing.flush()
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]

    def read(self):
        """The next message; events are kept."""
        parts = bytearray()
        while not parts.endswith(b"\0"):
            waiting = self.incoming.peek(1)
            assert waiting, "the browser has ended"
            end = waiting.find(b"\0") + 1
            parts += self.incoming.read(end or len(waiting))
        message = json.loads(bytes(parts[:-1]).decode())
        if "method" in message:
            self.events.append((message["method"], message["params"]))
        return message

    def open(self, url, width=1280, height=900, dark=False, media="", phone=False):
        """Open a page as on such a screen, and wait until it is there."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", media=media, features=scheme)
        self.events = []
        self.call("Page.navigate", url=url)
        while not any(method == "Page.loadEventFired" for method, _ in self.events):
            self.read()

    def evaluate(self, script):
        """A JavaScript expression -> its value."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def requests(self):
        """What the page has asked for, as URLs."""
        return [item["request"]["url"] for method, item in self.events if method == "Network.requestWillBeSent"]

    def complaints(self):
        """Errors and warnings of the console, exceptions, violated policies."""
        kinds = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
        return [item for method, item in self.events if method in kinds]

    def screenshot(self, path, whole=True):
        """Keep the page as a PNG."""
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole, **({"clip": clip} if whole else {}))
        with open(str(path), "wb") as file:
            file.write(base64.b64decode(found["data"]))

    def print_pdf(self):
        """The page as it is printed on A4 -> bytes of a PDF."""
        found = self.call(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True, preferCSSPageSize=False
        )
        return base64.b64decode(found["data"])
