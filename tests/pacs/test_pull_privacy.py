"""What a PACS says of persons stays in the pulled DICOM files: planted strings are searched in all else that a pull leaves and says."""

import logging
import re
from pathlib import Path

import pytest

from cmr_planes.phantom.small_study import encode_study
from tests.helpers.cohorts import SMALL_BOXES, run, small_study, write_key
from tests.helpers.dicomweb_stub import Fault, running_stub
from tests.helpers.leaks import contents, files_under
from tests.helpers.planting import finds, plant, planted_uid, plants

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # planted values are not what pydicom expects


@pytest.fixture(scope="module")
def planted() -> list[bytes]:
    """Files of a study with all views, and of one without short axis, with planted strings wherever a person may stand."""
    planted = plants()
    whole = encode_study(small_study("SYN-0001", n_frames=2))
    part = encode_study(small_study("SYN-0002", n_frames=2, views=("2ch",)))
    return [plant(file.data, planted) for file in (*whole, *part)]


@pytest.fixture
def all_said(tmp_path):
    """A folder in which commands leave all that they print, and Python's log at its most talkative."""
    folder = tmp_path / "said"
    folder.mkdir()
    handler = logging.FileHandler(folder / "python.log")
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield folder
    root.setLevel(level)
    root.removeHandler(handler)
    handler.close()


def say(folder: Path, name: str, *arguments: object) -> int:
    result = run(*arguments)
    (folder / f"{name}.stdout").write_text(result.stdout)
    (folder / f"{name}.stderr").write_text(result.stderr)
    return result.exit_code


def leaked(*roots: Path) -> set[bytes]:
    """What was planted and came out, in names or files other than DICOM."""
    names = {found for root in roots for path in root.rglob("*") for found in finds(str(path).encode())}
    files = [path for path in files_under(*roots) if path.suffix != ".dcm"]
    return names | {found for path in files for blob in contents(path) for found in finds(blob)}


def test_the_planted_strings_are_found_where_they_may_be(orthanc, planted, tmp_path):
    orthanc.store(*planted)
    assert finds(orthanc.ask("/dicom-web/studies"))


def test_nothing_that_identifies_leaves_the_pulled_files(orthanc, planted, all_said, tmp_path):
    orthanc.store(*planted)
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    key = write_key(secrets / "key")
    login = write_key(secrets / "login")
    login.write_text(f"{orthanc.user}:{orthanc.password}")
    studies = write_key(secrets / "studies")
    uid = planted_uid(small_study("SYN-0001").study.study_uid)
    studies.write_text(f"{uid}\nACCESSION-ZQLEAK9999\n")
    web = ("--login-file", login)
    out = tmp_path / "out"
    out.mkdir()
    dry = say(all_said, "dry", "pull", orthanc.url, "-o", out / "numbers", *web, "--dry-run", "--json")
    numbers = say(all_said, "numbers", "pull", orthanc.url, "-o", out / "numbers", *web, "--log", out / "pull.log")
    keyed = say(
        all_said, "keyed", "pull", orthanc.url, "-o", out / "keyed", *web, "--pseudonymise", key, "--studies", studies, "--json"
    )
    dimse = say(all_said, "dimse", "pull", orthanc.aet_url, "-o", out / "dimse", "--log", out / "dimse.log")
    extracted = say(
        all_said,
        "extract",
        "extract",
        orthanc.url,
        out / "out.h5",
        *web,
        *SMALL_BOXES,
        "--workers",
        1,
        "-vv",
        "--log",
        out / "x.log",
    )
    assert (dry, numbers, keyed, dimse, extracted) == (0, 0, 0, 0, 0)
    assert len([*(out / "numbers").rglob("*.dcm")]) > 0
    assert (out / "numbers" / "left_out.csv").read_text().count("\n") > 1
    assert leaked(out, all_said) == set()


def test_nothing_that_identifies_is_in_an_error(planted, all_said, tmp_path, monkeypatch):
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda _: None)
    out = tmp_path / "out"
    out.mkdir()
    with running_stub() as stub:
        stub.store(planted)
        faults = {
            "status": Fault(status=418, body=b"ZQLEAK0001"),
            "cut": Fault(keep=0.5, is_honest=True),
            "page": Fault(body=b"<html>ZQLEAK0001"),
        }
        places = {"metadata": "/metadata", "files": "/series/[^/]+$|/instances/"}
        for fault_name, place in [*((name, "files") for name in faults), ("page", "metadata")]:
            where, fault = places[place], faults[fault_name]
            stub.fault = lambda path, where=where, fault=fault: fault if re.search(where, path) else None
            folder = out / f"{fault_name} {place}"
            assert say(all_said, folder.name, "pull", stub.url, "-o", folder, "--log", out / f"{folder.name}.log") == 1
    assert leaked(out, all_said) == set()
