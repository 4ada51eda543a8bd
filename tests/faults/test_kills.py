"""SIGKILL at random moments: what is sealed stays as it is, and the run that goes on ends with the bytes of an undisturbed one.

A server that has all modules loaded forks the runs, so that the moments fall into the work and not into the imports. Each job is
killed ``--kills`` times or once more, at moments that are drawn evenly over what an undisturbed run took; so is the run that goes on.
"""

import contextlib
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from cmr_planes.cli import main as planes
from cmr_train.cli import main as trainer
from tests.cohorts import SMALL_BOXES, extract, write_folders, write_label_maps
from tests.training import options, small_catalogue

N_SUBJECTS = 4
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults_preload"])


@dataclass(frozen=True)
class Job:
    """A command that can be repeated."""

    begin: Callable[[Path], None]
    """Lays what the command needs into an empty folder."""
    command: Callable[[Path], Sequence[object]]
    """The words of the command, the program's first."""


def _child(words: Sequence[str], log: str) -> None:
    """Be the command: a group of its own, output to a file."""
    os.setsid()
    with Path(log).open("w") as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        program = trainer if words[0] == "cmr-train" else planes
        program([*words[1:]], prog_name=words[0])


@contextlib.contextmanager
def running(job: Job, folder: Path) -> Iterator[multiprocessing.process.BaseProcess]:
    process = FORKS.Process(target=_child, args=([str(word) for word in job.command(folder)], f"{folder}.log"))
    process.start()
    try:
        yield process
    finally:
        if process.is_alive():
            process.kill()
        process.join()


def complete(job: Job, folder: Path) -> float:
    """Let a command run to its end; return the seconds it took."""
    start = time.perf_counter()
    with running(job, folder) as process:
        process.join()
        assert process.exitcode == 0, Path(f"{folder}.log").read_text()
    return time.perf_counter() - start


def kill_after(job: Job, folder: Path, seconds: float) -> bool:
    """Kill a command after so many seconds; return whether it had not ended by then."""
    with running(job, folder) as process:
        process.join(seconds)
        is_killed = process.is_alive()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()
        process.join()
        assert is_killed or process.exitcode in {0, -signal.SIGKILL}, Path(f"{folder}.log").read_text()
        return is_killed


def content(folder: Path) -> Mapping[str, bytes]:
    """Return the files that stand under their own names; times and rates are not among what must be equal."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in {".part", ".lock", ".jsonl"} and path.parent.name != "tensorboard"
    }


def finished(files: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Return what never changes once it is there: shards, label files, the plan, and final weights."""
    return {name: data for name, data in files.items() if name.endswith("final.pt") or "out.shards" in name or "out.labels" in name}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> Mapping[str, Job]:
    folder = tmp_path_factory.mktemp("given")
    source = write_folders(folder / "dicom", N_SUBJECTS)
    maps = write_label_maps(folder / "maps", N_SUBJECTS)
    assert extract(source, folder / "ready" / "out.h5", "--shard-size", 1).exit_code == 0
    data = small_catalogue(folder)
    extraction = ["cmr-planes", "extract", source]
    one_each = ["--shard-size", 1, "--workers", 1, *SMALL_BOXES]
    annotations = ["--annotations", maps, "--classes", "acdc"]

    def nothing(folder: Path) -> None:
        folder.mkdir()

    def a_catalogue(target: Path) -> None:
        shutil.copytree(folder / "ready", target)

    def training(target: Path) -> list[object]:
        return ["cmr-train", "pretext", *options(data=data, out=target / "run", iterations=24, checkpoint_every=3), "--resume"]

    return {
        "extract": Job(nothing, lambda target: [*extraction, target / "out.h5", *one_each, *annotations]),
        "annotate": Job(a_catalogue, lambda target: ["cmr-planes", "annotate", target / "out.h5", maps, "--classes", "acdc"]),
        "train": Job(nothing, training),
    }


@pytest.mark.parametrize("name", ["extract", "annotate", "train"])
def test_a_run_killed_at_any_moment_goes_on_to_the_same_bytes(jobs, name, tmp_path, request):
    job, n_wanted = jobs[name], request.config.getoption("kills")
    whole, out = tmp_path / "whole", tmp_path / "out"
    for _ in range(2):  # the server of forks starts with the first
        shutil.rmtree(whole, ignore_errors=True)
        job.begin(whole)
        seconds = complete(job, whole)
    reference = content(whole)
    draw = random.Random(name)
    n_killed, n_tries = 0, 0
    while n_killed < n_wanted:
        n_tries += 1
        assert n_tries <= 4 * n_wanted + 8, "the runs end before they can be killed"
        job.begin(out)
        before: Mapping[str, bytes] = {}
        for _ in range(2):  # the run that goes on may be killed too
            n_killed += kill_after(job, out, draw.uniform(0, seconds))
            now = finished(content(out))
            assert now.items() <= finished(reference).items()
            assert {each for each in before if not each.endswith(".sha256")} <= set(now)
            before = now
        complete(job, out)
        assert content(out) == reference
        assert not list(tmp_path.rglob("*.lock"))
        shutil.rmtree(out)
    print(f"{name}: {n_killed} runs of {seconds:.2f} s killed, {n_tries} times gone on to the end")  # noqa: T201  # shown by -rP
