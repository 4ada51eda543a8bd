"""Servers and pushes that are killed again and again: at the end the archive has every object, as it was made, once."""

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest

from cmr_planes.pacs.access import Access, Login
from cmr_planes.pacs.addresses import parse_address
from cmr_planes.pacs.push import push
from cmr_planes.pacs.transfer import Patience
from examples.pacs.servers import ServerError
from tests.helpers.results import write_results

STUBBORN = Patience(attempts=60, first_wait_seconds=0.05, longest_wait_seconds=0.2)
PUSH = (
    "import sys, cmr_planes.pacs.push as job; job.BATCH_FILES = 1; from cmr_planes.cli import main; main(['push', *sys.argv[1:]])"
)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    write_results(folder / "results", folder / "images", n_studies=2)
    return folder / "results"


def is_all_there(orthanc, results: Path) -> bool:
    made = {str(one.SOPInstanceUID): one for one in map(pydicom.dcmread, results.glob("*.dcm"))}
    kept = {uid: pydicom.dcmread(io.BytesIO(orthanc.fetch(uid))) for uid in orthanc.instances()}
    return kept == made and all(kept[uid].get("PixelData") == one.get("PixelData") for uid, one in made.items())


@pytest.mark.parametrize("way", ["url", "aet_url"])
def test_the_server_is_killed_while_it_stores(orthanc, results, way, monkeypatch, pytestconfig):
    monkeypatch.setattr("cmr_planes.pacs.push.BATCH_FILES", 2)
    monkeypatch.setattr("cmr_planes.pacs.stow.WebArchive.present", lambda *_: set())  # so that every push sends everything
    draw, n_kills, is_enough = random.Random(way), pytestconfig.getoption("kills") // 4, threading.Event()
    kills = []

    def kill() -> None:
        while len(kills) < n_kills and not is_enough.wait(draw.uniform(0.02, 0.2)):
            process = orthanc.process
            if process is not None and process.poll() is None and orthanc.answers():
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                kills.append(process.pid)

    def revive(_: str) -> None:
        if not orthanc.answers():
            with suppress(ServerError):  # it was killed while it started
                orthanc.restart()

    killer = threading.Thread(target=kill, daemon=True)
    access = Access(credentials=Login(orthanc.user, orthanc.password), timeout_seconds=10)
    killer.start()
    try:
        is_over = False
        while not is_over:
            is_over = not killer.is_alive()
            address = parse_address(getattr(orthanc, way))
            assert push(results, address, access, patience=STUBBORN, on_message=revive).is_complete
    finally:
        is_enough.set()
        killer.join(10)
    assert len(kills) == n_kills
    orthanc.restart()
    assert is_all_there(orthanc, results)


def test_the_push_is_killed_while_it_sends(orthanc, results, tmp_path, pytestconfig):
    login = tmp_path / "login"
    login.touch(0o600)
    login.write_text(f"{orthanc.user}:{orthanc.password}")
    command = [sys.executable, "-c", PUSH, str(results), orthanc.url, "--login-file", str(login)]
    draw, counts = random.Random(1), []
    for _ in range(pytestconfig.getoption("kills") // 4):
        n_before = len(orthanc.instances())
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pushing:
            while pushing.poll() is None and len(orthanc.instances()) == n_before:
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.05))
            pushing.send_signal(signal.SIGKILL)
        counts.append(len(orthanc.instances()))
    assert counts == sorted(counts)
    assert counts[0] < len(list(results.glob("*.dcm")))
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    assert is_all_there(orthanc, results)
