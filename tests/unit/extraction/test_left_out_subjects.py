"""Subjects without images, and whether their files changed since they were read."""

from pathlib import Path

import pytest

from cmr_planes.discovery.copies import fingerprint
from cmr_planes.discovery.subjects import SubjectSource
from cmr_planes.extraction.left_out_subjects import STATES_NAME, read_states, subjects_without_images, write_states
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject, rejected_subject

SALT = "salt"


@pytest.fixture
def sources(tmp_path: Path) -> dict[str, SubjectSource]:
    found = {}
    for key in ("a", "b"):
        folder = tmp_path / "dicom" / key
        folder.mkdir(parents=True)
        (folder / "image").write_bytes(b"12")
        found[key] = SubjectSource(key=key, participant=key, paths=(folder,), root=tmp_path)
    return found


def change(source: SubjectSource) -> None:
    (source.paths[0] / "another").touch()


def test_subjects_without_images_are_those_that_were_rejected(tmp_path: Path) -> None:
    whole, rejected = make_subject(1), rejected_subject(2)
    assert subjects_without_images(tmp_path / "out.h5") == frozenset()
    assert subjects_without_images(write_batches(tmp_path, [[whole, rejected]])) == {rejected.key}


def test_a_catalogue_that_cannot_be_read_leaves_nobody_out(tmp_path: Path) -> None:
    (tmp_path / "out.h5").write_bytes(b"no HDF5")
    assert subjects_without_images(tmp_path / "out.h5") == frozenset()


def test_the_state_is_that_of_the_files_when_they_were_read(tmp_path: Path, sources: dict[str, SubjectSource]) -> None:
    write_states(tmp_path, {"a", "b"}, {"a", "b"}, sources, SALT)
    before = read_states(tmp_path)
    assert before == {key: fingerprint(source.paths, SALT) for key, source in sources.items()}
    change(sources["a"])
    change(sources["b"])
    write_states(tmp_path, {"a", "b"}, {"a"}, sources, SALT)  # b was not read again
    assert read_states(tmp_path) == {"a": fingerprint(sources["a"].paths, SALT), "b": before["b"]}


def test_a_subject_that_has_images_now_has_no_state_and_one_without_files_keeps_its_own(
    tmp_path: Path, sources: dict[str, SubjectSource]
) -> None:
    write_states(tmp_path, {"a", "b"}, {"a", "b"}, sources, SALT)
    before = read_states(tmp_path)
    write_states(tmp_path, {"b"}, {"a"}, {}, SALT)
    assert read_states(tmp_path) == {"b": before["b"]}
    write_states(tmp_path, set(), {"b"}, sources, SALT)
    assert not (tmp_path / STATES_NAME).exists()


@pytest.mark.parametrize("text", ["", "[1]", "{", "\xff"])
def test_states_that_cannot_be_read_are_not_known(tmp_path: Path, text: str) -> None:
    (tmp_path / STATES_NAME).write_text(text, encoding="latin-1")
    assert read_states(tmp_path) == {}
