"""What the README says, typed in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmr_planes.cli import COMMANDS, main
from cmr_planes.errors import ExitCode, RejectionCode
from cmr_planes.phantom.small_study import simple_study, write_study

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_study(tmp_path / "studies" / "SYN-0001", simple_study(n_frames=8, rows=150, columns=150, spacing_mm=(2.2, 2.2)))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_work_as_typed(folder):
    (block,) = [block for block in blocks("") if "cmr-planes extract studies/ out.h5" in block]
    commands = [line.split("#")[0] for line in block.splitlines()]
    assert len(commands) == 4
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "cmr-planes"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
    assert len(list((folder / "pictures").glob("*.png"))) >= 3
    assert (folder / "qc.html").exists()


def test_the_python_of_the_readme_works_as_typed(folder):
    assert CliRunner().invoke(main, ["extract", "studies/", "out.h5", "--workers", "1"]).exit_code == 0
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "README.md", "exec"), names)  # noqa: S102  # our own text
    assert getattr(names["mask"], "shape", None) == (150, 150)


def test_every_command_stands_in_the_readme():
    assert [name for name in COMMANDS if f"`cmr-planes {name} " not in README] == []


def test_every_exit_code_and_rejection_stands_in_the_readme():
    assert [code for code in ExitCode if f"\n| {code.value} | " not in README] == []
    assert [code for code in RejectionCode if f"`{code.value}`" not in README] == []
