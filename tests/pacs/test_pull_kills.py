"""SIGKILL in the middle of a pull, of the server and of the pull itself: the same bytes in the end.

Each is killed ``--kills`` / 8 times, at moments that are drawn evenly over what an undisturbed pull took: once with the default of 8,
ten times each with ``pytest tests/pacs/test_pull_kills.py --kills 80 -rP``.
"""

import random
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from cmr_planes.discovery.pseudonyms import load_pseudonyms
from cmr_planes.pacs.access import Access, load_login
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.pull import PullOptions, PullSummary, pull
from cmr_planes.pacs.transfer import Patience
from examples.pacs.servers import Orthanc
from tests.helpers.cohorts import write_key
from tests.helpers.pacs_studies import pacs_studies

ROOT = Path(__file__).parents[2]
CLIENT = """
import sys
from tests.pacs.test_pull_kills import pull_by
url, folder, secrets = sys.argv[1:]
print("ready", flush=True)
pull_by(url, folder, secrets)
"""


def pull_by(url: str, folder: str, secrets: str) -> PullSummary:
    """Pull with the key and the login in a folder; a server that is away is waited for."""
    options = PullOptions(pseudonyms=load_pseudonyms(Path(secrets) / "key"))
    access = Access(credentials=load_login(Path(secrets) / "login"), timeout_seconds=20)
    return pull(parse_address(url), folder, options, access=access, patience=Patience(attempts=10, first_wait_seconds=0.2))


def content(folder: Path) -> Mapping[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def secrets(orthanc: Orthanc, tmp_path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    write_key(folder / "key")
    (folder / "login").write_text(f"{orthanc.user}:{orthanc.password}")
    (folder / "login").chmod(0o600)
    return folder


@pytest.fixture
def undisturbed(orthanc, secrets, tmp_path) -> tuple[Mapping[str, bytes], float]:
    """What an undisturbed pull brings, and how long it takes."""
    orthanc.store(*(data for files in pacs_studies().values() for data in files))
    begun = time.monotonic()
    assert pull_by(orthanc.url, str(tmp_path / "whole"), str(secrets)).n_pulled == 3
    return content(tmp_path / "whole"), time.monotonic() - begun


def whole_studies(found: Mapping[str, bytes]) -> Mapping[str, bytes]:
    return {name: data for name, data in found.items() if "/" in name and not name.startswith(".")}


def test_a_pull_that_is_killed_goes_on_to_the_same_bytes(orthanc, secrets, undisturbed, tmp_path, request):
    reference, seconds = undisturbed
    n_wanted = -(-request.config.getoption("kills") // 8)
    draw, out, n_killed = random.Random(1), tmp_path / "out", 0
    while n_killed < n_wanted:
        command = [sys.executable, "-c", CLIENT, orthanc.url, str(out), str(secrets)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0, seconds))
            if child.poll() is None:
                child.kill()
                n_killed += 1
        now = content(out)
        assert whole_studies(now).items() <= reference.items()
        if not [name for name in now if name.startswith(".")] and now.keys() >= reference.keys():
            assert now == reference
            out = tmp_path / f"out{n_killed}"
    pull_by(orthanc.url, str(out), str(secrets))
    assert content(out) == reference
    print(f"{n_killed} pulls of {seconds:.1f} s killed")  # noqa: T201  # shown by -rP


def test_a_server_that_is_killed_and_comes_back_costs_nothing_but_time(orthanc, secrets, undisturbed, tmp_path, request):
    reference, seconds = undisturbed
    n_wanted = -(-request.config.getoption("kills") // 8)
    draw, n_killed = random.Random(2), 0
    while n_killed < n_wanted:
        out = tmp_path / f"out{n_killed}"
        fates: list[PullSummary] = []
        client = threading.Thread(target=lambda out=out, fates=fates: fates.append(pull_by(orthanc.url, str(out), str(secrets))))
        client.start()
        time.sleep(draw.uniform(0, seconds))
        n_killed += client.is_alive()
        orthanc.restart()
        client.join(120)
        assert fates
        assert content(out) == reference
    print(f"server killed {n_killed} times during pulls of {seconds:.1f} s")  # noqa: T201  # shown by -rP
