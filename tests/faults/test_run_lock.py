"""Two runs at once on one output: the second is told which process has it, and a run that died has nothing."""

import errno
import multiprocessing
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmr_planes.errors import InUseError
from cmr_planes.system import run_lock
from cmr_planes.system.run_lock import lock_path, only_run
from tests.helpers.cohorts import extract, run, write_folders
from tests.helpers.training import options, small_catalogue, train

HOLD = "import sys; from pathlib import Path; from cmr_planes.system.run_lock import only_run\nwith only_run(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


@contextmanager
def held(out: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that works on an output."""
    with subprocess.Popen([sys.executable, "-c", HOLD, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_refused(result, process, out):
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: process {process.pid}, begun 2")
    assert f"works on {out}; wait for it" in result.stderr
    assert result.stderr.count("\n") == 1
    assert platform.node() not in result.stderr


def test_a_second_extract_or_annotate_is_told_who_is_first(tmp_path):
    source, out = write_folders(tmp_path / "dicom", 1), tmp_path / "new" / "out.h5"
    with held(out) as process:
        assert_refused(extract(source, out), process, out)
        assert [*files(out.parent)] == ["out.h5.lock"]
        assert extract(source, out, "--dry-run").exit_code == 0
    assert lock_path(out).exists()  # the process was killed
    assert extract(source, out).exit_code == 0
    assert not lock_path(out).exists()
    with held(out) as process:
        before = files(out.parent)
        assert_refused(run("annotate", out, source), process, out)
        assert_refused(extract(source, out, "--overwrite"), process, out)
        assert before == files(out.parent)


def test_a_second_training_is_told_who_is_first(tmp_path):
    data, out = small_catalogue(tmp_path), tmp_path / "runs" / "first"
    with held(out) as process:
        result = train("pretext", *options(data=data, out=out))
        assert_refused(result, process, out)
        assert not out.exists()
    assert train("pretext", *options(data=data, out=out)).exit_code == 0
    assert not lock_path(out).exists()


def test_an_owner_on_another_machine_is_not_named(tmp_path, monkeypatch):
    with held(tmp_path / "out.h5") as process:
        monkeypatch.setattr(run_lock.platform, "node", lambda: "elsewhere")
        with (
            pytest.raises(InUseError, match=rf"process {process.pid} of another machine \(out\.h5\.lock names it\), begun"),
            only_run(tmp_path / "out.h5"),
        ):
            pass


def test_an_owner_that_has_not_yet_given_its_name(tmp_path):
    with held(tmp_path / "out.h5"):
        lock_path(tmp_path / "out.h5").write_bytes(b"")
        with pytest.raises(InUseError, match="another run, which has only just begun, works on"), only_run(tmp_path / "out.h5"):
            pass


def test_a_file_system_without_locks_is_said_to_be_one(tmp_path, monkeypatch):
    def refuse(descriptor: int, *, blocking: bool) -> bool:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(run_lock, "lock_descriptor", refuse)
    result = extract(write_folders(tmp_path / "dicom", 1), tmp_path / "out.h5")
    assert result.exit_code == 0
    assert "knows no locks: make sure that no other run works on it" in result.stderr


def test_a_run_may_wait_for_the_one_before_it(tmp_path):
    out = tmp_path / "out.h5"
    with held(out) as process:
        ending = threading.Timer(0.3, process.kill)
        ending.start()
        with only_run(out, wait_seconds=30.0) as is_certain:
            assert is_certain
            assert process.wait() < 0
        ending.join()


def test_a_run_that_waited_in_vain_is_refused(tmp_path):
    out = tmp_path / "out.h5"
    with held(out) as process:
        start = time.monotonic()
        with pytest.raises(InUseError, match=f"process {process.pid}, begun"), only_run(out, wait_seconds=0.2):
            pass
        assert time.monotonic() - start >= 0.2


def _count(out: str, n: int) -> int:
    """Add one under the lock, ``n`` times or fewer; return how often it was had."""
    had = 0
    for _ in range(n):
        try:
            with only_run(Path(out)):
                path = Path(out)
                number = int(path.read_text()) if path.exists() else 0
                path.write_text(str(number + 1))
                had += 1
        except InUseError:
            continue
    return had


def test_no_two_processes_ever_have_it(tmp_path):
    """An update is lost if two are in; the lock's file is removed and made again all the time."""
    out = tmp_path / "count"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        had = pool.starmap(_count, [(str(out), 300)] * 2)
    assert int(out.read_text()) == sum(had) > 0
    assert not lock_path(out).exists()
