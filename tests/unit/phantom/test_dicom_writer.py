"""The DICOM writer, judged by independent software: dciodvfy, dcm2niix, SimpleITK, pydicom."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from cmr_planes.geometry import ImagePlane
from cmr_planes.phantom.dicom_model import CineSeries, DicomStudy, TransferSyntax, Vendor, as_repeat, concatenate, make_uid
from cmr_planes.phantom.dicom_writer import write_cine, write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import encode_study, simple_study

BIN = Path(sys.executable).parent
AUDITED = re.compile(r"(?<![\d.])[1-6]\d{6}(?!\d)")
"""Seven-digit numbers that UK Biobank's audit takes for participants."""


def _series(**changes):
    plane = ImagePlane.from_attributes([-60, -70, 30], [0.6, 0.8, 0, 0, 0, -1], [1.5, 2.0], rows=40, columns=32)
    frames = np.random.default_rng(1).integers(0, 4096, (3, 40, 32)).astype(np.uint16)
    values = {"plane": plane, "frames": frames, "trigger_times_ms": [0.0, 300.5, 601.0], "description": "cine", "number": 4}
    return CineSeries(**{**values, **changes})


def _read(file):
    return pydicom.dcmread(io.BytesIO(file.data))


def _errors(path):
    result = subprocess.run([BIN / "dciodvfy", path], capture_output=True, text=True, check=False)
    return [line for line in (result.stdout + result.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("vendor", list(Vendor), ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("private_bytes", [0, 90_000])
def test_dciodvfy_finds_no_error(tmp_path, vendor, private_bytes):
    files = write_cine(DicomStudy(name="a", vendor=vendor, private_bytes=private_bytes), _series(spacing_between_slices_mm=10.0))
    for path in write_files(tmp_path, files):
        assert _errors(path) == []


@pytest.mark.parametrize("vendor", list(Vendor), ids=lambda vendor: vendor.name)
def test_dciodvfy_finds_no_error_in_enhanced_instances(tmp_path, vendor):
    study = simple_study(vendor=vendor)
    stack = [series for key, series in study.series.items() if key.startswith("sax")]
    file = write_enhanced(study.study, stack, cycle_positions={0: "END_DIASTOLE", 2: "END_SYSTOLE"})
    (path,) = write_files(tmp_path, [file])
    assert _errors(path) == []


@pytest.mark.parametrize("syntax", list(TransferSyntax), ids=lambda syntax: syntax.name)
def test_every_transfer_syntax_gives_the_pixels_back(syntax):
    series = _series()
    for index, file in enumerate(write_cine(DicomStudy(name="a"), series, transfer_syntax=syntax)):
        dataset = _read(file)
        assert dataset.file_meta.TransferSyntaxUID == syntax
        np.testing.assert_array_equal(dataset.pixel_array, series.frames[index])


@pytest.mark.parametrize("syntax", [TransferSyntax.EXPLICIT_LITTLE, TransferSyntax.RLE, TransferSyntax.JPEG_2000])
def test_enhanced_instances_give_pixels_planes_and_times_back(syntax):
    parts = [_series(), replace(_series(), plane=replace(_series().plane, position_mm=np.array([-60, -60, 40])))]
    dataset = _read(write_enhanced(DicomStudy(name="a"), parts, transfer_syntax=syntax, cycle_positions={1: "END_SYSTOLE"}))
    np.testing.assert_array_equal(dataset.pixel_array, np.concatenate([part.frames for part in parts]))
    groups = dataset.PerFrameFunctionalGroupsSequence
    assert [float(value) for value in groups[4].PlanePositionSequence[0].ImagePositionPatient] == [-60, -60, 40]
    assert groups[4].CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime == 300.5
    assert [group.FrameContentSequence[0].CardiacCyclePosition for group in groups[:3]] == [
        "UNDETERMINED",
        "END_SYSTOLE",
        "UNDETERMINED",
    ]


def test_simpleitk_reads_the_same_geometry(tmp_path):
    for series in simple_study().series.values():
        (path, *_) = write_files(tmp_path, write_cine(DicomStudy(name="a"), series))
        image = SimpleITK.ReadImage(path)
        for column, row in ((0, 0), (95, 0), (13, 71)):
            np.testing.assert_allclose(
                image.TransformIndexToPhysicalPoint((column, row, 0)), series.plane.pixel_to_patient([column, row]), atol=1e-6
            )


@pytest.mark.parametrize("is_enhanced", [False, True], ids=["single-frame", "enhanced"])
def test_dcm2niix_reads_the_same_geometry(tmp_path, is_enhanced):
    series = _series()
    study = DicomStudy(name="a")
    files = [write_enhanced(study, [series])] if is_enhanced else write_cine(study, series)
    write_files(tmp_path / "in", files)
    (tmp_path / "out").mkdir()
    subprocess.run([BIN / "dcm2niix", "-z", "n", "-o", tmp_path / "out", tmp_path / "in"], check=True, capture_output=True)
    images = [nibabel.load(path) for path in sorted((tmp_path / "out").glob("*.nii"))]
    assert images
    assert sum(image.shape[3] if len(image.shape) > 3 else 1 for image in images) == 3
    flipped_row = images[0].shape[1] - 1 - 7  # dcm2niix turns images upside down, and its affine with them
    point_ras = images[0].affine @ [5, flipped_row, 0, 1]
    np.testing.assert_allclose(point_ras[:3] * [-1, -1, 1], series.plane.pixel_to_patient([5, 7]), atol=1e-3)


def test_uids_follow_from_names_alone_and_hold_no_audited_number():
    assert make_uid("a", "b") == make_uid("a", "b")
    assert make_uid("a", "b") != make_uid("ab")
    for number in range(200):
        uid = make_uid("x", str(number))
        assert len(uid) <= 64
        assert not AUDITED.search(uid)
        assert pydicom.uid.UID(uid).is_valid


def test_the_same_study_has_the_same_bytes():
    assert encode_study(simple_study()) == encode_study(simple_study())


def test_overrides_set_delete_and_differ_between_frames():
    changes = {"SeriesDescription": "other", "PatientSex": None, "FrameOfReferenceUID": lambda index: f"1.2.{index + 1}"}
    datasets = [
        _read(file) for file in write_cine(DicomStudy(name="a", overrides={"Manufacturer": ""}), _series(overrides=changes))
    ]
    assert {dataset.SeriesDescription for dataset in datasets} == {"other"}
    assert all("PatientSex" not in dataset for dataset in datasets)
    assert [dataset.FrameOfReferenceUID for dataset in datasets] == ["1.2.1", "1.2.2", "1.2.3"]
    assert {dataset.Manufacturer for dataset in datasets} == {""}


def test_an_attribute_may_be_deleted_in_some_frames_only():
    missing = {"TriggerTime": lambda index: None if index == 1 else "5"}
    datasets = [_read(file) for file in write_cine(DicomStudy(name="a"), _series(overrides=missing))]
    assert ["TriggerTime" in dataset for dataset in datasets] == [True, False, True]


def test_parts_of_one_series_share_its_uid_and_number_on():
    files = [
        file
        for part in concatenate([_series(), _series(description="x", number=9)])
        for file in write_cine(DicomStudy(name="a"), part)
    ]
    datasets = [_read(file) for file in files]
    assert len({dataset.SeriesInstanceUID for dataset in datasets}) == 1
    assert [int(dataset.InstanceNumber) for dataset in datasets] == [1, 2, 3, 4, 5, 6]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 6


def test_a_repeat_is_a_later_series_of_the_same_name():
    first, second = (_read(write_cine(DicomStudy(name="a"), one)[0]) for one in (_series(), as_repeat(_series(), number=8)))
    assert first.SeriesDescription == second.SeriesDescription
    assert first.SeriesInstanceUID != second.SeriesInstanceUID
    assert second.AcquisitionTime > first.AcquisitionTime


def test_frames_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"uint16 of shape \(3, 40, 32\) is expected"):
        _series(frames=np.zeros((3, 32, 40), np.uint16))
    with pytest.raises(ValueError, match="one matrix size"):
        write_enhanced(DicomStudy(name="a"), [])
