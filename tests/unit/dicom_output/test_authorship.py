"""A file of this software is distinguished from any other, and from one that was changed."""

import hashlib
import io

import numpy as np
import pydicom
import pytest

from cmr_planes.dicom_output.authorship import Authorship, authorship
from cmr_planes.dicom_output.segmentation import make_segmentations
from cmr_planes.views import Structure
from tests.helpers.dicom_objects import NETWORK, make_study, source_images


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> bytes:
    images = source_images(tmp_path_factory.mktemp("images"), make_study(n_slices=1, n_frames=1), "series")
    (made,) = make_segmentations(images, np.zeros((1, 1, 60, 52), np.uint8), (Structure.LV,), NETWORK)
    return made.encode()


def author(file: bytes) -> Authorship:
    return authorship(io.BytesIO(file))


def test_a_file_as_it_was_made_is_known_again(file):
    assert author(file) is Authorship.OURS
    assert hashlib.sha256(file[128:]).hexdigest().encode() in file[:128]  # sha256sum says the same of what follows


def test_the_file_is_dicom_for_others(file):
    assert pydicom.dcmread(io.BytesIO(file)).Modality == "SEG"


@pytest.mark.parametrize("where", [20, 100, 130, 400, -1])
def test_a_changed_byte_is_noticed(file, where):
    changed = bytearray(file)
    changed[where] ^= 1
    assert author(bytes(changed)) is Authorship.CHANGED


def test_a_part_of_a_file_and_an_edited_one_are_noticed(file):
    edited = io.BytesIO()
    dataset = pydicom.dcmread(io.BytesIO(file))
    dataset.PatientName = "Other^Name"
    dataset.save_as(edited)  # keeps the preamble
    for other in (file[:-100], file[:128], file + b"\0", edited.getvalue()):
        assert author(other) is Authorship.CHANGED


def test_others_files_are_not_read_beyond_the_preamble(file):
    for other in (b"", file[:10], bytes(128) + file[128:], b"\0" + file):
        stream = io.BytesIO(other)
        assert authorship(stream) is Authorship.FOREIGN
        assert stream.tell() <= 128
