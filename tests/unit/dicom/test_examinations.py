"""Whose files are whose, on the evidence of made-up headers."""

import pytest

from cmr_planes.dicom.examinations import Identity, Origin, are_of_one_person, are_several_sets, divide, read_identity

N_SERIES, N_PHASES = 4, 5


def examination(name="A", **changes):
    """Headers of an examination with four series of five phases; a change may be a function of series and phase."""
    return [
        Origin(
            **{
                "identity": Identity(
                    **{
                        "patient": name.encode(),
                        "date": b"20200101",
                        "time": b"110000",
                        "study_uid": f"1.{name}".encode(),
                        **{
                            key: value(series, phase) if callable(value) else value
                            for key, value in changes.items()
                            if key in Identity.__slots__
                        },
                    }
                ),
                "series": (series, "cine"),
                "series_uid": f"1.{name}.{series}",
                "instance_number": phase + 1,
                "frame_of_reference": f"2.{name}",
                "sop_instance_uid": f"3.{name}.{series}.{phase}",
                "place": (name, series),
                **{key: value for key, value in changes.items() if key not in Identity.__slots__},
            }
        )
        for series in range(N_SERIES)
        for phase in range(N_PHASES)
    ]


def sizes(*examinations):
    """How many files of which examinations each group has."""
    origins = [origin for each in examinations for origin in each]
    owners = [number for number, each in enumerate(examinations) for _ in each]
    return [
        {number: [owners[i] for i in group].count(number) for number in {owners[i] for i in group}} for group in divide(origins)
    ]


N = N_SERIES * N_PHASES


@pytest.mark.parametrize(
    "changes",
    [
        {"study_uid": b""},
        {"study_uid": b"1.2.3"},
        {"study_uid": b"1.2.3", "frame_of_reference": ""},
        {"study_uid": b"", "date": b"", "time": b"", "frame_of_reference": "", "series_uid": ""},
    ],
    ids=["no UID", "one UID for all", "one UID for all and no frame of reference", "nothing but PatientID"],
)
def test_persons_are_apart_whatever_the_study_uid(changes):
    assert sizes(examination("A", **changes), examination("B", **changes)) == [{0: N}, {1: N}]


@pytest.mark.parametrize("column", ["date", "time", "study_uid"])
def test_visits_of_one_person_are_apart(column):
    visits = [examination("A", **{column: value}, sop_instance_uid="") for value in (b"20200101", b"20210101", b"20220101")]
    assert sizes(*visits) == [{0: N}, {1: N}, {2: N}]


@pytest.mark.parametrize(
    "value",
    [lambda series, phase: b"%d.%d" % (series, phase), lambda series, _: b"1.%d" % series, lambda _, phase: b"1.%d" % phase],
    ids=["file", "series", "phase"],
)
@pytest.mark.parametrize("column", ["study_uid", "time"])
def test_a_value_of_its_own_in_every_file_series_or_phase_says_nothing(column, value):
    assert sizes(examination(**{column: value})) == [{0: N}]
    assert sizes(examination("A", **{column: value}), examination("B", **{column: value})) == [{0: N}, {1: N}]


PATIENT_OF_ITS_OWN = {"file": lambda series, phase: b"H%d%d" % (series, phase), "series": lambda series, _: b"H%d" % series}


@pytest.mark.parametrize("patient", PATIENT_OF_ITS_OWN.values(), ids=PATIENT_OF_ITS_OWN)
def test_a_patient_id_of_its_own_in_every_file_or_series_says_nothing_where_all_else_agrees(patient):
    assert sizes(examination(patient=patient)) == [{0: N}]
    for doubt in ({"time": b""}, {"frame_of_reference": ""}, {"study_uid": b""}):
        assert len(divide(examination(patient=patient, **doubt))) > 1
    assert sizes(examination("A", patient=patient), examination("B", patient=patient)) == [{0: N}, {1: N}]
    constants = {"study_uid": b"1.2.3", "frame_of_reference": "1.2.4"}
    assert sizes(examination("A", **constants), examination("B", **constants)) == [{0: N}, {1: N}]


def test_study_uids_decide_where_nothing_else_is_known():
    persons = [examination(name, patient=b"", date=b"", time=b"", frame_of_reference="") for name in "ABC"]
    assert sizes(*persons) == [{0: N}, {1: N}, {2: N}]


def test_frames_of_reference_decide_where_nothing_else_does():
    persons = [examination(name, patient=b"", date=b"", time=b"", study_uid=b"") for name in "AB"]
    assert sizes(*persons) == [{0: N}, {1: N}]
    one = examination("A", patient=b"", date=b"", time=b"", study_uid=b"")
    moved = [origin._replace(frame_of_reference="2.B") if origin.series[0] > 1 else origin for origin in one]
    assert sizes(moved) == [{0: N}]


def test_a_file_that_says_less_joins_the_examination_that_it_fits():
    first = examination("A")
    silent = first[0]._replace(identity=Identity(study_uid=b"1.A"))
    assert sizes([*first, silent], examination("B")) == [{0: N + 1}, {1: N}]


def test_several_complete_sets_of_views_are_told_by_their_numbering():
    nothing = {"patient": b"", "date": b"", "time": b"", "study_uid": b"", "frame_of_reference": "", "series_uid": ""}
    persons = [examination(name, **nothing) for name in "ABC"]
    together = [origin for person in persons for origin in person]
    assert divide(together) == [list(range(3 * N))]
    assert are_several_sets(together)
    assert not are_several_sets(persons[0])
    assert not are_several_sets([*persons[0], *persons[0]])  # copied, not another person
    one_number = [origin._replace(series=(None, "")) for origin in together]
    assert not are_several_sets(one_number)


def test_of_one_person_only_where_patient_ids_say_so():
    assert are_of_one_person([Identity(patient=b"A"), Identity(patient=b"A", date=b"1")]) is True
    assert are_of_one_person([Identity(patient=b"A"), Identity(patient=b"B")]) is False
    assert are_of_one_person([Identity(patient=b"A", birth_date=b"1"), Identity(patient=b"A", birth_date=b"2")]) is False
    assert are_of_one_person([Identity(), Identity(date=b"1")]) is None


def test_capital_letters_of_a_patient_id_are_no_other_person():
    assert read_identity(b"ab12 ", b"", b"", b"", b"") == read_identity(b"AB12", b"", b"", b"", b"")


def test_padding_zeros_and_fractions_of_a_second_say_nothing():
    assert read_identity(b"0000", b"", b"2020.01.02", b"11:12:13.500000 ", b"1.2\x00") == Identity(
        date=b"20200102", time=b"111213", study_uid=b"1.2"
    )


def test_no_value_shows_in_a_repr():
    (origin, *_) = examination("DOE")
    assert "DOE" not in repr(origin) + repr(origin.identity)
