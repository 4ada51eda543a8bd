"""Servers that refuse, lie, break off or are not there: one sentence each, and nothing half-written is taken as a whole study."""

import io
import json
import re
import resource
import shutil
import sys
from pathlib import Path

import pydicom
import pytest

from cmr_planes.errors import InUseError
from cmr_planes.pacs.access import Access
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.outcome import read_left_out
from cmr_planes.pacs.pull import PullOptions, PullSummary, pull
from cmr_planes.pacs.transfer import Patience
from cmr_planes.phantom.small_study import encode_study
from cmr_planes.system.run_lock import only_run
from examples.pacs.servers import free_ports
from tests.helpers.cohorts import run, small_study, write_key
from tests.helpers.dicomweb_stub import Fault, Stub, encoded, running_stub, times
from tests.helpers.pacs_studies import CLASSIC, pacs_studies
from tests.helpers.relays import make_certificate, relay

SERIES_OF_VIEWS = 6
FRAMES = 3


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """A study of six series of views."""
    return [file.data for file in encode_study(small_study(n_frames=FRAMES))]


@pytest.fixture
def stub(files):
    with running_stub() as server:
        server.store(files)
        yield server


@pytest.fixture(autouse=True)
def waits(monkeypatch) -> list[float]:
    """The seconds for which a pull waits; no time passes."""
    seconds: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", seconds.append)
    return seconds


def pulled(stub: Stub, folder: Path, **options) -> PullSummary:
    access = Access(timeout_seconds=options.pop("timeout", 5.0))
    patience = Patience(attempts=options.pop("attempts", 4))
    return pull(parse_address(stub.url), folder, PullOptions(**options), access=access, patience=patience)


def command(stub: Stub, folder: Path, *options: object):
    return run("pull", stub.url, "-o", folder, *options)


def said(result) -> str:
    """The one sentence in which a command says what is wrong."""
    lines = [line for line in result.output.splitlines() if line.startswith("Error: ")]
    assert len(lines) == 1, result.output
    return lines[0]


def images(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*.dcm")) if not path.name.endswith(".header.dcm")]


def second_study(stub: Stub, files: list[bytes]) -> None:
    stub.store(files, StudyInstanceUID="1.2.3.4", PatientID="SYN-0002")


# --- the server as a whole ---


def test_no_server(tmp_path):
    (port,) = free_ports(1)
    result = run("pull", f"http://127.0.0.1:{port}/dicom-web", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "does not answer, or broke the connection" in said(result)
    assert "attempt 2 of 6 in 1 s" in result.output
    assert not (tmp_path / "out").exists()


def test_a_wrong_path(stub, tmp_path):
    result = run("pull", stub.url.replace("dicom-web", "elsewhere"), "-o", tmp_path / "out")
    assert (result.exit_code, "check the path" in said(result)) == (1, True)


@pytest.mark.parametrize(
    ("status", "sentence"), [(401, "wants other credentials"), (403, "forbids this user"), (400, "refuses what was asked")]
)
def test_who_is_not_let_in_is_told_so_at_once(stub, tmp_path, status, sentence):
    stub.fault = lambda _: Fault(status=status)
    result = command(stub, tmp_path / "out")
    assert (result.exit_code, sentence in said(result)) == (1, True)
    assert len(stub.requests) == 1


def test_credentials_that_end_in_the_middle_end_the_pull(stub, files, tmp_path):
    second_study(stub, files)
    stub.fault = lambda _: Fault(status=401) if len(stub.requests) > 9 else None
    result = command(stub, tmp_path / "out")
    assert (result.exit_code, "wants other credentials" in said(result)) == (1, True)
    assert len(stub.requests) == 10
    stub.fault = lambda _: None
    assert command(stub, tmp_path / "out").exit_code == 0


def test_a_certificate_is_trusted_only_if_it_is_said_to_be(stub, tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    ours, theirs = make_certificate(tmp_path / "certificate")
    with relay(stub.port, certificate=ours) as front:
        url = f"https://127.0.0.1:{front.port}/dicom-web"
        result = run("pull", url, "-o", tmp_path / "out")
        assert (result.exit_code, "is not trusted" in said(result)) == (1, True)
        assert stub.requests == []
        assert run("pull", url, "-o", tmp_path / "out", "--ca", theirs).exit_code == 0


@pytest.mark.parametrize("body", [b"<html>portal</html>", b"17", b'["a"]', b'{"00080018": 5}', b"[{}]"])
def test_an_answer_that_is_no_dicom_json(stub, tmp_path, body):
    stub.fault = lambda _: Fault(body=body)
    result = command(stub, tmp_path / "out")
    assert result.exit_code in (1, 3)
    assert re.search("not with DICOM JSON|no study that matches", said(result))


def test_no_study_that_matches(stub, tmp_path):
    for option in (("--modality", "CT"), ("--since", "2021-01-01"), ("--until", "2019-01-01"), ("--description", "knee")):
        result = command(stub, tmp_path / "out", *option)  # the stub obeys no filter: what it answers is examined
        assert (result.exit_code, "no study that matches" in said(result)) == (3, True)
        assert images(tmp_path) == []
    assert command(stub, tmp_path / "out", "--since", "2020-01-02", "--until", "20200102", "--description", "CARD").exit_code == 0


@pytest.mark.parametrize("limit", [1, 2])
def test_a_server_that_answers_a_few_at_a_time_is_asked_for_all(stub, files, tmp_path, limit):
    for number in range(4):
        stub.store(files[:1], StudyInstanceUID=f"1.2.3.{number}")
    stub.most_answers = limit
    assert len(pulled(stub, tmp_path / "out", all_series=True).outcomes) == 5
    assert len(images(tmp_path / "out")) == SERIES_OF_VIEWS * FRAMES + 4


@pytest.mark.parametrize(
    ("option", "content", "sent"), [("--token-file", "abc", "Bearer abc"), ("--login-file", "me:pw", "Basic bWU6cHc=")]
)
def test_credentials_are_sent_as_they_should_be(stub, tmp_path, option, content, sent):
    secret = write_key(tmp_path / "secret")
    secret.write_text(content)
    assert command(stub, tmp_path / "out", option, secret).exit_code == 0
    assert {each.get("Authorization") for each in stub.headers} == {sent}


def test_without_a_file_netrc_is_looked_up(stub, tmp_path, monkeypatch):
    netrc = write_key(tmp_path / "netrc")
    netrc.write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert command(stub, tmp_path / "out").exit_code == 0
    assert {each.get("Authorization") for each in stub.headers} == {"Basic bWU6cHc="}


def test_without_the_libraries_a_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tenacity", None)
    for name in [name for name in sys.modules if name.startswith("cmr_planes.pacs.") and name.endswith(("transfer", "pull"))]:
        monkeypatch.delitem(sys.modules, name)
    result = run("pull", "http://127.0.0.1:1/", "-o", tmp_path / "out")
    assert (result.exit_code, "pip install 'cmr-planes[pacs]'" in said(result)) == (1, True)


# --- busy, slow and broken servers ---


def test_a_busy_server_is_asked_again_when_it_says(stub, tmp_path, waits):
    stub.fault = times(2, "metadata", Fault(status=429, headers={"Retry-After": "7"}))
    assert pulled(stub, tmp_path / "out").n_pulled == 1
    assert waits == [7, 7]


def test_a_slow_server_is_asked_again(stub, tmp_path, waits):
    stub.fault = times(1, r"/series/[^/]+$", Fault(stall_seconds=1.0))
    assert pulled(stub, tmp_path / "out", timeout=0.3).n_pulled == 1
    assert waits == [1]


@pytest.mark.parametrize(
    "fault", [Fault(keep=0.6), Fault(keep=0.6, is_honest=True), Fault(keep=0.98, is_honest=True), Fault(status=500)]
)
def test_what_was_cut_off_is_asked_for_again_and_nothing_else(stub, tmp_path, waits, fault):
    stub.fault = times(1, r"/series/[^/]+$", fault)
    summary = pulled(stub, tmp_path / "out")
    assert summary.n_pulled == 1
    assert len(images(tmp_path / "out")) == SERIES_OF_VIEWS * FRAMES
    assert len(waits) == 1
    singles = [path for path in stub.requests if "/instances/" in path]
    assert 1 <= len(singles) <= FRAMES
    assert {path.read_bytes() for path in images(tmp_path / "out")} == {encoded(each) for each in stub.instances}


def test_a_study_that_never_comes_whole_is_left_out_and_goes_on_later(stub, files, tmp_path, waits):
    second_study(stub, files)
    bad = stub.instances[4]
    stub.fault = lambda path: (
        Fault(keep=0.5, is_honest=True)
        if "1.2.3.4" not in path and str(bad.SeriesInstanceUID) in path and "metadata" not in path
        else None
    )
    result = command(stub, tmp_path / "out")
    assert result.exit_code == 1
    assert "1 study was pulled; 1 study left out" in result.output
    (row,) = read_left_out(tmp_path / "out")
    assert (row.code, row.view) == ("incomplete", "")
    assert not (tmp_path / "out" / row.study).exists()
    n_there = len(images(tmp_path / "out" / f".{row.study}.part"))
    assert 0 < n_there < SERIES_OF_VIEWS * FRAMES
    stub.fault = lambda _: None
    stub.requests.clear()
    assert command(stub, tmp_path / "out").exit_code == 0
    assert read_left_out(tmp_path / "out") == []
    moved = [path for path in stub.requests if "metadata" not in path and re.search(r"/series/.", path)]
    assert len(moved) <= SERIES_OF_VIEWS - n_there // FRAMES + FRAMES
    assert len(images(tmp_path / "out")) == 2 * SERIES_OF_VIEWS * FRAMES


def test_a_server_that_fails_for_good_is_given_up(stub, files, tmp_path):
    for number in range(5):
        stub.store(files, StudyInstanceUID=f"1.2.3.{number}")
    stub.fault = lambda path: Fault(status=503) if "metadata" in path else None
    result = command(stub, tmp_path / "out")
    assert result.exit_code == 1
    assert "nothing came of 3 studies in a row" in said(result)
    assert len(read_left_out(tmp_path / "out")) == 2


def test_a_study_that_vanishes_is_left_out(stub, files, tmp_path):
    second_study(stub, files)
    stub.fault = lambda path: Fault(status=404) if "1.2.3.4" not in path and re.search(r"/series/[^/]+$", path) else None
    result = command(stub, tmp_path / "out")
    assert result.exit_code == 1
    (row,) = read_left_out(tmp_path / "out")
    assert row.code == "vanished"
    assert [path.name for path in sorted((tmp_path / "out").iterdir()) if path.is_dir()] == ["00001"]


# --- answers that hold what was not asked for ---


def test_instances_of_other_studies_are_dropped(stub, files, tmp_path):
    stranger = Stub()
    stranger.store(files[:1], StudyInstanceUID="1.9.9", SOPInstanceUID="1.9.9.1", PatientID="STRANGER")
    stub.extra = [encoded(stranger.instances[0])]
    result = command(stub, tmp_path / "out", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["n_pulled"], found["n_foreign"]) == (0, 1, SERIES_OF_VIEWS)
    assert not any(b"STRANGER" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


PATHS = ("../../../escaped", "/escaped", "..%2f..%2fescaped", "1.2/../../escaped", "1.2.3?x=1", "*")


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
def test_uids_like_paths_lead_nowhere(stub, files, tmp_path, keyword):
    for number, uid in enumerate(PATHS):
        stub.store(files[:1], **{"StudyInstanceUID": f"1.2.3.{number}", keyword: uid})
    place = tmp_path / "a" / "b" / "out"
    result = command(stub, place, "--all-series")
    everything = set(tmp_path.rglob("*")) - {place, *place.parents}
    assert all(place in path.parents for path in everything)
    assert not [path for path in everything if "escaped" in path.name]
    assert not [path for path in stub.requests if any(part in path for part in ("..", "escaped", "*", "?"))]
    assert not [uid for uid in PATHS[:-1] if uid in result.output]
    codes = [row.code for row in read_left_out(place)]
    assert (result.exit_code, codes) == (0, [] if keyword == "SOPInstanceUID" else ["unsafe_uid"] * len(PATHS))


# --- the choice of views ---


def test_where_headers_leave_the_choice_open_one_image_is_fetched(tmp_path):
    with running_stub() as server:
        server.store(pacs_studies()[CLASSIC])
        summary = pulled(server, tmp_path / "out")
        requests = [path for path in server.requests if re.search("/series/.", path) and "metadata" not in path]
    assert summary.n_pulled == 1
    assert "/instances/" in requests[0]
    assert [path for path in requests[1:] if "/instances/" in path] == []
    numbers = {int(pydicom.dcmread(path).SeriesNumber) for path in images(tmp_path / "out")}
    middle = int(pydicom.dcmread(io.BytesIO(encode_study(small_study(CLASSIC))[-1].data)).SeriesNumber)
    assert len(numbers) == SERIES_OF_VIEWS
    assert middle in numbers


# --- this side ---


def test_two_pulls_into_one_folder_exclude_each_other(stub, tmp_path):
    with only_run(tmp_path / "out"), pytest.raises(InUseError, match="works on"):
        pulled(stub, tmp_path / "out")
    assert stub.requests == []


def test_a_full_disk_is_said_and_the_pull_goes_on_later(stub, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        result = command(stub, tmp_path / "out")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert result.exit_code == 1
    assert "could not be written" in said(result)
    assert images(tmp_path / "out") == []
    assert command(stub, tmp_path / "out").exit_code == 0
    assert len(images(tmp_path / "out")) == SERIES_OF_VIEWS * FRAMES


def test_what_the_server_no_longer_lists_does_not_stay(stub, files, tmp_path):
    stub.fault = lambda _: Fault(status=503) if len(stub.requests) > 12 else None
    assert command(stub, tmp_path / "out").exit_code == 1
    kept = images(tmp_path / "out")
    stub.instances = [each for each in stub.instances if each.SeriesInstanceUID != stub.instances[0].SeriesInstanceUID]
    stub.fault = lambda _: None
    assert pulled(stub, tmp_path / "out").n_pulled == 1
    assert len(kept) > 0
    assert len(images(tmp_path / "out")) == (SERIES_OF_VIEWS - 1) * FRAMES


def test_a_folder_goes_on_only_with_the_options_it_began_with(stub, tmp_path):
    key, other = write_key(tmp_path / "key"), write_key(tmp_path / "other", b"o")
    assert command(stub, tmp_path / "out", "--pseudonymise", key).exit_code == 0
    for options, sentence in (
        ((), "with pseudonyms of a key file that is not this one"),
        (("--pseudonymise", other), "with pseudonyms of a key file that is not this one"),
        (("--pseudonymise", key, "--all-series"), "only the series of views"),
    ):
        result = command(stub, tmp_path / "out", *options)
        assert (result.exit_code, sentence in said(result)) == (1, True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file.txt").write_text("mine")
    assert "holds files that are not of a pull" in said(command(stub, tmp_path / "mine"))
