"""Which acquisitions of a study are cines: by headers, by names, and by what else there is."""

from dataclasses import replace

import pytest

from cmr_planes.cine.cine_evidence import doubt_findings
from cmr_planes.errors import NoteCode
from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane
from cmr_planes.views import CardiacView
from tests.helpers.headers import as_study, cine_frames, moved

AXIAL = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 2.0], rows=40, columns=40)
CORONAL = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 0, -1], [2.0, 2.0], rows=40, columns=40)
DERIVED = ("DERIVED", "SECONDARY", "M")


def level(index):
    return moved(AXIAL, shift_mm=(0, 0, 10 * index))


def stack(numbers, **changes):
    return [cine_frames(level(index), number=number, **changes) for index, number in enumerate(numbers)]


def used(study):
    return [cine.header.series_number for cine in study.slices]


def reasons(study):
    return {row.series_number: (row.fate, row.sentence) for row in study.passed_over}


def test_what_is_no_cine_has_a_row_with_its_reason():
    study = as_study(cine_frames(AXIAL, image_type=("ORIGINAL", "PRIMARY", "P")), cine_frames(AXIAL, number=4, modality="CT"))
    assert study.slices == ()
    assert reasons(study) == {1: (Fate.NOT_CINE, "phase images"), 4: (Fate.NOT_CINE, "not MR")}
    assert {row.n_frames for row in study.passed_over} == {10}


def test_two_frames_beside_cines_of_many_are_no_cine():
    pair = cine_frames(moved(AXIAL, shift_mm=(0, 0, 5)), n_frames=2, number=9)
    study = as_study(*stack([1, 2, 3]), pair)
    assert used(study) == [1, 2, 3]
    assert reasons(study)[9] == (Fate.NOT_CINE, "2 frames, where the cines of the study have 10")


def test_two_frames_are_kept_where_there_is_nothing_else():
    assert used(as_study(*[frames[:2] for frames in stack([1, 2, 3])])) == [1, 2, 3]


@pytest.mark.parametrize("shift_mm", [0.0, 5.0])
def test_derived_images_give_way_to_a_stack_of_originals(shift_mm):
    derived = [
        cine_frames(moved(level(index), shift_mm=(0, 0, shift_mm)), number=10 + index, image_type=DERIVED) for index in range(-1, 5)
    ]
    study = as_study(*stack([1, 2, 3, 4]), *derived)
    assert used(study) == [1, 2, 3, 4]
    assert all(fate is Fate.NOT_CINE and "derived" in sentence for fate, sentence in reasons(study).values())


def test_derived_images_fill_a_hole_of_the_stack_and_are_noted():
    originals = stack([1, 2, 3, 4, 5])
    derived = cine_frames(level(2), number=12, image_type=DERIVED)
    study = as_study(*(frames for index, frames in enumerate(originals) if index != 2), derived)
    assert used(study) == [1, 2, 4, 5, 12]
    (note,) = doubt_findings(CardiacView.SAX, study.slices)
    assert note.code is NoteCode.DOUBTFUL_CINE
    assert note.sentence.startswith("1 of 5 slices is used since no better cine lies there: derived images")


def test_derived_images_are_used_where_nothing_else_is_there():
    assert used(as_study(*stack([1, 2, 3], image_type=DERIVED))) == [1, 2, 3]


def test_of_copies_with_and_without_correction_of_distortion_the_corrected_one_is_used():
    plain = cine_frames(AXIAL, number=8, acquired_at="20200101", image_type=("ORIGINAL", "PRIMARY", "M", "ND"))
    corrected = cine_frames(AXIAL, number=3, acquired_at="20200101", image_type=("ORIGINAL", "PRIMARY", "M", "DIS2D"))
    study = as_study(plain, corrected)
    assert used(study) == [3]
    assert reasons(study)[8] == (Fate.REPEAT, "the distortion-corrected copy of the same acquisition was used")
    assert [finding.code for finding in study.findings] == [NoteCode.SUPERSEDED]


def test_a_word_that_all_series_share_excludes_none():
    study = as_study(
        *stack([1, 2, 3], protocol_name="Herz LGE Perfusion Standard"),
        cine_frames(CORONAL, number=4, protocol_name="Herz LGE Perfusion Standard"),
    )
    assert used(study) == [1, 2, 3, 4]
    assert not any(cine.doubt for cine in study.slices)


def test_a_view_that_all_series_share_is_no_hint():
    study = as_study(
        cine_frames(AXIAL, number=1, series_description="SAX protocol", protocol_name="cine_sax"),
        cine_frames(CORONAL, number=2, series_description="SAX protocol", protocol_name="cine_4ch"),
    )
    assert [cine.name_view for cine in study.slices] == [CardiacView.SAX, CardiacView.FOUR_CHAMBER]


def test_a_word_of_a_parallel_stack_alone_is_no_shared_one():
    assert used(as_study(*stack([1, 2, 3], series_description="SA tagging"))) == []


@pytest.mark.parametrize("name", ["CINE PA", "DE", "SA cine AV block", "T1_FFE cine SA", "SAX retro RT 60", "cine plan petit axe"])
def test_a_stack_of_cines_outvotes_a_word_of_two_letters(name):
    study = as_study(*stack([1, 2, 3], series_description=name), cine_frames(CORONAL, number=4, series_description="4ch"))
    assert used(study) == [1, 2, 3, 4]
    assert not any(cine.doubt for cine in study.slices)


@pytest.mark.parametrize("name", ["LGE", "PSIR", "SA first pass perfusion", "real time SAX", "T1 map"])
def test_telling_words_exclude_unless_times_follow_a_beat(name):
    cines = stack([1, 2, 3])
    frames = cine_frames(CORONAL, number=4, series_description=name)
    timeless = [replace(frame, trigger_time_ms=None) for frame in frames]
    assert used(as_study(*cines, timeless)) == [1, 2, 3]
    study = as_study(*cines, frames)
    assert used(study) == [1, 2, 3, 4]
    assert study.slices[3].doubt.startswith("the name suggests")


@pytest.mark.parametrize("name", ["SA tagging", "SA grid CSPAMM", "LOC_SAX", "RVOT", "aortic valve", "SAX_InlineVF", "flow SA"])
def test_words_that_headers_cannot_refute_exclude(name):
    study = as_study(*stack([1, 2, 3]), cine_frames(level(1), number=9, series_description=name))
    assert used(study) == [1, 2, 3]
    assert reasons(study)[9][0] is Fate.EXCLUDED_NAME
