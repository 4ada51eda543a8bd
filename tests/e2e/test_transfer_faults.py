"""Commands that once gave wrong numbers without a word, typed again: with two cohorts, a study, and pretexts that do not fit."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch

from cmr_planes.shards.catalogue import Catalogue
from cmr_train.choices import Recipe
from cmr_train.errors import ConfigError
from cmr_train.report.results import read_study
from cmr_train.runs.files import write_json
from cmr_train.study.plan import plan_study
from cmr_train.study.run import check_folder
from cmr_train.study.study_file import parse_study
from cmr_train.training.session import WEIGHTS_NAME
from tests.e2e.test_known_people import cohort
from tests.helpers.study_folders import make_study
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import annotate, mixed_catalogue, options, small_catalogue, train

KEYS = tuple(f"SYN-{number:04d}" for number in range(1, 9))


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    return annotate(small_catalogue(tmp_path_factory.mktemp("labelled"), 8))


def said(result) -> str:
    return " ".join(result.stderr.split())


def participants_of(path: Path) -> tuple[str, ...]:
    with Catalogue(path) as catalogue:
        return tuple(catalogue.subjects().key)


def contents(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("arguments", [(), ("--subset", "all"), ("--data", "other.h5", "--people", "other")])
def test_no_evaluation_replaces_the_scores_of_a_study(labelled, tmp_path, monkeypatch, arguments):
    study = make_study(tmp_path, modes=("scratch",), subjects=(1,), seeds=1, data=labelled)
    cell = study / "cells/scratch-n1-s0"
    sealed = json.loads((cell / "cell.json").read_text())
    shutil.rmtree(cell)
    write_run(cell, data=labelled, trained_on=KEYS[:1])
    assert train("evaluate", cell, "--subset", "test").exit_code == 0
    scores = hashlib.sha256((cell / "per_subject.csv").read_bytes()).hexdigest()
    write_json(cell / "cell.json", sealed | {"scores_sha256": scores})
    before = contents(cell)
    if "--data" in arguments:
        monkeypatch.chdir(annotate(small_catalogue(tmp_path / "other", 8, spacing_mm=6.5)).parent)
        Path("out.h5").rename("other.h5")
    assert train("evaluate", cell, *arguments).exit_code == 0
    after = contents(cell)
    assert {path: after[path] for path in before} == before
    assert len(after) == len(before) + 2
    refused = train("evaluate", cell, *arguments, "-o", cell)
    assert refused.exit_code == 1
    assert "holds the scores of a study, which its report reads" in said(refused)
    assert contents(cell) == after
    assert {run.state for run in read_study(study).runs} == {"done"}


def test_networks_that_began_from_another_pretext_are_not_compared(tmp_path):
    study = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1)
    pretext, cell = study / "pretexts/default", study / "cells/all-n1-s0"
    write_json(cell / WEIGHTS_NAME, {"pretext_sha256": hashlib.sha256((pretext / "final.pt").read_bytes()).hexdigest()})
    plan = plan_study(parse_study({"subjects": [1], "seeds": 1, "modes": ["scratch", "all"], "name": "x"}), study)
    states = {run.name: run.state for run in read_study(study).runs}
    assert states == {"default": "done", "scratch-n1-s0": "done", "all-n1-s0": "done"}
    (pretext / "final.pt").write_bytes((study / "cells/scratch-n1-s0/final.pt").read_bytes())
    result = next(run for run in read_study(study).runs if run.name == "all-n1-s0")
    assert (result.state, result.table) == ("failed", None)
    assert "began from other weights than those of its pretext now" in result.error
    with pytest.raises(ConfigError, match=r"all-n1-s0' began from other weights than those of its pretext now \(1 such"):
        check_folder(plan, study, {})


def test_a_study_whose_weights_were_removed_to_save_space_is_reported_and_not_continued(tmp_path):
    study = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1)
    pretext, cell = study / "pretexts/default", study / "cells/all-n1-s0"
    write_json(cell / WEIGHTS_NAME, {"pretext_sha256": hashlib.sha256((pretext / "final.pt").read_bytes()).hexdigest()})
    (pretext / "final.pt").unlink()
    result = next(run for run in read_study(study).runs if run.name == "all-n1-s0")
    assert result.state == "done"
    assert result.table is not None
    plan = plan_study(parse_study({"subjects": [1], "seeds": 1, "modes": ["scratch", "all"], "name": "x"}), study)
    with pytest.raises(ConfigError, match=r"all-n1-s0' began from a pretext whose weights are missing \(1 such"):
        check_folder(plan, study, {})


def test_the_train_set_is_whom_the_run_learnt_from(labelled, tmp_path):
    run = tmp_path / "one"
    arguments = ("finetune", "--mode", "scratch", "--participants", 1, "--data", labelled, "--out", run, *options(iterations=2))
    assert train(*arguments).exit_code == 0
    learnt = json.loads((run / "split.json").read_text())["train"]
    assert len(learnt) == 1
    done = train("evaluate", run, "--subset", "train")
    assert done.exit_code == 0
    assert "1 subject evaluated" in done.stdout
    with (run / "evaluation-out-train/per_subject.csv").open(newline="") as file:
        assert {row["subject"] for row in csv.DictReader(file)} == set(learnt)


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return cohort(tmp_path_factory.mktemp("plain"), range(1, 5))


def pretext_of(folder: Path, data: Path) -> Path:
    """A finished pretext that has seen everybody in a catalogue."""
    return write_run(folder, data=data, recipe=Recipe.PRETEXT, trained_on=participants_of(data))


@pytest.mark.parametrize(
    ("mode", "others", "words"),
    [
        ("all", "pseudonyms", "persons cannot be compared"),
        ("all", "namesakes", "participants have the same key"),
        ("multitask", "namesakes", "participants have the same key"),
    ],
)
def test_who_is_who_in_two_catalogues_is_not_guessed(plain, tmp_path, mode, others, words):
    pretext = pretext_of(tmp_path / "pretext", plain)
    pseudonyms = "0123456789abcdef" if others == "pseudonyms" else None
    data = annotate(cohort(tmp_path / "data", range(1, 9), pseudonymised=pseudonyms, batches=2))
    small = ("--threads", 1, "--iterations", 1, "--batch-size", 2, "--fractions", 0.4, 0.3, 0.3)
    arguments = ("finetune", "--mode", mode, "--pretext", pretext, "--data", data, "--out", tmp_path / "run", *small)
    refused = train(*arguments)
    assert refused.exit_code == 1
    assert words in said(refused)
    assert not (tmp_path / "run" / "final.pt").exists()
    done = train(*arguments, "--people", "other")
    assert done.exit_code == 0, done.output


def test_a_pretext_that_is_not_finished_is_no_pretext(labelled, tmp_path):
    pretext = pretext_of(tmp_path / "pretext", labelled)
    (pretext / "final.pt").rename(pretext / "last.pt")
    arguments = ("finetune", "--mode", "all", "--pretext", pretext, "--data", labelled, "--out", tmp_path / "run")
    refused = train(*arguments, *options(iterations=1), "--fractions", 1, 0, 0)
    assert refused.exit_code == 1
    assert "has not done all its iterations" in said(refused)
    assert not (tmp_path / "run").exists()


def test_pixels_of_many_sizes_are_pointed_out_where_they_are_not_resampled(tmp_path):
    data = annotate(mixed_catalogue(tmp_path, (5.0, 5.6, 6.2, 7.0)))
    arguments = ("finetune", "--mode", "scratch", "--data", data, "--fractions", 1, 0, 0, *options(iterations=1))
    kept = train(*arguments, "--out", tmp_path / "kept")
    assert kept.exit_code == 0, kept.output
    assert "5.00 to 7.00 mm" in said(kept)
    assert "resample" in said(kept)
    quick = train(*arguments, "--out", tmp_path / "quick", "--resample", "auto", "--max-cut", 1)
    assert "images with pixels of 5.00 to 7.00 mm are resampled to 5.90 mm" in said(quick)
    assert json.loads((tmp_path / "quick/config.json").read_text())["pixel_mm"] == pytest.approx([5.9, 5.9], abs=0.001)


def test_equal_keys_in_the_two_catalogues_of_multitask_are_not_guessed_about(labelled, tmp_path):
    """The sets follow from the keys, so that nobody of the one is held back in the other: here only numbers of people differ."""
    positions = small_catalogue(tmp_path / "positions", 8, first=4)
    pretext = pretext_of(tmp_path / "pretext", small_catalogue(tmp_path / "third", 4, first=41))
    arguments = ("finetune", "--mode", "multitask", "--pretext", pretext, "--pretext-data", positions, "--data", labelled)
    given = ("--fractions", 0.5, 0.1, 0.4, *options(iterations=1, base_channels=2, levels=1))
    refused = train(*arguments, "--out", tmp_path / "run", *given)
    assert refused.exit_code == 1
    assert "5 participants have the same key in" in said(refused)
    heard = {}
    for people in ("same", "other"):
        done = train(*arguments, "--people", people, "--out", tmp_path / people, *given)
        assert done.exit_code == 0, done.output
        heard[people] = said(done)
    assert "of 5 participants with annotations are held back for the segmentation" in heard["same"]
    assert "with annotations are held back" not in heard["other"]
    share = ("--annotated-share", 0.5, "--out", tmp_path / "share", *given)
    refused = train(*arguments, "--people", "other", *share)
    assert refused.exit_code == 1
    assert "annotated_share needs images with positions of the annotated participants" in said(refused)
    assert train(*arguments, "--people", "same", *share).exit_code == 0


def test_a_study_asks_who_equal_keys_are_before_it_trains_a_pretext(labelled, tmp_path):
    positions = small_catalogue(tmp_path / "positions", 8, first=4)
    lines = [f'data = "{labelled}"', "subjects = [1]", "seeds = 1", "few_tested = true", 'modes = ["multitask"]']
    tables = ["[settings]", "fractions = [0.5, 0.1, 0.4]", "[pretext]", f'data = "{positions}"']
    (tmp_path / "study.toml").write_text("\n".join([*lines, *tables]))
    refused = train("study", tmp_path / "study.toml", "--out", tmp_path / "study")
    assert refused.exit_code == 1
    assert "5 participants have the same key in" in said(refused)
    assert not (tmp_path / "study").exists()
    people = ["[finetune]", 'people = "other"']
    (tmp_path / "study.toml").write_text("\n".join([*lines, *tables, *people]))
    assert train("study", tmp_path / "study.toml", "--out", tmp_path / "study", "--dry-run").exit_code == 0


def test_a_study_does_not_need_test_participants_in_its_pretext_s_catalogue(labelled, tmp_path):
    positions = small_catalogue(tmp_path / "positions", 3, first=41)
    lines = [f'data = "{labelled}"', "subjects = [1]", "seeds = 1", "few_tested = true", 'modes = ["all", "multitask"]']
    tables = ["[pretext]", f'data = "{positions}"', "fractions = [1, 0, 0]", "unlabelled_held_back = 0"]
    (tmp_path / "study.toml").write_text("\n".join([*lines, *tables, "[finetune]", "fractions = [0.5, 0.1, 0.4]"]))
    done = train("study", tmp_path / "study.toml", "--out", tmp_path / "study", "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)["facts"]
    assert facts["pretexts/default"] == {"n_subjects": 3, "n_images": 18, "n_test": 0}
    assert all(facts[f"cells/{mode}-n1-s0"]["n_test"] > 0 for mode in ("all", "multitask"))
