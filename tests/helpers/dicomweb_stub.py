"""A DICOMweb service in this process that does what no good server does: for tests of faults."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pydicom

from cmr_planes.dicom.quiet import quiet_pydicom
from cmr_planes.dicom.study_header import verbatim

BOUNDARY = "stub-boundary"
QIDO_STUDY = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
)
QIDO_SERIES = ("StudyInstanceUID", "SeriesInstanceUID", "Modality", "SeriesDescription", "PatientName", "PatientID")


@dataclass(frozen=True)
class Fault:
    """What goes wrong with an answer."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    """Sent in place of the true answer."""
    keep: float = 1.0
    """Share of the body that is sent."""
    is_honest: bool = False
    """Whether Content-Length is that of what is sent."""
    stall_seconds: float = 0.0
    """Wait in the middle of the body."""


@dataclass
class Stub:
    """A service and what it has; filters of queries are not obeyed."""

    url: str = ""
    instances: list[pydicom.Dataset] = field(default_factory=list)
    fault: Callable[[str], Fault | None] = lambda path: None  # noqa: ARG005
    """What goes wrong with the answer to a path; asked once for each request."""
    requests: list[str] = field(default_factory=list)
    """The paths that were asked for."""
    headers: list[dict[str, str]] = field(default_factory=list)
    """The headers of the requests."""
    most_answers: int = 0
    """Answers to a search that are given at a time, by offset; 0 for all, whatever the offset."""
    extra: list[bytes] = field(default_factory=list)
    """Files that are sent with every series."""

    @property
    def port(self) -> int:
        return int(urlsplit(self.url).port or 0)

    def store(self, files: Sequence[bytes], **changes: Any) -> None:
        """Add files, with some elements changed."""
        for data in files:
            dataset = pydicom.dcmread(io.BytesIO(data))
            for keyword, value in changes.items():
                dataset[keyword] = verbatim(keyword, value)
            self.instances.append(dataset)

    def answer(self, path: str, offset: int = 0) -> tuple[int, str, bytes]:
        """The true answer to a request."""
        parts = [unquote(part) for part in path.strip("/").split("/")]
        if parts[0] != "studies":
            return 404, "text/plain", b""
        level = {key: value for key, value in zip(("study", "series", "instance"), parts[1::2], strict=False) if value}
        wanted = self._under(level)
        if len(parts) == 1:
            return self._json(self._page(self._first(self.instances, "StudyInstanceUID"), offset), QIDO_STUDY)
        if not wanted:
            return 404, "text/plain", b""
        if parts[2:] == ["series"]:
            return self._json(self._page(self._first(wanted, "SeriesInstanceUID"), offset), QIDO_SERIES)
        if parts[-1] == "metadata":
            return self._json(wanted, None)
        files = [encoded(one) for one in wanted] + (self.extra if len(parts) == 4 else [])
        body = b"".join(b"\r\n--%s\r\nContent-Type: application/dicom\r\n\r\n%s" % (BOUNDARY.encode(), data) for data in files)
        return 200, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', body + f"\r\n--{BOUNDARY}--\r\n".encode()

    def _page(self, answers: list[pydicom.Dataset], offset: int) -> list[pydicom.Dataset]:
        return answers[offset : offset + self.most_answers] if self.most_answers else answers

    def _under(self, level: dict[str, str]) -> list[pydicom.Dataset]:
        keywords = {"study": "StudyInstanceUID", "series": "SeriesInstanceUID", "instance": "SOPInstanceUID"}
        return [one for one in self.instances if all(str(one.get(keywords[key])) == value for key, value in level.items())]

    def _first(self, datasets: Sequence[pydicom.Dataset], keyword: str) -> list[pydicom.Dataset]:
        return list({str(one.get(keyword)): one for one in reversed(datasets)}.values())[::-1]

    def _json(self, datasets: Sequence[pydicom.Dataset], keywords: Sequence[str] | None) -> tuple[int, str, bytes]:
        answers = []
        for dataset in datasets:
            chosen = pydicom.Dataset()
            for element in dataset:
                if element.keyword != "PixelData" and (keywords is None or element.keyword in keywords):
                    chosen.add(element)
            answer = chosen.to_json_dict(suppress_invalid_tags=True)
            if keywords is None and "PixelData" in dataset:
                answer["7FE00010"] = {"vr": "OW", "BulkDataURI": f"{self.url}/bulk"}
            answers.append(answer)
        return 200, "application/dicom+json", json.dumps(answers).encode()


def encoded(dataset: pydicom.Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=False)
    return stream.getvalue()


@contextmanager
def running_stub() -> Iterator[Stub]:
    """Run a service until the block ends."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # its name
            path = urlsplit(self.path).path
            path = path.removeprefix("/dicom-web") if path.startswith("/dicom-web/") else "/elsewhere"
            stub.requests.append(path)
            stub.headers.append(dict(self.headers))
            fault = stub.fault(path) or Fault()
            with quiet_pydicom():
                offset = int(parse_qs(urlsplit(self.path).query).get("offset", ["0"])[0])
                status, kind, body = stub.answer(path, offset)
            if fault.status != 200 or fault.body is not None:
                status, kind, body = fault.status, "text/html", fault.body or b""
            sent = body[: int(len(body) * fault.keep)]
            self.send_response(status)
            for name, value in {"Content-Type": kind, **fault.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(sent) if fault.is_honest else len(body)))
            self.end_headers()
            half = len(sent) // 2
            try:
                self.wfile.write(sent[:half])
                self.wfile.flush()
                threading.Event().wait(fault.stall_seconds)  # tests take the place of time.sleep
                self.wfile.write(sent[half:])
            except OSError:
                self.close_connection = True
            if len(sent) < len(body):
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Print nothing where a client went away."""

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/dicom-web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def times(count: int, pattern: str, fault: Fault) -> Callable[[str], Fault | None]:
    """A fault of the first ``count`` answers to paths that match a pattern."""
    left = [count]

    def choose(path: str) -> Fault | None:
        if left[0] > 0 and re.search(pattern, path):
            left[0] -= 1
            return fault
        return None

    return choose
