"""Progress of the trainer's commands: the one display, with the losses of a training in it."""

import re

import pytest

from cmr_planes.terminal import progress
from tests.helpers.training import options, small_catalogue, train


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


def test_quiet_leaves_results_only(data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    done = train("pretext", "-q", *options(data=data, out=tmp_path / "run"))
    assert (done.exit_code, done.stderr) == (0, "")
    assert "6 iterations done" in done.stdout
