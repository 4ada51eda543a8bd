"""``cmr-planes phantom``: options in any case, and what becomes of it when it is interrupted or killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from cmr_planes.cli import main
from cmr_planes.errors import ExitCode

SMALL = ("--frames", "2", "--slices", "2", "--rows", "48", "--columns", "48", "--spacing", "7")
COMMAND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from cmr_planes.cli import main; main()"
"""The command, also where the tests run in the background of a shell, which has its children ignore SIGINT."""
MANY = ("-n", "500", "--workers", "2", "-q")


def start(folder: Path) -> subprocess.Popen[str]:
    """Start a long run in a group of its own, and wait until its workers have written something."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "phantom", str(folder), *MANY, *SMALL],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not any((folder / "dicom").glob("*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


def test_the_workers_end_with_a_run_that_is_killed(tmp_path: Path) -> None:
    process = start(tmp_path)
    workers = psutil.Process(process.pid).children(recursive=True)
    assert len(workers) >= 2
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=30)
    for worker in alive:
        worker.kill()
    assert not alive


@pytest.mark.posix
def test_an_interrupted_cohort_is_said_to_be_incomplete(tmp_path: Path) -> None:
    process = start(tmp_path)
    os.killpg(process.pid, signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert stderr == "interrupted; the cohort is incomplete; the same command with --overwrite replaces it\n"


@pytest.mark.parametrize("options", [("--layout", "UKB"), ("--pathology", "Normal"), ("--quirks", "ALL")], ids=lambda pair: pair[0])
def test_values_are_taken_in_any_case(tmp_path: Path, options: tuple[str, str]) -> None:
    result = CliRunner().invoke(main, ["phantom", str(tmp_path), "-n", "1", *SMALL, *options])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    assert result.stdout.startswith("1 subject, ")


def test_a_hard_cohort_is_written_with_its_truth(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["phantom", str(tmp_path), "-n", "1", "--hard", "--frames", "2", "--pathology", "normal"])
    assert (result.exit_code, result.stderr) == (ExitCode.DONE, "")
    assert {path.name for path in (tmp_path / "truth" / "labels" / "SYN-0001").iterdir()} == {
        f"{view}_{phase}.nii.gz" for view in ("sax", "2ch", "4ch") for phase in ("ed", "es")
    }


def test_what_a_hard_cohort_draws_cannot_be_given(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["phantom", str(tmp_path), "--hard", "--rows", "64", "--mixed"])
    assert result.exit_code == ExitCode.BAD_ARGUMENTS
    assert (
        "--hard draws matrix, pixel size, slices and breath-holds for each subject; leave out --rows and --mixed" in result.stderr
    )
    assert not list(tmp_path.iterdir())
