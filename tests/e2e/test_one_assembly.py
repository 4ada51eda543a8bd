"""DICOM and NIfTI files of the same heart end the same way: one assembly makes the record, whatever the source."""

from pathlib import Path

import numpy as np
import pytest

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import TARGET_VIEWS, CardiacView
from tests.helpers.cohorts import SMALL_BOXES, run, write_folders
from tests.helpers.labels import save_nifti

NAMES = {CardiacView.SAX: "sa", CardiacView.TWO_CHAMBER: "la_2ch", CardiacView.FOUR_CHAMBER: "la_4ch"}


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a catalogue of all frames of two subjects, made from DICOM."""
    folder = tmp_path_factory.mktemp("one")
    out = folder / "out.h5"
    assert run("extract", write_folders(folder / "dicom", 2), out, "--workers", 1, "--phases", "all", *SMALL_BOXES).exit_code == 0
    return out


def write_set(folder: Path, dicom: Path, views: tuple[CardiacView, ...]) -> Path:
    """Write the images of a catalogue as a public set would have them: one cine per view."""
    with Catalogue(dicom) as catalogue:
        for view in views:
            attributes = catalogue.view_attributes("SYN-0001", view)
            phases, slices = attributes.shape[:2]
            images = np.stack(
                [[catalogue.image("SYN-0001", view, phase, index) for phase in range(phases)] for index in range(slices)]
            )
            save_nifti(folder / "SYN-0001" / f"{NAMES[view]}.nii.gz", np.moveaxis(images, 1, -1), attributes.planes)
    return folder


def extract_set(folder: Path, out: Path, *options: object) -> Path:
    assert run("extract", "--nifti", folder, out, "--workers", 1, *SMALL_BOXES, *options).exit_code in (0, 3)
    return out


def found(path: Path) -> set[tuple[str, str]]:
    with Catalogue(path) as catalogue:
        return {(finding.view, finding.code.value) for finding in (*catalogue.rejections(), *catalogue.notes())}


def test_the_same_images_give_the_same_boxes_frames_and_agreement(dicom: Path, tmp_path: Path) -> None:
    whole = tmp_path / "dicom.h5"
    assert run("extract", dicom.parent / "dicom", whole, "--workers", 1, *SMALL_BOXES).exit_code == 0
    nifti = extract_set(write_set(tmp_path / "set", dicom, TARGET_VIEWS), tmp_path / "nifti.h5")
    with Catalogue(whole) as first, Catalogue(nifti) as second:
        for view in TARGET_VIEWS:
            one, other = first.view_attributes("SYN-0001", view), second.view_attributes("SYN-0001", view)
            assert (one.shape, one.phases) == (other.shape, other.phases)
            np.testing.assert_array_equal(one.frame_numbers, other.frame_numbers)
            np.testing.assert_allclose(one.boxes.centres_px, other.boxes.centres_px, atol=1e-3)
            np.testing.assert_allclose(one.line_agreement, other.line_agreement, atol=1e-3)
            assert np.isfinite(other.line_agreement).any()


def test_images_that_disagree_are_rejected_from_either_source(dicom: Path, tmp_path: Path) -> None:
    whole = tmp_path / "dicom.h5"
    run("extract", dicom.parent / "dicom", whole, "--workers", 1, *SMALL_BOXES, "--min-agreement", 1)
    nifti = extract_set(write_set(tmp_path / "set", dicom, TARGET_VIEWS), tmp_path / "nifti.h5", "--min-agreement", 1)
    expected = {(view.value, "low_agreement") for view in TARGET_VIEWS}
    assert expected <= found(whole)
    assert expected <= found(nifti)
    with Catalogue(nifti) as catalogue:
        assert len(catalogue.index()) == 0


def test_a_short_axis_alone_is_kept_with_the_reason_why_it_has_no_positions(dicom: Path, tmp_path: Path) -> None:
    out = extract_set(write_set(tmp_path / "set", dicom, (CardiacView.SAX,)), tmp_path / "out.h5")
    assert found(out) == {("sax", "no_positions"), ("2ch", "no_2ch"), ("4ch", "no_4ch")}
    with Catalogue(out) as catalogue:
        (note,) = catalogue.notes()
        assert "positions on SAX need the 4Ch plane: no 4Ch image among 1 NIfTI images" in note.sentence


def test_a_set_without_any_view_names_each(tmp_path: Path, dicom: Path) -> None:
    out = extract_set(write_set(tmp_path / "set", dicom, (CardiacView.FOUR_CHAMBER,)), tmp_path / "out.h5", "--views", "sax,2ch")
    assert found(out) == {("sax", "no_sax"), ("2ch", "no_2ch")}
