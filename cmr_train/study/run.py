"""The paper's comparison: a pretext, then every transfer mode at every number of annotated participants, on one test set."""

import dataclasses
import shutil
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cmr_planes.system.progress import OnMessage, OnProgress, Progress, ignore_message, ignore_progress
from cmr_planes.system.text import part
from cmr_planes.system.whole_file import file_sha256
from cmr_train.choices import Head
from cmr_train.config import RunConfig, RuntimeConfig
from cmr_train.errors import ConfigError
from cmr_train.runs.files import write_json
from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME, RESULT_NAME, read_catalogues, read_config, read_json
from cmr_train.runs.versions import versions
from cmr_train.study.engines import Handle, Submit
from cmr_train.study.job import TEST_FIELD, Job, Outcome, State, is_done, test_set_digests
from cmr_train.study.plan import NETWORKS, PRETEXTS, Pretext, StudyPlan, StudyRun
from cmr_train.study.progress import iterations_done
from cmr_train.study.study_file import OtherTestSet
from cmr_train.training.loop import stop_signal
from cmr_train.training.session import ORIGIN_FIELD, WEIGHTS_NAME

STUDY_NAME, STOP_NAME = "study.json", "stop"
"""The resolved study; the file whose existence asks its runs to stop."""
N_ATTEMPTS = 2
"""Attempts of a run at one start."""

_POLL_SECONDS = 0.1
_PROGRESS_SECONDS = 2.0
"""Between two readings of the iterations of the runs."""


def catalogue_digests(plan: StudyPlan) -> dict[Path, str]:
    """Return the SHA-256 of each catalogue that the plan reads."""
    paths = {run.config.data_of(Head(head)) for run in plan.everything for head in run.config.heads}
    paths |= set() if plan.study.test is None else {plan.study.test.data}
    return {path: file_sha256(path) for path in sorted(paths)}


def check_folder(plan: StudyPlan, folder: Path, digests: Mapping[Path, str]) -> None:
    """Refuse a folder that holds runs of other settings, or of other catalogues than those of the digests.

    Raises
    ------
    ConfigError
        It holds such runs, or networks whose pretext was trained again.
    """
    wanted = plan.study.weights.value
    stored = read_json(folder / STUDY_NAME)["study"].get("weights", wanted) if (folder / STUDY_NAME).is_file() else wanted
    if stored != wanted:
        raise ConfigError(
            [
                f"the networks in {str(folder)!r} are scored with their {stored} weights, not the {wanted} ones; overwrite the "
                "study, or choose another folder"
            ]
        )
    pretexts = pretext_digests(folder, [pretext.name for pretext in plan.pretexts])
    began = [run for run in plan.runs if run.pretext is not None and began_from_others(folder / run.folder, pretexts[run.pretext])]
    if began:
        is_missing = began[0].pretext is not None and pretexts[began[0].pretext] is None
        origin = "a pretext whose weights are missing" if is_missing else "other weights than those of its pretext now"
        raise ConfigError(
            [
                f"{str(folder / began[0].folder)!r} began from {origin} ({len(began)} such in all); "
                "delete these folders, overwrite the study, or choose another folder"
            ]
        )
    tested = _tested(plan)
    if any(
        is_done(folder / run.folder) and read_json(folder / run.folder / RESULT_NAME).get(TEST_FIELD) != tested for run in plan.runs
    ):
        raise ConfigError(
            [
                f"networks in {str(folder)!r} were scored on another test set than this study's; overwrite the study, or choose "
                "another folder"
            ]
        )
    others = [run.folder for run in plan.everything if _is_another(folder / run.folder, run.config, digests)]
    if others:
        raise ConfigError(
            [
                f"{str(folder / others[0])!r} was run with other settings or another catalogue ({len(others)} such in all); "
                "overwrite the study, or choose another folder"
            ]
        )


def pretext_digests(folder: Path, names: Iterable[str]) -> dict[str, str | None]:
    """Return the SHA-256 of the weights of each pretext of a study's folder, by name; None for one that is not finished."""
    weights = {name: folder / PRETEXTS / name / FINAL_NAME for name in names}
    return {name: file_sha256(path) if path.is_file() else None for name, path in weights.items()}


def began_from_others(run: Path, pretext_sha256: str | None) -> bool:
    """Return whether a network began from other weights than its pretext has now; False for one that does not say."""
    if not (run / WEIGHTS_NAME).is_file():
        return False
    return read_json(run / WEIGHTS_NAME).get(ORIGIN_FIELD, pretext_sha256) != pretext_sha256


def prepare_folder(plan: StudyPlan, folder: Path, digests: Mapping[Path, str], *, overwrite: bool = False) -> None:
    """Make the study's folder, without the runs in it if they are to be overwritten, and write ``study.json``."""
    if overwrite:
        for name in (PRETEXTS, NETWORKS):
            shutil.rmtree(folder / name, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STOP_NAME).unlink(missing_ok=True)
    write_json(
        folder / STUDY_NAME,
        study_json(plan)
        | {
            "versions": versions(),
            "catalogue_sha256": {path.as_posix(): digest for path, digest in digests.items()},
            TEST_FIELD: _tested(plan),
        },
    )


def _tested(plan: StudyPlan) -> list[str] | None:
    """Return the checksums of another test set than that of the catalogue that is trained on; None without one."""
    test = plan.study.test
    return None if test is None else test_set_digests(test.data, test.split)


def study_json(plan: StudyPlan) -> dict[str, Any]:
    """Return the resolved study and its runs, as JSON can hold them."""
    return {
        "study": plan.study.to_json(),
        "pretexts": [pretext.name for pretext in plan.pretexts],
        "cells": [
            {
                "name": run.name,
                "variant": run.variant,
                "mode": run.mode.value,
                "subjects": run.subjects,
                "seed": run.seed,
                "pretext": run.pretext,
                "folder": run.folder,
            }
            for run in plan.combinations
        ],
    }


def run_study(
    plan: StudyPlan,
    folder: Path,
    submit: Submit,
    *,
    facts: Mapping[str, Mapping[str, int]],
    threads: int | None = None,
    on_progress: OnProgress = ignore_progress,
    on_message: OnMessage = ignore_message,
) -> dict[str, Outcome]:
    """Carry out the runs that are not finished yet.

    Parameters
    ----------
    plan
        The runs.
    folder
        The study's folder, made by :func:`prepare_folder`.
    submit
        Submits a job to an engine.
    facts
        The counts of :func:`cmr_train.study.survey.survey`.
    threads
        CPU threads of each run whose settings have no number; None for torch's choice.
    on_progress
        Called with the iterations of all runs together, and the number of runs that have ended: from time to time, and at the
        end of each.
    on_message
        Called with a sentence about each run that fails.

    Returns
    -------
        The outcome of each run, by its folder. After SIGINT or SIGTERM some are stopped; the next call resumes them.
    """
    queue = _Queue(plan, folder, on_progress, on_message)
    with stop_signal() as is_stopping:
        while queue.waiting or queue.under_way:
            if is_stopping():
                queue.stop()
            for run in queue.ready():
                attempt = queue.attempts.get(run.folder, 0) + 1
                queue.attempts[run.folder] = attempt
                test = plan.study.test if isinstance(run, StudyRun) else None
                queue.under_way[run.folder] = submit(_job(run, folder, attempt, facts[run.folder], threads, test))
            queue.take_in()
            queue.report_if_due()
            time.sleep(_POLL_SECONDS)
    return queue.outcomes


class _Queue:
    """The runs that wait, those under way, and the outcomes of the others."""

    def __init__(self, plan: StudyPlan, folder: Path, on_progress: OnProgress, on_message: OnMessage) -> None:
        self.folder, self.on_progress, self.on_message = folder, on_progress, on_message
        self.runs: dict[str, Pretext | StudyRun] = {run.folder: run for run in plan.everything}
        self.outcomes = {name: Outcome(state=State.DONE) for name in self.runs if is_done(folder / name)}
        self.waiting = [name for name in self.runs if name not in self.outcomes]
        self.under_way: dict[str, Handle] = {}
        self.attempts: dict[str, int] = {}
        self.is_stopped = False
        self.report_at = 0.0
        self._report()

    def stop(self) -> None:
        """Ask the runs under way to stop, and drop those that wait."""
        if self.is_stopped:
            return
        self.is_stopped = True
        (self.folder / STOP_NAME).touch()
        for handle in self.under_way.values():
            handle.cancel()
        self.outcomes |= {name: Outcome(state=State.STOPPED) for name in self.waiting}
        self.waiting.clear()

    def ready(self) -> list[Pretext | StudyRun]:
        """Take the runs whose pretext is finished, or that need none; those whose pretext failed end here."""
        taken = []
        for name in [*self.waiting]:
            run = self.runs[name]
            pretext = f"{PRETEXTS}/{run.pretext}" if isinstance(run, StudyRun) and run.pretext is not None else None
            before = Outcome(state=State.DONE) if pretext is None else self.outcomes.get(pretext)
            if before is None:
                continue
            self.waiting.remove(name)
            if before.state is State.DONE:
                taken.append(run)
            elif before.state is State.STOPPED:
                self.outcomes[name] = before
            else:
                self._fail(name, f"its pretext failed: {before.error}")
        return taken

    def take_in(self) -> None:
        """Collect the runs that have ended; a run that failed waits for another attempt, if one is left."""
        for name in [name for name, handle in self.under_way.items() if handle.done()]:
            outcome = self._outcome(self.under_way.pop(name))
            if outcome.state is not State.FAILED:
                self._end(name, outcome)
            elif not outcome.is_final and self.attempts[name] < N_ATTEMPTS and not self.is_stopped:
                self.waiting.append(name)
                self.on_message(f"{name}: failed, tried once more: {outcome.error}")
            else:
                self._fail(name, str(outcome.error))

    def _outcome(self, handle: Handle) -> Outcome:
        try:
            return handle.result()
        except Exception as error:  # noqa: BLE001  # engines have errors of their own
            return Outcome(state=State.STOPPED if self.is_stopped else State.FAILED, error=" ".join(f"{error}".split()))

    def _fail(self, name: str, sentence: str) -> None:
        """Record that a run failed; the next start tries it again."""
        run = self.folder / name
        run.mkdir(parents=True, exist_ok=True)
        write_json(run / RESULT_NAME, {"state": State.FAILED.value, "error": sentence, "attempts": self.attempts.get(name, 0)})
        self.on_message(f"{name}: failed: {sentence}")
        self._end(name, Outcome(state=State.FAILED, error=sentence))

    def _end(self, name: str, outcome: Outcome) -> None:
        self.outcomes[name] = outcome
        if outcome.state is not State.STOPPED:
            self._report()

    def report_if_due(self) -> None:
        """Report how far the study is, unless that was done a moment ago."""
        if time.monotonic() >= self.report_at:
            self._report()

    def _report(self) -> None:
        """Report the iterations done, all those of a run that has ended counted, and the number of such runs."""
        ended = {name for name, outcome in self.outcomes.items() if outcome.state is not State.STOPPED}
        of_run = {name: run.config.training.iterations for name, run in self.runs.items()}
        done = sum(n if name in ended else min(n, iterations_done(self.folder / name)) for name, n in of_run.items())
        self.on_progress(Progress(done, sum(of_run.values()), part(len(ended), len(of_run), "run")))
        self.report_at = time.monotonic() + _PROGRESS_SECONDS


def _is_another(run: Path, config: RunConfig, digests: Mapping[Path, str]) -> bool:
    """Return whether a run has another configuration, apart from its runtime settings, or another catalogue."""
    if not (run / CONFIG_NAME).exists():
        return False
    plain = RuntimeConfig()
    is_same = dataclasses.replace(read_config(run), runtime=plain) == dataclasses.replace(config, runtime=plain)
    if not is_same:
        return True
    return any(identity.sha256 != digests[config.data_of(head)] for head, identity in read_catalogues(run).items())


def _job(
    run: Pretext | StudyRun,
    folder: Path,
    attempt: int,
    facts: Mapping[str, int],
    threads: int | None,
    test: OtherTestSet | None,
) -> Job:
    config = run.config
    if config.runtime.threads is None and threads is not None:
        config = dataclasses.replace(config, runtime=dataclasses.replace(config.runtime, threads=threads))
    return Job(
        config=config.to_json(),
        out=str((folder / run.folder).absolute()),
        cwd=str(Path.cwd()),
        stop=str((folder / STOP_NAME).absolute()),
        attempt=attempt,
        facts=dict(facts),
        weights=run.weights.value,
        test=None if test is None else test.to_json(),
    )
