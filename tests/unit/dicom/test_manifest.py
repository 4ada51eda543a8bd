"""UK Biobank's manifest with its known defects, compared with the headers."""

import zipfile
from pathlib import Path

import pytest

from cmr_planes.dicom.manifest import ManifestRow, is_manifest, parse_manifest
from cmr_planes.discovery.subjects import find_subjects
from cmr_planes.errors import NoteCode
from cmr_planes.phantom.dicom_model import DicomFile
from cmr_planes.phantom.small_study import encode_study, simple_study
from tests.helpers.headers import read_subject

HEADER = "filename,patientid,date,modality,seriesid,series discription"
US_DATE = "Aug 30, 2015 9:12:33 AM"
UK_DATE = "30-Aug-2015 09:12:33"


def files_of_a_study() -> list[DicomFile]:
    return encode_study(simple_study(n_slices=1, n_frames=2, rows=8, columns=8, views=("2ch", "4ch")))


def rows_for(files: list[DicomFile], *, date: str = US_DATE) -> list[str]:
    return [f"{file.sop_instance_uid}.dcm,SECRET,{date},MR,2,{file.series_description}" for file in files]


def notes_for(
    tmp_path: Path, files: list[DicomFile], rows: list[str], *, name: str = "manifest.cvs", header: str = HEADER
) -> tuple[str, ...]:
    path = tmp_path / "9000001_20208_2_0.zip"
    with zipfile.ZipFile(path, "w") as target:
        for file in files:
            target.writestr(f"{file.sop_instance_uid}.dcm", file.data)
        target.writestr(name, "\n".join([header, *rows]) + "\n")
    (subject,) = find_subjects([path])
    scan = read_subject(subject)
    assert len(scan.frames) == len(files)
    assert scan.unreadable == ()
    assert {(finding.view, finding.code) for finding in scan.notes} <= {("", NoteCode.MANIFEST)}
    return tuple(finding.sentence for finding in scan.notes)


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.cvs", "9000001_manifest.cvs", "sub/Manifest.CSV"])
@pytest.mark.parametrize("date", [US_DATE, UK_DATE, "2015-08-30", ""])
def test_a_manifest_that_agrees_is_not_mentioned(tmp_path: Path, name: str, date: str) -> None:
    files = files_of_a_study()
    assert notes_for(tmp_path, files, rows_for(files, date=date), name=name) == ()


def test_files_that_are_listed_and_missing_or_there_and_not_listed(tmp_path: Path) -> None:
    files = files_of_a_study()
    rows = [*rows_for(files)[1:], f"2.25.999.dcm,SECRET,{US_DATE},MR,2,CINE"]
    assert notes_for(tmp_path, files, rows) == (
        "the manifest lists 4 files, 1 of which is not in the zip; headers were followed",
        "1 of 4 files in the zip is not in the manifest; headers were followed",
    )


def test_other_series_names(tmp_path: Path) -> None:
    files = files_of_a_study()
    rows = [row.replace("LAX_2Ch", "LAX_3Ch") for row in rows_for(files)]
    assert notes_for(tmp_path, files, rows) == (
        "the manifest names another series than the header for 2 of 4 files; headers were followed",
    )


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("filename,patientid,studyid,study date,modality,aet,uncompressed size (in bytes))", "{uid}.dcm,SECRET,1,{date},MR,X,100"),
        ("filename,date,series description", "{uid}.dcm,{date},{series}"),
        ('"filename","date","series discription"', '"{uid}.dcm","{date}","{series}"'),
    ],
    ids=["early version", "fewer columns", "quoted"],
)
def test_other_columns(tmp_path: Path, header: str, row: str) -> None:
    files = files_of_a_study()
    rows = [row.format(uid=file.sop_instance_uid, date=US_DATE, series=file.series_description) for file in files]
    assert notes_for(tmp_path, files, rows, header=header) == ()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n\n",
        b"no such column\n1,2,3\n",
        b"\xff\xfe\x00\x01garbage\n\x00",
        b"filename,date,series discription\n,,\n1.dcm\n",
        b"\xef\xbb\xbffilename\n" + b"," * 1000,
    ],
)
def test_a_manifest_that_cannot_be_used_is_no_fault(raw: bytes) -> None:
    assert all(isinstance(row, ManifestRow) for row in parse_manifest(raw))


def test_no_sentence_holds_what_the_manifest_says(tmp_path: Path) -> None:
    files = files_of_a_study()
    rows = [row.replace("LAX", "SECRET_SERIES") for row in rows_for(files)[1:]] + [f"SECRET.dcm,SECRET,{US_DATE},MR,2,SECRET"]
    notes = notes_for(tmp_path, files, rows)
    assert len(notes) == 3
    assert "SECRET" not in repr(notes)


@pytest.mark.parametrize(("name", "expected"), [("a/manifest.csv", True), ("x_manifest.cvs", True), ("manifest.txt", False)])
def test_names_of_manifests(name: str, expected: bool) -> None:
    assert is_manifest(name) is expected
