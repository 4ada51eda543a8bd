"""Prediction called from Python, with networks whose answer is known."""

import csv
import hashlib
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

import cmr_train
from cmr_planes import Catalogue
from cmr_planes.errors import InUseError
from cmr_planes.phantom.small_study import simple_study, write_study
from cmr_planes.system.run_lock import only_run
from cmr_train.choices import Recipe
from tests.helpers.cohorts import small_study
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import annotate, small_catalogue

STUDY = {"n_slices": 5, "n_frames": 10, "rows": 88, "columns": 88, "spacing_mm": (2.5, 2.5), "slice_distance_mm": 9.0}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 4))


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dicom")
    write_study(folder / "SYN-0001", simple_study(**STUDY))
    return folder


def test_a_prediction_names_its_subjects_and_those_left_out(tmp_path):
    write_study(tmp_path / "dicom" / "SYN-0001", small_study())
    write_study(tmp_path / "dicom" / "SYN-0002", small_study("SYN-0002", n_frames=1))
    run = write_run(tmp_path / "run", threshold=0.8)
    read, segmented = [], []
    prediction = cmr_train.predict(
        run, str(tmp_path / "dicom"), tmp_path / "out", pictures=False, on_extract=read.append, on_progress=segmented.append
    )
    assert [subject.subject for subject in prediction.subjects] == ["SYN-0001"]
    assert {rejection.subject for rejection in prediction.left_out} == {"SYN-0002"}
    assert (read[-1].done, read[-1].total) == (2, 2)
    assert [(progress.done, progress.total) for progress in segmented] == [(0, 1), (1, 1)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["labels", "prediction.json", "volumes.csv"]
    with pytest.raises(cmr_train.ConfigError, match="phases must be one of ed,es, all, got 'es'"):
        cmr_train.predict(run, tmp_path / "dicom", tmp_path / "other", phases="es")


def test_a_prediction_is_alone_in_its_folder(tmp_path, annotated):
    run = write_run(tmp_path / "run")
    with only_run(tmp_path / "out"), pytest.raises(InUseError, match="works on"):
        cmr_train.predict(run, annotated, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("layout", ["folder", "file"])
def test_nifti_images_are_segmented_where_they_lie(tmp_path, dicom, layout):
    """The same images, once from DICOM and once as NIfTI in the layout of M&Ms-2, written by nibabel from the catalogue's planes."""
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    cmr_train.predict(run, dicom, tmp_path / "first", pictures=False)
    from cmr_planes import extract

    extract(dicom, tmp_path / "out.h5", workers=1)
    folder = tmp_path / "nifti" / "001"
    folder.mkdir(parents=True)
    with Catalogue(tmp_path / "out.h5") as catalogue:
        view = catalogue.view_attributes("SYN-0001", "sax")
        step_mm = view.planes[1].position_mm - view.planes[0].position_mm
        affine = np.array(view.planes[0].patient_from_pixel)
        affine = np.column_stack([affine[:, 0], affine[:, 1], [*step_mm, 0], affine[:, -1]])
        for phase in ("ed", "es"):
            images = np.stack([catalogue.image("SYN-0001", "sax", phase, number) for number in range(5)])
            volume = nibabel.Nifti1Image(images.transpose(2, 1, 0).astype(np.int16), np.diag([-1, -1, 1, 1]) @ affine)
            nibabel.save(volume, folder / f"001_SA_{phase.upper()}.nii.gz")
    sources = folder.parent if layout == "folder" else sorted(folder.iterdir())
    prediction = cmr_train.predict(run, sources, tmp_path / "second", pictures=False)
    assert len(prediction.subjects) == (1 if layout == "folder" else 2)
    for phase in ("ed", "es"):
        first = nibabel.load(tmp_path / "first" / "labels" / f"SYN-0001_sax_{phase}.nii.gz")
        (path,) = (tmp_path / "second" / "labels").glob(f"*sax_{phase}.nii.gz")
        second = nibabel.load(path)
        corners = np.array(np.meshgrid([0, 87], [0, 87], [0, 4], [1])).reshape(4, -1)
        placed = [{tuple(point) for point in (image.affine @ corners).T.round(1)[:, :3].tolist()} for image in (first, second)]
        assert placed[0] == placed[1]
        assert np.count_nonzero(first.dataobj) == np.count_nonzero(second.dataobj) > 0


def test_several_runs_give_the_same_bytes_in_any_order(tmp_path, dicom):
    runs = [write_run(tmp_path / f"run{rows}", rows=rows, columns=88, threshold=rows / 100) for rows in (72, 80, 88)]
    said = []
    prediction = cmr_train.predict(runs, dicom, tmp_path / "first", on_message=said.append)
    again = cmr_train.predict(runs[::-1], dicom, tmp_path / "second")
    assert sorted(prediction.runs) == ["run72", "run80", "run88"]
    assert again.runs == prediction.runs
    assert any("probabilities of 3 networks are averaged" in sentence for sentence in said)
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        for folder in (tmp_path / "first", tmp_path / "second")
    )
    stored = [json.loads(files.pop(Path("prediction.json"))) for files in (first, second)]
    assert first == second
    assert len(first) == 4
    assert stored[0]["runs"] == stored[1]["runs"]
    digests = {run.name: hashlib.sha256((run / "final.pt").read_bytes()).hexdigest() for run in runs}
    assert {each["run"]: each["weights_sha256"] for each in stored[0]["runs"]} == digests
    assert [each["run"] for each in stored[0]["runs"]] == list(prediction.runs)
    with pytest.raises(cmr_train.TrainError, match="what another network made"):
        cmr_train.predict(runs[:2], dicom, tmp_path / "first")


def volumes_of(folder):
    """The only row of ``volumes.csv``."""
    with (folder / "volumes.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    return row


def test_options_change_maps_are_counted_and_named(tmp_path, dicom):
    """Papillary muscles and vessels are bright too: a threshold finds parts outside the largest."""
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.42)
    others = [write_run(tmp_path / f"run{number}", rows=88, columns=88, threshold=number / 10) for number in (6, 9)]
    plain = cmr_train.predict(run, dicom, tmp_path / "plain", pictures=False)
    cleaned = cmr_train.predict(run, dicom, tmp_path / "cleaned", pictures=False, largest_component=True)
    assert plain.subjects[0].removed_voxels == {}
    volumes = []
    for folder in ("plain", "cleaned"):
        maps = [nibabel.load(tmp_path / folder / "labels" / f"SYN-0001_sax_{phase}.nii.gz") for phase in ("ed", "es")]
        volumes.append(sum(np.count_nonzero(np.asarray(each.dataobj) == 1) for each in maps))
    removed = cleaned.subjects[0].removed_voxels
    assert removed == {1: volumes[0] - volumes[1], 2: 0, 3: 0}
    assert removed[1] > 0
    row = volumes_of(tmp_path / "cleaned")
    assert (row["lv_removed_voxels"], row["rv_removed_voxels"], row["runs_dice"]) == (str(removed[1]), "0", "")
    together = cmr_train.predict([run, *others], dicom, tmp_path / "together", pictures=False, rotate_deg=10.0)
    row = volumes_of(tmp_path / "together")
    assert 0 < together.subjects[0].runs_dice < 0.7
    assert float(row["runs_dice"]) == pytest.approx(together.subjects[0].runs_dice, abs=0.005)
    assert "runs_differ" in row["doubt"].split()
    assert row["lv_removed_voxels"] == ""
    assert json.loads((tmp_path / "together" / "prediction.json").read_text())["rotate_deg"] == 10.0
    with pytest.raises(cmr_train.TrainError, match="with other options"):
        cmr_train.predict(run, dicom, tmp_path / "cleaned")


def test_options_that_cannot_be_used_and_angles_that_were_not_learnt(tmp_path, dicom):
    run = write_run(tmp_path / "run", rows=88, columns=88, threshold=0.8)
    positions = write_run(tmp_path / "positions", recipe=Recipe.PRETEXT)
    with pytest.raises(cmr_train.ConfigError, match="rotate_deg must be from 0 to 45, got 50"):
        cmr_train.predict(run, dicom, tmp_path / "out", rotate_deg=50)
    with pytest.raises(cmr_train.TrainError, match="'positions' finds positions"):
        cmr_train.predict(positions, dicom, tmp_path / "out", largest_component=True)
    assert not (tmp_path / "out").exists()
    said = []
    cmr_train.predict(run, dicom, tmp_path / "out", pictures=False, rotate_deg=20, on_message=said.append)
    assert "turned by up to 15°; its answers on images turned by 20° may be worse" in said[0]
