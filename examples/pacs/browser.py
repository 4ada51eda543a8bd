"""Headless Chromium, steered by its own protocol through a pipe: pages are opened, clicked and photographed."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # WebGL in software: --disable-gpu would take it away.
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)


PATIENCE_S = 240.0
"""How long is waited for the browser: pictures drawn without a graphics card take their time on a busy machine."""


class BrowserError(Exception):
    """The browser or the page did not do what was expected."""


@dataclass(eq=False)
class Page:
    """One page of a browser."""

    to_browser: int
    from_browser: int
    session: str = ""
    requests: set[str] = field(default_factory=set)
    """Addresses that the page has asked for."""
    _number: int = 0
    _buffer: bytes = b""

    def call(self, method: str, timeout_s: float = PATIENCE_S, **parameters: object) -> dict:
        """Send a command of the DevTools protocol; return its result."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            answer = self._read(until - time.monotonic())
            if answer.get("method") == "Network.requestWillBeSent":
                self.requests.add(answer["params"]["request"]["url"])
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                return answer["result"]
        raise BrowserError(f"{method}: no answer in {timeout_s} s")

    def _read(self, timeout_s: float) -> dict:
        until = time.monotonic() + timeout_s
        while b"\0" not in self._buffer:
            if not select.select([self.from_browser], [], [], max(0, until - time.monotonic()))[0]:
                return {}
            data = os.read(self.from_browser, 1 << 20)
            if not data:
                raise BrowserError("the browser has ended")
            self._buffer += data
        message, self._buffer = self._buffer.split(b"\0", 1)
        return json.loads(message)

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def evaluate(self, script: str) -> object:
        """Return the value of an expression of JavaScript, once it is there."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise BrowserError(result["exceptionDetails"].get("exception", {}).get("description", "a script failed"))
        return result["result"].get("value")

    def wait_for(self, script: str, what: str, timeout_s: float = PATIENCE_S) -> object:
        """Wait until an expression is true; return its value.

        Raises
        ------
        BrowserError
            It did not become true in time; ``what`` is named.
        """
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            value = self.evaluate(f"(() => {{ try {{ return {script}; }} catch {{ return null; }} }})()")
            if value:
                return value
            time.sleep(0.25)
        raise BrowserError(f"{what} did not appear in {timeout_s:.0f} s")

    def click(self, x: float, y: float, times: int = 1) -> None:
        """Click at a place of the page, in pixels."""
        for count in range(1, times + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=count)

    def photograph(self) -> bytes:
        """Return what the window shows, as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])


def _pipe() -> list[int]:
    """Return both ends of a pipe, with numbers that no redirection below uses."""
    ends = []
    for end in os.pipe():
        ends.append(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10))
        os.close(end)
    return ends


@contextmanager
def browsing(width: int, height: int) -> Iterator[Page]:
    """Run a browser with one page of a size in pixels until the block ends.

    Raises
    ------
    BrowserError
        There is no Chromium.
    """
    if CHROMIUM is None:
        raise BrowserError("Chromium is not on the path; install it: apt-get install chromium")
    read_commands, to_browser = _pipe()
    from_browser, write_answers = _pipe()
    with tempfile.TemporaryDirectory(prefix="cmr-browser-", ignore_cleanup_errors=True) as profile:
        # The browser reads descriptor 3 and writes descriptor 4.
        redirect = f'exec "$0" "$@" 3<&{read_commands} 4>&{write_answers}'
        browser = subprocess.Popen(
            ["bash", "-c", redirect, CHROMIUM, *SWITCHES, "--remote-debugging-pipe", f"--user-data-dir={profile}"],  # noqa: S607
            pass_fds=(read_commands, write_answers),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        page = Page(to_browser, from_browser)
        try:
            target = page.call("Target.createTarget", url="about:blank")["targetId"]
            page.session = page.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
            page.call("Emulation.setDeviceMetricsOverride", **size)
            page.call("Network.enable")
            page.call("Page.enable")
            yield page
        finally:
            browser.kill()
            browser.wait()
            os.close(to_browser)
            os.close(from_browser)
