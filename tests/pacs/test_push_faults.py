"""Archives that refuse, fail, answer nonsense or nothing: a stub for each protocol, and one sentence for each fault."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from pathlib import Path

import pytest
from pydicom.uid import Comprehensive3DSRStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, SegmentationStorage
from pynetdicom import AE, evt

from cmr_planes.errors import PacsError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.push import PushSummary, push
from cmr_planes.pacs.results import find_results
from cmr_planes.pacs.stow import opened
from cmr_planes.pacs.transfer import Patience
from tests.helpers.results import FILES_OF_A_STUDY, write_results

QUICK = Patience(attempts=3, first_wait_seconds=0.01)
UID = re.compile(rb"\x08\x00\x18\x00UI..(2\.25\.\d+)", re.DOTALL)
"""SOPInstanceUID in an object of explicit little endian; no sequence of ours holds one before it."""


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_results(folder / "results", folder / "images")
    return folder / "results"


@dataclass
class Answer:
    """An answer of HTTP."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/dicom+json"})


def report(stored: list[str] = (), failed: dict[str, int] | None = None, status: int = 200, **headers: str) -> Answer:
    """What a service says of instances, in DICOM JSON (PS3.18, table I.1-1)."""

    def reference(uid: str) -> dict:
        return {"00081155": {"vr": "UI", "Value": [uid]}}

    body = {}
    if stored:
        body["00081199"] = {"vr": "SQ", "Value": [reference(uid) for uid in stored]}
    if failed:
        items = [{**reference(uid), "00081197": {"vr": "US", "Value": [reason]}} for uid, reason in failed.items()]
        body["00081198"] = {"vr": "SQ", "Value": items}
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/dicom+json", **headers})


@dataclass
class Stub:
    """A service whose answers a test decides."""

    port: int
    posts: list[list[str]] = field(default_factory=list)
    """SOPInstanceUIDs of each request to store."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"


@contextmanager
def service(
    store: Callable[[list[str], int], Answer], search: Callable[[str], Answer] = lambda _: Answer(200, b"[]")
) -> Iterator[Stub]:
    """Run a DICOMweb service; ``store`` gets the UIDs of a request and its number, from 1; ``search`` gets the path."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer(search(self.path))

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            uids = [uid.decode() for uid in UID.findall(body)]
            with lock:
                stub.posts.append(uids)
                answer = store(uids, len(stub.posts))
            self.answer(answer)

        def answer(self, answer: Answer):
            self.send_response(answer.status)
            for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        stub = Stub(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield stub
        finally:
            server.shutdown()
            thread.join()


def pushed(folder: Path, address: str, on_message=lambda _: None, timeout_seconds: float = 20.0) -> PushSummary:
    access = Access(timeout_seconds=timeout_seconds)
    return push(folder, parse_address(address), access, patience=QUICK, on_message=on_message)


def test_the_stub_takes_what_it_is_sent(results):
    with service(lambda uids, _: report(uids)) as stub:
        summary = pushed(results, stub.url)
    assert summary.is_complete
    assert [sorted(uids) for uids in stub.posts] == [sorted(file.instance_uid for file in find_results(results).files)]


REASONS = {
    0xA700: "no_space",
    0x0124: "not_allowed",
    0x0122: "class_not_supported",
    0xC122: "class_not_supported",
    0xA900: "not_understood",
    0x0110: "failed",
}


@pytest.mark.parametrize("status", [202, 409])
def test_instances_that_are_refused_are_named_and_the_others_are_stored(results, status):
    with service(lambda uids, _: report(uids[6:], dict(zip(uids, REASONS, strict=False)), status)) as stub:
        summary = pushed(results, stub.url)
    assert [(fault.number, fault.code) for fault in summary.failed] == list(enumerate(REASONS.values(), start=1))
    for fault, reason in zip(summary.failed, REASONS, strict=True):
        assert f"file {fault.number} was not stored (status {reason:04X}): " in fault.sentence
    assert summary.n_stored == FILES_OF_A_STUDY - len(REASONS)
    assert len(stub.posts) == 1


def test_what_is_stored_already_counts_as_done(results):
    with service(lambda uids, _: report(uids[2:], dict.fromkeys(uids[:2], 0x0111), 202)) as stub:
        assert pushed(results, stub.url).is_complete


@pytest.mark.parametrize(
    "answer",
    [
        Answer(),
        report(),
        Answer(200, b"{}"),
        Answer(200, b"<html>log in</html>", {"Content-Type": "text/html"}),
        Answer(200, b"no json"),
        Answer(200, b'{"00081199": {"vr": "SQ", "Value": 3}}'),
        Answer(200, b"<a", {"Content-Type": "application/dicom+xml"}),
        Answer(200, b"[" * 5000),
    ],
    ids=["nothing", "no sequences", "empty", "a page", "no JSON", "wrong JSON", "half an XML", "deep JSON"],
)
def test_success_that_names_nothing_is_not_taken_for_it(results, answer):
    with service(lambda *_: answer) as stub:
        summary = pushed(results, stub.url)
    assert summary.n_stored == 0
    assert {fault.code for fault in summary.failed} == {"not_confirmed"}
    assert len(summary.failed) == FILES_OF_A_STUDY


def test_success_that_names_nothing_is_confirmed_by_a_search(results):
    uids = [file.instance_uid for file in find_results(results).files]

    def search(path: str) -> Answer:
        found = [uid for uid in uids[1:] if path.endswith(f"SOPInstanceUID={uid}")]
        return Answer(200, json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}} for uid in found]).encode())

    with service(lambda *_: Answer(), search) as stub:
        summary = pushed(results, stub.url)
    assert summary.n_stored == FILES_OF_A_STUDY - 1
    assert [(fault.number, fault.code) for fault in summary.failed] == [(1, "not_confirmed")]


def test_an_answer_may_name_its_character_set(results):
    answers = "application/dicom+json; charset=utf-8"
    with service(lambda uids, _: report(uids, **{"Content-Type": answers})) as stub:
        assert pushed(results, stub.url).is_complete


def test_an_answer_may_be_xml(results):
    def store(uids: list[str], _: int) -> Answer:
        items = "".join(
            f'<Item number="{number}"><DicomAttribute tag="00081155" vr="UI" keyword="ReferencedSOPInstanceUID">'
            f'<Value number="1">{uid}</Value></DicomAttribute></Item>'
            for number, uid in enumerate(uids, start=1)
        )
        text = (
            '<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
            f'<DicomAttribute tag="00081199" vr="SQ" keyword="ReferencedSOPSequence">{items}</DicomAttribute></NativeDicomModel>'
        )
        return Answer(200, text.encode(), {"Content-Type": "application/dicom+xml"})

    with service(store) as stub:
        summary = pushed(results, stub.url)
    assert summary.is_complete


@pytest.mark.parametrize(("status", "code"), [(400, "not_understood"), (413, "no_space"), (415, "class_not_supported")])
def test_a_service_that_refuses_all_at_once_is_asked_one_by_one(results, status, code):
    first = find_results(results).files[0].instance_uid
    with service(lambda uids, _: report(uids) if len(uids) == 1 and uids != [first] else Answer(status)) as stub:
        summary = pushed(results, stub.url)
    assert [(fault.number, fault.code) for fault in summary.failed] == [(1, code)]
    assert summary.n_stored == FILES_OF_A_STUDY - 1
    assert len(stub.posts) == 1 + FILES_OF_A_STUDY


def test_a_busy_service_is_asked_again_as_late_as_it_says(results):
    waits = []
    with service(lambda uids, n: Answer(429, b"", {"Retry-After": "0.2"}) if n < 3 else report(uids)) as stub:
        summary = pushed(results, stub.url, waits.append)
    assert summary.is_complete
    assert len(stub.posts) == 3
    assert all("is busy or fails (HTTP status 429)" in sentence for sentence in waits)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_service_that_stays_busy_is_given_up(results, status):
    with service(lambda *_: Answer(status)) as stub, pytest.raises(PacsError, match=f"HTTP status {status}"):
        pushed(results, stub.url)
    assert len(stub.posts) == QUICK.attempts


@pytest.mark.parametrize(("status", "sentence"), [(401, "wants other credentials"), (403, "forbids"), (404, "has nothing under")])
def test_a_refusal_of_this_side_ends_the_push_at_once(results, status, sentence):
    with service(lambda *_: Answer(status)) as stub, pytest.raises(PacsError, match=sentence):
        pushed(results, stub.url)
    assert len(stub.posts) == 1


@pytest.mark.parametrize("status", [302, 307, 308])
def test_nothing_is_sent_where_the_service_sends_it_on_to(results, status):
    with service(lambda uids, _: report(uids)) as elsewhere:
        answer = Answer(status, b"", {"Location": f"{elsewhere.url}/studies"})
        with service(lambda *_: answer) as stub, pytest.raises(PacsError, match="check the address"):
            pushed(results, stub.url)
    assert elsewhere.posts == []


def test_a_service_that_says_nothing_is_given_up(results):
    stop = threading.Event()

    def wait(uids: list[str], _: int) -> Answer:
        stop.wait(10)
        return report(uids)

    with service(wait) as stub:
        with pytest.raises(PacsError, match=r"took longer|broke"):
            pushed(results, stub.url, timeout_seconds=0.2)
        stop.set()


@contextmanager
def node(handle: Callable[[evt.Event], int], kinds=(SegmentationStorage, Comprehensive3DSRStorage)) -> Iterator[str]:
    """Run an application entity that stores; ``handle`` returns a status."""
    entity = AE(ae_title="STUB")
    for kind in kinds:
        entity.add_supported_context(kind, [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
    try:
        yield f"aet://STUB@127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def test_a_node_that_refuses_some_objects_gets_the_others(results):
    statuses = dict(zip((file.instance_uid for file in find_results(results).files), REASONS, strict=False))
    with node(lambda event: statuses.get(event.request.AffectedSOPInstanceUID, 0x0000)) as address:
        summary = pushed(results, address)
    assert [(fault.number, fault.code) for fault in summary.failed] == list(enumerate(REASONS.values(), start=1))
    assert summary.n_stored == FILES_OF_A_STUDY - len(REASONS)


def test_a_duplicate_and_a_warning_of_a_node_are_success(results):
    statuses = cycle([0x0111, 0xB000, 0xB006, 0xB007])
    with node(lambda _: next(statuses)) as address:
        assert pushed(results, address).is_complete


def test_a_node_that_takes_no_reports_gets_the_segmentations(results):
    with node(lambda _: 0x0000, kinds=[SegmentationStorage]) as address:
        summary = pushed(results, address)
    (fault,) = summary.failed
    assert fault.code == "class_not_supported"
    assert "takes no objects of this kind (SR)" in fault.sentence


def test_a_node_that_aborts_is_tried_again(results):
    n_aborts = 0

    def handle(event: evt.Event) -> int:
        nonlocal n_aborts
        if n_aborts == 0:
            n_aborts += 1
            event.assoc.abort()
        return 0x0000

    waits = []
    with node(handle) as address:
        summary = pushed(results, address, waits.append)
    assert summary.is_complete
    assert len(waits) == 1


def test_a_file_that_changes_while_others_are_sent_is_not_sent(results, tmp_path):
    copies = tmp_path / "results"
    copies.mkdir()
    for path in results.iterdir():
        (copies / path.name).write_bytes(path.read_bytes())
    last = sorted(copies.iterdir())[-1]

    with service(lambda uids, _: report(uids)) as stub:
        found = find_results(copies)
        last.write_bytes(last.read_bytes() + b"\0")
        with opened(parse_address(stub.url), Access()) as archive:
            outcomes = {result.number: refusal for result, refusal in archive.store(found.files)}
    assert outcomes[found.files[-1].number].code == "changed"
    assert [refusal for number, refusal in outcomes.items() if number != found.files[-1].number] == [None] * (FILES_OF_A_STUDY - 1)
    assert found.files[-1].instance_uid not in stub.posts[0]
