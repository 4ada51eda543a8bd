"""What of a subject's frames is one examination of one person."""

from dataclasses import replace

import pytest

from cmr_planes.dicom.examinations import Identity
from cmr_planes.errors import NoteCode, RejectionCode, StudyError
from cmr_planes.extraction.examination import choose_examination
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import cine_frames

PLANE = ImagePlane.from_attributes((0, 0, 0), (1, 0, 0, 0, 1, 0), (2, 2), rows=64, columns=64)


def frames(number, *, n_frames=10, **identity):
    values = {"study_uid": b"2.25.%d" % number, **identity}
    made = cine_frames(PLANE, n_frames=n_frames, number=number, sop_instance_uid="")
    return [replace(frame, identity=Identity(**values), study_uid=values["study_uid"].decode()) for frame in made]


def test_the_study_of_one_person_with_most_frames_is_used_and_the_others_are_told():
    chosen, (finding,) = choose_examination([*frames(9, n_frames=4, patient=b"DOE"), *frames(8, patient=b"DOE")])
    assert {frame.study_uid for frame in chosen} == {"2.25.8"}
    assert finding.code is NoteCode.SEVERAL_STUDIES
    assert "4 of 14 files" in finding.sentence
    assert "2.25" not in finding.sentence
    assert "DOE" not in finding.sentence


@pytest.mark.parametrize(
    ("first", "second"), [(b"DOE", b"ROE"), (b"", b"")], ids=["other persons", "nothing says that they are one"]
)
def test_several_persons_are_refused(first, second):
    with pytest.raises(StudyError, match="a folder or zip of their own") as caught:
        choose_examination([*frames(8, patient=first), *frames(9, patient=second)])
    assert caught.value.code is RejectionCode.SEVERAL_PERSONS
    assert "OE" not in str(caught.value)


def test_a_few_stray_files_cost_no_study():
    chosen, (finding,) = choose_examination([*frames(8, n_frames=30), *frames(9, n_frames=2)])
    assert len(chosen) == 30
    assert finding.code is NoteCode.SEVERAL_STUDIES
    with pytest.raises(StudyError):
        choose_examination([*frames(8, n_frames=30, patient=b"A"), *frames(9, n_frames=2, patient=b"B")])


def test_all_frames_of_a_multi_frame_file_stay_together():
    (first, *_) = frames(8, n_frames=1)
    many = [replace(first, frame_index=index, n_frames=5) for index in range(5)]
    chosen, findings = choose_examination(many)
    assert chosen == many
    assert findings == []


def test_an_empty_study_uid_is_told():
    _, (finding,) = choose_examination(frames(8, study_uid=b"", patient=b"A"))
    assert finding.code is NoteCode.NO_STUDY_UID
