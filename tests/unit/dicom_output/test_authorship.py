"""A file of this software is told from any other, and from one that was changed."""

import hashlib
import io

import numpy as np
import pydicom
import pytest

from cmr_planes.dicom_output.authorship import is_signed
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.views import Structure
from tests.helpers.dicom_objects import NETWORK, make_study, source_images


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> bytes:
    images = source_images(tmp_path_factory.mktemp("images"), make_study(n_slices=1, n_frames=1), "series")
    (made,) = make_segmentations(images, np.zeros((1, 1, 60, 52), np.uint8), (Structure.LV,), NETWORK)
    return made.encode()


def test_a_file_as_it_was_made_is_known_again(file):
    assert is_signed(file)
    assert hashlib.sha256(file[128:]).hexdigest().encode() in file[:128]  # sha256sum says the same of what follows


def test_the_file_is_dicom_for_others(file):
    assert pydicom.dcmread(io.BytesIO(file)).Modality == "SEG"


@pytest.mark.parametrize("where", [0, 20, 130, 400, -1])
def test_a_changed_byte_is_noticed(file, where):
    changed = bytearray(file)
    changed[where] ^= 1
    assert not is_signed(bytes(changed))


def test_a_part_of_a_file_or_another_programs_copy_is_not_taken_for_it(file):
    copy = io.BytesIO()
    dataset = pydicom.dcmread(io.BytesIO(file))
    dataset.PatientName = "Other^Name"
    dataset.save_as(copy)  # keeps the preamble
    for other in (file[:-100], file[:128], b"", bytes(128) + file[128:], copy.getvalue()):
        assert not is_signed(other)
