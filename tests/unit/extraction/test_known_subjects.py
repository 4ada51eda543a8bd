"""Whether files are those of a subject that an output has already."""

from pathlib import Path

import pytest

from cmr_planes.dicom.examinations import Origin
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.discovery.naming import Found
from cmr_planes.extraction.known_subjects import StoredSubject, known_subjects
from cmr_planes.phantom.small_study import encode_study, simple_study
from cmr_planes.shards.schema import instance_digest

SALT = "salt"


def digest(uid: str) -> str:
    return instance_digest(uid, 0, SALT)


def found(uid: str, folder: Path = Path("nowhere")) -> Found:
    return Found(0, "src", FileGroup(paths=(folder,), parts=("p1",), origin=Origin(sop_instance_uid=uid)))


def is_same(
    instance: str, one: Found, *, is_thorough: bool = False, left_out: tuple[str, ...] = (), key: str = "p1"
) -> bool | None:
    return known_subjects({"p1": StoredSubject("p1", instance)}, left_out, SALT).is_same(key, one, is_thorough)


def test_an_instance_of_equal_digest_is_the_subjects() -> None:
    assert is_same(digest("1.2.3"), found("1.2.3")) is True
    assert is_same(digest("1.2.3"), found("1.2.4")) is False


@pytest.mark.parametrize(("instance", "uid"), [("", "1.2.3"), (digest("1.2.3"), "")])
def test_where_an_instance_is_not_known_the_name_decides(instance: str, uid: str) -> None:
    assert is_same(instance, found(uid)) is True


def test_of_a_key_that_is_not_stored_nothing_is_known() -> None:
    assert is_same(digest("1.2.3"), found("1.2.3"), key="p2") is None


def test_a_stored_instance_among_later_files_is_found_by_a_thorough_search(tmp_path: Path) -> None:
    files = encode_study(simple_study(n_slices=1, n_frames=3, rows=8, columns=8, views=("sax",)))
    for index, file in enumerate(files):
        (tmp_path / f"{index}").write_bytes(file.data)
    stored, first = digest(files[2].sop_instance_uid), found(files[0].sop_instance_uid, tmp_path)
    assert is_same(stored, first) is False
    assert is_same(stored, first, is_thorough=True) is True
    assert is_same(digest("1.2.3"), first, is_thorough=True) is False


def test_something_else_under_the_name_of_a_subject_without_images_takes_its_place() -> None:
    assert is_same(digest("1.2.3"), found("1.2.4"), is_thorough=True, left_out=("p1",)) is True
