"""The one display of progress: on a terminal, elsewhere, and with --quiet."""

import itertools

import click
import pytest
from click.testing import CliRunner

from cmr_planes.system.progress import Progress
from cmr_planes.terminal.console import say
from cmr_planes.terminal.options import quiet_option
from cmr_planes.terminal.progress import shown


def work() -> None:
    with shown("working", "steps") as on_progress:
        for done in range(1, 4):
            on_progress(Progress(done, 3, f"item {done}"))


def test_nothing_is_printed_of_a_short_job_without_a_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    work()
    assert capfd.readouterr() == ("", "")


def test_a_long_job_prints_a_line_per_minute_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seconds = itertools.chain([0.0], itertools.count(40.0, 40.0))
    monkeypatch.setattr("cmr_planes.terminal.progress.time.monotonic", lambda: next(seconds))
    work()
    lines = capfd.readouterr().err.splitlines()
    assert lines == ["working: 2 of 3 steps, item 2"]


def test_a_bar_shows_rate_time_left_and_the_last_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    work()
    output = capsys.readouterr()
    assert output.out == ""
    for words in ("working", "3/3", "steps/s", "left", "item 3"):
        assert words in output.err


def test_a_sentence_stands_on_a_line_of_its_own_above_the_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with shown("working", "steps") as on_progress:
        on_progress(Progress(1, 2))
        say("a sentence")
    lines = capsys.readouterr().err.replace("\x1b[2K", "").splitlines()
    assert any(line.strip("\r") == "a sentence" for line in lines)


def test_bars_of_jobs_that_follow_each_other_are_drawn_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with shown("reading", "files") as on_file, shown("drawing", "images") as on_image:
        on_file(Progress(1, 2))
        assert "drawing" not in capsys.readouterr().err
        on_file(Progress(2, 2))
        capsys.readouterr()
        on_image(Progress(1, 1))
    drawn = capsys.readouterr().err
    assert "drawing" in drawn
    assert "reading" not in drawn


@pytest.mark.parametrize("terminal", [True, False])
def test_quiet_shows_nothing(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("cmr_planes.terminal.progress.SECONDS_BETWEEN_LINES", 0.0)

    @click.command()
    @quiet_option
    def command() -> None:
        work()

    assert CliRunner().invoke(command, ["-q"]).stderr == ""
    assert "working" in CliRunner().invoke(command, []).stderr
