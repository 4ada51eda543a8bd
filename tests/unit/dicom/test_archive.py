"""Members of zips as streams: the bytes that went in, in little memory, within the limit that the caller gives."""

import random
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from cmr_planes.dicom.archive import Archive
from cmr_planes.dicom.inflation import IMAGE_LIMIT, InflationLimit
from cmr_planes.errors import UnreadableFileError

CONTENT = random.Random(1).randbytes(3 << 20) + bytes(5 << 20)


def write(path: Path, compression: int) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a", CONTENT)
    return path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_stream_gives_the_bytes_that_went_in(tmp_path: Path, compression: int) -> None:
    with Archive(write(tmp_path / "a.zip", compression)) as archive:
        stream = archive.member("a").stream()
        parts = iter(lambda: stream.read(100_003), b"")
        assert b"".join(parts) == CONTENT


def test_a_stream_holds_little(tmp_path: Path) -> None:
    with Archive(write(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)) as archive:
        tracemalloc.start()
        stream = archive.member("a").stream()
        n_bytes = sum(len(part) for part in iter(lambda: stream.read(1 << 16), b""))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert n_bytes == len(CONTENT)
    assert peak < len(CONTENT) / 2


def test_a_damaged_member_is_noticed_at_the_end_of_its_stream(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", zipfile.ZIP_STORED)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)
    with Archive(path) as archive, pytest.raises(UnreadableFileError, match="checksum is not the one in the zip's directory"):
        archive.member("a").stream().read()


@pytest.mark.parametrize(
    ("limit", "sentence"),
    [
        (InflationLimit(member_bytes=7 << 20, ratio=100, free_bytes=1 << 20), "inflates to 8 MiB, more than the 7 MiB allowed"),
        (
            InflationLimit(member_bytes=9 << 20, ratio=2, free_bytes=1 << 20),
            "inflates more than 2-fold to 8 MiB, as a zip bomb does",
        ),
    ],
)
def test_the_limit_is_the_caller_s(tmp_path: Path, limit: InflationLimit, sentence: str) -> None:
    path = write(tmp_path / "a.zip", zipfile.ZIP_DEFLATED)
    with Archive(path, limit) as archive, pytest.raises(UnreadableFileError, match=sentence):
        archive.member("a")
    with Archive(path, IMAGE_LIMIT) as archive:
        assert archive.member("a").size == len(CONTENT)


def test_small_members_may_inflate_to_any_ratio() -> None:
    limit = InflationLimit(member_bytes=1000, ratio=3, free_bytes=50)
    assert [limit.of(stored) for stored in (1, 16, 17, 100, 334)] == [50, 50, 51, 300, 1000]
