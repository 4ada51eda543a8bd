"""Progress of the trainer's commands: the one display, with the losses of a training in it."""

import json
import re

import pytest

from cmr_planes.terminal import progress
from cmr_train.cli import running
from tests.helpers.training import SIZE, options, small_catalogue, train


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small_catalogue(tmp_path_factory.mktemp("data"))


def test_a_line_of_progress_has_losses_rate_and_validation_dice(data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    fractions = ("--fractions", 0.5, 0.5, 0)
    done = train("pretext", *options(data=data, out=tmp_path / "run", validate_every=2, log_every=2), *fractions)
    assert done.exit_code == 0, done.stderr
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(
        r"training: 6 of 6 iterations, loss \d\.\d{4}, [\d,]+ images/s, validation Dice 0\.\d{3}, 0:\d\d so far", last
    ), done.stderr


def test_a_training_says_who_is_in_which_set_and_the_sizes(data, tmp_path):
    done = train("pretext", *options(data=data, out=tmp_path / "run"), "--fractions", 0.5, 0.25, 0.25)
    sets = json.loads((tmp_path / "run/split.json").read_text())
    n_train, n_validation, n_test = (len(sets[name]) for name in ("train", "validation", "test"))
    assert min(n_train, n_validation, n_test) > 0
    people = f"{n_train} participants to train on ({n_validation} to validate, {n_test} to test)"
    sizes = f"images of {SIZE} × {SIZE} pixels in a matrix of {SIZE} × {SIZE}"
    assert f"positions: {6 * n_train} images of {people}, in memory; {sizes}" in " ".join(done.stderr.split())


def test_an_early_ctrl_c_says_that_nothing_was_kept(data, tmp_path, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(running, "run_training", interrupted)
    done = train("pretext", *options(data=data, out=tmp_path / "run"))
    assert done.exit_code == 130
    assert (
        done.stderr.strip()
        == "stopped before the first checkpoint: nothing was kept; run the same command with --resume to start over"
    )
    (tmp_path / "run").mkdir()
    (tmp_path / "run/last.pt").touch()
    assert "resumes from the last one" in train("pretext", *options(data=data, out=tmp_path / "run")).stderr


def test_quiet_leaves_results_only(data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    done = train("pretext", "-q", *options(data=data, out=tmp_path / "run"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert "6 iterations done" in done.stdout
