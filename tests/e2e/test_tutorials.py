"""The tutorials' commands, as typed, on few small phantoms; test_public_recipe.py and test_batch_tutorials.py type the others."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from cmr_planes import Catalogue
from cmr_planes.errors import ExitCode, RejectionCode
from tests.helpers.cohorts import run as run_planes
from tests.helpers.dicomweb_stub import running_stub
from tests.helpers.pages_of_docs import DOCS, blocks
from tests.helpers.training import train

TINY = ["--slices", "3", "--frames", "8", "--rows", "88", "--columns", "88", "--spacing", "3.2", "--workers", "1"]
SHORT = ["--batch-size", "4", "--iterations", "4", "--threads", "1", "--device", "cpu"]
NETWORK = ["--rows", "96", "--columns", "96", "--base-channels", "2", "--levels", "2"]
EXTRA = {
    "phantom": TINY,
    "extract": ["--workers", "1", "--units", "mm"],
    "report": ["--pictures", "1"],
    "show": ["--limit", "1"],
    "pretext": [*SHORT, *NETWORK],
    "finetune": [*SHORT, "--pretext", "runs/pretext-sax"],
    "predict": ["--no-pictures"],
}
"""What makes each command quick; a transfer has the network and the matrix of its pretext, which is too short to be taken unnamed."""


def lines(page: str) -> Iterator[str]:
    for block in blocks(page):
        yield from block.splitlines()


def type_in(line: str, changes: Mapping[str, str] | None = None) -> str:
    """Run a line in this process, with some words exchanged; return what it printed."""
    program, name, *words = (changes.get(word, word) if changes else word for word in shlex.split(line))
    result = {"cmr-planes": run_planes, "cmr-train": train}[program](name, *words, *EXTRA.get(name, []))
    assert result.exit_code == 0, f"{line}\n{result.output}"
    return str(result.output)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_study(folder):
    heard = "".join(map(type_in, lines("tutorials/one_study.md")))
    for column in ("series", "planes × frames", "fate"):
        assert column in heard
    assert [*folder.glob("pictures/*.png")]
    assert [*folder.glob("space/space-001.png")]
    (code,) = blocks("tutorials/one_study.md", "python")
    names: dict[str, np.ndarray] = {}
    exec(compile(code, "one_study.md", "exec"), names)  # noqa: S102  # our own text
    assert len(np.unique(names["mask"])) >= 6


def test_a_cohort_is_extracted_learnt_and_predicted(folder):
    for line in lines("tutorials/cohort.md"):
        type_in(line, {"20": "6"})
    assert (folder / "qc.html").exists()
    assert (folder / "runs/finetune-all-sax/per_subject.csv").exists()
    assert len([*folder.glob("segmented/labels/*.nii.gz")]) == 12
    assert (folder / "segmented/volumes.csv").exists()


def test_uk_biobank(folder):
    phantoms = ["phantom", "made", "-n", "4", "--layout", "ukb", *TINY]
    assert run_planes(*phantoms).exit_code == 0
    for field in ("20208", "20209"):
        (folder / field).mkdir()
    for path in (folder / "made/dicom").rglob("*.zip"):
        path.rename(folder / path.name.split("_")[1] / path.name)
    (folder / "cvi42").symlink_to(folder / "made/truth/cvi42")
    extracted, *others, _, _ = lines("tutorials/uk_biobank.md")
    type_in(extracted)
    for line in others:
        type_in(line)
    with Catalogue("out.h5") as catalogue:
        assert len(catalogue.subjects().key) == 4
        assert catalogue.index("sax").has_positions.all()
        assert catalogue.index("sax").is_annotated.any()


def test_a_pacs_is_asked_and_its_studies_extracted(folder):
    assert run_planes("phantom", "made", "-n", "1", *TINY).exit_code == 0
    (folder / "pacs.login").write_text("reader:word")
    (folder / "pacs.login").chmod(0o600)
    typed = [line for line in lines("tutorials/pacs.md") if line.split()[1] in {"pull", "extract", "inspect"}]
    assert [line.split()[1] for line in typed] == ["pull", "pull", "extract", "inspect"]
    with running_stub() as server:
        server.store([path.read_bytes() for path in sorted((folder / "made/dicom").rglob("*.dcm"))], StudyDate="20240301")
        for line in typed:
            type_in(line, {"https://pacs.example/dicom-web": server.url})
    with Catalogue("out.h5") as catalogue:
        assert catalogue.index("sax").has_positions.all()


def test_public_data_has_the_commands_that_the_public_recipe_types():
    recipe = (DOCS / "data_sets.md").read_text(encoding="utf-8")
    assert [line for line in lines("tutorials/public.md") if line not in recipe.splitlines()] == []


def test_python_of_the_concepts(capsys):
    (code,) = blocks("concepts/positions.md", "python")
    exec(compile(code, "positions.md", "exec"), {})  # noqa: S102  # our own text
    (expected,) = re.findall(r"# (\[.*\])$", code, flags=re.MULTILINE)
    assert capsys.readouterr().out.strip() == expected


def test_troubleshooting_has_every_code():
    text = (DOCS / "troubleshooting.md").read_text(encoding="utf-8")
    assert [code for code in RejectionCode if f"`{code.value}`" not in text] == []
    assert [code for code in ExitCode if code and f"\n| {code.value} | " not in text] == []
