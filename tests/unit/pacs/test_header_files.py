"""Headers made from DICOM JSON say what the headers of the files say."""

import io
from dataclasses import fields

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from cmr_planes.dicom.frames import FrameHeader
from cmr_planes.dicom.headers import read_headers
from cmr_planes.geometry import ImagePlane
from cmr_planes.pacs.header_files import header_file, n_pixel_bytes
from cmr_planes.phantom.dicom_model import Vendor
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.enhanced_writer import write_enhanced
from tests.helpers.cohorts import small_study

OTHER = {"file", "plane"}
"""What is compared otherwise, or not at all."""


def as_json(data: bytes) -> dict:
    dataset = pydicom.dcmread(io.BytesIO(data))
    del dataset.PixelData
    return dataset.to_json_dict()


def frames(folder, name: str, data: bytes) -> tuple[FrameHeader, ...]:
    (folder / name).write_bytes(data)
    scan = read_headers([folder / name])
    assert scan.unreadable == ()
    return scan.frames


@pytest.mark.parametrize("vendor", [*Vendor])
@pytest.mark.parametrize("is_enhanced", [False, True])
def test_headers_from_json_are_read_as_those_of_files(tmp_path, vendor, is_enhanced):
    study = small_study(vendor=vendor, overrides={"SeriesDescription": "Kurzachse ü 短軸", "SpecificCharacterSet": "ISO_IR 192"})
    for series in study.series.values():
        data = write_enhanced(study.study, [series]).data if is_enhanced else write_cine(study.study, series)[3].data
        from_file = frames(tmp_path, "file", data)
        from_json = frames(tmp_path, "json", header_file(as_json(data)))
        assert len(from_file) == len(from_json) == (8 if is_enhanced else 1)
        for ours, theirs in zip(from_json, from_file, strict=True):
            for each in fields(FrameHeader):
                if each.name not in OTHER:
                    assert getattr(ours, each.name) == getattr(theirs, each.name), each.name
            assert_same_plane(ours.plane, theirs.plane)


def assert_same_plane(ours: ImagePlane, theirs: ImagePlane) -> None:
    """Not a bit differs."""
    for each in fields(ImagePlane):
        assert np.array_equal(getattr(ours, each.name), getattr(theirs, each.name)), each.name


def test_nothing_else_is_kept():
    dataset = Dataset()
    dataset.PatientName = "Doe^Jane"
    dataset.PatientID = "9000001"
    dataset.AccessionNumber = "77"
    dataset.Rows, dataset.Columns = 3, 4
    made = pydicom.dcmread(io.BytesIO(header_file(dataset.to_json_dict())))
    assert [element.keyword for element in made] == [
        "SpecificCharacterSet",
        "PatientID",
        "Rows",
        "Columns",
        "DataSetTrailingPadding",
    ]


@pytest.mark.parametrize(
    "element",
    [{}, {"vr": "DS"}, {"vr": "DS", "Value": ["1,5"]}, {"vr": "DS", "Value": [{"a": 1}]}, {"vr": "ZZ", "Value": [1]}, {"vr": "SQ", "Value": 3},
     {"vr": "DS", "BulkDataURI": "http://elsewhere/x"}, {"vr": "DS", "InlineBinary": "AA=="}, "text", None, {"Value": ["1"], "vr": "US"}],
)  # fmt: skip
def test_elements_that_cannot_be_read_are_left_out(element):
    made = pydicom.dcmread(io.BytesIO(header_file({"00181060": element, "00280010": {"vr": "US", "Value": [7]}})))
    assert made.Rows == 7


def test_the_size_of_pixels():
    dataset = Dataset()
    assert n_pixel_bytes(dataset.to_json_dict()) == 0
    dataset.Rows, dataset.Columns, dataset.BitsAllocated = 10, 20, 16
    assert n_pixel_bytes(dataset.to_json_dict()) == 400
    dataset.NumberOfFrames = 3
    assert n_pixel_bytes(dataset.to_json_dict()) == 1200
    assert n_pixel_bytes({"00280010": {"Value": ["many"]}}) == 0
