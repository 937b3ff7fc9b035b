"""A headless Chromium driven over a pipe by the DevTools protocol: no port, no driver, no other package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
PATIENCE_S = 120.0


def missing() -> str | None:
    """Why there can be no browser, None if there is one."""
    return (
        None if shutil.which("chromium") else "Chromium is not installed (as root on Debian: tests/browser/install.sh)"
    )


class Browser:
    """One page in a browser of its own, with what it said and asked for since it was opened."""

    def __init__(self) -> None:
        self.console: list[str] = []
        self.requests: list[str] = []
        self._events: list[dict] = []
        self._replies: dict[int, dict] = {}
        self._count, self._rest, self._session = 0, b"", None

    def __enter__(self) -> "Browser":
        self._profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        command = ["chromium", *OPTIONS, f"--user-data-dir={self._profile.name}", "about:blank"]
        # it reads from descriptor 3 and writes to 4; these two are far from both
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs_in, theirs_out)]
        shell = ["bash", "-c", f'exec "$@" 3<&{ends[0]} 4>&{ends[1]}', "bash", *command]
        self._process = subprocess.Popen(shell, pass_fds=ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        try:
            pages = [t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page"]
            target = pages[0]["targetId"] if pages else self.call("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self.resize(1280, 800)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def resize(self, width: int, height: int) -> None:
        """Set the size of the window, in CSS pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path: Path) -> None:
        """Load a file and wait until all of it is there."""
        self._events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._wait(lambda: any(event["method"] == "Page.loadEventFired" for event in self._events))

    def evaluate(self, expression: str) -> object:
        """The value of a JavaScript expression, as JSON has it; of a promise, what it comes to."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path, **options: object) -> None:
        """Write what the window shows as PNG; `clip` and `captureBeyondViewport` as the protocol has them."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **options)["data"]))

    def print_to_pdf(self, path: Path) -> None:
        """Write the printed page."""
        found = self.call("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(found["data"]))

    def call(self, method: str, **params: object) -> dict:
        """Send a command and wait for its result."""
        self._count += 1
        number = self._count
        message = {"id": number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        self._wait(lambda: number in self._replies)
        reply = self._replies.pop(number)
        assert "error" not in reply, f"{method}: {reply.get('error')}"
        return reply["result"]

    def _wait(self, done) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done():
            left = until - time.monotonic()
            assert left > 0, "Chromium does not answer"
            if select.select([self._from], [], [], left)[0]:
                part = os.read(self._from, 1 << 20)
                assert part, f"Chromium ended with status {self._process.wait()}"
                *messages, self._rest = (self._rest + part).split(b"\0")
                for message in messages:
                    self._receive(json.loads(message))

    def _receive(self, message: dict) -> None:
        if "id" in message:
            self._replies[message["id"]] = message
            return
        self._events.append(message)
        params = message["params"]
        match message["method"]:
            case "Runtime.exceptionThrown":
                self.console.append(f"exception: {params['exceptionDetails']}")
            case "Runtime.consoleAPICalled":
                self.console.append(f"{params['type']}: {params['args']}")
            case "Log.entryAdded":
                self.console.append(f"{params['entry']['level']}: {params['entry']['text']}")
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
