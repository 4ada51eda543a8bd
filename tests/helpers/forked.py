"""The commands in processes of their own that begin with all modules loaded: for tests that end them again and again."""

import contextlib
import io
import multiprocessing
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from cmr_planes.cli import main as planes
from cmr_train.cli import main as trainer
from tests.helpers.cohorts import SMALL_BOXES, extract, write_folders, write_label_maps
from tests.helpers.training import options, small_catalogue

N_SUBJECTS = 4
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.helpers.forked_preload"])


@dataclass(frozen=True)
class Job:
    """A command that can be repeated."""

    begin: Callable[[Path], None]
    """Lays what the command needs into an empty folder."""
    command: Callable[[Path], Sequence[object]]
    """The words of the command, the program's first."""


class Running:
    """A command in a process of its own."""

    def __init__(self, job: Job, folder: Path, limit: int | None = None) -> None:
        self._receiver, sender = FORKS.Pipe(duplex=False)
        self.process = FORKS.Process(target=_be, args=([str(word) for word in job.command(folder)], sender, limit))
        self.process.start()
        sender.close()

    def wait(self) -> tuple[int | None, str]:
        """Wait for its end; return the exit code and what it printed."""
        try:
            output = self._receiver.recv()
        except EOFError:
            output = ""
        self.process.join()
        return self.process.exitcode, output

    def kill(self, seconds: float) -> bool:
        """Kill it and its children after this many seconds; return whether it had not ended by then."""
        self.process.join(seconds)
        is_killed = self.process.is_alive()
        if is_killed:
            with contextlib.suppress(ProcessLookupError):  # it may not lead a group yet
                os.killpg(self.process.pid or 0, signal.SIGKILL)
            self.process.kill()
        code, output = self.wait()
        assert code in {0, -signal.SIGKILL}, output
        return is_killed


def _be(words: Sequence[str], sender: Connection, limit: int | None) -> None:
    """Be the command: lead a group, send what is printed, and have files that cannot grow beyond a limit."""
    os.setsid()
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with io.StringIO() as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            program = trainer if words[0] == "cmr-train" else planes
            program([*words[1:]], prog_name=words[0])
        finally:
            sender.send(stream.getvalue())


def complete(job: Job, folder: Path) -> float:
    """Let a command run to its end; return the seconds it took."""
    start = time.perf_counter()
    code, output = Running(job, folder).wait()
    assert code == 0, output
    return time.perf_counter() - start


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


def make_jobs(folder: Path) -> Mapping[str, Job]:
    """Return an extraction with annotations, an annotation, and a training, whose input lies in a folder."""
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
