"""What the names of folders say."""

import pytest

from cmr_planes.discovery.words import is_generic, is_uid, is_visit, is_visit_of, looks_identifying, owner_of, split_visit


@pytest.mark.parametrize(
    "name", ["study", "Series0006", "DICOM", "IMG_001", "sax_12", "2ch 3", "anonymised", "1.2.840.10008.1", "PA000"]
)
def test_names_of_kinds_of_files_name_no_person(name):
    assert is_generic(name)


@pytest.mark.parametrize("name", ["P001", "SYN-0001", "42", "Miller", "saxony", "1.2", "site_A", "ser_x"])
def test_other_names_may_be_a_persons(name):
    assert not is_generic(name)


def test_a_uid_has_four_numbers_at_least():
    assert is_uid("1.2.840.113619")
    assert not is_uid("1.2.840")
    assert not is_uid("1.2.840.x")


@pytest.mark.parametrize(
    "name", ["ses-01", "baseline", "Follow-up 2", "2019-03-31", "2019", "T1", "v2", "6", "12 months", "pre-op"]
)
def test_names_of_visits(name):
    assert is_visit(name) == (name not in ("6", "12 months"))


@pytest.mark.parametrize(
    ("name", "person", "visit"),
    [
        ("P001_V1", "P001", "V1"),
        ("sub-07_ses-2", "sub-07", "ses-2"),
        ("CMR 12 baseline", "CMR 12", "baseline"),
        ("P001_20190331", "P001", "20190331"),
        ("SYN-0001", "SYN-0001", ""),
        ("Miller_V1", "Miller_V1", ""),
        ("P001_left", "P001_left", ""),
    ],
)
def test_a_visit_at_the_end_of_a_name_with_a_number(name, person, visit):
    assert split_visit(name) == (person, visit)


@pytest.mark.parametrize(
    ("parts", "owner"),
    [
        (("P001",), ("P001",)),
        (("P001", "dicom", "Series0001"), ("P001",)),
        (("site", "P001", "baseline", "study"), ("site", "P001")),
        (("P001", "T2"), ("P001",)),
        (("Miller", "T2"), ("Miller", "T2")),
        (("study", "ses-1"), ("study",)),
        (("study", "series"), ()),
        ((), ()),
    ],
)
def test_the_owner_is_the_last_name_that_can_be_a_persons(parts, owner):
    assert owner_of(parts) == owner


def test_what_only_may_be_a_visit_is_one_in_a_folder_with_a_number():
    assert is_visit_of(("P001", "pre"))
    assert not is_visit_of(("Miller", "pre"))
    assert not is_visit_of(("pre",))
    assert is_visit_of(("baseline",))


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("DOE^JANE", "a person's name"),
        ("Doe_Jane_19610203", "a person's name"),
        ("scan 1.2.840.113619.2.55", "a UID"),
        ("P001", ""),
        ("HCM_patient_07", ""),
    ],
)
def test_keys_that_look_identifying(name, what):
    assert looks_identifying(name) == what
