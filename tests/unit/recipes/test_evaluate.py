"""Evaluation called from Python, with networks whose answer is known."""

import csv
import json

import pytest
import torch

import cmr_train
from cmr_planes.system.json_text import readable_json
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import annotate, small_catalogue


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 4))


def test_an_evaluation_holds_what_its_files_say_and_writes_none_unless_asked(tmp_path, annotated):
    run = write_run(tmp_path / "run", data=annotated, threshold=0.4)
    before = sorted(path.name for path in run.iterdir())
    seen = []
    silent = cmr_train.evaluate(run, subset="all", on_progress=seen.append)
    assert sorted(path.name for path in run.iterdir()) == before
    assert [(progress.done, progress.total) for progress in seen] == [(number, 4) for number in range(5)]
    written = cmr_train.evaluate(
        cmr_train.load_run(run), str(annotated), subset=cmr_train.Subset.ALL, out=tmp_path / "new" / "scores"
    )
    assert json.loads((tmp_path / "new" / "scores" / "summary.json").read_text()) == json.loads(readable_json(written.to_json()))
    assert readable_json(silent.to_json()) == readable_json(written.to_json())
    with (tmp_path / "new" / "scores" / "per_subject.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["phase"], row["structure"]) == ("es", "LV")]
    dice = written.table.per_subject(cmr_train.Metric.DICE, "es", "LV")
    assert [float(row["dice"]) for row in rows] == pytest.approx(dice, rel=1e-5)
    assert [row["subject"] for row in rows] == list(written.table.subjects)
    assert (written.run, written.view, written.head, written.baseline) == ("run", "sax", "structures", None)


def test_a_baseline_may_be_a_run_or_its_folder(tmp_path, annotated):
    run, other = (write_run(tmp_path / name, data=annotated, threshold=value) for name, value in (("a", 0.4), ("b", 0.8)))
    first = cmr_train.evaluate(run, subset="all", baseline=other)
    second = cmr_train.evaluate(run, subset="all", baseline=cmr_train.load_run(other))
    assert readable_json(first.to_json()) == readable_json(second.to_json())
    assert (first.baseline_run, len(first.comparisons) > 0) == ("b", True)
