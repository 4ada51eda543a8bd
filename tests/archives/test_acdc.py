"""The training set of ACDC, where it is at hand: ``../shared/acdc`` beside the checkout. It is never part of the repository."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.cohorts import run
from tests.helpers.labels import LV, RV
from tests.helpers.public_sets import REAL_ACDC, unpack_real_acdc

SAX = CardiacView.SAX
SUBJECTS = ("patient001", "patient002")
LV_EDV_ML = 295.5
"""Of patient001, from its labels and pixdim."""

pytestmark = pytest.mark.skipif(not REAL_ACDC.is_dir(), reason="the training set of ACDC is not at hand")


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack_real_acdc(tmp_path_factory.mktemp("acdc"))


@pytest.fixture(scope="module")
def out(training: Path) -> Path:
    path = training.parent / "acdc.h5"
    result = run("extract", "--nifti", training, path, "--workers", 1, "--views", "sax")
    assert result.exit_code == 0, result.output
    return path


@pytest.mark.parametrize("key", [*SUBJECTS, "patient090"])
def test_millimetres_are_those_of_pixdim(training: Path, out: Path, key: str) -> None:
    zooms = nibabel.load(sorted((training / key).glob("*.nii.gz"))[0]).header.get_zooms()
    with Catalogue(out) as catalogue:
        planes = catalogue.view_attributes(key, SAX).planes
    assert {(plane.row_spacing_mm, plane.column_spacing_mm) for plane in planes} == {(float(zooms[1]), float(zooms[0]))}
    distance = np.linalg.norm(planes[1].position_mm - planes[0].position_mm)
    assert distance == pytest.approx(zooms[2])


@pytest.mark.parametrize("key", SUBJECTS)
def test_slices_run_from_base_to_apex_as_in_the_files(training: Path, out: Path, key: str) -> None:
    path = sorted((training / key).glob("*_gt.nii.gz"))[0]
    given = np.asanyarray(nibabel.load(path).dataobj).transpose(2, 1, 0)
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes(key, SAX)
        labels = np.stack([catalogue.labels(key, SAX, 0, index) for index in range(attributes.shape[1])])
    np.testing.assert_array_equal(labels == RV, given == 1)
    half = len(labels) // 2
    assert (labels[:half] == RV).sum() > (labels[-half:] == RV).sum()
    assert attributes.source_order == tuple(range(len(labels)))
    assert not attributes.has_directions


def test_the_volume_of_a_left_ventricle_is_in_millilitres(out: Path) -> None:
    with Catalogue(out) as catalogue:
        planes = catalogue.view_attributes("patient001", SAX).planes
        pixels = sum((catalogue.labels("patient001", SAX, 0, index) == LV).sum() for index in range(len(planes)))
    pixel_mm2 = planes[0].row_spacing_mm * planes[0].column_spacing_mm
    distance_mm = np.linalg.norm(planes[1].position_mm - planes[0].position_mm)
    assert pixels * pixel_mm2 * distance_mm / 1000 == pytest.approx(LV_EDV_ML, abs=0.06)


def test_a_whole_cine_has_the_frames_that_readers_chose(out: Path) -> None:
    with Catalogue(out) as catalogue:
        attributes = catalogue.view_attributes("patient090", SAX)
    assert (attributes.phases, attributes.frame_numbers[:, 0].tolist()) == (("ed", "es"), [4, 11])


def test_labels_are_said_to_lie_on_their_images(out: Path) -> None:
    with Catalogue(out) as catalogue:
        found = {note.code.value for note in catalogue.notes() if note.subject in SUBJECTS}
    assert found == {"nifti_geometry", "no_directions", "no_positions"}
