"""The one display of progress: on a terminal, elsewhere, and with --quiet."""

import re

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


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds of the clock, in a list of one; each step of the tests' work sets it forward."""
    now = [1000.0]
    monkeypatch.setattr("cmr_planes.terminal.progress.time.monotonic", lambda: now[0])
    return now


def test_a_long_job_prints_a_line_per_minute_without_a_terminal(minutes: list[float], capfd: pytest.CaptureFixture[str]) -> None:
    with shown("working", "steps") as on_progress:
        for done in range(1, 8):
            minutes[0] += 40
            on_progress(Progress(done, 1000, f"item {done}"))
    assert capfd.readouterr().err.splitlines() == [
        "working: 2 of 1,000 steps, item 2, 1:20 so far, 11:05:20 to go",
        "working: 4 of 1,000 steps, item 4, 2:40 so far, 11:04:00 to go",
        "working: 6 of 1,000 steps, item 6, 4:00 so far, 11:02:40 to go",
    ]


def test_the_time_to_go_of_a_resumed_job_is_not_that_of_the_steps_done_before(
    minutes: list[float], capfd: pytest.CaptureFixture[str]
) -> None:
    with shown("working", "steps") as on_progress:
        on_progress(Progress(900, 1000))
        minutes[0] += 100
        on_progress(Progress(910, 1000))
    assert capfd.readouterr().err == "working: 910 of 1,000 steps, 1:40 so far, 15:00 to go\n"


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_names_its_times_and_shows_the_last_step(
    width: int, minutes: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    with shown("working", "steps") as on_progress:
        on_progress(Progress(12_300, 50_000))
        minutes[0] += 3723
        on_progress(Progress(12_400, 50_000, "loss 0.1234"))
    output = capsys.readouterr()
    assert output.out == ""
    last = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", output.err).rstrip("\n").split("\r")[-1].split("\n")[-1]
    assert len(last) <= width
    assert "12,400 of 50,000 · 1:02:03 so far · 16.2 days to go · loss 0" in last


def test_a_slow_step_is_shown_by_its_length(
    minutes: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with shown("working", "steps") as on_progress:
        on_progress(Progress(1, 36))
        minutes[0] += 21
        on_progress(Progress(2, 36))
    assert "2 of 36 · 0:21 so far · 11:54 to go · 21 s each" in capsys.readouterr().err


def test_a_bar_never_begins_without_a_total(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    work()
    assert "?" not in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().err)


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
