"""The whole way, from DICOM to a prediction, in a process that has what Windows has: every module is imported, and all bytes are as ever."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from cmr_planes.cli import COMMANDS as COMMANDS_OF_PLANES
from cmr_planes.cli import main as planes
from cmr_train.cli import main as trainer
from tests.helpers.cohorts import SMALL_BOXES, write_folders, write_label_maps
from tests.helpers.other_system import OPEN_FILES, SITE
from tests.helpers.training import options

pytestmark = pytest.mark.skipif(not OPEN_FILES.is_dir(), reason=f"needs {OPEN_FILES}, by which Linux tells the files that are open")

ROOT = Path(__file__).parents[2]
N_SUBJECTS = 5
TIMES = {"metrics.jsonl", "log.jsonl"}
"""Files with times in them, or rates."""
UNTIMED = {"inspect", "show", "verify", "annotate", "evaluate", "predict"}
"""Commands that print neither."""

RUN = ("--preset", "quick", *options(data="out.h5", iterations=2, workers=0))
COMMANDS = [
    ["extract", "dicom", "out.h5", "--shard-size", "2", *SMALL_BOXES, "--log", "log.jsonl"],
    ["inspect", "out.h5", "--json"],
    ["show", "out.h5", "-o", "pictures", "--limit", "1"],
    ["verify", "out.h5"],
    ["annotate", "out.h5", "maps", "--classes", "acdc"],
    ["pretext", *RUN, "--out", "pretext"],
    ["finetune", *RUN, "--mode", "all", "--pretext", "pretext", "--out", "finetune"],
    ["evaluate", "finetune", "--subset", "all", "--out", "scores"],
    ["predict", "finetune", "dicom", "--out", "predicted"],
]
"""In this order, in a folder that holds ``dicom`` and ``maps``."""

WITHOUT = """
import importlib, json, pkgutil, sys
import cmr_planes, cmr_train
from tests.e2e.test_other_systems import run_all

for statement in json.loads(sys.argv[1]):
    try:
        exec(statement, {"__name__": "cmr_planes.system.planted"})
    except (ImportError, AttributeError):
        continue
    sys.exit(f"this ran: {statement}")
for package in (cmr_planes, cmr_train):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
json.dump(run_all(n_workers=2), sys.stdout)
"""
"""Imports all modules without what Windows has not, runs the commands, and prints what they printed."""
PLANTED = [
    "import fcntl",
    "from resource import getrusage",
    "import os; os.sched_getaffinity(0)",
    "from os import fork",
    "import os; os.O_NONBLOCK",
    "from signal import SIGHUP",
]
"""What no module may say at its top."""


def run_all(n_workers: int) -> list[str]:
    """Run all commands in the folder that is current, the extraction in so many processes, and return what they print."""
    printed = []
    for command in COMMANDS:
        program = planes if command[0] in COMMANDS_OF_PLANES else trainer
        workers = ["--workers", str(n_workers)] if command[0] == "extract" else []
        result = CliRunner().invoke(program, [*command, *workers])
        assert result.exit_code == 0, (command, result.output, result.exception)
        printed.append(result.stdout)
    return printed


def contents(folder: Path) -> Mapping[str, bytes]:
    """The files of a folder that hold no times, nor rates."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in TIMES and "tensorboard" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def prepared(folder: Path) -> Path:
    """A folder with a cohort and its label maps."""
    write_folders(folder / "dicom", N_SUBJECTS)
    (folder / "maps").mkdir()
    write_label_maps(folder / "maps", N_SUBJECTS)
    return folder


def test_all_commands_write_the_same_bytes_without_what_windows_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, folder = tmp_path / "site", prepared(tmp_path / "work")
    site.mkdir()
    (site / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    command = [sys.executable, "-c", WITHOUT, json.dumps(PLANTED)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    there = contents(folder.rename(tmp_path / "there"))
    monkeypatch.chdir(prepared(folder))
    printed = run_all(n_workers=1)
    here = contents(folder)
    assert {name for name in here if here[name] != there.get(name)} == set()
    assert here.keys() == there.keys()
    assert {"out.h5", "out.shards/00002.h5", "out.labels/00002.h5", "finetune/final.pt", "scores/summary.json"} < here.keys()
    assert [text for text, command in zip(printed, COMMANDS, strict=True) if command[0] in UNTIMED] == [
        text for text, command in zip(json.loads(done.stdout), COMMANDS, strict=True) if command[0] in UNTIMED
    ]
