"""A small study as a user runs it: killed and interrupted, with cells that fail, and on other engines than this machine."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from distributed import LocalCluster

from cmr_train.recipes.finetune import train_finetune
from cmr_train.recipes.pretext import train_pretext
from cmr_train.runs.identity import in_groups
from cmr_train.study.engines import dask_executor, slurm_executor
from cmr_train.study.job import State
from cmr_train.study.plan import Pretext, plan_study
from cmr_train.study.run import catalogue_digests, prepare_folder, run_study
from cmr_train.study.study_file import parse_study, read_document
from cmr_train.study.survey import survey
from cmr_train.training.session import Reporter
from tests.helpers.training import SMALL, annotate, small_catalogue, train

ROOT = Path(__file__).parents[2]
SETTINGS = {**SMALL, "iterations": 30, "checkpoint_every": 2}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 12))


def write_study(folder: Path, data: Path, settings: dict[str, Any] = SETTINGS, more: str = "", **keys: Any) -> Path:
    values = {
        "name": "Small",
        "data": str(data),
        "modes": ["scratch", "multitask"],
        "subjects": [1, 2],
        "seeds": 1,
        "few_tested": True,
        **keys,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    table = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    path = folder / "study.toml"
    path.write_text("\n".join([*lines, "[settings]", *table, more]))
    return path


def command(path: Path, out: Path, *options: object) -> list[str]:
    return [sys.executable, "-m", "cmr_train", "study", str(path), "--out", str(out), *map(str, options)]


def weights(out: Path) -> dict[str, bytes]:
    return {path.parent.relative_to(out).as_posix(): path.read_bytes() for path in out.glob("*/*/final.pt")}


def interrupt(path: Path, out: Path, run: str, sign: signal.Signals) -> subprocess.Popen[str]:
    """Start a study, and end it while a certain run is training."""
    process = subprocess.Popen(
        command(path, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    while process.poll() is None and not (out / run / "last.pt").exists():
        time.sleep(0.005)
    os.kill(process.pid, sign)
    return process


def undisturbed(path: Path, folder: Path) -> dict[str, bytes]:
    """Train every run of a study one after another in this process, without the study's machinery; return the weights."""
    plan = plan_study(parse_study(read_document(path)), folder)
    for each in plan.everything:
        recipe = train_pretext if isinstance(each, Pretext) else train_finetune
        assert recipe(each.config, folder / each.folder, reporter=Reporter())
    return weights(folder)


@pytest.mark.posix
@pytest.mark.parametrize(
    ("sign", "modes", "subjects", "during"),
    [
        (signal.SIGKILL, ["multitask"], [2], "pretexts/default"),
        (signal.SIGTERM, ["scratch"], [1, 2], "cells/scratch-n2-s0"),
    ],
)
def test_a_study_that_is_ended_goes_on_to_the_weights_of_an_undisturbed_one(data, tmp_path, sign, modes, subjects, during):
    path, out = write_study(tmp_path, data, modes=modes, subjects=subjects), tmp_path / "out"
    ended = interrupt(path, out, during, sign)
    _, said = ended.communicate()
    assert not (out / during / "cell.json").exists()
    assert "Traceback" not in said
    if sign is signal.SIGKILL:
        assert ended.returncode == -signal.SIGKILL
    else:
        assert ended.returncode == 130, said
        assert "the same command resumes there" in said
        assert not (out / during / "final.pt").exists()
    sealed = {each: each.stat().st_mtime_ns for each in out.glob("*/*/cell.json")}
    done = train("study", path, "--out", out, "--jobs", 2)
    assert done.exit_code == 0, done.output
    n_networks = len([*(out / "cells").iterdir()])
    tested = "It is tested on 3 participants." if n_networks == 1 else "All are tested on the same 3 participants."
    assert tested in done.stdout
    assert "The report is" in done.stdout
    assert sealed == {each: each.stat().st_mtime_ns for each in sealed}
    assert weights(out) == undisturbed(path, tmp_path / "whole")
    for each in (path.parent for path in out.glob("*/*/cell.json")):
        assert {"per_subject.csv", "summary.json", "metrics.jsonl", "split.json"} <= {file.name for file in each.iterdir()}
    last = json.loads((out / f"cells/{modes[0]}-n2-s0/cell.json").read_text())
    assert (last["state"], last["n_subjects"], last["n_images"], last["device"]) == ("done", 2, 12, "cpu (1 thread)")


def test_what_was_evaluated_is_what_evaluate_says(data, tmp_path):
    path = write_study(tmp_path, data, {**SETTINGS, "iterations": 2}, modes=["scratch"], subjects=[2])
    out = tmp_path / "out"
    done = train("study", path, "--out", out, "--json")
    assert done.exit_code == 0, done.output
    value = json.loads(done.stdout)
    (result,) = value["results"]
    page = Path(value["report"])
    assert "Small" in page.read_text()
    before = page.read_bytes()
    page.unlink()
    assert f"The report is {page}" in " ".join(train("report", out).stdout.split())
    assert page.read_bytes() == before
    assert (result["mode"], result["subjects"], result["seeds"]) == ("scratch", 2, 1)
    assert train("evaluate", out / "cells/scratch-n2-s0", "--out", tmp_path / "again").exit_code == 0
    for name in ("per_subject.csv", "summary.json"):
        assert (tmp_path / "again" / name).read_bytes() == (out / "cells/scratch-n2-s0" / name).read_bytes()
    for more in ((), ("--dry-run",)):
        other = train("study", path, "--out", out, "--iterations", 3, *more)
        assert other.exit_code == 2
        assert "was run with other settings or another catalogue" in other.stderr
    assert train("study", path, "--out", out, "--iterations", 3, "--overwrite", "--dry-run").exit_code == 0
    plan = train("study", path, "--out", out, "--dry-run", "--json")
    assert json.loads(plan.stdout)["done"] == ["cells/scratch-n2-s0"]


def test_a_run_that_diverges_is_not_tried_again_and_costs_no_others(data, tmp_path):
    wild = "[pretext]\nlearning_rate = 1e30"
    path = write_study(tmp_path, data, {**SETTINGS, "iterations": 3}, wild, modes=["scratch", "all"], subjects=[1])
    done = train("study", path, "--out", tmp_path / "out", "--jobs", 2)
    assert done.exit_code == 1
    stored = {each.parent.name: json.loads(each.read_text()) for each in (tmp_path / "out").glob("*/*/cell.json")}
    states = {name: (each["state"], each["attempts"]) for name, each in stored.items()}
    assert states == {"default": ("failed", 1), "scratch-n1-s0": ("done", 1), "all-n1-s0": ("failed", 0)}
    assert stored["all-n1-s0"]["error"].startswith("its pretext failed: the loss or a weight is no longer finite")
    assert "tried once more" not in done.stderr
    assert "cells/all-n1-s0 failed: its pretext failed" in done.stderr


def test_more_subjects_than_there_are_and_bad_files_are_refused_before_anything_runs(data, tmp_path):
    out = tmp_path / "out"
    many = train("study", write_study(tmp_path, data, subjects=[1, 5, 10, 50]), "--out", out)
    assert many.exit_code == 2
    assert many.stderr == (
        "Error: --participants / --subjects can be at most 6, the annotated participants of view SAX in the training set of "
        f"{str(data)!r}: 1,5,6 fits\n"
    )
    fits = train(
        "study", write_study(tmp_path, data, subjects=[1, 5, 10, 50]), "--participants", "1,5,6", "--dry-run", "--out", out
    )
    assert fits.exit_code == 0, fits.output
    bad = train("study", write_study(tmp_path, data, mode=["all"], seeds=0), "--out", out)
    assert bad.exit_code == 2
    assert "did you mean 'modes'?" in bad.stderr
    assert "seeds must be more than 0, got 0" in bad.stderr
    nobody = train("study", write_study(tmp_path, data, {**SETTINGS, "fractions": [0.9, 0.1, 0.0]}), "--out", out)
    assert nobody.exit_code == 1
    assert "belongs to the test set" in nobody.stderr
    assert not out.exists()


def test_a_study_of_too_few_test_participants_is_refused_unless_allowed(data, tmp_path):
    path = write_study(tmp_path, data, modes=["scratch"], subjects=[1], few_tested=False)
    refused = train("study", path, "--out", tmp_path / "out", "--dry-run")
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: --few-tested is needed: the test set has 3 participants, and fewer than 5 say little")
    allowed = train("study", path, "--out", tmp_path / "out", "--dry-run", "--few-tested", "--name", "SAX")
    assert allowed.exit_code == 0
    assert "1 network on SAX images\n" in allowed.stdout
    assert "SAX:" not in allowed.stdout
    assert "It is tested on 3 participants." in allowed.stdout


def test_the_networks_of_a_study_are_scored_on_the_test_set_of_another_catalogue(data, tmp_path):
    other = annotate(small_catalogue(tmp_path / "other", 5, first=41))
    split = tmp_path / "official.csv"
    split.write_text("participant,set\n" + "".join(f"SYN-{n:04},{'test' if n < 44 else 'train'}\n" for n in range(41, 46)))
    more = f"[test]\ndata = {str(other)!r}\nsplit = {str(split)!r}\n"
    keys = {"settings": {**SETTINGS, "iterations": 1}, "modes": ["scratch"], "subjects": [1]}
    study, out = write_study(tmp_path, data, more=more, **keys), tmp_path / "out"
    done = train("study", study, "--out", out)
    assert done.exit_code == 0, done.output
    assert f"It is tested on 3 participants of {str(other)!r}." in " ".join(done.stdout.split())
    cell = out / "cells/scratch-n1-s0"
    scored = {line.split(",")[0] for line in (cell / "per_subject.csv").read_text().splitlines()[1:]}
    assert scored == {"SYN-0041", "SYN-0042", "SYN-0043"}
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (other, split)]
    assert json.loads((cell / "cell.json").read_text())["test_set_sha256"] == digests
    text = (out / "report.md").read_text()
    assert "3 test subjects of another catalogue, 'out.h5' and the split file 'official.csv', who were not trained on" in text
    assert f"official.csv ({in_groups(digests[1])})" in text
    assert "The median test subject" in text

    split.write_text(split.read_text().replace("SYN-0044,train", "SYN-0044,test"))
    changed = train("study", study, "--out", out)
    assert changed.exit_code == 2
    assert "were scored on another test set than this study's" in " ".join(changed.stderr.split())

    split.write_text("participant,set\n" + "".join(f"SYN-{n:04},test\n" for n in range(1, 13)))
    more = f"[test]\ndata = {str(data)!r}\nsplit = {str(split)!r}\n"
    keys["modes"] = ["all"]
    leak = train("study", write_study(tmp_path, data, more=more, **keys), "--out", tmp_path / "leak")
    assert leak.exit_code == 2
    assert "of 12 test participants in" in " ".join(leak.stderr.split())
    assert not (tmp_path / "leak").exists()


def test_options_alone_make_a_study(data, monkeypatch):
    monkeypatch.chdir(data.parent)
    shown = train(
        *("study", "--view", "sax", "--subjects", "1,2", "--modes", "scratch,all", "--seeds", 2, "--preset", "quick"),
        *(
            "--iterations",
            4,
            "--pretext-iterations",
            5,
            "--set",
            "base_channels=2",
            "--set",
            "loss=dice",
            "--few-tested",
            "--dry-run",
            "--json",
        ),
    )
    assert shown.exit_code == 0, shown.output
    plan = json.loads(shown.stdout)
    assert plan["folder"] == "studies/sax"
    assert len(plan["cells"]) == 8
    variant = plan["study"]["variants"]["default"]
    assert variant["finetune"] == {"base_channels": 2, "loss": "dice", "iterations": 4}
    assert variant["pretext"] == {"base_channels": 2, "loss": "dice", "iterations": 5}
    assert not Path("studies").exists()


@pytest.mark.parametrize("engine", ["slurm", "dask"])
def test_other_engines_carry_out_the_same_jobs(data, tmp_path, engine):
    settings = {**SETTINGS, "iterations": 2}
    study = parse_study(
        {"data": str(data), "modes": ["scratch"], "subjects": [1], "seeds": 1, "few_tested": True, "settings": settings}
    )
    plan = plan_study(study, tmp_path / "out")
    prepare_folder(plan, tmp_path / "out", catalogue_digests(plan))
    facts = survey(plan)
    if engine == "slurm":
        with slurm_executor(tmp_path / "slurm", {}, cluster="local") as submit:
            outcomes = run_study(plan, tmp_path / "out", submit, facts=facts)
    else:
        with (
            LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
            dask_executor(cluster.scheduler_address) as submit,
        ):
            outcomes = run_study(plan, tmp_path / "out", submit, facts=facts)
    assert {name: each.state for name, each in outcomes.items()} == {"cells/scratch-n1-s0": State.DONE}, outcomes
    assert (tmp_path / "out/cells/scratch-n1-s0/per_subject.csv").exists()


def test_an_engine_that_is_not_there_is_said(data, tmp_path):
    path = write_study(tmp_path, data, modes=["scratch"])
    slurm = train("study", path, "--out", tmp_path / "out", "--executor", "slurm")
    assert slurm.exit_code == 1
    assert "Slurm cannot be used" in slurm.stderr
    dask = train("study", path, "--out", tmp_path / "out", "--executor", "dask")
    assert dask.exit_code == 2
    assert "--executor dask and one of --scheduler and --scheduler-file need each other" in dask.stderr


@pytest.mark.parametrize(("name", "example"), [("study", "study study.toml --dry-run"), ("report", "report studies/sax")])
def test_help_has_an_example(name, example):
    done = train(name, "--help")
    assert done.exit_code == 0
    assert f"    cmr-train {example}" in done.stdout


def test_a_folder_that_is_no_study_has_no_report(tmp_path):
    done = train("report", tmp_path)
    assert done.exit_code == 1
    assert "is not a study of cmr-train: it has no study.json" in done.stderr
