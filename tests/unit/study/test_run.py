"""The order in which a study's runs go, and what becomes of those that fail: with jobs that are never run."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from cmr_planes.system.run_lock import only_run
from cmr_train.errors import ConfigError
from cmr_train.study import job as study_job
from cmr_train.study.job import Job, Outcome, State
from cmr_train.study.plan import StudyPlan, plan_study
from cmr_train.study.run import check_folder, prepare_folder, run_study
from cmr_train.study.study_file import parse_study

DONE = Outcome(state=State.DONE)


class Ended:
    """A job that has ended as soon as it was handed over."""

    def __init__(self, end: Callable[[], Outcome]) -> None:
        self.end = end

    def done(self) -> bool:
        return True

    def result(self) -> Outcome:
        return self.end()

    def cancel(self) -> None:
        pass


@pytest.fixture
def plan(tmp_path) -> StudyPlan:
    study = parse_study({"subjects": [1], "seeds": 1, "variants": {"a": {}, "b": {"pretext": {"iterations": 7}}}})
    return plan_study(study, tmp_path)


def run(plan: StudyPlan, folder: Path, end: Callable[[str, int], Outcome]):
    handed: list[str] = []

    def submit(job: Job) -> Ended:
        name = Path(job.out).relative_to(folder).as_posix()
        handed.append(name)
        return Ended(lambda: end(name, job.attempt))

    progress, messages = [], []
    facts = {each.folder: {} for each in plan.everything}
    outcomes = run_study(plan, folder, submit, facts=facts, on_progress=progress.append, on_message=messages.append)
    return handed, outcomes, progress, messages


def test_every_network_is_scored_with_the_weights_of_the_study_and_a_change_is_refused(tmp_path):
    def planned(weights: str) -> StudyPlan:
        document = {"subjects": [1], "seeds": 1, "modes": ["scratch", "all"], "weights": weights, "finetune": {"validate_every": 1}}
        return plan_study(parse_study(document), tmp_path)

    used = {}

    def submit(job: Job) -> Ended:
        used[Path(job.out).parent.name] = job.weights
        return Ended(lambda: DONE)

    plan = planned("best")
    run_study(plan, tmp_path, submit, facts={each.folder: {} for each in plan.everything})
    assert used == {"pretexts": "last", "cells": "best"}
    prepare_folder(plan, tmp_path, {})
    check_folder(plan, tmp_path, {})
    with pytest.raises(ConfigError, match="are scored with their best weights, not the last ones; overwrite the study"):
        check_folder(planned("last"), tmp_path, {})


def test_a_pretext_comes_before_the_cells_that_need_it(plan, tmp_path):
    handed, outcomes, *_ = run(plan, tmp_path, lambda *_: DONE)
    assert sorted(handed) == sorted(outcomes) == sorted(each.folder for each in plan.everything)
    for cell in plan.runs:
        if cell.pretext is not None:
            assert handed.index(f"pretexts/{cell.pretext}") < handed.index(cell.folder)


def test_a_run_that_fails_once_is_tried_again_and_one_that_fails_twice_is_reported(plan, tmp_path):
    def end(name: str, attempt: int) -> Outcome:
        if name == "cells/a.all-n1-s0" or (name == "cells/a.decoder-n1-s0" and attempt == 1):
            return Outcome(state=State.FAILED, error="no luck")
        return DONE

    handed, outcomes, progress, messages = run(plan, tmp_path, end)
    assert handed.count("cells/a.all-n1-s0") == handed.count("cells/a.decoder-n1-s0") == 2
    assert {name for name, each in outcomes.items() if each.state is State.FAILED} == {"cells/a.all-n1-s0"}
    assert len(outcomes) == len(plan.everything)
    stored = json.loads((tmp_path / "cells/a.all-n1-s0/cell.json").read_text())
    assert (stored["state"], stored["error"], stored["attempts"]) == ("failed", "no luck", 2)
    assert sorted(messages) == [
        "cells/a.all-n1-s0: failed, tried once more: no luck",
        "cells/a.all-n1-s0: failed: no luck",
        "cells/a.decoder-n1-s0: failed, tried once more: no luck",
    ]
    n_runs, total = len(plan.everything), sum(each.config.training.iterations for each in plan.everything)
    assert [*dict.fromkeys(each.item for each in progress)] == [f"{n} of {n_runs} runs" for n in range(n_runs + 1)]
    assert (progress[0].done, progress[-1].done, {each.total for each in progress}) == (0, total, {total})
    assert not (tmp_path / "cells/a.decoder-n1-s0").exists()


class Training(Ended):
    """A job that has ended when it is asked for the third time; it has a line of metrics, and part of another, before."""

    def __init__(self, folder: Path, iterations: list[int]) -> None:
        super().__init__(lambda: DONE)
        self.folder, self.iterations = folder, iterations

    def done(self) -> bool:
        if not self.iterations:
            return True
        self.folder.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"iteration": self.iterations.pop(0), "loss_structures": 0.5})
        (self.folder / "metrics.jsonl").write_text(line + '\n{"iteration": 9')
        return False


def test_progress_moves_within_a_run(tmp_path, monkeypatch):
    """A line that is being written does not count, and no run has more than its iterations."""
    monkeypatch.setattr("cmr_train.study.run._PROGRESS_SECONDS", 0.0)
    document = {"subjects": [1], "seeds": 1, "modes": ["scratch"], "finetune": {"iterations": 50}}
    plan, progress = plan_study(parse_study(document), tmp_path), []
    facts = {each.folder: {} for each in plan.everything}
    run_study(plan, tmp_path, lambda job: Training(Path(job.out), [20, 70]), facts=facts, on_progress=progress.append)
    (cell,) = plan.everything
    assert cell.config.training.iterations == 50
    assert [(each.done, each.total, each.item) for each in progress[:2]] == [(0, 50, "0 of 1 run"), (20, 50, "0 of 1 run")]
    assert progress[2].done == 50
    assert (progress[-1].done, progress[-1].item) == (50, "1 of 1 run")
    assert all(each.done <= 50 for each in progress)


def test_a_run_that_would_fail_alike_is_not_tried_again(plan, tmp_path):
    def end(name: str, attempt: int) -> Outcome:
        return Outcome(state=State.FAILED, error="it diverged", is_final=True) if name == "cells/a.all-n1-s0" else DONE

    handed, outcomes, _, messages = run(plan, tmp_path, end)
    assert handed.count("cells/a.all-n1-s0") == 1
    assert outcomes["cells/a.all-n1-s0"].state is State.FAILED
    assert messages == ["cells/a.all-n1-s0: failed: it diverged"]


def test_an_error_of_the_engine_is_the_runs_and_not_the_studys(plan, tmp_path):
    def end(name: str, attempt: int) -> Outcome:
        if name == "cells/a.scratch-n1-s0":
            raise OSError("the node\nis gone")
        return DONE

    _, outcomes, *_ = run(plan, tmp_path, end)
    assert outcomes["cells/a.scratch-n1-s0"] == Outcome(state=State.FAILED, error="the node is gone")


def test_cells_whose_pretext_failed_say_so_and_the_others_go_on(plan, tmp_path):
    def end(name: str, attempt: int) -> Outcome:
        return Outcome(state=State.FAILED, error="it diverged") if name == "pretexts/b" else DONE

    handed, outcomes, *_ = run(plan, tmp_path, end)
    failed = {name: each.error for name, each in outcomes.items() if each.state is State.FAILED}
    assert failed.pop("pretexts/b") == "it diverged"
    assert failed == {f"cells/b.{mode}-n1-s0": "its pretext failed: it diverged" for mode in ("decoder", "all", "multitask")}
    assert not set(failed) & set(handed)
    assert json.loads((tmp_path / "cells/b.all-n1-s0/cell.json").read_text())["attempts"] == 0


def test_what_is_done_is_not_handed_over_and_what_failed_is(plan, tmp_path):
    for name, state in (("pretexts/a", "done"), ("cells/a.all-n1-s0", "done"), ("cells/a.decoder-n1-s0", "failed")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cell.json").write_text(json.dumps({"state": state}))
    handed, outcomes, progress, _ = run(plan, tmp_path, lambda *_: DONE)
    n_iterations = {each.folder: each.config.training.iterations for each in plan.everything}
    assert progress[0].done == n_iterations["pretexts/a"] + n_iterations["cells/a.all-n1-s0"]
    assert progress[0].item == f"2 of {len(plan.everything)} runs"
    assert {"pretexts/a", "cells/a.all-n1-s0"} & set(handed) == set()
    assert "cells/a.decoder-n1-s0" in handed
    assert {each.state for each in outcomes.values()} == {State.DONE}


def test_a_signal_stops_what_runs_and_leaves_what_waits(plan, tmp_path):
    def end(name: str, attempt: int) -> Outcome:
        if name == "pretexts/a":
            signal.raise_signal(signal.SIGTERM)
        return Outcome(state=State.STOPPED)

    handed, outcomes, *_ = run(plan, tmp_path, end)
    assert "pretexts/a" in handed
    assert (tmp_path / "stop").exists()
    assert {each.state for each in outcomes.values()} == {State.STOPPED}
    assert len(outcomes) == len(plan.everything)
    assert not list(tmp_path.rglob("cell.json"))


def test_a_folder_on_which_another_run_works_is_left_to_it(tmp_path, monkeypatch):
    out = tmp_path / "runs" / "pretext-sax"
    monkeypatch.setattr(study_job, "_LOCK_SECONDS", 0.0)
    with only_run(out):  # as 'cmr-train pretext' does
        outcome = study_job._carried_out(Job(config={}, out=str(out), cwd=str(tmp_path), stop=str(tmp_path / "stop")))
    assert outcome.state is State.FAILED
    assert outcome.error is not None
    assert f"works on {out}" in outcome.error
    assert not out.exists()
