"""A raw data set of nnU-Net, from catalogues on disk."""

import dataclasses
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_planes.errors import ExportError, SourceError
from cmr_planes.exports.job import export
from cmr_planes.exports.nnunet import class_labels
from cmr_planes.exports.options import ExportOptions
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import ViewLabels
from cmr_planes.views import CardiacView, Structure
from tests.helpers.catalogues import write_batches
from tests.helpers.labels import write_labels
from tests.helpers.records import make_subject
from tests.helpers.training import annotate, small_catalogue

LV, MYO, RV = Structure.LV, Structure.MYO, Structure.RV
SETS = "participant,set\nSYN-0001,train\nSYN-0002,validation\nSYN-0003,test\nSYN-0004,pretext\n"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Four subjects; ``split.csv`` has one in each set."""
    folder = tmp_path_factory.mktemp("data")
    annotate(small_catalogue(folder, 4))
    (folder / "split.csv").write_text(SETS)
    return folder


def exported(data: Path, out: Path, **options: object) -> Path:
    options = {"form": "nnunet", "split": data / "split.csv", **options}
    return export(data / "out.h5", out, ExportOptions(**options)).out


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.nii.gz")}


def test_sets_become_folders_and_phases_become_cases(data, tmp_path):
    folder = exported(data, tmp_path)
    names = {"Tr": ("SYN-0001", "SYN-0002"), "Ts": ("SYN-0003",)}
    cases = [(part, f"{name}_{phase}") for part, of_part in names.items() for name in of_part for phase in ("ED", "ES")]
    assert folder == tmp_path / "Dataset501_CMR"
    assert files(folder) == {f"images{part}/{case}_0000.nii.gz" for part, case in cases} | {
        f"labels{part}/{case}.nii.gz" for part, case in cases
    }
    description = json.loads((folder / "dataset.json").read_text())
    assert description["numTraining"] == 4
    assert description["labels"] == {"background": 0, "LV": 1, "Myo": 2, "RV": 3}
    assert json.loads((folder / "splits_final.json").read_text()) == [
        {"train": ["SYN-0001_ED", "SYN-0001_ES"], "val": ["SYN-0002_ED", "SYN-0002_ES"]},
        {"train": ["SYN-0002_ED", "SYN-0002_ES"], "val": ["SYN-0001_ED", "SYN-0001_ES"]},
    ]


@pytest.mark.parametrize(("labels", "values"), [("manual", (1, 2, 3)), ("acdc-order", (3, 2, 1))])
def test_labels_are_the_catalogues_in_the_order_that_was_asked_for(data, tmp_path, labels, values):
    folder = exported(data, tmp_path, labels=labels)
    with Catalogue(data / "out.h5") as catalogue:
        for level in range(3):
            truth = catalogue.labels("SYN-0002", "sax", "es", level)
            written = np.asarray(nibabel.load(folder / "labelsTr" / "SYN-0002_ES.nii.gz").dataobj)[:, :, level].T
            for structure, value in zip((LV, MYO, RV), values, strict=True):
                np.testing.assert_array_equal(written == value, truth == structure)
                assert (written == value).any()
    names = json.loads((folder / "dataset.json").read_text())["labels"]
    assert [names[name] for name in ("LV", "Myo", "RV")] == list(values)


def test_positions_are_classes_and_their_participants_are_trained_on(data, tmp_path):
    summary = export(data / "out.h5", tmp_path, ExportOptions(form="nnunet", split=data / "split.csv", labels="positions"))
    with Catalogue(data / "out.h5") as catalogue:
        truth = catalogue.positions("SYN-0004", "sax", "ed", 1)
    written = nibabel.load(summary.out / "labelsTr" / "SYN-0004_ED.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj)[:, :, 1].T, truth)
    description = json.loads((summary.out / "dataset.json").read_text())
    assert list(description["labels"].values()) == list(range(10))
    assert description["labels"]["anterior_far"] == 7
    assert "nnUNetTrainerNoMirroring" in summary.next_step


def test_what_was_not_drawn_is_ignored_and_not_background():
    labels = np.array([[[[0, LV, MYO, RV]], [[0, LV, 0, 0]], [[0, 0, 0, 0]], [[0, 0, 0, 0]]]], dtype=np.uint8)
    structures = np.zeros((1, 4, 6), dtype=bool)
    structures[0, 0, :4] = structures[0, 2, :4] = True  # all searched for, on the third in vain
    structures[0, 1, [0, LV]] = True
    values = class_labels(ViewLabels(labels=labels, structures=structures, source=""), {RV: 1, MYO: 2, LV: 3})
    assert values[0, :, 0].tolist() == [[0, 3, 2, 1], [4, 3, 4, 4], [0, 0, 0, 0], [4, 4, 4, 4]]


def test_a_cohort_that_is_annotated_in_part_has_the_class_ignore_and_its_unlabelled_subjects_are_counted(tmp_path):
    folder = tmp_path / "data"
    small_catalogue(folder, 4)
    drawn = np.zeros((2, 3, 6), dtype=bool)
    drawn[:, [0, 2], :4] = True
    labels = np.zeros((2, 3, 48, 48), dtype=np.uint8)
    labels[:, [0, 2], 10:14, 10:20] = [[LV], [MYO], [RV], [0]]
    view_labels = {CardiacView.SAX: ViewLabels(labels=labels, structures=drawn, source="cvi42")}
    write_labels(folder / "out.h5", {"SYN-0001": view_labels, "SYN-0002": view_labels})
    (folder / "split.csv").write_text(SETS)
    summary = export(folder / "out.h5", tmp_path / "raw", ExportOptions(form="nnunet", split=folder / "split.csv"))
    assert json.loads((summary.out / "dataset.json").read_text())["labels"]["ignore"] == 4
    written = np.asarray(nibabel.load(summary.out / "labelsTr" / "SYN-0001_ED.nii.gz").dataobj)
    assert (written[:, :, 1] == 4).all()
    assert written[:, :, [0, 2]].max() == 3
    assert summary.notes == (
        "2 subjects left out: no manual labels of view SAX",
        "cases with pixels of the class 'ignore', because a slice was not annotated or a class of dataset.json was not drawn on it: "
        "4 of 4",
    )


def test_a_structure_that_one_subject_alone_has_is_noted(tmp_path):
    folder = tmp_path / "data"
    small_catalogue(folder, 2)
    labels = np.zeros((2, 3, 48, 48), dtype=np.uint8)
    labels[:, :, 10:14, 10:20] = [[LV], [MYO], [RV], [0]]
    drawn = np.ones((2, 3, 6), dtype=bool)
    without_atria = drawn & (np.arange(6) < Structure.LA)
    (folder / "split.csv").write_text(SETS)
    for key, structures in (("SYN-0001", drawn), ("SYN-0002", without_atria)):
        write_labels(folder / "out.h5", {key: {CardiacView.SAX: ViewLabels(labels=labels, structures=structures, source="cvi42")}})
    summary = export(folder / "out.h5", tmp_path / "raw", ExportOptions(form="nnunet", split=folder / "split.csv"))
    assert summary.notes[-1].endswith(": 2 of 4")


def test_mixed_pixel_sizes_and_participants_without_a_set_are_noted(tmp_path):
    records = [make_subject(n, views=(CardiacView.SAX,), spacing_mm=edge) for n, edge in ((1, 1.8), (2, 1.4), (5, 1.4))]
    path = write_batches(tmp_path / "data", [records])
    (tmp_path / "split.csv").write_text(SETS)
    summary = export(path, tmp_path / "raw", ExportOptions(form="nnunet", split=tmp_path / "split.csv", labels="positions"))
    assert summary.notes == (
        "1 subject left out: the split puts them into none of train, validation, test, pretext",
        "pixels are from 1.40 to 1.80 mm wide; nnU-Net resamples all images to their median",
    )


def test_visits_of_one_participant_stay_on_one_side(tmp_path):
    visits = [dataclasses.replace(make_subject(n, views=(CardiacView.SAX,), n_slices=1), participant=f"P{n % 3}") for n in range(6)]
    path = write_batches(tmp_path / "data", [visits])
    (tmp_path / "split.csv").write_text("participant,set\nP0,train\nP1,validation\nP2,test\n")
    folder = export(path, tmp_path / "raw", ExportOptions(form="nnunet", split=tmp_path / "split.csv", labels="positions")).out
    fold = json.loads((folder / "splits_final.json").read_text())[0]
    assert {case[:8] for case in fold["train"]} == {"SYN-0000", "SYN-0003"}
    assert {case[:8] for case in fold["val"]} == {"SYN-0001", "SYN-0004"}
    assert {path.name[:8] for path in (folder / "imagesTs").iterdir()} == {"SYN-0002", "SYN-0005"}


def test_refusals_leave_nothing(data, tmp_path):
    unlabelled = small_catalogue(tmp_path / "data", 2)
    with pytest.raises(SourceError, match="has no manual labels of view SAX; 'cmr-planes annotate' adds them"):
        export(unlabelled, tmp_path / "raw", ExportOptions(form="nnunet"))
    with pytest.raises(SourceError, match="has no position masks of view 4Ch"):
        export(data / "out.h5", tmp_path / "raw", ExportOptions(form="nnunet", view="4ch", labels="positions"))
    (tmp_path / "all_train.csv").write_text("participant,set\nSYN-0001,train\n")
    with pytest.raises(ExportError, match="of 1 participant none is in the validation set"):
        export(data / "out.h5", tmp_path / "raw", ExportOptions(form="nnunet", split=tmp_path / "all_train.csv"))
    (tmp_path / "strangers.csv").write_text("participant,set\nSYN-0099,train\nSYN-0004,pretext\n")
    with pytest.raises(ExportError, match="the split puts none of the 4 participants with labels into train, validation, test;"):
        export(data / "out.h5", tmp_path / "raw", ExportOptions(form="nnunet", split=tmp_path / "strangers.csv"))
    assert not (tmp_path / "raw").exists()
    exported(data, tmp_path / "raw")
    with pytest.raises(ExportError, match="already holds one of the names"):
        exported(data, tmp_path / "raw")
    with pytest.raises(ExportError, match="has Dataset501_CMR, and nnU-Net finds data sets by their number"):
        exported(data, tmp_path / "raw", dataset="Dataset501_Other")
    for dataset in ("Foo", "Dataset1_x", "Dataset501_../x", "Dataset501_"):
        with pytest.raises(ValueError, match="the data set's name is"):
            ExportOptions(form="nnunet", dataset=dataset)
