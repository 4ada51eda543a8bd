"""Patient and study of an instance: from files and zips, as the header states them, whatever the standard says."""

import zipfile
from pathlib import Path

import pydicom
import pytest

from cmr_planes.dicom.frames import FileRef
from cmr_planes.dicom.study_header import read_study_header
from cmr_planes.errors import UnreadableFileError
from tests.helpers.dicom_objects import IDENTITY, make_study, write_stack


def changed(folder: Path, **values: str) -> Path:
    """Write an image whose elements hold what no software would write."""
    path = write_stack(folder, make_study(), "stack")[0]
    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        dataset[keyword] = pydicom.dataelem.DataElement(keyword, "LO", value, validation_mode=0)
    dataset.save_as(path)
    return path


@pytest.mark.parametrize("layout", ["stack", "enhanced"])
def test_patient_and_study_are_read_and_nothing_else(tmp_path: Path, layout: str) -> None:
    path = write_stack(tmp_path, make_study(), layout)[0]
    header = read_study_header(FileRef(path))
    assert {keyword: str(header[keyword].value) for keyword in IDENTITY} == IDENTITY
    assert {element.keyword for element in header} - set(IDENTITY) <= {"PatientSex", "StudyInstanceUID", "LossyImageCompression"}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(path, "x.dcm")
    assert read_study_header(FileRef(tmp_path / "a.zip", "x.dcm")) == header


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_values_that_break_the_standard_stay_and_numbers_that_are_none_go(tmp_path: Path) -> None:
    path = changed(tmp_path, PatientBirthDate="about 1950", LossyImageCompressionRatio="eight", StudyInstanceUID="1.02.x")
    header = read_study_header(FileRef(path))
    assert (str(header.PatientBirthDate), str(header.StudyInstanceUID)) == ("about 1950", "1.02.x")
    assert "LossyImageCompressionRatio" not in header


def test_a_file_that_is_gone_ends_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="cannot be opened"):
        read_study_header(FileRef(tmp_path / "missing"))
