"""Predictions as DICOM: from the command line to segmentations and reports, and back by annotate and highdicom."""

import csv
import importlib.util
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from click.testing import CliRunner
from highdicom.sr import srread

from cmr_planes.dicom_output.codes import MEASUREMENTS, Quantity
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import simple_study
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Recipe
from cmr_train.cli import main
from tests.helpers.cohorts import run as run_planes
from tests.helpers.dicom_objects import IDENTITY, complaints
from tests.helpers.leaks import contents, files_under, found_in
from tests.helpers.threshold_runs import write_run

SAX = CardiacView.SAX
STUDY = {"n_slices": 4, "n_frames": 8, "rows": 88, "columns": 88, "spacing_mm": (2.5, 2.5), "slice_distance_mm": 11.0}
DATA = Path(__file__).parents[3] / "shared" / "data"
COLUMNS = {
    "lv_edv_ml": (Structure.LV, Quantity.END_DIASTOLIC_VOLUME),
    "lv_esv_ml": (Structure.LV, Quantity.END_SYSTOLIC_VOLUME),
    "lv_sv_ml": (Structure.LV, Quantity.STROKE_VOLUME),
    "lv_ef_percent": (Structure.LV, Quantity.EJECTION_FRACTION),
    "lv_mass_g": (Structure.LV, Quantity.MASS),
    "rv_edv_ml": (Structure.RV, Quantity.END_DIASTOLIC_VOLUME),
    "rv_esv_ml": (Structure.RV, Quantity.END_SYSTOLIC_VOLUME),
    "rv_sv_ml": (Structure.RV, Quantity.STROKE_VOLUME),
    "rv_ef_percent": (Structure.RV, Quantity.EJECTION_FRACTION),
}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


def write(folder: Path, *, enhanced: bool = False, **overrides: object) -> Path:
    simple = simple_study(name="SYN-0001", **STUDY)
    study = replace(simple.study, overrides={**IDENTITY, **overrides})
    files = [
        file for one in simple.series.values() for file in ([write_enhanced(study, [one])] if enhanced else write_cine(study, one))
    ]
    write_files(folder / "one", files)
    return folder


@pytest.fixture(scope="module", params=["classic", "enhanced"])
def source(request, tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp(request.param), enhanced=request.param == "enhanced")


@pytest.fixture(scope="module")
def classic(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("classic"))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run", rows=88, columns=88, threshold=0.8, pixel_mm=(2.5, 2.5))


def predicted(run: Path, source: Path, out: Path, *options: str, code: int = 0):
    arguments = ["predict", str(run), str(source), "-o", str(out), "--no-pictures", *options]
    result = CliRunner().invoke(main, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return result


def test_annotate_and_the_table_agree_with_what_was_written(tmp_path, run, source) -> None:
    out = tmp_path / "out"
    result = predicted(run, source, out, "--format", "nifti", "--format", "seg")
    assert "9 DICOM files of 1 subject" in result.stdout
    names = sorted(path.name for path in (out / "dicom").iterdir())
    assert names == sorted(
        [f"one_sax_{phase}_{level:02d}.dcm" for phase in ("ed", "es") for level in range(1, 5)] + ["one_sax_report.dcm"]
    )
    for path in (out / "dicom").iterdir():
        assert complaints(path) == []

    assert run_planes("extract", source, tmp_path / "out.h5", "--views", "sax", "--keep-all", "--workers", "1").exit_code == 0
    annotated = run_planes("annotate", tmp_path / "out.h5", out / "dicom")
    assert annotated.exit_code == 0, annotated.output
    with Catalogue(tmp_path / "out.h5") as catalogue:
        phases = catalogue.view_attributes("one", SAX).phases
        for phase in phases:
            volume = np.asarray(nibabel.load(out / "labels" / f"one_sax_{phase}.nii.gz").dataobj)
            assert volume.any()
            for slice_index in range(STUDY["n_slices"]):
                labels = catalogue.labels("one", SAX, phase, slice_index)
                np.testing.assert_array_equal(labels, volume[:, :, slice_index].T)

    with (out / "volumes.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    report = srread(out / "dicom" / "one_sax_report.dcm")
    found = {
        one.name.value: f"{one.value:.2f}"
        for group in report.content.get_image_measurement_groups()
        for one in group.get_measurements()
    }
    expected = {MEASUREMENTS[key].value: row[column] for column, key in COLUMNS.items() if row[column]}
    assert found == expected
    assert len(found) == 4
    texts = " ".join(str(item.value) for item in report.iterall() if item.keyword == "TextValue")
    assert "no myocardium was found at end-diastole" in texts
    assert "without end-diastolic volume, end-systolic volume, stroke volume, ejection fraction" in texts
    assert found_in({*IDENTITY.values(), "Tilda"}, [result.output.encode(), annotated.output.encode()]) == set()


def test_anonymous_files_name_nobody_and_the_same_command_gives_the_same_bytes(tmp_path, run, classic) -> None:
    outs = [tmp_path / "first", tmp_path / "again"]
    for out in outs:
        predicted(run, classic, out, "--format", "seg", "--anonymous")
    assert not (outs[0] / "labels").exists()
    first, again = ({path.name: path.read_bytes() for path in (out / "dicom").iterdir()} for out in outs)
    assert first == again
    uids = {
        str(pydicom.dcmread(path, stop_before_pixels=True)[keyword].value)
        for path in classic.rglob("*.dcm")
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    }
    blobs = [blob for path in files_under(outs[0]) for blob in contents(path)]
    assert found_in({*IDENTITY.values(), *uids}, blobs) == set()
    predicted(run, classic, tmp_path / "named", "--format", "seg")
    blobs = [blob for path in files_under(tmp_path / "named") for blob in contents(path)]
    assert found_in(IDENTITY.values(), blobs) == set(IDENTITY.values())


def test_images_without_uids_keep_their_label_maps_and_get_a_sentence(tmp_path, run) -> None:
    source = write(tmp_path / "dicom", SOPInstanceUID="", SeriesInstanceUID="", StudyInstanceUID="")
    result = predicted(run, source, tmp_path / "out", "--format", "nifti", "--format", "seg", code=3)
    assert "1 subject without DICOM files: images of view SAX have no SOPInstanceUID (0008,0018)" in result.output
    assert sorted(path.name for path in (tmp_path / "out" / "labels").iterdir()) == ["one_sax_ed.nii.gz", "one_sax_es.nii.gz"]
    assert list((tmp_path / "out" / "dicom").iterdir()) == []


def test_what_cannot_be_made_is_refused_before_anything_is_written(tmp_path, run, classic, monkeypatch) -> None:
    assert run_planes("extract", classic, tmp_path / "out.h5", "--views", "sax", "--keep-all", "--workers", "1").exit_code == 0
    out = tmp_path / "out"
    cases = [
        (run, tmp_path / "out.h5", ("--format", "seg"), 1, "a catalogue holds no UIDs of its images"),
        (run, classic, ("--anonymous",), 2, "--anonymous is for DICOM files"),
    ]
    positions = write_run(tmp_path / "positions", recipe=Recipe.PRETEXT, data=tmp_path / "out.h5")
    cases.append((positions, classic, ("--format", "seg"), 1, "finds positions, for which there are no codes"))
    predicted(run, classic, tmp_path / "nifti")
    cases.append((run, tmp_path / "nifti" / "labels", ("--format", "seg"), 3, "give the DICOM files"))
    for network, source, options, code, sentence in cases:
        result = predicted(network, source, out, *options, code=code)
        assert sentence in " ".join(result.output.split())
        assert not (out / "dicom").exists()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    result = predicted(run, classic, out, "--format", "seg", code=1)
    assert "pip install 'cmr-planes[seg]'" in result.output


@pytest.mark.skipif(not (DATA / "siemens_cine_case").is_dir(), reason="the real scans are not here")
def test_the_real_case_has_no_uids(tmp_path, run) -> None:
    result = predicted(run, DATA / "siemens_cine_case", tmp_path / "out", "--format", "seg", code=3)
    assert "have no SOPInstanceUID (0008,0018)" in result.output


@pytest.mark.skipif(not (DATA / "siemens_cine_case").is_dir(), reason="the real scans are not here")
def test_the_real_case_with_uids_of_its_own(tmp_path, run) -> None:
    for index, path in enumerate(sorted((DATA / "siemens_cine_case").rglob("*"))):
        if path.is_file():
            dataset = pydicom.dcmread(path, force=True)
            dataset.SOPInstanceUID = f"2.25.{1000 + index}"
            dataset.SeriesInstanceUID = f"2.25.{path.parent.name[6:10].lstrip('0')}"
            dataset.StudyInstanceUID, dataset.SOPClassUID = "2.25.1", pydicom.uid.MRImageStorage
            (tmp_path / "dicom" / "one").mkdir(parents=True, exist_ok=True)
            dataset.save_as(tmp_path / "dicom" / "one" / f"{index}.dcm")
    predicted(run, tmp_path / "dicom", tmp_path / "out", "--format", "seg")
    names = sorted(path.name for path in (tmp_path / "out" / "dicom").iterdir())
    assert names == ["one_sax_ed.dcm", "one_sax_es.dcm", "one_sax_report.dcm"]
    for name in names:
        own = [line for line in complaints(tmp_path / "out" / "dicom" / name) if "Patient's Name" not in line]  # as it stands
        assert own == []
