"""What the README says, typed in an empty folder."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmr_planes.cli import COMMANDS, main
from cmr_planes.errors import ExitCode, RejectionCode
from cmr_planes.phantom.small_study import simple_study, write_study
from cmr_train.cli import main as train

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CODES = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
SHORT = ["--iterations", "4", "--batch-size", "4", "--base-channels", "2", "--levels", "2", "--threads", "1", "--device", "cpu"]
EXTRA = {
    "pretext": [*SHORT, "--rows", "64", "--columns", "72"],
    "finetune": [*SHORT[:4], *SHORT[8:], "--pretext", "runs/pretext-sax"],
}
"""What makes a command quick; a transfer has the network and the matrix of its pretext, which is too short to be taken unnamed."""
PROGRAMS = {"cmr-planes": main, "cmr-train": train}


def blocks(language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    return [text for name, text in found if name == language]


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


def test_the_training_of_the_readme_works_as_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    size = ("--slices", "4", "--frames", "10", "--rows", "64", "--columns", "72", "--spacing", "4.2")
    for folder, seed in (("cohort", "3"), ("fresh", "4")):
        n = "8" if folder == "cohort" else "1"
        assert CliRunner().invoke(main, ["phantom", folder, "-n", n, "--seed", seed, *size, "--workers", "1"]).exit_code == 0
    (tmp_path / "fresh/dicom").rename(tmp_path / "new")
    layout = ("--box", "7", "--gap", "14", "--workers", "1")
    (tmp_path / "cohort/truth/labels").rename(tmp_path / "labels")
    extracted = CliRunner().invoke(main, ["extract", "cohort/dicom", "out.h5", *layout])
    assert extracted.exit_code == 0, extracted.output
    (block,) = [block for block in blocks("") if "cmr-train pretext" in block]
    commands = [line.split("#")[0] for line in block.splitlines()]
    assert len(commands) == 5
    for command in commands:
        program, name, *arguments = shlex.split(command)
        result = CliRunner().invoke(PROGRAMS[program], [name, *arguments, *EXTRA.get(name, [])])
        assert result.exit_code == 0, result.output
    assert len(list((tmp_path / "segmented").rglob("*.nii.gz"))) >= 2


def test_the_readme_is_short():
    assert README.count("\n") <= 120


def test_every_exit_code_and_rejection_has_its_meaning():
    assert [code for code in ExitCode if f"\n| {code.value} | " not in CODES] == []
    assert [code for code in RejectionCode if f"`{code.value}`" not in CODES] == []
