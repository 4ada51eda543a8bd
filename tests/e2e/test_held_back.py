"""Who is held back from a pretext and from its transfers: few without annotations, and nobody of a test set is learnt from."""

import csv
import json
import shutil
from pathlib import Path

import pytest
import torch

from cmr_planes.system.text import counted
from cmr_train.data.splits import split_participants
from tests.helpers.training import annotate, options, small_catalogue, train

N_SUBJECTS = 16
KEYS = [f"SYN-{number:04}" for number in range(1, N_SUBJECTS + 1)]
FEW = KEYS[4:12]
SMALL = options(iterations=1, rows=16, columns=16, base_channels=2, max_cut=1)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory) -> Path:
    return small_catalogue(tmp_path_factory.mktemp("unlabelled") / "data", N_SUBJECTS)


def copy_of(catalogue: Path, folder: Path) -> Path:
    shutil.copytree(catalogue.parent, folder)
    return folder / catalogue.name


def pretrained(data: Path, out: Path, *arguments: object) -> str:
    """Train a pretext; return what was said."""
    done = train("pretext", "--data", data, "--out", out, *SMALL, *arguments)
    assert done.exit_code == 0, done.output
    return " ".join(done.stderr.split())


def sets(run: Path) -> dict[str, list[str]]:
    return json.loads((run / "split.json").read_text())


def test_few_of_a_catalogue_without_annotations_are_held_back_and_scored(unlabelled, tmp_path):
    said = pretrained(unlabelled, tmp_path / "pretext")
    sentence = (
        f"positions: 3 of {N_SUBJECTS} participants without annotations are held back to score the pretext task; if you annotate"
    )
    assert sentence in said
    assert "use 'cmr-train pretext --unlabelled-held-back 1', or 'cmr-train study --set unlabelled_held_back=1'" in said
    found = sets(tmp_path / "pretext")
    assert (len(found["train"]), len(found["validation"]), len(found["test"])) == (N_SUBJECTS - 3, 1, 2)
    assert train("evaluate", tmp_path / "pretext").exit_code == 0
    with (tmp_path / "pretext" / "per_subject.csv").open(newline="") as file:
        assert {row["subject"] for row in csv.DictReader(file)} == {*found["test"]}


def test_those_who_are_annotated_after_the_pretext_are_no_test_participants(unlabelled, tmp_path):
    data = copy_of(unlabelled, tmp_path / "data")
    pretrained(data, tmp_path / "pretext")
    cautious = pretrained(data, tmp_path / "cautious", "--unlabelled-held-back", 1)
    assert "if you annotate" not in cautious
    annotate(data)
    held_back = {*split_participants(KEYS, seed=0).validation, *split_participants(KEYS, seed=0).test}
    n_seen = len(held_back.intersection(sets(tmp_path / "pretext")["train"]))
    done = train("finetune", "--mode", "all", "--data", data, "--pretext", tmp_path / "pretext", "--out", tmp_path / "run", *SMALL)
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert f"was trained on {counted(n_seen, 'participant')} of the validation or test set here: they were not annotated" in said
    done = train("finetune", "--mode", "all", "--data", data, "--pretext", tmp_path / "cautious", "--out", tmp_path / "run", *SMALL)
    assert done.exit_code == 0, done.output


def test_scores_leave_out_those_who_were_annotated_after_the_transfer_and_seen_by_its_pretext(unlabelled, tmp_path):
    data = annotate(copy_of(unlabelled, tmp_path / "data"), keys=FEW)
    said = pretrained(data, tmp_path / "pretext")
    few, all_ = split_participants(FEW, seed=0), split_participants(KEYS, seed=0)
    n_held_back = len(few.validation) + len(few.test)
    assert (
        f"{n_held_back} of 8 participants with annotations are held back for the segmentation, and 2 of 8 participants without "
        "annotations are held back to score the pretext task" in said
    )
    run = tmp_path / "run"
    done = train("finetune", "--mode", "all", "--data", data, "--pretext", tmp_path / "pretext", "--out", run, *SMALL)
    assert done.exit_code == 0, done.output
    assert (sets(run)["test"], sets(run)["validation"]) == ([*few.test], [*few.validation])
    assert {*few.test, *few.validation}.isdisjoint(sets(tmp_path / "pretext")["train"])
    annotate(data)
    seen = {*all_.test} & {*sets(tmp_path / "pretext")["train"]}
    assert seen
    done = train("evaluate", run, "--data", data)
    assert done.exit_code == 0, done.output
    assert f"{len(seen)} subject" in " ".join(done.stderr.split())
    with (run / "per_subject.csv").open(newline="") as file:
        assert {row["subject"] for row in csv.DictReader(file)} == {*all_.test} - seen


def test_multitask_holds_back_those_who_are_annotated_in_the_other_catalogue(unlabelled, tmp_path):
    data = annotate(copy_of(unlabelled, tmp_path / "data"), keys=FEW)
    others = small_catalogue(tmp_path / "others", 6, first=41)
    pretrained(others, tmp_path / "pretext")
    multitask = ("--mode", "multitask", "--beta", 1, "--pretext-data", unlabelled, "--pretext", tmp_path / "pretext")
    done = train("finetune", *multitask, "--data", data, "--out", tmp_path / "run", *SMALL)
    assert done.exit_code == 0, done.output
    found = sets(tmp_path / "run")
    seen = {key for group in found["seen_by_pretext"] for key in group["participants"]}
    assert seen.isdisjoint({*found["test"], *found["validation"]})
    assert seen >= {*found["train"]}


def test_a_study_whose_pretext_would_learn_from_its_test_participants_is_refused_before_anything_runs(unlabelled, tmp_path):
    data = annotate(copy_of(unlabelled, tmp_path / "data"))
    study = (
        *("study", "--data", data, "--modes", "all", "--participants", 1, "--few-tested", "--dry-run", "--out", tmp_path / "out"),
        *(item for name in ("rows=16", "columns=16", "base_channels=2", "levels=2") for item in ("--set", name)),
    )
    (tmp_path / "study.toml").write_text(f"[pretext]\ndata = {str(unlabelled)!r}\n")
    done = train(*study, tmp_path / "study.toml")
    assert done.exit_code == 2
    assert "of the validation or test set here: they were not annotated" in " ".join(done.stderr.split())
    done = train(*study, tmp_path / "study.toml", "--set", "unlabelled_held_back=1")
    assert done.exit_code == 0, done.output


def test_a_run_is_not_resumed_with_other_sets(unlabelled, tmp_path):
    file, run = tmp_path / "split.csv", tmp_path / "pretext"
    file.write_text("participant,set\n" + "".join(f"{key},train\n" for key in KEYS))
    pretrained(unlabelled, run, "--split", file)
    (run / "final.pt").unlink()
    file.write_text("participant,set\n" + "".join(f"{key},{'test' if key in FEW else 'train'}\n" for key in KEYS))
    done = train("pretext", "--data", unlabelled, "--out", run, "--resume")
    assert done.exit_code == 1
    assert "the sets of participants are others than when run" in " ".join(done.stderr.split())
