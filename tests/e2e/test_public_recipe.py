"""The public recipe of docs/data_sets.md, as typed: the pretext on Kaggle DSB2016, labels of ACDC, on phantoms in the layouts of the two sets."""

import csv
import hashlib
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
from click.testing import Result

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import TARGET_VIEWS, CardiacView, Structure
from tests.helpers.cohorts import run as run_planes
from tests.helpers.labels import ACDC
from tests.helpers.public_sets import PROTOCOL, REAL_ACDC, unpack_real_acdc, write_acdc, write_dsb2016
from tests.helpers.training import train

ROOT = Path(__file__).parents[2]
SAX = CardiacView.SAX
KAGGLE = {"train": (2, 3, 5), "validate": [501], "test": [701]}
SPACINGS_MM = {number: round(2.8 + 0.1 * number, 1) for number in range(1, 8)}
SHORT = ["--batch-size", "4", "--iterations", "11", "--threads", "1", "--device", "cpu"]
FRAMES = {"ed": 1, "es": 12}
"""Of the real patient002."""
TINY = [*SHORT, "--rows", "144", "--columns", "160", "--base-channels", "2", "--levels", "2"]
EXTRA = {"extract": ["--workers", "1"], "pretext": TINY, "finetune": [*SHORT, "--pretext", "runs/pretext-sax"]}
"""What makes each command quick; a transfer has the network and the matrix of its pretext."""


def recipe() -> Iterator[tuple[str, str, list[str]]]:
    """Return program, command and arguments of each line, in order."""
    text = (ROOT / "docs/data_sets.md").read_text(encoding="utf-8").partition("\nKaggle DSB2016 has")[2]
    blocks = re.findall(r"^```\n(.*?)^```", text.partition("\n## ")[0], flags=re.MULTILINE | re.DOTALL)
    for line in "".join(blocks).splitlines():
        program, name, *arguments = shlex.split(line)
        yield program, name, arguments


def type_in(program: str, name: str, arguments: list[str]) -> Result:
    """Run a line in this process."""
    run = {"cmr-planes": run_planes, "cmr-train": train}[program]
    result = run(name, *arguments, *EXTRA.get(name, []))
    assert result.exit_code == 0, result.output
    return result


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keys_of(path: Path) -> set[str]:
    with Catalogue(path) as catalogue:
        return set(catalogue.subjects().key)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Result]]]:
    """The folder in which all commands but the study were typed, and what each said."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("public")
    write_dsb2016(folder / "dsb2016", KAGGLE)
    write_acdc(folder / "ACDC/training", SPACINGS_MM)
    write_acdc(folder / "ACDC/testing", {101: 2.5})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        lines = [line for line in recipe() if line[1] != "study"]
        assert [name for _, name, _ in lines] == [
            "extract",
            "extract",
            "inspect",
            "inspect",
            "pretext",
            "finetune",
            "evaluate",
            "predict",
        ]
        yield folder, {name: type_in(program, name, arguments) for program, name, arguments in lines}


def test_the_catalogues_hold_what_each_set_has(said):
    folder, _ = said
    assert keys_of(folder / "dsb.h5") == {"2", "3", "5", "501", "701"}
    with Catalogue(folder / "dsb.h5") as catalogue:
        for view in TARGET_VIEWS:
            index = catalogue.index(view)
            assert index.has_positions.all()
            assert not index.is_annotated.any()
        assert catalogue.rejections() == ()
    with Catalogue(folder / "acdc.h5") as catalogue:
        index = catalogue.index(SAX)
        assert index.is_annotated.all()
        assert not index.has_positions.any()
        assert catalogue.rejections() == ()
        for number, spacing_mm in SPACINGS_MM.items():
            key = f"patient{number:03d}"
            attributes = catalogue.view_attributes(key, SAX)
            assert attributes.planes[0].row_spacing_mm == pytest.approx(spacing_mm)
            distance_mm = np.linalg.norm(attributes.planes[1].position_mm - attributes.planes[0].position_mm)
            assert distance_mm == pytest.approx(PROTOCOL.slice_thickness_mm + PROTOCOL.slice_gap_mm)
            for phase, path in enumerate(sorted((folder / "ACDC/training" / key).glob("*_gt.nii.gz"))):
                drawn = np.asanyarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
                labels = np.stack([catalogue.labels(key, SAX, phase, level) for level in range(PROTOCOL.n_slices)])
                for structure, value in ACDC.items():
                    np.testing.assert_array_equal(labels == structure, drawn == value)


def test_each_task_learns_from_the_people_of_its_own_catalogue(said):
    folder, results = said
    pretext, run = folder / "runs/pretext-sax", folder / "runs/finetune-multitask-sax"
    kaggle, acdc = keys_of(folder / "dsb.h5"), keys_of(folder / "acdc.h5")
    before, after = read(pretext / "split.json"), read(run / "split.json")
    assert {*before["train"], *before["validation"], *before["test"]} == kaggle
    assert {*after["train"], *after["validation"], *after["test"]} == acdc
    assert len(after["train"]) + len(after["validation"]) + len(after["test"]) == len(SPACINGS_MM)
    n_images = 2 * PROTOCOL.n_slices
    heard = results["finetune"].stderr
    for task, people in (("structures", after["train"]), ("positions", before["train"])):
        assert f"{task}: {len(people) * n_images} images of {len(people)} participants" in heard
    for seen in after["seen_by_pretext"]:
        assert seen["catalogue"]["path"] == (folder / "dsb.h5").as_posix()
        assert seen["participants"] == before["train"]
    stored = read(run / "config.json")
    for task, name in (("structures", "acdc.h5"), ("positions", "dsb.h5")):
        catalogue = stored["catalogues"][task]
        assert catalogue["path"] == (folder / name).as_posix()
        assert catalogue["sha256"] == hashlib.sha256((folder / name).read_bytes()).hexdigest()
    low, high = min(SPACINGS_MM[int(key[-3:])] for key in after["train"]), max(SPACINGS_MM[int(key[-3:])] for key in after["train"])
    sizes = [stored["catalogues"][task]["spacing_mm"] for task in ("structures", "positions")]
    assert [(size["low"], size["high"]) for size in sizes] == [(pytest.approx(low), pytest.approx(high)), (pytest.approx(3.2),) * 2]
    assert stored["pixel_mm"] == [1.8, 1.8]
    assert stored["classes"] == {"1": "LV", "2": "Myo", "3": "RV"}
    settings = stored["config"]
    assert (settings["transfer"]["decoder"], settings["training"]["loss"]) == ("per-task", "dice")
    assert settings["transfer"]["pretext_loss"] == "weighted"
    losses = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert all(np.isfinite(line["loss_structures"]) and np.isfinite(line["loss_positions"]) for line in losses)


def test_the_test_set_is_scored_and_new_people_are_segmented_on_their_own_grid(said):
    folder, results = said
    run = folder / "runs/finetune-multitask-sax"
    scores, sets, summary = rows_of(run / "per_subject.csv"), read(run / "split.json"), read(run / "summary.json")
    assert {row["subject"] for row in scores} == set(sets["test"])
    assert {(row["phase"], row["structure"]) for row in scores} == {(p, s) for p in ("ed", "es") for s in ("LV", "Myo", "RV")}
    assert all(0 <= float(row["dice"]) <= 1 for row in scores)
    assert (summary["catalogue"]["path"], summary["n_subjects"]) == ((folder / "acdc.h5").as_posix(), len(sets["test"]))
    assert (summary["n_trained_on"], summary["n_seen_by_pretext"]) == (0, 0)
    assert "are resampled to those of the network, 1.80 mm" in results["evaluate"].stderr
    patient = folder / "ACDC/testing/patient101"
    maps = sorted((folder / "segmented/labels").iterdir())
    assert [path.name for path in maps] == [f"patient101_sax_{phase}.nii.gz" for phase in ("ed", "es")]
    for path in maps:
        assert nibabel.load(path).shape == nibabel.load(patient / "patient101_frame01.nii.gz").shape
        assert nibabel.load(path).header.get_zooms()[:2] == pytest.approx((2.5, 2.5))


def test_the_study_file_compares_all_modes_and_reads_both_catalogues(said, tmp_path):
    folder, _ = said
    ((program, name, arguments),) = [line for line in recipe() if line[1] == "study"]
    text = (ROOT / "examples/studies" / arguments[0]).read_text()
    for pattern, value in (
        (r"rows = \d+, columns = \d+", "rows = 144, columns = 160, levels = 2, threads = 1"),
        (r"base_channels = \d+", "base_channels = 2"),
        (r"batch_size = \d+", "batch_size = 4"),
        (r"(?<!_)iterations = [\d_]+", "iterations = 4"),
        (r"validate_every = \d+", "validate_every = 4"),
        (r"subjects = \[.*\]", "subjects = [1, 2]\nfew_tested = true"),
    ):
        text, n_found = re.subn(pattern, value, text)
        assert n_found, pattern
    for catalogue in ("dsb", "acdc"):
        shutil.copy(folder / f"{catalogue}.h5", tmp_path)
        (tmp_path / f"{catalogue}.shards").symlink_to(folder / f"{catalogue}.shards")
        (tmp_path / f"{catalogue}.labels").symlink_to(folder / f"{catalogue}.labels")
    (tmp_path / arguments[0]).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        plan = json.loads(type_in(program, name, [*arguments, "--dry-run", "--json"]).stdout)
        type_in(program, name, [*arguments, "--modes", "multitask", "--participants", "1", "--seeds", "1"])
    assert {cell["mode"] for cell in plan["cells"]} == {"scratch", "decoder", "all", "multitask"}
    facts = {cell["name"]: plan["facts"][cell["folder"]] for cell in plan["cells"]}
    assert all(fact["n_subjects"] == int(name.partition("-n")[2][0]) for name, fact in facts.items())
    (cell,) = (tmp_path / "studies").glob("*/cells/*/cell.json")
    stored, sets = read(cell.with_name("config.json")), read(cell.with_name("split.json"))
    paths = {task: catalogue["path"] for task, catalogue in stored["catalogues"].items()}
    assert paths == {task: (tmp_path / f"{name}.h5").as_posix() for task, name in (("structures", "acdc"), ("positions", "dsb"))}
    assert len(sets["train"]) == read(cell)["n_subjects"] == 1
    assert (
        {row["subject"] for row in rows_of(cell.with_name("per_subject.csv"))} == set(sets["test"]) <= keys_of(folder / "acdc.h5")
    )
    settings = stored["config"]
    assert (settings["transfer"]["decoder"], settings["transfer"]["pretext_loss"]) == ("per-task", "weighted")
    assert (settings["training"]["loss"], settings["training"]["augmentation"]) == ("dice", "strong")
    assert settings["transfer"]["structures"] == ["lv", "myo", "rv"]
    (table,) = (tmp_path / "studies").glob("*/table.csv")
    cells = {row["structure"]: row for row in rows_of(table) if row["metric"] == "dice"}
    assert set(cells) == {"mean", "LV", "Myo", "RV"}
    assert all(int(row["values"]) == len(sets["test"]) and 0 <= float(row["mean"]) <= 1 for row in cells.values())


@pytest.mark.posix
@pytest.mark.skipif(not REAL_ACDC.is_dir(), reason="the training set of ACDC is not at hand")
def test_the_labels_are_learnt_from_real_subjects(said, tmp_path):
    folder, _ = said
    training = unpack_real_acdc(tmp_path / "ACDC")
    sets = {"patient001": "train", "patient002": "test"}
    rows = sets | dict.fromkeys(sorted(keys_of(folder / "dsb.h5")), "pretext")
    (tmp_path / "split.csv").write_text("participant,set\n" + "".join(f"{key},{name}\n" for key, name in rows.items()))
    (tmp_path / "runs").mkdir()
    for path in ("dsb.h5", "dsb.shards", "runs/pretext-sax"):
        (tmp_path / path).symlink_to(folder / path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for program, name, arguments in recipe():
            if "acdc.h5" in arguments and "--nifti" in arguments:
                type_in(program, name, arguments)
            elif name == "finetune":
                heard = type_in(program, name, [*arguments, "--split", "split.csv"]).stderr
            elif name == "evaluate":
                type_in(program, name, arguments)
    run = tmp_path / "runs/finetune-multitask-sax"
    learnt, stored = read(run / "split.json"), read(run / "config.json")
    assert (learnt["train"], learnt["validation"], learnt["test"]) == (["patient001"], [], ["patient002"])
    own = {key: nibabel.load(sorted((training / key).glob("*_gt.nii.gz"))[0]).header.get_zooms()[0] for key in sets}
    size = stored["catalogues"]["structures"]["spacing_mm"]
    assert size["low"] == size["high"] == pytest.approx(own["patient001"])
    assert stored["pixel_mm"] == [1.8, 1.8]
    assert "cuts masks" not in heard
    scores = rows_of(run / "per_subject.csv")
    assert {row["subject"] for row in scores} == {"patient002"}
    assert {(row["phase"], row["structure"]) for row in scores if row["dice"]} == {
        (phase, structure) for phase in ("ed", "es") for structure in ("LV", "Myo", "RV")
    }
    for row in scores:
        path = training / "patient002" / f"patient002_frame{FRAMES[row['phase']]:02d}_gt.nii.gz"
        drawn = np.asanyarray(nibabel.load(path).dataobj) == ACDC[Structure[row["structure"].upper()]]
        n_slices = int(row["n_slices_scored"]) + int(row["n_slices_missed"])
        assert n_slices == np.count_nonzero(drawn.any(axis=(0, 1)))
