"""One run of a study in its own process: trained, evaluated on the test set, and completed by ``cell.json``.

:func:`run_job` starts the process and watches it, wherever an engine puts it; ``python -m cmr_train.study.job`` is the
process. It resumes the run in its folder, so a run that was killed only has to be started again.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

from cmr_planes.errors import CmrPlanesError
from cmr_planes.system.reasons import advice, reason
from cmr_planes.system.run_lock import only_run
from cmr_planes.system.whole_file import file_sha256
from cmr_train.choices import Weights
from cmr_train.config import RunConfig
from cmr_train.errors import CheckpointError, TrainError
from cmr_train.evaluation.score_files import PER_SUBJECT_NAME
from cmr_train.runs.folder import RESULT_NAME, SCORES_FIELD

LOG_NAME = "log.txt"
"""The output of a run's process."""

TEST_FIELD = "test_set_sha256"
"""Field of ``cell.json`` and ``study.json``: the checksums of the catalogue and of the split file of another test set."""

_ASK_TO_STOP = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGTERM)
_OWN_GROUP = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""Windows sends Ctrl-Break to a group; elsewhere a session of its own keeps Ctrl-C from the process."""
_STOPPED_CODES = (-signal.SIGTERM, 0xC000013A)
"""Exit codes of a process that died of what asked it to stop; the second one is Windows' STATUS_CONTROL_C_EXIT."""
_KILLED_CODE = -9
"""Of SIGKILL."""
_POLL_SECONDS = 0.1
_LOCK_SECONDS = 60.0
"""A run whose starter was killed just before ends within this time."""


class State(StrEnum):
    """State of a run that has ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    """By a signal; the next start resumes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The work of one process."""

    config: dict[str, Any]
    """The run's configuration, as JSON holds it."""
    out: str
    """The run's folder."""
    cwd: str
    """The folder to which the paths of the configuration are relative."""
    stop: str
    """The file whose existence asks to stop."""
    attempt: int = 1
    facts: dict[str, int] = field(default_factory=dict)
    """Further values of ``cell.json``: the numbers of participants and images that are trained on."""
    weights: str = Weights.LAST.value
    """The weights that are scored."""
    test: dict[str, str | None] | None = None
    """Another test set as the study file has it; None for the run's own."""
    gpu: str | None = None
    """The only visible GPU; None for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a run."""

    state: State
    error: str | None = None
    """A sentence, where it failed."""
    is_final: bool = False
    """Whether another attempt would fail alike: the data or the settings are at fault, not chance."""


def is_done(run: Path) -> bool:
    """Return whether a run is trained and evaluated."""
    try:
        return bool(json.loads((run / RESULT_NAME).read_text(encoding="utf-8"))["state"] == State.DONE)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def test_set_digests(data: Path, split: Path | None) -> list[str]:
    """Return the checksums of the catalogue of another test set and, if there is one, of its split file."""
    return [file_sha256(path) for path in (data, split) if path is not None]


def run_job(job: Job) -> Outcome:
    """Run a job in a new process; wait for its end, or for the file that asks to stop."""
    out, stop = Path(job.out), Path(job.stop)
    if stop.exists():
        return Outcome(state=State.STOPPED)
    out.mkdir(parents=True, exist_ok=True)
    environment = os.environ | ({} if job.gpu is None else {"CUDA_VISIBLE_DEVICES": job.gpu})
    command = [sys.executable, "-m", __name__]
    is_asked = False
    with (
        (out / LOG_NAME).open("ab") as log,
        subprocess.Popen(  # noqa: S603  # this module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=job.cwd,
            env=environment,
            start_new_session=True,
            creationflags=_OWN_GROUP,
        ) as process,
    ):
        pipes: tuple[IO[bytes], IO[bytes]] = process.stdin, process.stdout  # type: ignore[assignment]  # both were asked for
        with contextlib.suppress(BrokenPipeError):
            pipes[0].write(json.dumps(asdict(job)).encode() + b"\n")
            pipes[0].flush()
        while process.poll() is None:
            if not is_asked and stop.exists():
                process.send_signal(_ASK_TO_STOP)
                is_asked = True
            time.sleep(_POLL_SECONDS)
        said = pipes[1].read()
    if process.returncode == 0:
        value = json.loads(said)
        return Outcome(state=State(value["state"]), error=value["error"], is_final=value["is_final"])
    if is_asked and process.returncode in _STOPPED_CODES:
        return Outcome(state=State.STOPPED)
    return Outcome(state=State.FAILED, error=_how_it_died(process.returncode, out / LOG_NAME))


def _how_it_died(code: int, log: Path) -> str:
    if code == _KILLED_CODE:
        return "the process was killed, perhaps because memory ran out; try fewer parallel runs or a smaller batch"
    what = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"the process ended with {what}; {str(log)!r} holds its output"


def main() -> None:
    """Run the job on the first line of stdin, and print its outcome; end when stdin does."""
    job = Job(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_starter, daemon=True).start()
    with contextlib.redirect_stdout(sys.stderr):
        outcome = _carried_out(job)
    print(json.dumps(asdict(outcome)))  # noqa: T201  # read by the starter


def _end_with_starter() -> None:
    """Wait for the end of the process that started this one, however it ends; the last checkpoint stays."""
    sys.stdin.read()
    os._exit(1)


def _carried_out(job: Job) -> Outcome:
    try:
        with only_run(Path(job.out), wait_seconds=_LOCK_SECONDS):
            is_finished = _train_and_evaluate(job)
    except CmrPlanesError as error:
        is_chance = isinstance(error, CheckpointError) or not isinstance(error, TrainError)
        return Outcome(state=State.FAILED, error=str(error), is_final=not is_chance)
    except OSError as error:
        where = f"{error.filename!r}: " if error.filename else ""
        return Outcome(state=State.FAILED, error=f"{where}{reason(error)}; {advice(error)}")
    except Exception as error:  # noqa: BLE001  # a bug in one run must not cost the others; the traceback is kept
        traceback.print_exc()
        where = str(Path(job.out) / LOG_NAME)
        return Outcome(state=State.FAILED, error=f"unexpected {type(error).__name__}; {where!r} holds the traceback")
    return Outcome(state=State.DONE if is_finished else State.STOPPED)


def _log(sentence: str) -> None:
    """Write a sentence into the run's log."""
    print(sentence, file=sys.stderr)  # noqa: T201


def _train_and_evaluate(job: Job) -> bool:
    """Train, score on the test set, and write ``cell.json``; return whether the run is finished."""
    from cmr_train.choices import Recipe, Subset
    from cmr_train.compute.devices import choose_compute
    from cmr_train.recipes.evaluate import evaluate
    from cmr_train.recipes.finetune import train_finetune
    from cmr_train.recipes.pretext import train_pretext
    from cmr_train.runs.files import write_json
    from cmr_train.runs.folder import FINAL_NAME
    from cmr_train.runs.run import load_run
    from cmr_train.training.job import train_where_possible
    from cmr_train.training.session import Reporter

    start, out = time.perf_counter(), Path(job.out)
    config = RunConfig.from_json(job.config)
    if not (out / FINAL_NAME).exists():
        train = train_pretext if config.recipe is Recipe.PRETEXT else train_finetune
        reporter = Reporter(on_message=_log)
        is_finished, config = train_where_possible(train, config, out, resume=True, overwrite=False, reporter=reporter)
        if not is_finished:
            return False
    compute = choose_compute(config.runtime)
    scores: dict[str, Any] = {}
    if job.facts.get("n_test", 1):
        other: dict[str, Any] = job.test or {}
        subset = Subset.ALL if other and not other["split"] else Subset.TEST
        evaluate(load_run(out, compute.device, weights=job.weights), subset=subset, out=out, on_message=_log, **other)
        scores = {SCORES_FIELD: file_sha256(out / PER_SUBJECT_NAME)}
        if other:
            scores[TEST_FIELD] = test_set_digests(Path(other["data"]), other["split"] and Path(other["split"]))
    seal = {"state": State.DONE.value, "error": None, "attempts": job.attempt, "seconds": round(time.perf_counter() - start, 1)}
    write_json(out / RESULT_NAME, seal | scores | {"device": compute.description, "weights": job.weights} | job.facts)
    return True


if __name__ == "__main__":
    main()
