"""The command group: quick help, no heavy imports, clear refusals; and what the commands share."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cmr_planes.cli import COMMANDS, main
from cmr_planes.errors import ExitCode, ShardError, SourceError
from cmr_planes.terminal.console import reports_errors


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from cmr_planes.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'h5py', 'hdf5plugin', 'pydicom', 'scipy', 'matplotlib', 'rich', 'torch'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in result.stdout
    for name, command in COMMANDS.items():
        assert name in result.stdout
        assert command.summary in result.stdout


@pytest.mark.parametrize(
    ("program", "typed", "expected"),
    [
        ("cmr_planes", "cmr-planes ex", {"extract", "export"}),
        ("cmr_train", "cmr-train pretext --pre", {"--preset", "--precision"}),
        ("cmr_planes", "cmr-planes show out.h5 --view ", {"sax", "2ch", "4ch", "3ch"}),
    ],
)
def test_a_shell_completes_commands_options_and_choices(program, typed, expected):
    name = program.replace("_", "-")
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" ")), f"_{program.upper()}_COMPLETE": "bash_complete"}
    code = f"from {program}.cli import main; main(prog_name={name!r})"
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **words}, capture_output=True, text=True, check=False)
    assert {line.removeprefix("plain,") for line in done.stdout.splitlines()} == expected, done.stderr


def test_the_version_is_that_of_the_package() -> None:
    result = CliRunner().invoke(main, ["--version"], prog_name="cmr-planes")
    assert result.stdout.startswith("cmr-planes ")


def test_an_unknown_command_is_a_bad_argument_with_a_proposal() -> None:
    assert CliRunner().invoke(main, ["explode"]).exit_code == ExitCode.BAD_ARGUMENTS
    assert "there is no command 'extrakt'; did you mean 'extract'?" in CliRunner().invoke(main, ["extrakt"]).stderr


@pytest.mark.parametrize(
    ("words", "expected"), [(["help"], "Commands:"), (["help", "verify"], "Compare every shard"), (["-V"], "cmr-planes ")]
)
def test_help_and_version_are_taken_as_people_type_them(words: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, words, prog_name="cmr-planes")
    assert (result.exit_code, expected in result.stdout) == (ExitCode.DONE, True)


def test_an_interrupt_before_a_command_begins_has_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cmr_planes.terminal.lazy.LazyCommand.load", interrupted)
    result = CliRunner().invoke(main, ["inspect", "out.h5"])
    assert result.exit_code == ExitCode.INTERRUPTED
    assert "nothing was done" in result.stderr


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ShardError("the shard\nis broken"), ExitCode.FAILED, "Error: the shard is broken"),
        (SourceError("no DICOM"), ExitCode.NOTHING_USABLE, "Error: no DICOM"),
        (
            OSError(28, "No space left on device", "a.png"),
            ExitCode.FAILED,
            "Error: 'a.png': no space left on device; free some space there",
        ),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "interrupted; half of it is kept"),
    ],
    ids=["shard", "source", "disk", "interrupt"],
)
def test_an_error_is_one_line_on_stderr_and_an_exit_code(error: BaseException, code: ExitCode, words: str) -> None:
    @click.command()
    @reports_errors(interrupted="half of it is kept")
    def command() -> ExitCode:
        raise error

    result = CliRunner().invoke(command)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith(words)
    assert result.stderr.count("\n") == 1


def test_a_command_without_a_word_is_done() -> None:
    @click.command()
    @reports_errors(interrupted="half of it is kept")
    def command() -> None:
        click.echo("result")

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stdout) == (ExitCode.DONE, "result\n")


def test_what_nobody_foresaw_is_not_hidden() -> None:
    @click.command()
    @reports_errors(interrupted="half of it is kept")
    def command() -> None:
        raise ZeroDivisionError

    assert isinstance(CliRunner().invoke(command).exception, ZeroDivisionError)


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("FORCE_COLOR", "1")

    @click.command()
    @reports_errors(interrupted="half of it is kept")
    def command() -> None:
        raise ShardError("broken")

    with pytest.raises(SystemExit):
        command.main([], standalone_mode=True)
    assert "\x1b[3" not in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    script = "from cmr_planes.cli import main; main(['inspect', '--help'])"
    command = f'{sys.executable} -c "{script}" | true'
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("package", "sentence"),
    [
        ("torch", "training needs the package torch; install it with: pip install 'cmr-planes[train]'"),
        ("tenacity", "a PACS needs the package tenacity; install it with: pip install 'cmr-planes[pacs]'"),
    ],
)
def test_a_package_of_an_extra_that_is_missing_is_one_sentence(package, sentence):
    @reports_errors(interrupted="half of it is kept")
    def command() -> None:
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    result = CliRunner().invoke(click.command()(command))
    assert result.exit_code == ExitCode.FAILED
    assert result.stderr == f"Error: {sentence}\n"


def test_the_package_has_its_version():
    import cmr_planes

    assert CliRunner().invoke(main, ["--version"]).output.split()[-1] == cmr_planes.__version__
