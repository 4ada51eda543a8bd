from datetime import date

import pytest

from cmr_planes.pacs.server import FoundStudy, StudyQuery, WantedStudy

SINCE, UNTIL = date(2024, 1, 2), date(2024, 3, 4)


@pytest.mark.parametrize(
    ("since", "until", "text", "day", "is_in"),
    [
        (None, None, "", "", True),
        (SINCE, None, "20240102-", "20240102", True),
        (SINCE, None, "20240102-", "20240101", False),
        (None, UNTIL, "-20240304", "2024.03.04", True),
        (None, UNTIL, "-20240304", "20240305", False),
        (SINCE, UNTIL, "20240102-20240304", "20240215", True),
        (SINCE, UNTIL, "20240102-20240304", "", False),
    ],
)
def test_dates(since, until, text, day, is_in):
    query = StudyQuery(since=since, until=until)
    assert query.dates == text
    assert query.has_date(day) is is_in


@pytest.mark.parametrize(
    ("query", "matches"),
    [
        (StudyQuery(), True),
        (StudyQuery(modality="CT"), False),
        (StudyQuery(modality=""), True),
        (StudyQuery(wanted=WantedStudy(line=1, study_uid="1.2")), True),
        (StudyQuery(wanted=WantedStudy(line=1, study_uid="1.3")), False),
        (StudyQuery(wanted=WantedStudy(line=1, accession_number="A")), True),
        (StudyQuery(wanted=WantedStudy(line=1, accession_number="B")), False),
        (StudyQuery(since=date(2025, 1, 1)), False),
    ],
)
def test_answers_are_compared_with_the_query(query, matches):
    study = FoundStudy(uid="1.2", date="20240101", accession_number="A", modalities=("MR", "SR"))
    assert study.matches(query) is matches
    assert "1.2" not in repr(study)


def test_a_server_that_tells_no_modalities_is_not_held_against_the_study():
    assert FoundStudy(uid="1.2").matches(StudyQuery())
