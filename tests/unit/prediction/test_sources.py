"""What is to be segmented: a catalogue, DICOM, or NIfTI with other files beside it."""

import nibabel
import numpy as np
import pytest

from cmr_planes.errors import SourceError
from cmr_planes.system.progress import ignore_progress
from cmr_planes.views import CardiacView, PhaseChoice
from cmr_train.prediction.sources import opened_sources


def opened(source, folder):
    return opened_sources(source, CardiacView.SAX, PhaseChoice.ED_ES, folder, ignore_progress)


@pytest.fixture
def acdc(tmp_path):
    """A subject as ACDC has it, with a text beside its images."""
    folder = tmp_path / "training" / "patient001"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for frame in (1, 8):
        image = nibabel.Nifti1Image(rng.integers(0, 500, (40, 36, 5), dtype=np.int16), np.diag([1.5, 1.5, 9, 1]))
        nibabel.save(image, folder / f"patient001_frame{frame:02d}.nii.gz")
    (folder / "Info.cfg").write_text("ED: 1\nES: 8\n")
    return folder.parent


@pytest.mark.posix
@pytest.mark.parametrize("is_linked", [False, True])
def test_nifti_images_with_a_text_beside_them_are_read(tmp_path, acdc, is_linked):
    source = acdc
    if is_linked:
        source = tmp_path / "links"
        source.mkdir()
        (source / "patient001").symlink_to(acdc / "patient001")
    with opened(source, tmp_path / "out") as catalogue:
        assert list(dict.fromkeys(catalogue.index(CardiacView.SAX).subject(row) for row in range(10))) == ["patient001"]
        assert catalogue.view_attributes("patient001", "sax").shape == (2, 5, 36, 40)
    assert not list((tmp_path / "out").iterdir())


def test_texts_alone_are_left_out_as_unreadable(tmp_path):
    (tmp_path / "scans" / "p1").mkdir(parents=True)
    (tmp_path / "scans" / "p1" / "Info.cfg").write_text("ED: 1\n")
    with opened(tmp_path / "scans", tmp_path / "out") as catalogue:
        assert [rejection.code for rejection in catalogue.rejections()] == ["unreadable_source"]


def test_an_empty_folder_is_refused_as_one_without_dicom(tmp_path):
    (tmp_path / "scans").mkdir()
    with pytest.raises(SourceError, match="no DICOM files and no zips"), opened(tmp_path / "scans", tmp_path / "out"):
        pass
