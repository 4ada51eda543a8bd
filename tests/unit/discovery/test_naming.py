"""Keys of examinations, and whose visits they are."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cmr_planes.dicom.examinations import Identity, Origin
from cmr_planes.discovery.groups import FileGroup
from cmr_planes.discovery.naming import (
    MAX_VISITS,
    Found,
    KnownSubjects,
    key_text,
    name_all,
    name_of_source,
    short_digest,
    stem,
    unique_keys,
)
from cmr_planes.shards.schema import check_subject_key


def group(*parts: str, patient: bytes = b"", source: int = 0, study_uid: str = "", is_only: bool = False) -> Found:
    origin = Origin(identity=Identity(patient=patient))
    return Found(source, "src", FileGroup(paths=(Path("/", *parts),), parts=parts, origin=origin, token=study_uid), is_only)


def keys(*found: Found, **options: object) -> list[str]:
    return [name.key for name in name_all(found, **options)]


def people(*found: Found) -> list[str]:
    return [name.participant for name in name_all(found)]


# keys


def test_a_key_is_the_name_of_the_persons_folder():
    assert keys(group("site", "P001", "dicom"), group("site", "P002", "dicom")) == ["P001", "P002"]


def test_visits_are_part_of_the_key():
    assert keys(group("P001", "baseline"), group("P001", "follow-up")) == ["P001__baseline", "P001__follow-up"]


def test_equal_names_take_the_folders_above_and_then_the_source_too():
    assert keys(group("a", "001"), group("b", "001")) == ["a__001", "b__001"]
    assert keys(group("001"), group("001", source=1)) == ["src__001", "src__001__2"]


def test_a_lone_examination_without_a_name_is_called_by_its_source():
    assert keys(group("study", is_only=True)) == ["src"]
    assert keys(group()) == ["src"]


def test_uids_and_tokens_are_replaced_by_digests():
    (key,) = keys(group("1.2.840.113619.2"))
    assert re.fullmatch("[0-9a-f]{12}", key)
    first, second = keys(group("P1", study_uid="1.2.3"), group("P1", study_uid="1.2.4"))
    assert first != second
    assert re.fullmatch("P1__[0-9a-f]{12}", first)


def test_keys_in_use_are_not_given_again():
    assert keys(group("a", "P1"), taken={"P1"}) == ["a__P1"]


def test_a_known_subject_keeps_its_key_and_nobody_else_gets_it():
    known = KnownSubjects({"001": "one"}, lambda _key, found, _thorough: found.source == 0)
    names = name_all([group("b", "001", source=1), group("a", "001")], known=known)
    assert [name.key for name in names] == ["b__001", "001"]
    assert names[1].participant == "one"


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (group("P1"), group("P1", study_uid="1.2.3")),
        (group("study", is_only=True), group("study")),
        (group(study_uid="1.2.3"), group("P1", study_uid="1.2.3")),
    ],
    ids=["a study joined it in its folder", "a folder joined it in the source", "the folder above is the source"],
)
def test_a_known_subject_keeps_its_key_where_it_would_get_another_now(before, now):
    (key,) = keys(before)
    assert keys(now) != [key]
    assert keys(now, known=KnownSubjects({key: ""}, lambda *_: True)) == [key]


@given(st.lists(st.tuples(*[st.sampled_from("abc")] * 3), max_size=12), st.sets(st.sampled_from(["a", "b", "a__2"])))
def test_keys_are_unique_and_the_first_candidate_where_that_is(candidates, taken):
    found = unique_keys(candidates, taken)
    assert len({*found, *taken}) == len(found) + len(taken)
    firsts = [first for first, *_ in candidates]
    assert all(key == first for key, first in zip(found, firsts, strict=True) if firsts.count(first) == 1 and first not in taken)


# persons


def test_visits_by_the_names_of_folders_are_one_persons():
    assert people(group("P001", "baseline"), group("P001", "follow-up"), group("P002", "baseline")) == ["P001", "P001", "P002"]


def test_what_only_may_be_a_visit_yields_to_a_patient_id():
    assert people(group("P01_V1"), group("P01_V2")) == ["P01", "P01"]
    assert people(group("P01_V1", patient=b"A"), group("P01_V2", patient=b"B")) == ["P01_V1", "P01_V2"]


def test_one_patient_id_is_one_participant_and_is_not_its_name():
    first, second, other = people(group("x", patient=b"HOSP77"), group("y", patient=b"HOSP77"), group("z", patient=b"HOSP78"))
    assert first == second == "x"
    assert other == "z"


@pytest.mark.parametrize("patient", [b"ANONYMOUS", b"000000", b"xxxx", b"n/a", b"Patient_0", b""])
def test_a_placeholder_is_no_persons(patient):
    assert people(group("x", patient=patient), group("y", patient=patient)) == ["x", "y"]


def test_a_patient_id_of_too_many_examinations_is_no_persons():
    many = [group(f"n{number:02d}", patient=b"HOSP77") for number in range(MAX_VISITS + 1)]
    assert len(set(people(*many))) == len(many)
    assert len(set(people(*many[1:]))) == 1


# text


@given(st.text())
def test_a_digest_shows_no_long_number_and_is_always_the_same(uid):
    digest = short_digest(uid)
    assert digest == short_digest(uid)
    assert re.fullmatch("[0-9a-f]{12}", digest)
    assert not re.search(r"\d{7}", digest)


@example("\udd00")
@given(st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=20))
def test_every_file_name_makes_a_key_that_can_be_stored(name):
    check_subject_key(key_text(name))


def test_a_suffix_of_a_zip_or_dicom_file_is_no_part_of_the_name():
    assert [stem(name) for name in ("a.zip", "a.DCM", "a.b", "1.2.3.zip")] == ["a", "a", "a.b", "1.2.3"]


def test_a_source_is_called_by_its_folder_even_as_a_dot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "p7.v2" / "below").mkdir(parents=True)
    (tmp_path / "p8.zip").touch()
    assert name_of_source(tmp_path / "p7.v2") == "p7.v2"
    assert name_of_source(tmp_path / "p8.zip") == "p8"
    monkeypatch.chdir(tmp_path / "p7.v2" / "below")
    assert name_of_source(Path()) == "below"
    assert name_of_source(Path("..")) == "p7.v2"
