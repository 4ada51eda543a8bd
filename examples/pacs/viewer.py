"""OHIF on the loopback, in front of a PACS: the built viewer and DICOMweb at one address, so that the browser needs no password."""

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from examples.pacs.servers import LOOPBACK, Orthanc

DICOM_WEB = "/dicom-web"
CONFIG = "/app-config.js"
DATA_SOURCE = {
    "friendlyName": "Orthanc of the demo",
    "name": "demo",
    "qidoRoot": DICOM_WEB,
    "wadoRoot": DICOM_WEB,
    "qidoSupportsIncludeField": False,
    "supportsFuzzyMatching": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "omitQuotationForMultipartRequest": True,
    "bulkDataURI": {"enabled": True},
}
SETTINGS = {
    "routerBasename": "/",
    "extensions": [],
    "modes": [],
    "customizationService": {},
    "showStudyList": True,
    "maxNumberOfWebWorkers": 2,
    "investigationalUseDialog": {"option": "never"},
    "defaultDataSourceName": "dicomweb",
    "dataSources": [
        {
            "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
            "sourceName": "dicomweb",
            "configuration": DATA_SOURCE,
        }
    ],
}
"""OHIF's settings, in the place of those that come with it, which name public servers."""

CONTENT_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
PASSED_ON = ("accept", "content-type", "content-length", "range")
"""Headers of a request that the PACS gets."""
PASSED_BACK = ("content-type", "content-length", "content-range")
"""Headers of an answer that the browser gets."""


@dataclass(frozen=True)
class Viewer:
    """A viewer that is served."""

    port: int

    @property
    def url(self) -> str:
        """The list of studies."""
        return f"http://{LOOPBACK}:{self.port}/"

    def study(self, study_uid: str) -> str:
        """Return the address of a study."""
        return f"{self.url}viewer?StudyInstanceUIDs={study_uid}"


@contextmanager
def serving(dist: Path, orthanc: Orthanc, port: int = 0) -> Iterator[Viewer]:
    """Serve the viewer until the block ends.

    Parameters
    ----------
    dist
        The folder ``dist`` of the npm package ``@ohif/app``.
    orthanc
        The PACS, whose password the browser does not get to know.
    port
        Where to listen; 0 for a free port.
    """

    class Handler(_Handler):
        folder = dist.resolve()
        pacs = orthanc

    with ThreadingHTTPServer((LOOPBACK, port), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Viewer(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Files of the viewer; what lies under DICOMweb's path comes from the PACS."""

    protocol_version = "HTTP/1.1"
    folder: ClassVar[Path]
    pacs: ClassVar[Orthanc]

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if not self._is_for_us():
            self._send(b"", CONTENT_TYPES[".html"], status=403)
        elif path.startswith(f"{DICOM_WEB}/"):
            self._relay()
        elif path == CONFIG:
            self._send(f"window.config = {json.dumps(SETTINGS)};".encode(), CONTENT_TYPES[".js"])
        else:
            file = (self.folder / path.lstrip("/")).resolve()
            if not (file.is_relative_to(self.folder) and file.is_file()):
                file = self.folder / "index.html"  # an address within the viewer
            self._send(file.read_bytes(), CONTENT_TYPES.get(file.suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        if self._is_for_us() and urlsplit(self.path).path.startswith(f"{DICOM_WEB}/"):
            self._relay()
        else:
            self.close_connection = True
            self._send(b"", CONTENT_TYPES[".html"], status=403)

    def _is_for_us(self) -> bool:
        """Tell whether the viewer asks: by this machine's own name, for no page of another site, for nothing above a folder."""
        if ".." in unquote(urlsplit(self.path).path).split("/"):
            return False
        host = self.headers.get("Host", "").rpartition(":")[0]
        return host in {LOOPBACK, "localhost"} and self.headers.get("Origin") in {None, f"http://{self.headers['Host']}"}

    def _send(self, body: bytes, content_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _relay(self) -> None:
        """Ask the PACS with its password, and pass its answer on as it comes."""
        length = int(self.headers.get("Content-Length") or 0)
        headers = {name: self.headers[name] for name in PASSED_ON if self.headers.get(name)}
        headers |= {"Authorization": self.pacs.authorization, "Host": self.headers["Host"]}
        connection = http.client.HTTPConnection(LOOPBACK, self.pacs.http_port, timeout=60)
        try:
            connection.request(self.command, self.path, self.rfile.read(length) if length else None, headers)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name in PASSED_BACK:
                if answer.headers.get(name):
                    self.send_header(name, answer.headers[name])
            has_length = answer.headers.get("content-length") is not None
            if not has_length:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            while chunk := answer.read(1 << 16):
                self.wfile.write(chunk)
        except OSError:
            self.close_connection = True
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing: addresses hold UIDs."""
