"""What is read from headers, compared with pydicom's own reader."""

import io
import logging
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from cmr_planes.dicom import archive
from cmr_planes.dicom.frames import FrameHeader, Repair
from cmr_planes.dicom.headers import HeaderScan
from cmr_planes.dicom.values import decimal_number, integer
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import RejectionCode
from cmr_planes.phantom.dicom_model import CineSeries, DicomStudy, TransferSyntax, Vendor
from cmr_planes.phantom.dicom_writer import write_cine
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import SimpleStudy, encode_study, simple_study
from tests.helpers.headers import read_subject

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="the real scans are not here")
ENCODINGS = [pytest.param(syntax, id=syntax.name) for syntax in TransferSyntax]


def subject_of(*paths: Path) -> SubjectSource:
    return SubjectSource(key="S", participant="S", paths=paths, root=paths[0].parent)


def write_zip(path: Path, members: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive_file:
        for name, data in members.items():
            archive_file.writestr(name, data)
    return path


def tiny(**changes: object) -> SimpleStudy:
    return simple_study(**{"n_slices": 1, "n_frames": 2, "rows": 32, "columns": 36, "views": ("sax", "4ch"), **changes})  # type: ignore[arg-type]


def scan_of(tmp_path: Path, datas: Iterable[bytes]) -> HeaderScan:
    folder = tmp_path / "files"
    folder.mkdir(parents=True)
    for index, data in enumerate(datas):
        (folder / f"{index:04d}").write_bytes(data)
    return read_subject(subject_of(folder))


def one_frame(tmp_path: Path, data: bytes) -> FrameHeader:
    (frame,) = scan_of(tmp_path, [data]).frames
    return frame


def first_file(**overrides: object) -> bytes:
    study = tiny(overrides=overrides)
    return encode_study(study)[0].data


def bare(dataset: Dataset, *, implicit: bool = False, little: bool = True) -> bytes:
    """Encode a dataset without preamble and file meta information."""
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=implicit, little_endian=little, enforce_file_format=False)
    return stream.getvalue()


def without_meta(data: bytes) -> Dataset:
    dataset = pydicom.dcmread(io.BytesIO(data))
    plain = Dataset()
    for element in dataset:
        plain[element.tag] = element
    return plain


def assert_like_pydicom(frame: FrameHeader, dataset: Dataset) -> None:
    """Compare every value of a single-frame header with what pydicom makes of it."""

    def number(keyword: str) -> float | None:
        value = dataset.get(keyword)
        return None if value in (None, "") else float(value)

    def word(keyword: str) -> str:
        value = dataset.get(keyword)
        return "" if value is None else str(value)

    assert frame.sop_class_uid == word("SOPClassUID")
    assert frame.modality == word("Modality")
    assert list(frame.image_type) == list(dataset.get("ImageType", []))
    assert frame.study_uid == word("StudyInstanceUID")
    assert frame.series_uid == word("SeriesInstanceUID")
    assert frame.frame_of_reference_uid == word("FrameOfReferenceUID")
    assert frame.series_number == number("SeriesNumber")
    assert frame.series_description == word("SeriesDescription")
    assert frame.protocol_name == word("ProtocolName")
    assert frame.sequence_name == word("SequenceName")
    assert frame.manufacturer == word("Manufacturer")
    assert frame.field_strength_t == number("MagneticFieldStrength")
    assert frame.instance_number == number("InstanceNumber")
    assert frame.acquired_at == word("AcquisitionDate") + word("AcquisitionTime")
    assert frame.content_at == word("ContentDate") + word("ContentTime")
    options = dataset.get("ScanOptions") or []
    assert list(frame.scan_options) == ([options] if isinstance(options, str) else list(options))
    assert frame.samples_per_pixel == number("SamplesPerPixel")
    assert frame.complex_component == word("ComplexImageComponent")
    assert frame.echo_time_ms == number("EchoTime")
    assert frame.inversion_time_ms == number("InversionTime")
    assert frame.acquisition_number == number("AcquisitionNumber")
    assert frame.heart_rate_bpm == number("HeartRate")
    assert frame.cycle_percentage == number("NominalPercentageOfCardiacPhase")
    assert frame.trigger_time_ms == number("TriggerTime")
    assert frame.temporal_position == number("TemporalPositionIdentifier")
    assert frame.nominal_interval_ms == number("NominalInterval")
    assert frame.cardiac_number_of_images == number("CardiacNumberOfImages")
    assert frame.slice_thickness_mm == number("SliceThickness")
    assert frame.spacing_between_slices_mm == number("SpacingBetweenSlices")
    assert frame.plane is not None
    assert frame.defect is None
    np.testing.assert_array_equal(frame.plane.position_mm, np.array(dataset.ImagePositionPatient, float))
    np.testing.assert_array_equal(frame.plane.row_cosine, np.array(dataset.ImageOrientationPatient, float)[:3])
    np.testing.assert_array_equal(frame.plane.column_cosine, np.array(dataset.ImageOrientationPatient, float)[3:])
    assert [frame.plane.row_spacing_mm, frame.plane.column_spacing_mm] == [float(value) for value in dataset.PixelSpacing]
    assert (frame.plane.rows, frame.plane.columns) == (dataset.Rows, dataset.Columns)


# what is read


@pytest.mark.parametrize("vendor", [pytest.param(vendor, id=vendor.name) for vendor in Vendor])
@pytest.mark.parametrize("syntax", ENCODINGS)
def test_headers_equal_pydicoms_in_every_encoding(tmp_path: Path, syntax: TransferSyntax, vendor: Vendor) -> None:
    datas = [file.data for file in encode_study(tiny(vendor=vendor, private_bytes=20_000), transfer_syntax=syntax)]
    scan = scan_of(tmp_path, datas)
    assert (scan.n_files, scan.unreadable, scan.notes) == (4, (), ())
    for frame, data in zip(scan.frames, datas, strict=True):
        assert_like_pydicom(frame, pydicom.dcmread(io.BytesIO(data)))
        assert (frame.frame_index, frame.n_frames, frame.rescale) == (0, 1, (1.0, 0.0))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_says_what_its_folder_says(tmp_path: Path, compression: int) -> None:
    files = encode_study(tiny(private_bytes=20_000))
    members = {f"{file.sop_instance_uid}.dcm": file.data for file in files}
    for name, data in members.items():
        (tmp_path / "folder").mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(data)
    zipped = read_subject(subject_of(write_zip(tmp_path / "a.zip", members, compression=compression))).frames
    loose = read_subject(subject_of(tmp_path / "folder")).frames
    assert [frame.file.member for frame in zipped] == [frame.file.path.name for frame in loose] == sorted(members)
    assert [frame.trigger_time_ms for frame in zipped] == [frame.trigger_time_ms for frame in loose]


def test_two_zips_are_read_in_their_order(tmp_path: Path) -> None:
    files = encode_study(tiny())
    paths = [write_zip(tmp_path / f"{index}.zip", {"x.dcm": files[index].data}) for index in (1, 0)]
    assert [frame.file.path for frame in read_subject(subject_of(*paths)).frames] == paths


def test_only_the_wanted_members_of_a_zip_are_read(tmp_path: Path) -> None:
    members = {f"{name}/{index}": file.data for name in "AB" for index, file in enumerate(encode_study(tiny(name=name)))}
    path = write_zip(tmp_path / "two.zip", members)
    wanted = tuple(name for name in members if name.startswith("B/"))
    scan = read_subject(replace(subject_of(path), members=wanted))
    assert {frame.file.member for frame in scan.frames} == set(wanted)
    assert scan.n_files == len(wanted)


def test_frames_of_one_place_share_their_plane(tmp_path: Path) -> None:
    frames = scan_of(tmp_path, [file.data for file in encode_study(tiny(n_frames=5))]).frames
    assert len({id(frame.plane) for frame in frames}) == 2


def test_headers_survive_pickling(tmp_path: Path) -> None:
    scan = scan_of(tmp_path, [first_file(), first_file(ImagePositionPatient=None)])
    copy = pickle.loads(pickle.dumps(scan))  # noqa: S301  # our own bytes
    assert copy.frames[1].defect == scan.frames[1].defect
    assert copy.frames[0].trigger_time_ms == scan.frames[0].trigger_time_ms


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("little", [True, False])
def test_files_without_preamble_and_meta_information(tmp_path: Path, implicit: bool, little: bool) -> None:
    if implicit and not little:
        pytest.skip("there is no such encoding")
    dataset = without_meta(first_file())
    assert_like_pydicom(one_frame(tmp_path, bare(dataset, implicit=implicit, little=little)), dataset)


def test_files_with_meta_information_but_without_preamble(tmp_path: Path) -> None:
    data = first_file()
    assert_like_pydicom(one_frame(tmp_path, data[132:]), pydicom.dcmread(io.BytesIO(data)))


def test_a_transfer_syntax_that_lies_about_the_vr(tmp_path: Path) -> None:
    data = bytearray(first_file())
    start = data.index(b"1.2.840.10008.1.2.1\x00")
    data[start : start + 20] = b"1.2.840.10008.1.2".ljust(20, b"\x00")
    frame = one_frame(tmp_path, bytes(data))
    assert_like_pydicom(frame, pydicom.dcmread(io.BytesIO(first_file())))


def test_what_tells_a_cine_is_read(tmp_path: Path) -> None:
    overrides = {
        "ContentDate": "20200102",
        "ContentTime": "101500.25",
        "ScanOptions": "CG",
        "ComplexImageComponent": "PHASE",
        "EchoTime": "1.25",
        "InversionTime": "280",
        "AcquisitionNumber": "3",
        "HeartRate": "64",
        "NominalPercentageOfCardiacPhase": 12.5,
        "SamplesPerPixel": 1,
    }
    data = first_file(**overrides)
    frame = one_frame(tmp_path, data)
    assert frame.cycle_percentage == 12.5
    assert frame.content_at == "20200102101500.25"
    assert_like_pydicom(frame, pydicom.dcmread(io.BytesIO(data)))


def test_rescale_is_read(tmp_path: Path) -> None:
    assert one_frame(tmp_path, first_file(RescaleSlope="2.5", RescaleIntercept="-7")).rescale == (2.5, -7.0)


@pytest.mark.parametrize(
    ("overrides", "moment"),
    [
        ({}, "20200102090300.00"),
        ({"AcquisitionDateTime": "20200102101112.5"}, "20200102101112.5"),
        ({"AcquisitionDate": None}, "20200102090300.00"),
        ({"AcquisitionTime": "", "SeriesTime": "081500"}, "20200102081500"),
        ({"AcquisitionDate": "", "AcquisitionTime": "", "SeriesDate": "", "SeriesTime": ""}, ""),
    ],
)
def test_the_moment_of_acquisition(tmp_path: Path, overrides: dict[str, object], moment: str) -> None:
    assert one_frame(tmp_path, first_file(**overrides)).acquired_at == moment


@pytest.mark.parametrize(
    ("character_set", "name"),
    [("ISO_IR 100", "Kurzachse Übersicht"), ("ISO_IR 192", "短軸 シネ"), ("GB18030", "短轴电影"), ("ISO_IR 144", "Короткая ось")],
)
def test_descriptions_in_other_character_sets(tmp_path: Path, character_set: str, name: str) -> None:
    data = first_file(SpecificCharacterSet=character_set, SeriesDescription=name)
    assert one_frame(tmp_path, data).series_description == name


@pytest.mark.parametrize("syntax", [TransferSyntax.EXPLICIT_LITTLE, TransferSyntax.IMPLICIT_LITTLE])
def test_a_damaged_character_set_costs_letters_of_names_at_most(tmp_path: Path, syntax: TransferSyntax) -> None:
    data = encode_study(tiny(), transfer_syntax=syntax)[0].data
    sound = one_frame(tmp_path / "sound", data)
    damaged = data.replace(b"ISO_IR 100", b"ISO_IR\x00100").replace(b"CINE_segmented_SAX_b1", b"CINE_segmented_\xdcAX_b1")
    frame = one_frame(tmp_path / "damaged", damaged)
    name = "CINE_segmented_ÜAX_b1"
    assert frame == replace(sound, file=frame.file, series_description=name, protocol_name=name)


def test_a_damaged_character_set_of_a_big_endian_file_is_refused(tmp_path: Path) -> None:
    data = encode_study(tiny(), transfer_syntax=TransferSyntax.EXPLICIT_BIG)[0].data.replace(b"ISO_IR 100", b"ISO_IR\x00100")
    scan = scan_of(tmp_path, [data])
    assert not scan.frames
    assert "damaged inside its header" in scan.unreadable[0].sentence


def test_an_unknown_character_set_costs_nothing_and_warns_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = first_file().replace(b"ISO_IR 100", b"ISO_IR 9X9").replace(b"CINE_segmented_SAX_b1", b"CINE_segmented_\xdcAX_b1")
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = one_frame(tmp_path, data)
    assert frame.series_description.startswith("CINE_segmented_")
    assert not caplog.records


def test_reading_leaves_pydicoms_settings_as_they_were(tmp_path: Path) -> None:
    logger = logging.getLogger("pydicom")
    before = (pydicom.config.settings.reading_validation_mode, logger.propagate, logger.disabled, list(warnings.filters))
    scan_of(tmp_path, [first_file()])
    assert (pydicom.config.settings.reading_validation_mode, logger.propagate, logger.disabled, list(warnings.filters)) == before


# how much is read


def test_nothing_beyond_the_header_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inflated: list[int] = []
    inflate = archive.MemberBytes.head

    def measured(self: archive.MemberBytes, count: int) -> bytes:
        data = inflate(self, count)
        inflated.append(len(data))
        return data

    monkeypatch.setattr(archive.MemberBytes, "head", measured)
    files = encode_study(tiny(private_bytes=90_000))
    scan = read_subject(subject_of(write_zip(tmp_path / "a.zip", {f"{index}.dcm": file.data for index, file in enumerate(files)})))
    assert len(scan.frames) == 4
    assert max(inflated) <= 8192 < 90_000 < len(files[0].data)


def test_a_long_private_group_before_the_geometry(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(first_file()))
    block = dataset.private_block(0x0019, "LONG", create=True)
    block.add_new(0x10, "OB", bytes(300_000))
    stream = io.BytesIO()
    dataset.save_as(stream)
    data = stream.getvalue()
    assert_like_pydicom(one_frame(tmp_path, data), pydicom.dcmread(io.BytesIO(data)))
    (zipped,) = read_subject(subject_of(write_zip(tmp_path / "a.zip", {"x": data}))).frames
    assert_like_pydicom(zipped, pydicom.dcmread(io.BytesIO(data)))


@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_before_the_geometry_are_passed_over(tmp_path: Path, undefined: bool) -> None:
    inner = Dataset()
    inner.ImagePositionPatient = [9, 9, 9]
    inner.Rows = 3
    dataset = pydicom.dcmread(io.BytesIO(first_file()))
    dataset.ReferencedImageSequence = [inner, inner]
    dataset["ReferencedImageSequence"].is_undefined_length = undefined
    stream = io.BytesIO()
    dataset.save_as(stream)
    assert_like_pydicom(one_frame(tmp_path, stream.getvalue()), pydicom.dcmread(io.BytesIO(first_file())))


# what is missing or wrong


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize(
    ("keyword", "tag"),
    [("ImagePositionPatient", "0020,0032"), ("ImageOrientationPatient", "0020,0037"), ("PixelSpacing", "0028,0030")],
)
def test_a_missing_place_is_named(tmp_path: Path, keyword: str, tag: str, value: object) -> None:
    frame = one_frame(tmp_path, first_file(**{keyword: value}))
    assert frame.plane is None
    assert frame.defect is not None
    assert frame.defect.code is RejectionCode.MISSING_ATTRIBUTE
    assert frame.defect.sentence.startswith(f"{keyword} ({tag}) is missing")


@pytest.mark.parametrize(
    ("overrides", "code", "text"),
    [
        ({"ImagePositionPatient": ["1", "2"]}, RejectionCode.INVALID_ATTRIBUTE, "has 2 values: 3 are expected"),
        ({"PixelSpacing": ["0", "1"]}, RejectionCode.INVALID_PLANE, "two positive numbers"),
        ({"PixelSpacing": ["-1", "1"]}, RejectionCode.INVALID_PLANE, "two positive numbers"),
        ({"ImageOrientationPatient": ["1", "0", "0", "1", "0", "0"]}, RejectionCode.INVALID_PLANE, "not perpendicular"),
        ({"Rows": 0}, RejectionCode.INVALID_PLANE, "at least 1"),
    ],
)
def test_an_impossible_place_is_explained(tmp_path: Path, overrides: dict[str, object], code: RejectionCode, text: str) -> None:
    frame = one_frame(tmp_path, first_file(**overrides))
    assert frame.plane is None
    assert frame.defect is not None
    assert frame.defect.code is code
    assert text in frame.defect.sentence


@pytest.mark.parametrize(
    ("junk", "code"),
    [
        (b"nan", RejectionCode.INVALID_PLANE),
        (b"inf", RejectionCode.INVALID_PLANE),
        (b"1,5", RejectionCode.INVALID_ATTRIBUTE),
        (b"abc", RejectionCode.INVALID_ATTRIBUTE),
    ],
)
def test_numbers_that_are_none(tmp_path: Path, junk: bytes, code: RejectionCode) -> None:
    data = first_file(PixelSpacing=["1.5", "3.125"])
    frame = one_frame(tmp_path, data.replace(b"1.5\\3.125", junk.ljust(3) + b"\\3.125"))
    assert frame.plane is None
    assert frame.defect is not None
    assert frame.defect.code is code
    assert ("is not numeric" in frame.defect.sentence) == (code is RejectionCode.INVALID_ATTRIBUTE)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [(b"987.5 ", 987.5), (b" 987.5", 987.5), (b"987.5\x00", 987.5), (b"abcdef", None), (b"nan   ", None), (b"      ", None)],
)
def test_trigger_times_with_junk(tmp_path: Path, raw: bytes, expected: float | None) -> None:
    data = first_file(TriggerTime="98765.")
    assert one_frame(tmp_path, data.replace(b"98765.", raw)).trigger_time_ms == expected


@pytest.mark.parametrize(("raw", "expected"), [(b"7\x00", 7), (b" 7", 7), (b"7.", 7), (b"x ", None), (b"  ", None)])
def test_instance_numbers_with_junk(tmp_path: Path, raw: bytes, expected: int | None) -> None:
    data = first_file(InstanceNumber="42")
    marker = b"\x20\x00\x13\x00IS\x02\x00"
    assert one_frame(tmp_path, data.replace(marker + b"42", marker + raw)).instance_number == expected


def test_what_is_absent_is_none_or_empty(tmp_path: Path) -> None:
    keywords = [
        "SOPClassUID",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "FrameOfReferenceUID",
        "SeriesNumber",
        "SeriesDescription",
        "ProtocolName",
        "SequenceName",
        "Manufacturer",
        "MagneticFieldStrength",
        "InstanceNumber",
        "TriggerTime",
        "NominalInterval",
        "CardiacNumberOfImages",
        "SliceThickness",
        "ImageType",
        "Modality",
    ]
    frame = one_frame(tmp_path, first_file(**dict.fromkeys(keywords)))
    assert frame.plane is not None
    assert [frame.trigger_time_ms, frame.instance_number, frame.series_number, frame.nominal_interval_ms] == [None] * 4
    assert [frame.study_uid, frame.series_uid, frame.series_description, frame.modality, frame.manufacturer] == [""] * 5
    assert frame.image_type == ()


def test_dicom_files_without_an_image_are_counted(tmp_path: Path) -> None:
    report = pydicom.dcmread(io.BytesIO(first_file()), stop_before_pixels=True)
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    del report.Rows, report.Columns, report.BitsAllocated
    report.ContentSequence = [Dataset()]
    stream = io.BytesIO()
    report.save_as(stream)
    scan = scan_of(tmp_path, [stream.getvalue(), first_file()])
    assert (len(scan.frames), scan.n_files, scan.unreadable) == (1, 2, ())


# privacy


def test_nothing_that_identifies_is_kept(tmp_path: Path) -> None:
    keywords = [
        "PatientName",
        "PatientID",
        "OtherPatientIDs",
        "AccessionNumber",
        "InstitutionName",
        "InstitutionAddress",
        "StationName",
        "StudyDescription",
        "ReferringPhysicianName",
        "OperatorsName",
        "PerformingPhysicianName",
        "DeviceSerialNumber",
        "StudyID",
        "PatientComments",
        "ImageComments",
    ]
    overrides = {keyword: f"SECRET{index}" for index, keyword in enumerate(keywords)}
    overrides |= {"PatientBirthDate": "19551122", "StudyDate": "19551122", "PatientAge": "077Y"}
    datas = [
        first_file(**overrides),
        first_file(**overrides, ImagePositionPatient=None),
        first_file(**overrides)[:900],
        b"SECRET" * 40,
    ]
    folder = tmp_path / "SECRET_folder"
    folder.mkdir()
    for index, data in enumerate(datas):
        (folder / f"SECRET_{index}").write_bytes(data)
    scan = read_subject(subject_of(folder))
    assert len(scan.frames) == 2
    assert len(scan.unreadable) == 2
    shown = repr([(frame.defect, str(frame.defect), frame.plane, frame.series_description) for frame in scan.frames])
    shown += repr(scan.unreadable) + repr(scan.notes)
    for frame in scan.frames:
        shown += repr([getattr(frame, name) for name in frame.__slots__ if name != "file"])
    assert not re.search("SECRET|19551122|077Y", shown)


# Enhanced MR


def enhanced(
    syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE, *, n_frames: int = 5, **overrides: object
) -> tuple[bytes, list[CineSeries], DicomStudy]:
    simple = tiny(n_slices=3, n_frames=n_frames, views=("sax",), overrides=overrides)
    parts = list(simple.series.values())
    positions = {0: "END_DIASTOLE", 2: "END_SYSTOLE"}
    return write_enhanced(simple.study, parts, transfer_syntax=syntax, cycle_positions=positions).data, parts, simple.study


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_every_frame_of_an_enhanced_instance_has_its_place_and_time(tmp_path: Path, syntax: TransferSyntax) -> None:
    data, parts, study = enhanced(syntax)
    frames = scan_of(tmp_path, [data]).frames
    dataset = pydicom.dcmread(io.BytesIO(data))
    assert [frame.frame_index for frame in frames] == list(range(15))
    assert [frame.instance_number for frame in frames] == list(range(1, 16))
    for frame, item in zip(frames, dataset.PerFrameFunctionalGroupsSequence, strict=True):
        part = parts[frame.frame_index // 5]
        assert frame.defect is None
        assert frame.plane is not None
        np.testing.assert_allclose(frame.plane.position_mm, part.plane.position_mm, atol=1e-6)
        assert list(frame.plane.position_mm) == [float(value) for value in item.PlanePositionSequence[0].ImagePositionPatient]
        assert frame.trigger_time_ms == item.CardiacSynchronizationSequence[0].NominalCardiacTriggerDelayTime
        assert frame.nominal_interval_ms == part.interval_ms
        assert frame.temporal_position == frame.frame_index % 5 + 1
        assert frame.cardiac_cycle_position == {0: "END_DIASTOLE", 2: "END_SYSTOLE"}.get(frame.frame_index % 5, "UNDETERMINED")
        assert (frame.n_frames, frame.slice_thickness_mm, frame.rescale) == (15, 8.0, (1.0, 0.0))
        assert frame.image_type == ("ORIGINAL", "PRIMARY", "CARDIAC", "NONE")
        assert (frame.study_uid, frame.series_description) == (study.study_uid, "CINE_segmented_SAX_b1")
        assert frame.field_strength_t == 1.5
    assert len({id(frame.plane) for frame in frames}) == 3


def test_an_enhanced_header_longer_than_the_first_read(tmp_path: Path) -> None:
    data, _, _ = enhanced(n_frames=400)
    assert len(data) > 1200 * 32 * 36 * 2 + (256 << 10)
    (zipped,) = [read_subject(subject_of(write_zip(tmp_path / "a.zip", {"x.dcm": data})))]
    assert len(zipped.frames) == 1200
    assert zipped.frames[-1].trigger_time_ms == pytest.approx(997.5)


def test_an_enhanced_instance_without_a_group_names_what_is_missing(tmp_path: Path) -> None:
    data, _, _ = enhanced(PerFrameFunctionalGroupsSequence=None)
    frames = scan_of(tmp_path, [data]).frames
    assert len(frames) == 15
    assert {frame.defect.sentence.split(" ")[0] for frame in frames} == {"ImagePositionPatient"}
    assert [frame.trigger_time_ms for frame in frames] == [None] * 15


def test_a_number_of_frames_that_cannot_be(tmp_path: Path) -> None:
    data, _, _ = enhanced()
    marker = b"\x28\x00\x08\x00IS\x02\x00"
    scan = scan_of(tmp_path, [data.replace(marker + b"15", b"\x28\x00\x08\x00IS\x0a\x00" + b"2000000000")])
    assert not scan.frames
    assert "at most 20000 are expected" in scan.unreadable[0].sentence


def test_converted_instances_keep_trigger_times_among_unassigned_attributes(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(enhanced()[0]))
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4.4"
    for index, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        del item.CardiacSynchronizationSequence
        unassigned = Dataset()
        unassigned.TriggerTime = str(index * 1.5)
        item.UnassignedPerFrameConvertedAttributesSequence = [unassigned]
    stream = io.BytesIO()
    dataset.save_as(stream)
    frames = scan_of(tmp_path, [stream.getvalue()]).frames
    assert [frame.trigger_time_ms for frame in frames] == [index * 1.5 for index in range(15)]


# real scans


@needs_data
def test_every_siemens_header_equals_pydicoms() -> None:
    (subject,) = find_subjects([DATA / "siemens_cine_case"])
    scan = read_subject(subject)
    assert (len(scan.frames), scan.unreadable) == (110, ())
    for frame in scan.frames:
        assert_like_pydicom(frame, pydicom.dcmread(frame.file.path, stop_before_pixels=True))


@needs_data
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
@pytest.mark.parametrize(("stem", "count"), [("SCD0000101", 240), ("SCD0000201", 260)])
def test_every_sunnybrook_header_equals_pydicoms(stem: str, count: int) -> None:
    path = DATA / "sunnybrook" / f"{stem}.zip"
    scan = read_subject(subject_of(path))
    assert (len(scan.frames), scan.n_files, scan.unreadable) == (count, count, ())
    with zipfile.ZipFile(path) as zipped:
        for frame in scan.frames[::7]:
            assert_like_pydicom(frame, pydicom.dcmread(io.BytesIO(zipped.read(frame.file.member)), stop_before_pixels=True))


def test_a_single_frame_series_is_written_as_pydicom_reads_it() -> None:
    study = tiny()
    files = write_cine(study.study, study.series["4ch"])
    assert pydicom.dcmread(io.BytesIO(files[0].data)).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


@pytest.mark.parametrize(
    ("orientation", "is_read"),
    [
        (["0.59", "0.81", "0.00", "0.18", "-0.13", "0.97"], True),
        (["-0.707", "-0.699", "0.107", "0.524", "-0.621", "-0.583"], True),
        (["0.59", "0.89", "0.00", "0.18", "-0.13", "0.97"], False),
        (["0.59", "0.81", "0.00", "0.28", "-0.13", "0.97"], False),
        (["0.6", "0.8", "0.0", "0.2", "-0.2", "1.0"], False),
        (["0.590000", "0.810000", "0.000000", "0.180000", "-0.130000", "0.970001"], False),
    ],
    ids=["two decimals", "three decimals", "a wrong length", "not perpendicular", "one decimal", "six decimals"],
)
def test_cosines_are_mended_only_if_rounding_explains_their_errors(tmp_path, orientation, is_read):
    frame = one_frame(tmp_path, first_file(ImageOrientationPatient=orientation))
    assert (frame.plane is not None) == is_read
    assert frame.repairs == ((Repair.ROUNDED_COSINES,) if is_read else ())
    if frame.plane is not None:
        cosines = np.array([frame.plane.row_cosine, frame.plane.column_cosine])
        assert np.allclose(cosines @ cosines.T, np.eye(2), atol=1e-12)
        assert np.abs(cosines.ravel() - np.array(orientation, float)).max() < 0.01


def test_decimal_commas_are_points_and_thousands_are_no_whole_numbers():
    assert decimal_number(b"83,3 ") == 83.3
    assert integer(b"1,000") is None
    assert decimal_number(b"1,000,000") is None


def enhanced_dataset() -> Dataset:
    study = tiny(n_frames=4)
    return pydicom.dcmread(io.BytesIO(write_enhanced(study.study, [study.series["4ch"]]).data))


GROUPS = {
    "PlanePositionSequence": "ImagePositionPatient",
    "PlaneOrientationSequence": "ImageOrientationPatient",
    "PixelMeasuresSequence": "PixelSpacing",
}


@pytest.mark.parametrize("place", ["shared", "top level"])
@pytest.mark.parametrize("own", ["absent", "empty"])
def test_functional_groups_are_looked_for_per_frame_then_shared_then_at_the_top(tmp_path, place, own):
    dataset = enhanced_dataset()
    (shared,) = dataset.SharedFunctionalGroupsSequence
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    for sequence, keyword in GROUPS.items():
        groups = first.get(sequence) or shared.get(sequence)
        if place == "shared":
            setattr(shared, sequence, groups)
        else:
            setattr(dataset, keyword, getattr(groups[0], keyword))
            if sequence in shared:
                setattr(shared, sequence, [Dataset()])
    for item in dataset.PerFrameFunctionalGroupsSequence:
        for sequence in GROUPS:
            if sequence in item:
                delattr(item, sequence)
            if own == "empty":
                setattr(item, sequence, [Dataset()])
    stream = io.BytesIO()
    dataset.save_as(stream)
    frames = scan_of(tmp_path, [stream.getvalue()]).frames
    expected = tiny(n_frames=4).series["4ch"].plane
    assert len(frames) == 4
    for frame in frames:
        assert frame.plane is not None, frame.defect
        assert np.allclose(frame.plane.patient_from_pixel, expected.patient_from_pixel, atol=1e-6)


def test_a_trigger_time_at_the_top_is_that_of_all_frames_unless_they_have_their_own(tmp_path):
    dataset = enhanced_dataset()
    dataset.NominalCardiacTriggerDelayTime = 440.0
    with_own = io.BytesIO()
    dataset.save_as(with_own)
    for item in dataset.PerFrameFunctionalGroupsSequence:
        del item.CardiacSynchronizationSequence
    without = io.BytesIO()
    dataset.save_as(without)
    first, second = (scan_of(tmp_path / name, [data.getvalue()]).frames for name, data in (("a", with_own), ("b", without)))
    assert [frame.trigger_time_ms for frame in first] == [0.0, 250.0, 500.0, 750.0]
    assert [frame.trigger_time_ms for frame in second] == [440.0] * 4
