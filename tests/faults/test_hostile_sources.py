"""Damaged and hostile files and zips: each ends in one sentence, none hangs, costs much, or is written anywhere."""

import contextlib
import io
import os
import re
import socket
import struct
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from cmr_planes.annotations.files import LABEL_LIMIT
from cmr_planes.dicom import elements, enhanced
from cmr_planes.dicom.headers import HeaderScan
from cmr_planes.dicom.inflation import IMAGE_LIMIT, InflationLimit
from cmr_planes.discovery import folders as layout
from cmr_planes.discovery.subjects import SubjectSource, find_subjects
from cmr_planes.errors import RejectionCode, SourceError, UnreadablePixelsError
from cmr_planes.phantom.dicom_model import TransferSyntax
from cmr_planes.phantom.dicom_writer import write_files
from cmr_planes.phantom.enhanced_writer import write_enhanced
from cmr_planes.phantom.small_study import encode_study, simple_study
from tests.helpers.headers import decode_frames, read_subject

RNG = np.random.default_rng(20)


def datas(
    n_frames: int = 3, *, syntax: TransferSyntax = TransferSyntax.EXPLICIT_LITTLE, private_bytes: int = 40_000
) -> list[bytes]:
    study = simple_study(n_slices=1, n_frames=n_frames, rows=32, columns=36, views=("sax",), private_bytes=private_bytes)
    return [file.data for file in encode_study(study, transfer_syntax=syntax)]


def scan_of(*paths: Path) -> HeaderScan:
    return read_subject(SubjectSource(key="S", participant="S", paths=paths, root=paths[0].parent))


def write_zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


def sentences(scan: HeaderScan) -> list[str]:
    return [item.sentence for item in scan.unreadable]


# files


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "file 1 of 2 is empty"),
        (b"%PDF-1.4" + bytes(500), "file 1 of 2 is no DICOM file"),
        (b"x" * 5000, "file 1 of 2 is no DICOM file"),
        (bytes(128) + b"DICM", "file 1 of 2 ends inside its header, after 132 bytes; fetch it again"),
        (datas()[0][:1200], "file 1 of 2 ends inside its header, after 1200 bytes; fetch it again"),
        (b"PK\x03\x04" + bytes(100), "file 1 of 2 is a zip whose name does not say so; let its name end in .zip, or unpack it"),
    ],
    ids=["empty", "PDF", "text", "only a preamble", "cut off", "zip without suffix"],
)
def test_files_that_are_no_images_are_passed_over(tmp_path: Path, data: bytes, sentence: str) -> None:
    (tmp_path / "0").write_bytes(data)
    (tmp_path / "1").write_bytes(datas()[0])
    scan = scan_of(tmp_path)
    assert (len(scan.frames), scan.n_files) == (1, 2)
    assert sentences(scan) == [sentence]
    assert scan.unreadable[0].code is RejectionCode.UNREADABLE_SOURCE


def test_a_folder_of_pdfs_without_suffix(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}").write_bytes(b"%PDF-1.7\n" + bytes(3000))
    (subject,) = find_subjects([tmp_path])
    scan = read_subject(subject)
    assert (scan.frames, scan.n_files, len(scan.unreadable)) == ((), 3, 3)


def test_a_dicomdir_by_another_name_is_counted(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(datas()[0]), stop_before_pixels=True)
    directory = Dataset()
    directory.FileSetID = "X"
    directory.DirectoryRecordSequence = [Dataset()]
    directory.file_meta = dataset.file_meta
    directory.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    directory.save_as(tmp_path / "index")
    scan = scan_of(tmp_path)
    assert (scan.frames, scan.n_files, scan.unreadable) == ((), 1, ())


@pytest.mark.parametrize("syntax", [TransferSyntax.EXPLICIT_LITTLE, TransferSyntax.IMPLICIT_LITTLE, TransferSyntax.DEFLATED])
def test_a_file_cut_anywhere_ends_in_a_sentence(tmp_path: Path, syntax: TransferSyntax) -> None:
    data = datas(syntax=syntax, private_bytes=0)[0]
    for length in sorted({*range(0, 1800, 7), *RNG.integers(0, len(data), 30).tolist()}):
        (tmp_path / "image").write_bytes(data[:length])
        scan = scan_of(tmp_path / "image")
        assert scan.n_files == 1
        if scan.frames:
            assert scan.unreadable == ()
            with pytest.raises(UnreadablePixelsError):
                decode_frames(scan.frames)
        else:
            assert len(scan.unreadable) == 1


def test_bytes_turned_anywhere_never_raise(tmp_path: Path) -> None:
    study = simple_study(n_slices=1, n_frames=3, rows=32, columns=36, views=("sax",))
    wholes = [datas(private_bytes=0)[0], write_enhanced(study.study, list(study.series.values())).data]
    for index in range(300):
        data = bytearray(wholes[index % 2])
        for position in RNG.integers(128, min(len(data), 6000), 1 + index % 5).tolist():
            data[position] = int(RNG.integers(0, 256))
        (tmp_path / "image").write_bytes(bytes(data))
        scan = scan_of(tmp_path / "image")
        for frame in scan.frames:
            with contextlib.suppress(UnreadablePixelsError):
                decode_frames([frame])


def test_sequences_nested_a_thousand_deep(tmp_path: Path) -> None:
    data = datas()[0]
    start = data.index(b"\x18\x00\x20\x00CS")
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    (tmp_path / "image").write_bytes(data[:start] + opening * 3000 + data[start:])
    scan = scan_of(tmp_path)
    assert scan.frames == ()
    assert sentences(scan) == ["file 1 of 1 is damaged inside its header or cut off there; fetch it again"]


def test_a_value_that_claims_four_gigabytes(tmp_path: Path) -> None:
    data = datas()[0]
    start = data.index(b"\x08\x00\x08\x00CS")
    (tmp_path / "image").write_bytes(data[:start] + struct.pack("<HH2sHI", 0x0008, 0x0008, b"OB", 0, 0xFFFFFFFE) + data[start:])
    scan = scan_of(tmp_path)
    assert scan.frames == ()
    assert "ends inside its header" in sentences(scan)[0]


def test_pipes_and_sockets_do_not_hang(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(datas()[0])
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        (subject,) = find_subjects([tmp_path])
        scan = read_subject(subject)
    assert (len(scan.frames), scan.n_files, scan.unreadable) == (1, 1, ())
    with pytest.raises(SourceError, match="neither a folder"):
        find_subjects([tmp_path / "pipe"])
    assert sentences(scan_of(tmp_path / "pipe")) == ["file 1 of 1 is not a regular file"]


def test_a_file_that_vanishes_after_planning(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(datas()[0])
    (subject,) = find_subjects([path])
    path.unlink()
    assert sentences(read_subject(subject)) == ["file 1 of 1 cannot be opened (no such file or directory)"]


# permission


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("0", "1"):
        (tmp_path / name).write_bytes(datas()[0])
    open_file = os.open

    def guarded(path: Path, flags: int, *args: int) -> int:
        if Path(path).name == "1":
            raise PermissionError(13, "Permission denied", str(path))
        return open_file(path, flags, *args)

    monkeypatch.setattr(os, "open", guarded)
    scan = scan_of(tmp_path)
    assert len(scan.frames) == 1
    assert sentences(scan) == ["file 2 of 2 cannot be opened (permission denied)"]


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside two others, which cannot be listed; simulated, since root may list everything."""
    folder = tmp_path / "cohort" / "closed"
    folder.mkdir(parents=True)
    for name in ("p1", "p2"):
        study = simple_study(name=name, n_slices=1, n_frames=1, rows=8, columns=8, views=("sax",))
        write_files(tmp_path / "cohort" / name, encode_study(study))
    scandir = os.scandir

    def guarded(path: Path) -> object:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    return folder


def test_a_subject_without_permission_is_a_subject_that_cannot_be_read(closed: Path) -> None:
    subjects = find_subjects([closed.parent])
    assert [subject.key for subject in subjects] == ["closed", "p1", "p2"]
    scan = read_subject(subjects[0])
    assert scan.frames == ()
    assert sentences(scan) == ["folder 1 of 1 cannot be listed in full (permission denied)"]


def test_a_series_without_permission_leaves_the_others(closed: Path) -> None:
    scan = scan_of(closed.parent)
    assert len(scan.frames) == 2
    assert sentences(scan) == ["folder 1 of 1 cannot be listed in full (permission denied)"]


def test_a_source_without_permission_is_an_error(closed: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot be read \(permission denied\); check the path and its permissions"):
        find_subjects([closed])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything; the simulated tests above stand in")
def test_a_closed_folder_of_the_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0)
    with pytest.raises(SourceError, match="permission denied"):
        find_subjects([folder])


def test_zeros_after_the_pixels_are_not_parsed(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(datas()[0] + bytes(40 << 20))
    started = time.perf_counter()
    (image,) = decode_frames(scan_of(tmp_path).frames)
    assert image.any()
    assert time.perf_counter() - started < 3


# zips


@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_zip_cut_in_the_middle(tmp_path: Path, part: float) -> None:
    path = write_zip(tmp_path / "9000001_20209_2_0.zip", {f"{index}": data for index, data in enumerate(datas())})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * part)])
    (subject,) = find_subjects([tmp_path])
    scan = read_subject(subject)
    assert (scan.frames, scan.n_files) == ((), 1)
    (sentence,) = sentences(scan)
    assert re.fullmatch(r"zip 1 of 1 is no complete zip \(.* \d+ bytes\); fetch it again", sentence)


def test_one_of_two_zips_cut_off_leaves_the_other(tmp_path: Path) -> None:
    good = write_zip(tmp_path / "9000001_20208_2_0.zip", {"a": datas()[0]})
    (tmp_path / "9000001_20209_2_0.zip").write_bytes(good.read_bytes()[:-30])
    (subject,) = find_subjects([tmp_path])
    scan = read_subject(subject)
    assert len(scan.frames) == 1
    assert sentences(scan)[0].startswith("zip 2 of 2 is no complete zip")


def test_a_member_with_a_bad_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    data = datas()[0]
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("a", data)
        target.writestr("b", datas()[1])
    raw = bytearray(path.read_bytes())
    raw[raw.index(data) + len(data) - 10] ^= 0xFF
    path.write_bytes(raw)
    scan = scan_of(path)
    assert (len(scan.frames), scan.unreadable) == (2, ())
    assert len(decode_frames(scan.frames[1:])) == 1
    with pytest.raises(UnreadablePixelsError, match=r"image 1 of series 3 is damaged \(its checksum is not the one"):
        decode_frames(scan.frames[:1])


def test_a_member_that_cannot_be_inflated(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a": datas()[0], "b": datas()[1]})
    with zipfile.ZipFile(path) as zipped:
        info = zipped.getinfo("a")
    raw = bytearray(path.read_bytes())
    raw[info.header_offset + 31 : info.header_offset + 200] = b"\xff" * 169
    path.write_bytes(raw)
    scan = scan_of(path)
    assert len(scan.frames) == 1
    assert sentences(scan) == ["file 1 of 2 is damaged: it cannot be inflated; fetch the zip again"]


def test_a_member_whose_place_is_wrong(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a": datas()[0]})
    path.write_bytes(b"XXXX" + path.read_bytes()[4:])
    assert "does not begin where the zip's directory says" in sentences(scan_of(path))[0]


def test_damage_beyond_the_header_is_met_only_by_who_wants_the_pixels(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a": datas(private_bytes=90_000)[0]})
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 400] = bytes(400)
    path.write_bytes(raw)
    scan = scan_of(path)
    assert len(scan.frames) == 1
    with pytest.raises(UnreadablePixelsError, match="is damaged"):
        decode_frames(scan.frames)


@pytest.mark.parametrize("names", [("../../evil", "/etc/evil"), ("C:\\evil", "a/../../evil"), ("..", "...")])
def test_names_that_lead_out_of_the_zip_do_no_harm(tmp_path: Path, names: tuple[str, str]) -> None:
    folder = tmp_path / "deep" / "deeper"
    folder.mkdir(parents=True)
    path = write_zip(folder / "a.zip", dict(zip(names, [datas()[0], datas()[1][:700]], strict=True)))
    before = sorted(tmp_path.rglob("*"))
    (subject,) = find_subjects([path])
    scan = read_subject(subject)
    decode_frames(scan.frames)
    assert sorted(tmp_path.rglob("*")) == before
    assert "evil" not in repr((scan.unreadable, scan.notes))
    assert len(scan.frames) + len(scan.unreadable) == scan.n_files


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip", {"a": datas()[0]})
    raw = bytearray(path.read_bytes())
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)
    assert sentences(scan_of(path)) == ["file 1 of 1 is encrypted; unpack it with its password first"]


def test_a_zip_in_a_zip_is_not_opened(tmp_path: Path) -> None:
    inner = write_zip(tmp_path / "inner.zip", {"a": datas()[0]}).read_bytes()
    (tmp_path / "inner.zip").unlink()
    path = write_zip(tmp_path / "outer.zip", {"inner.zip": inner, "b": datas()[1]})
    scan = scan_of(path)
    assert len(scan.frames) == 1
    assert sentences(scan) == ["file 2 of 2 is a zip inside a zip; unpack the outer one into a folder"]


def test_an_empty_zip(tmp_path: Path) -> None:
    scan = scan_of(write_zip(tmp_path / "a.zip", {}))
    assert (scan.frames, scan.n_files, scan.unreadable) == ((), 0, ())


# zip bombs


def bomb(path: Path, head: bytes, size: int) -> Path:
    """Write a zip whose one member is ``head`` followed by zeros up to ``size`` bytes."""
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
        target.open("bomb", "w", force_zip64=True) as member,
    ):
        member.write(head)
        zeros = bytes(1 << 20)
        for _ in range((size - len(head)) >> 20):
            member.write(zeros)
    return path


@pytest.mark.parametrize(
    ("size", "sentence"),
    [
        (300 << 20, "file 1 of 1 inflates to 299 MiB, more than the 256 MiB allowed"),
        (100 << 20, "file 1 of 1 inflates more than 100-fold to 99 MiB, as a zip bomb does, and was not read"),
    ],
)
def test_a_zip_bomb_is_not_inflated(tmp_path: Path, size: int, sentence: str) -> None:
    path = bomb(tmp_path / "a.zip", datas()[0][:2000], size)
    tracemalloc.start()
    started = time.perf_counter()
    scan = scan_of(path)
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sentences(scan) == [sentence]
    assert peak < 4 << 20
    assert seconds < 5


def test_a_member_larger_than_its_directory_entry_says(tmp_path: Path) -> None:
    path = bomb(tmp_path / "a.zip", datas()[0], 8 << 20)
    raw = bytearray(path.read_bytes())
    entry = raw.index(b"PK\x01\x02")
    struct.pack_into("<I", raw, entry + 24, 50_000)
    path.write_bytes(raw)
    scan = scan_of(path)
    assert len(scan.frames) == 1
    with pytest.raises(UnreadablePixelsError, match="is damaged"):
        decode_frames(scan.frames)


def test_a_header_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cmr_planes.dicom.elements.HEADER_LIMIT", 1 << 20)
    data = datas()[0]
    start = data.index(b"\x18\x00\x20\x00CS")
    endless = data[:start] + struct.pack("<HH2sHI", 0x0019, 0x1010, b"OB", 0, 3 << 20)
    scan = scan_of(bomb(tmp_path / "a.zip", endless, 8 << 20))
    assert sentences(scan) == ["file 1 of 1 has a header of more than 1 MiB, which was not read"]


def test_a_deflated_dataset_that_is_a_bomb(tmp_path: Path) -> None:
    data = datas(syntax=TransferSyntax.DEFLATED, private_bytes=0)[0]
    plain = zlib.decompressobj(-15)
    start = next(index for index in range(300, 500) if _inflates(data[index:]))
    body = plain.decompress(data[start:])
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(body) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    (tmp_path / "image").write_bytes(data[:start] + packed)
    scan = scan_of(tmp_path)
    assert len(scan.frames) == 1
    with pytest.raises(UnreadablePixelsError, match="as a bomb does"):
        decode_frames(scan.frames)


def _inflates(data: bytes) -> bool:
    try:
        return zlib.decompressobj(-15).decompress(data).startswith(b"\x08\x00")
    except zlib.error:
        return False


def large_image(path: Path, pixels: np.ndarray) -> Path:
    """Write a zip of one image that shrinks more than 100-fold."""
    dataset = pydicom.dcmread(io.BytesIO(datas()[0]))
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    dataset.save_as(stream)
    write_zip(path, {"a": stream.getvalue()})
    assert path.stat().st_size * 100 < pixels.nbytes
    return path


def test_an_image_with_a_large_dark_background_is_no_bomb(tmp_path: Path) -> None:
    pixels = np.zeros((2048, 2048), np.uint16)
    pixels[:128] = 100
    (image,) = decode_frames(scan_of(large_image(tmp_path / "a.zip", pixels)).frames)
    np.testing.assert_array_equal(image, pixels)


def test_a_black_image_is_called_black_and_no_bomb(tmp_path: Path) -> None:
    path = large_image(tmp_path / "a.zip", np.zeros((2048, 2048), np.uint16))
    with pytest.raises(UnreadablePixelsError, match="image 1 of series 3 is black"):
        decode_frames(scan_of(path).frames)


def test_the_limits_are_what_the_documentation_says() -> None:
    assert (elements.HEADER_LIMIT, enhanced.GROUPS_LIMIT) == (8 << 20, 64 << 20)
    assert InflationLimit(member_bytes=256 << 20, ratio=100, free_bytes=32 << 20) == IMAGE_LIMIT
    assert InflationLimit(member_bytes=1 << 30, ratio=400, free_bytes=16 << 20) == LABEL_LIMIT


# folders


def test_folders_deeper_than_anyone_nests(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(layout.MAX_DEPTH + 20):
        folder = folder / "d"
    folder.mkdir(parents=True)
    (folder / "image").write_bytes(datas()[0])
    with pytest.raises(SourceError, match="no DICOM files"):
        find_subjects([tmp_path])


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    for name in (b"p\xff1", b"p\xff2"):
        for series in ("2ch", "4ch"):
            folder = tmp_path / os.fsdecode(name) / series
            folder.mkdir(parents=True)
            study = simple_study(name=repr(name), n_slices=1, n_frames=1, rows=8, columns=8, views=(series,))
            (folder / "image").write_bytes(encode_study(study)[0].data)
    subjects = find_subjects([tmp_path])
    assert len(subjects) == 2
    for subject in subjects:
        subject.key.encode()
        assert len(read_subject(subject).frames) == 2
