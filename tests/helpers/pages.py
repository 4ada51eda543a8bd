"""Pages of one file: what they hold, and what a browser makes of them at a width."""

import json
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "link", "img", "br", "input", "source"}


class Page(HTMLParser):
    """What a page holds: its elements with their attributes and text, and whether its tags are balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.append((self.open[-1], data.strip()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def probe(page: Path, folder: Path, width: int, script: str) -> Any:
    """Open a copy of a page in a frame of a width and return what a script at its end found; a console message fails.

    ``script`` is the body of an async function that returns a value for JSON. Headless Chromium makes no window narrower than 500
    pixels, but a frame may have any width.
    """
    folder.mkdir(parents=True, exist_ok=True)
    told = f"<script>(async () => {{ {script} }})().then((found) => parent.postMessage(JSON.stringify({{found}}), '*'));</script></body>"
    copy = folder / "copy.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", told), encoding="utf-8")
    frame = folder / "frame.html"
    frame.write_text(
        "<!DOCTYPE html><html><head><meta charset='utf-8'></head><body><script>addEventListener('message', (event) => "
        "{ document.body.dataset.probe = event.data; });</script>"
        f"<iframe src='{escape(copy.as_uri())}' width='{width}' height='900'></iframe></body></html>",
        encoding="utf-8",
    )
    quiet = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={folder / 'profile'}"]
    command += ["--enable-logging=stderr", "--virtual-time-budget=20000", f"--window-size={max(width, 500)},950", "--dump-dom"]
    shown = subprocess.run([*command, frame.as_uri()], capture_output=True, text=True, timeout=120, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "CONSOLE" not in shown.stderr, shown.stderr
    (body,) = Page(shown.stdout).all("body")
    return json.loads(body["data-probe"])["found"]
