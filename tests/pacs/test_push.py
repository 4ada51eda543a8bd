"""Results that go to real servers: all of them arrive, once, and nothing else does."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.pacs.access import Access, Login
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.push import push
from cmr_planes.pacs.transfer import Patience
from tests.helpers.dicom_objects import IDENTITY, make_study, write_stack
from tests.helpers.leaks import found_in
from tests.helpers.relays import relay
from tests.helpers.results import FILES_OF_A_STUDY, write_results

QUICK = Patience(first_wait_seconds=0.05)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[Path, Path]:
    """A folder with the results of two studies, and one with the images of both."""
    folder = tmp_path_factory.mktemp("made")
    write_results(folder / "results", folder / "images", n_studies=2)
    return folder / "results", folder / "images"


@pytest.fixture
def results(made, tmp_path) -> Path:
    """A copy that a test may change."""
    return shutil.copytree(made[0], tmp_path / "results")


@pytest.fixture
def login(orthanc, tmp_path) -> Path:
    file = tmp_path / "login"
    file.touch(0o600)
    file.write_text(f"{orthanc.user}:{orthanc.password}")
    return file


def access_to(orthanc) -> Access:
    return Access(credentials=Login(orthanc.user, orthanc.password))


def uids_of(folder: Path) -> list[str]:
    return sorted(str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in folder.glob("*.dcm"))


def run(*arguments: object):
    return CliRunner().invoke(main, ["push", *map(str, arguments)])


def test_dicomweb_gets_every_object_as_it_is(orthanc, results, login):
    done = run(results, orthanc.url, "--login-file", login)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith(f"{2 * FILES_OF_A_STUDY} objects of 2 studies stored, ")
    assert sorted(orthanc.instances()) == uids_of(results)
    for path in results.glob("*.dcm"):
        sent = pydicom.dcmread(path)
        kept = pydicom.dcmread(io.BytesIO(orthanc.fetch(str(sent.SOPInstanceUID))))
        assert kept == sent
        assert kept.get("PixelData") == sent.get("PixelData")


@pytest.mark.parametrize("name", ["orthanc", "dcmqrscp"])
def test_a_node_gets_every_object(name, request, results, tmp_path):
    server = request.getfixturevalue(name)
    done = run(results, server.aet_url)
    assert done.exit_code == 0, done.output
    if name == "orthanc":
        assert sorted(server.instances()) == uids_of(results)
    else:
        kept = [pydicom.dcmread(path, stop_before_pixels=True) for path in (server.folder / "store").glob("*.dcm")]
        assert sorted(str(one.SOPInstanceUID) for one in kept) == uids_of(results)
    again = run(results, server.aet_url)
    assert again.exit_code == 0, again.output


def test_results_join_the_studies_of_their_images(orthanc, made, login):
    orthanc.store_folder(made[1])
    before = json.loads(orthanc.ask("/studies"))
    assert run(made[0], orthanc.url, "--login-file", login).exit_code == 0
    assert json.loads(orthanc.ask("/studies")) == before
    assert len(before) == 2


def test_a_second_push_sends_what_is_missing(orthanc, results, login):
    aside = results.parent / "aside.dcm"
    last = sorted(results.glob("*.dcm"))[-1]
    last.rename(aside)
    run(results, orthanc.url, "--login-file", login)
    aside.rename(last)
    done = run(results, orthanc.url, "--login-file", login, "--json")
    summary = json.loads(done.stdout)
    assert (summary["n_stored"], summary["n_present"], summary["failed"]) == (1, 2 * FILES_OF_A_STUDY - 1, [])
    assert sorted(orthanc.instances()) == uids_of(results)


def test_https_with_a_certificate_of_ones_own(https, results, login):
    refused = run(results, https.url, "--login-file", login)
    assert refused.exit_code == 1
    assert "is not trusted" in refused.stderr
    assert https.orthanc.instances() == {}
    done = run(results, https.url, "--login-file", login, "--ca", https.certificate)
    assert done.exit_code == 0, done.output
    assert sorted(https.orthanc.instances()) == uids_of(results)


def foreign_image(results: Path) -> None:
    (path, *_) = write_stack(results.parent / "other", make_study(n_slices=1, n_frames=1), "series")
    shutil.copy(path, results / "image.dcm")


def edited(results: Path) -> None:
    path = sorted(results.glob("*.dcm"))[0]
    dataset = pydicom.dcmread(path)
    dataset.SegmentSequence[0].SegmentLabel = "Something else"
    dataset.save_as(path)


def cut_short(results: Path) -> None:
    path = sorted(results.glob("*.dcm"))[0]
    path.write_bytes(path.read_bytes()[:-200])


def of_another_maker(results: Path) -> None:
    dataset = pydicom.dcmread(sorted(results.glob("*.dcm"))[0])
    dataset.preamble = bytes(128)
    dataset.save_as(results / "theirs.dcm")


def no_dicom(results: Path) -> None:
    (results / "notes.dcm").write_text("not DICOM")


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (foreign_image, "was not made by"),
        (edited, "was changed after"),
        (cut_short, "is not whole"),
        (of_another_maker, "was not made by"),
        (no_dicom, "was not made by"),
    ],
)
def test_one_file_that_is_not_ours_holds_all_back(orthanc, results, login, spoil, sentence):
    spoil(results)
    done = run(results, orthanc.url, "--login-file", login)
    assert done.exit_code == 1
    assert sentence in done.stderr
    assert "nothing was sent: 1 file of" in done.stdout
    assert orthanc.instances() == {}


def test_two_versions_of_an_object_are_refused_and_copies_are_sent_once(orthanc, results, login):
    first = sorted(results.glob("*.dcm"))[0]
    (results / "again").mkdir()
    shutil.copy(first, results / "again")
    done = run(results, orthanc.url, "--login-file", login)
    assert done.stdout.startswith(f"{2 * FILES_OF_A_STUDY} objects")


def test_tables_and_pictures_stay(orthanc, results, login):
    (results / "volumes.csv").write_text("subject\n")
    done = run(results, orthanc.url, "--login-file", login)
    assert done.stdout.rstrip().endswith("; 1 file of other kinds left in the folder")


def test_a_folder_without_dicom_is_nothing_usable(tmp_path):
    done = run(tmp_path, "http://127.0.0.1:9/dicom-web")
    assert done.exit_code == 3
    assert "there are no DICOM files in" in done.stderr


def test_wrong_password_wrong_path_and_no_server(orthanc, results, login):
    wrong = login.with_name("wrong")
    wrong.touch(0o600)
    wrong.write_text(f"{orthanc.user}:wrong")
    assert "wants other credentials" in run(results, orthanc.url, "--login-file", wrong).stderr
    assert "has nothing under the path" in run(results, orthanc.url.replace("dicom-web", "web"), "--login-file", login).stderr
    assert "does not know the AE title 'STRANGER'" in run(results, orthanc.aet_url, "--aet", "STRANGER").stderr
    assert "is not called 'WRONG'" in run(results, orthanc.aet_url.replace("ORTHANC", "WRONG")).stderr
    for address in ("http://127.0.0.1:9/dicom-web", "aet://X@127.0.0.1:9"):
        with pytest.raises(Exception, match="does not answer"):
            push(results, parse_address(address), Access(), patience=Patience(attempts=2, first_wait_seconds=0.01))


@pytest.mark.parametrize("way", ["url", "aet_url"])
def test_a_server_killed_in_the_middle_is_resumed_when_it_is_back(orthanc, results, way, monkeypatch):
    monkeypatch.setattr("cmr_planes.pacs.push.BATCH_FILES", 3)
    waits = []

    def revive(sentence: str) -> None:
        waits.append(sentence)
        orthanc.start()

    def kill_after_first(progress) -> None:
        if progress.done == 3:
            orthanc.kill()

    summary = push(
        results,
        parse_address(getattr(orthanc, way)),
        access_to(orthanc),
        patience=QUICK,
        on_progress=kill_after_first,
        on_message=revive,
    )
    assert len(waits) == 1
    assert summary.is_complete
    assert summary.n_stored == 2 * FILES_OF_A_STUDY
    assert sorted(orthanc.instances()) == uids_of(results)


@pytest.mark.parametrize("way", ["url", "aet_url"])
def test_a_server_that_stays_away_is_reported_and_the_same_push_finishes_later(orthanc, results, way, monkeypatch):
    monkeypatch.setattr("cmr_planes.pacs.push.BATCH_FILES", 3)
    patience = Patience(attempts=2, first_wait_seconds=0.01)

    def kill(progress) -> None:
        if progress.done == 6:
            orthanc.kill()

    address = parse_address(getattr(orthanc, way))
    first = push(results, address, access_to(orthanc), patience=patience, on_progress=kill)
    assert "does not answer" in first.stopped
    assert (first.n_stored, first.n_left) == (6, 2 * FILES_OF_A_STUDY - 6)
    orthanc.start()
    assert len(orthanc.instances()) == 6
    second = push(results, address, access_to(orthanc), patience=patience)
    assert second.is_complete
    assert second.n_present == (6 if way == "url" else 0)
    assert sorted(orthanc.instances()) == uids_of(results)


@pytest.mark.parametrize("way", ["url", "aet_url"])
def test_a_connection_cut_within_an_object_is_tried_again(orthanc, results, way):
    port = orthanc.http_port if way == "url" else orthanc.port
    waits = []
    with relay(port, certificate=None) as between:
        between.cut_upload_after = 20_000

        def mend(sentence: str) -> None:
            waits.append(sentence)
            between.cut_upload_after = None

        address = parse_address(getattr(orthanc, way).replace(str(port), str(between.port)))
        summary = push(results, address, access_to(orthanc), patience=QUICK, on_message=mend)
    assert len(waits) == 1
    assert summary.is_complete
    assert sorted(orthanc.instances()) == uids_of(results)


def test_a_push_that_is_killed_and_run_again_stores_the_same(orthanc, results, login):
    code = "from cmr_planes.cli import main; import cmr_planes.pacs.push as p; p.BATCH_FILES = 1; main(['push', *__import__('sys').argv[1:]])"
    command = [sys.executable, "-c", code, str(results), orthanc.url, "--login-file", str(login)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pushing:
        until = time.monotonic() + 30
        while not orthanc.instances() and time.monotonic() < until:
            time.sleep(0.01)
        pushing.send_signal(signal.SIGKILL)
    assert 0 < len(orthanc.instances()) <= 2 * FILES_OF_A_STUDY
    assert run(results, orthanc.url, "--login-file", login).exit_code == 0
    assert sorted(orthanc.instances()) == uids_of(results)


def test_no_identifier_is_printed_or_logged(orthanc, results, login, caplog):
    caplog.set_level(0)
    needles = {
        *IDENTITY.values(),
        "Tilda",
        *uids_of(results),
        *(str(pydicom.dcmread(next(results.glob("*.dcm"))).StudyInstanceUID),),
    }
    printed = [run(results, orthanc.url, "--login-file", login, "-v").output for _ in range(2)]
    printed.append(run(results, orthanc.aet_url, "-v", "--json").output)
    printed.append(run(results, orthanc.url.replace("dicom-web", "none"), "--login-file", login, "-v").output)
    edited(results)
    printed.append(run(results, orthanc.url, "--login-file", login, "-v", "--json").output)
    assert found_in(needles, [text.encode() for text in printed]) == set()
    assert found_in(needles, [caplog.text.encode()]) == set()
    assert orthanc.password not in "".join(printed) + caplog.text
