"""Runs that are repeated, killed, interrupted or short of space; nothing that was sealed is ever lost."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cmr_planes.extraction.plan import PLAN_NAME
from cmr_planes.phantom.small_study import write_study
from cmr_planes.shards.catalogue import Catalogue
from tests.helpers.cohorts import SMALL_BOXES, digests, extract, small_study, write_folders

N_SUBJECTS = 6


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return write_folders(tmp_path_factory.mktemp("cohort") / "dicom", N_SUBJECTS)


@pytest.fixture(scope="module")
def reference(source, tmp_path_factory) -> Path:
    """An undisturbed run with one worker."""
    out = tmp_path_factory.mktemp("reference") / "out.h5"
    assert extract(source, out, "--shard-size", 1).exit_code == 0
    return out


def command(source: Path, out: Path, *options: object) -> list[str]:
    script = Path(sys.executable).parent / "cmr-planes"
    return [str(script), "extract", str(source), str(out), "--shard-size", "1", *SMALL_BOXES, *map(str, options)]


def assert_same(out: Path, reference: Path) -> None:
    assert digests(out.with_suffix(".shards")) == digests(reference.with_suffix(".shards"))
    assert out.read_bytes() == reference.read_bytes()


def test_two_workers_write_the_same_bytes_as_one(source, reference, tmp_path):
    subprocess.run(command(source, tmp_path / "out.h5", "--workers", 2), check=True, capture_output=True)
    assert_same(tmp_path / "out.h5", reference)


def test_a_second_run_changes_nothing_and_makes_nothing(source, reference, tmp_path):
    out = tmp_path / "out.h5"
    shutil.copytree(reference.parent, tmp_path, dirs_exist_ok=True)
    before = {path: path.stat().st_mtime_ns for path in out.with_suffix(".shards").glob("*.h5")}
    result = extract(source, out, "--shard-size", 1)
    assert result.exit_code == 0
    assert before == {path: path.stat().st_mtime_ns for path in out.with_suffix(".shards").glob("*.h5")}
    assert_same(out, reference)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
def test_a_killed_run_goes_on_to_the_same_bytes(source, reference, tmp_path, workers, sign):
    out = tmp_path / "out.h5"
    shards = out.with_suffix(".shards")
    process = subprocess.Popen(
        command(source, out, "--workers", workers), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not list(shards.glob("*.h5")):
        time.sleep(0.001)
    os.killpg(process.pid, sign)
    process.wait()
    sealed = digests(shards)
    assert any(name.endswith(".h5") for name in sealed)
    (shards / "00099.h5.part").write_bytes(b"left by a run that died")
    subprocess.run(command(source, out, "--workers", workers), check=True, capture_output=True)
    assert_same(out, reference)
    assert {name: digest for name, digest in sealed.items() if name.endswith(".h5")}.items() <= digests(shards).items()


def test_ctrl_c_keeps_what_is_sealed_and_says_how_to_go_on(source, reference, tmp_path):
    out = tmp_path / "out.h5"
    process = subprocess.Popen(
        command(source, out, "--workers", 2), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not list(out.with_suffix(".shards").glob("*.h5")):
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate()
    assert "Traceback" not in stderr
    if process.returncode:  # it may have been done already
        assert process.returncode == 130
        assert "interrupted" in stderr
    subprocess.run(command(source, out), check=True, capture_output=True)
    assert_same(out, reference)


def test_new_subjects_are_added_without_touching_sealed_shards(source, reference, tmp_path):
    out = tmp_path / "out.h5"
    shutil.copytree(reference.parent, tmp_path, dirs_exist_ok=True)
    more = tmp_path / "more"
    shutil.copytree(source, more)
    write_study(more / "SYN-0000", small_study("SYN-0000"))  # sorts before all others
    before = {name: digest for name, digest in digests(out.with_suffix(".shards")).items() if name != PLAN_NAME}
    files = {name: (out.with_suffix(".shards") / name).stat() for name in before}
    assert extract(more, out, "--shard-size", 1).exit_code == 0
    after = digests(out.with_suffix(".shards"))
    assert before.items() <= after.items()
    for name, stat in files.items():
        now = (out.with_suffix(".shards") / name).stat()
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_ino) == (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    with Catalogue(out) as catalogue:
        assert list(catalogue.subjects().key) == [f"SYN-{number:04d}" for number in (1, 2, 3, 4, 5, 6, 0)]


def test_another_configuration_is_refused_by_name(source, reference):
    before = digests(reference.with_suffix(".shards"))
    result = extract(source, reference, "--shard-size", 1, "--keep-all")
    assert result.exit_code == 1
    assert "was made with --keep-all off, not on" in result.stderr
    assert before == digests(reference.with_suffix(".shards"))


def test_all_that_differs_is_named(source, reference):
    result = extract(source, reference, "--shard-size", 2, "--keep-all")
    assert "was made with --keep-all off, not on; --shard-size 1, not 2; use" in " ".join(result.stderr.split())


def test_a_run_that_was_stopped_before_its_first_shard_binds_no_other(source, reference, tmp_path):
    """As a scheduler that does not answer stops it: the plan is there, and nothing else."""
    out = tmp_path / "out.h5"
    out.with_suffix(".shards").mkdir()
    shutil.copy(reference.with_suffix(".shards") / PLAN_NAME, out.with_suffix(".shards"))
    result = extract(source, out, "--views", "sax")
    assert result.exit_code == 0, result.stderr
    with Catalogue(out) as catalogue:
        assert set(catalogue.views().view) == {"sax"}


def test_overwrite_begins_anew(source, tmp_path):
    out = tmp_path / "out.h5"
    assert extract(source, out).exit_code == 0
    assert extract(source, out, "--views", "sax", "--overwrite").exit_code == 0
    with Catalogue(out) as catalogue:
        assert set(catalogue.views().view) == {"sax"}


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("content", [b"", b"not HDF5", b"\x89HDF\r\n\x1a\n" + bytes(100)], ids=["empty", "text", "broken HDF5"])
def test_an_out_that_is_not_ours_is_left_alone(source, tmp_path, content, overwrite):
    out = tmp_path / "out.h5"
    out.write_bytes(content)
    result = extract(source, out, *(["--overwrite"] if overwrite else []))
    assert result.exit_code == 1
    assert "is not a catalogue of cmr-planes" in result.stderr
    assert out.read_bytes() == content
    assert not out.with_suffix(".shards").exists()


@pytest.mark.parametrize("begun", [False, True], ids=["before the first run", "after it"])
def test_files_of_others_among_the_shards_survive_overwriting(source, tmp_path, begun):
    folder = tmp_path / "out.shards"
    if begun:
        assert extract(source, tmp_path / "out.h5", "--shard-size", 1).exit_code == 0
    folder.mkdir(exist_ok=True)
    (folder / "thesis.txt").write_text("mine")
    assert extract(source, tmp_path / "out.h5", "--overwrite").exit_code == 0
    assert (folder / "thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in folder.glob("*.h5")) == ["00000.h5"]


@pytest.mark.parametrize("limit", [1 << 14])  # others: test_full_disk.py
def test_a_full_disk_ends_in_one_sentence_and_the_next_run_goes_on(source, reference, tmp_path, limit):
    """A limit on the size of files stands in for the disk: every write beyond it fails."""
    out = tmp_path / "out.h5"

    def limit_files() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    process = subprocess.run(
        command(source, out, "--workers", 1), preexec_fn=limit_files, capture_output=True, text=True, check=False
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert process.stderr.count("\n") == 1
    assert "could not be written" in process.stderr
    assert not list(tmp_path.rglob("*.part"))
    subprocess.run(command(source, out), check=True, capture_output=True)
    assert_same(out, reference)


def test_a_damaged_plan_is_an_error_and_not_a_new_beginning(source, reference, tmp_path):
    shutil.copytree(reference.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "out.shards" / PLAN_NAME).write_text("{")
    result = extract(source, tmp_path / "out.h5", "--shard-size", 1)
    assert result.exit_code == 1
    assert "cannot be read as a plan" in result.stderr


def spawned_workers(pid: int) -> list[psutil.Process]:
    """Return a run's workers; processes that end while they are examined count as none."""
    try:
        return [child for child in psutil.Process(pid).children() if "spawn_main" in " ".join(child.cmdline())]
    except psutil.Error:
        return []


def test_workers_end_with_a_parent_that_is_killed(source, tmp_path):
    process = subprocess.Popen(
        command(source, tmp_path / "out.h5", "--workers", 2), stdout=subprocess.DEVNULL, start_new_session=True
    )
    workers = []
    while process.poll() is None and len(workers) < 2:
        workers = spawned_workers(process.pid)
    assert len(workers) == 2
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert alive == []


def test_other_sources_for_a_half_done_run_are_refused(source, reference, tmp_path):
    shutil.copytree(reference.parent, tmp_path, dirs_exist_ok=True)
    (tmp_path / "out.shards" / "00003.h5").unlink()
    other = tmp_path / "other"
    write_study(other / "SYN-0009", small_study("SYN-0009"))
    result = extract(other, tmp_path / "out.h5", "--shard-size", 1)
    assert result.exit_code == 1
    assert "give the same sources again" in result.stderr
