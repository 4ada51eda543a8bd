"""Synthetic cohorts on disk: layouts, quirks, truth, and the same bytes for any number of workers."""

import csv
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

from cmr_planes.geometry import ImagePlane
from cmr_planes.phantom.acquisition import Protocol
from cmr_planes.phantom.cohort import CohortOptions, make_cohort, make_examination
from cmr_planes.phantom.layouts import ArchiveStyle
from cmr_planes.phantom.quirks import Quirk
from cmr_planes.system.progress import Progress
from cmr_planes.views import CardiacView, Structure

SMALL = Protocol(n_slices=3, n_frames=3, slice_gap_mm=17.0, rows=96, columns=96, spacing_mm=3.6)


def _make(folder, n_workers=1, **changes):
    options = replace(CohortOptions(n_subjects=2, protocol=SMALL), **changes)
    done = []
    make_cohort(folder, options, n_workers=n_workers, on_progress=done.append)
    assert done == [Progress(number, options.n_subjects) for number in range(1, options.n_subjects + 1)]
    return options


def _digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.parametrize("layout", [ArchiveStyle.UKB, ArchiveStyle.ENHANCED], ids=str)
def test_one_and_two_workers_write_the_same_bytes(tmp_path, layout):
    for n_workers in (1, 2):
        _make(tmp_path / str(n_workers), n_workers, layout=layout, private_bytes=3000)
    first, second = (_digests(tmp_path / str(n_workers)) for n_workers in (1, 2))
    assert first == second
    assert any(name.startswith("dicom/") for name in first)


def test_a_subject_does_not_depend_on_how_many_follow(tmp_path):
    for count in (1, 2):
        _make(tmp_path / str(count), n_subjects=count)
    one, two = (_digests(tmp_path / str(count) / "dicom") for count in (1, 2))
    assert one.items() <= two.items()


def test_another_seed_makes_other_people(tmp_path):
    first, second = (make_examination(CohortOptions(seed=seed, protocol=SMALL), 0) for seed in (0, 1))
    assert first.subject.heart != second.subject.heart


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        (ArchiveStyle.UKB, "9000001_20208_2_0.zip 9000001_20209_2_0.zip 9000002_20208_2_0.zip 9000002_20209_2_0.zip"),
        (ArchiveStyle.FOLDERS, "SYN-0001 SYN-0002"),
        (ArchiveStyle.ENHANCED, "SYN-0001 SYN-0002"),
        (ArchiveStyle.DSB2016, "train"),
    ],
)
def test_layouts_name_subjects_as_their_archives_do(tmp_path, layout, names):
    _make(tmp_path, layout=layout)
    assert " ".join(sorted(path.name for path in (tmp_path / "dicom").iterdir())) == names


def test_biobank_zips_hold_views_frames_and_a_manifest(tmp_path):
    _make(tmp_path, layout=ArchiveStyle.UKB, n_subjects=1)
    for field, n_series in (("20208", 3), ("20209", 3)):
        with zipfile.ZipFile(tmp_path / "dicom" / f"9000001_{field}_2_0.zip") as archive:
            members = archive.namelist()
            (manifest,) = [name for name in members if name.startswith("manifest")]
            lines = archive.read(manifest).decode().splitlines()
        assert len(members) == n_series * 3 + 1
        assert "series discription" in lines[0]
        assert len(lines) == n_series * 3 + 1


def test_the_flat_layout_has_one_folder_and_no_extensions(tmp_path):
    _make(tmp_path, layout=ArchiveStyle.FLAT)
    files = list((tmp_path / "dicom").iterdir())
    assert len(files) == 2 * 6 * 3
    assert not any(path.suffix == ".dcm" for path in files)
    assert len({pydicom.dcmread(path, stop_before_pixels=True).StudyInstanceUID for path in files}) == 2


def test_label_maps_lie_on_the_images(tmp_path):
    _make(tmp_path, n_subjects=1)
    planes = _rows(tmp_path / "truth" / "planes.csv")
    for view in ("sax", "2ch", "4ch"):
        rows = [row for row in planes if row["view"] == view]
        image = nibabel.load(tmp_path / "truth" / "labels" / "SYN-0001" / f"{view}_ed.nii.gz")
        assert image.shape == (SMALL.columns, SMALL.rows, len(rows))
        for level, row in enumerate(rows):
            plane = ImagePlane.from_attributes(
                [row[f"image_position_patient_{axis}"] for axis in "xyz"],
                [row[f"image_orientation_patient_{place}"] for place in range(1, 7)],
                [row["row_spacing_mm"], row["column_spacing_mm"]],
                rows=int(row["rows"]),
                columns=int(row["columns"]),
            )
            point_ras = image.affine @ [20, 30, level, 1]
            np.testing.assert_allclose(point_ras[:3] * [-1, -1, 1], plane.pixel_to_patient([20, 30]), atol=1e-3)
        itk = SimpleITK.ReadImage(tmp_path / "truth" / "labels" / "SYN-0001" / f"{view}_ed.nii.gz")
        np.testing.assert_allclose(itk.GetOrigin(), [float(rows[0][f"image_position_patient_{axis}"]) for axis in "xyz"], atol=1e-3)


def test_truth_planes_are_those_in_the_headers(tmp_path):
    _make(tmp_path, n_subjects=1)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in (tmp_path / "dicom").rglob("*.dcm")]
    found = {tuple(round(float(value), 4) for value in header.ImagePositionPatient) for header in headers}
    planes = _rows(tmp_path / "truth" / "planes.csv")
    assert {tuple(round(float(row[f"image_position_patient_{axis}"]), 4) for axis in "xyz") for row in planes} <= found


def test_the_subjects_table_tells_volumes_and_frames(tmp_path):
    options = _make(tmp_path, protocol=replace(SMALL, n_frames=20))
    for index, row in enumerate(_rows(tmp_path / "truth" / "subjects.csv")):
        examination = make_examination(options, index)
        assert float(row["edv_ml"]) == pytest.approx(examination.subject.heart.edv_ml, abs=1e-3)
        assert float(row["ef"]) == pytest.approx(1 - float(row["esv_ml"]) / float(row["edv_ml"]), abs=1e-4)
        assert row["ed_frame"] == "1"
        assert (int(row["es_frame"]) - 1) / 20 == pytest.approx(examination.subject.cycle.es_fraction, abs=0.026)


def test_cvi42_contours_enclose_the_cavity_of_the_image_that_they_name(tmp_path):
    _make(tmp_path, n_subjects=1)
    files = list((tmp_path / "dicom").rglob("*.dcm"))
    uids = {str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in files}
    root = ET.parse(tmp_path / "truth" / "cvi42" / "SYN-0001.cvi42wsx").getroot()  # noqa: S314  # our own file
    key = "{http://www.circlecvi.com/cvi42/Workspace/Hash/}key"
    images = [item for item in root.iter() if item.get(key) in uids]
    assert images
    labels = np.asarray(nibabel.load(tmp_path / "truth" / "labels" / "SYN-0001" / "sax_ed.nii.gz").dataobj)
    areas = []
    for item in root.iter():
        if item.get(key) == "saendocardialContour":
            points = [(float(point[0].text) / 4, float(point[1].text) / 4) for point in next(iter(item))]
            x, y = np.array(points).T
            areas.append(0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))))
    counts = [(labels[:, :, level] == Structure.LV).sum() for level in range(labels.shape[2])]
    assert min(abs(area - max(counts)) for area in areas) < 0.15 * max(counts)


@pytest.mark.parametrize("quirk", list(Quirk), ids=str)
def test_every_quirk_changes_the_files_and_leaves_the_truth(tmp_path, quirk):
    for name, quirks in (("clean", ()), ("quirk", (quirk,))):
        _make(tmp_path / name, n_subjects=1, quirks=quirks)
    assert _digests(tmp_path / "clean" / "dicom") != _digests(tmp_path / "quirk" / "dicom")
    assert _digests(tmp_path / "clean" / "truth" / "labels") == _digests(tmp_path / "quirk" / "truth" / "labels")
    planes = [(tmp_path / name / "truth" / "planes.csv").read_text() for name in ("clean", "quirk")]
    assert planes[0] == planes[1]


def test_a_series_that_was_cut_off_still_promises_all_its_frames(tmp_path):
    _make(tmp_path, n_subjects=1, quirks=(Quirk.MISSING_FRAMES,))
    (folder,) = (tmp_path / "dicom").rglob("*SAX_b2")
    files = list(folder.iterdir())
    assert len(files) == SMALL.n_frames - 1
    assert {int(pydicom.dcmread(path, stop_before_pixels=True).CardiacNumberOfImages) for path in files} == {SMALL.n_frames}


def test_prescriptions_differ_between_slices_by_breath_and_between_subjects_by_plan():
    first, second = (make_examination(CohortOptions(), index) for index in (0, 1))
    breaths = {tuple(one.breath_mm) for one in first.prescriptions}
    assert len(breaths) == len(first.prescriptions)
    normals = [one.slices(CardiacView.SAX)[0].plane.normal for one in (first, second)]
    assert 0.5 < np.degrees(np.arccos(np.clip(abs(normals[0] @ normals[1]), 0, 1))) < 40


def test_folder_exists_for_each_subject_only(tmp_path: Path):
    _make(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"dicom", "truth"}


@pytest.mark.parametrize("quirks", [(), (Quirk.MOVED,)], ids=["clean", "moved"])
def test_breath_holds_and_wrong_headers_are_in_the_truth(tmp_path, quirks):
    _make(tmp_path, n_subjects=1, quirks=quirks)
    with (tmp_path / "truth" / "breath.csv").open() as file:
        rows = list(csv.DictReader(file))
    examination = make_examination(CohortOptions(protocol=SMALL), 0)
    read = {}
    for path in sorted((tmp_path / "dicom").rglob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        read[header.SeriesDescription] = np.array(header.ImagePositionPatient, dtype=float)
    assert len(rows) == len(examination.prescriptions)
    off = set()
    for row, prescription in zip(rows, examination.prescriptions, strict=True):
        breath, error = (np.array([float(row[f"{what}_{axis}_mm"]) for axis in "xyz"]) for what in ("breath", "header"))
        assert (row["view"], int(row["slice"])) == (prescription.view.value, max(prescription.slice_number - 1, 0))
        np.testing.assert_allclose(breath, prescription.breath_mm, atol=1e-6)
        np.testing.assert_allclose(read[prescription.description] - prescription.plane.position_mm, error, atol=1e-4)
        if error.any():
            off.add(row["view"])
            assert 6 <= np.linalg.norm(error) <= 15
    assert len(off) == len(quirks)
