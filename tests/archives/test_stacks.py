"""Short-axis stacks as archives have them: repeated, shifted, turned, overlapping and going on into the atria."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_planes.errors import NoteCode
from cmr_planes.fates import Fate
from cmr_planes.geometry.stack import slice_positions_mm
from cmr_planes.views import CardiacView
from tests.helpers.archive_evidence import LEVELS, Archive, assert_only_cines_are_used, heart
from tests.helpers.headers import moved, turned

SAX = CardiacView.SAX


def numbers(selection):
    return [cine.header.series_number for cine in selection.views[SAX]]


def steps_mm(selection):
    return np.diff(slice_positions_mm([cine.plane for cine in selection.views[SAX]]))


def notes(selection):
    return [finding for finding in selection.findings if finding.view == SAX]


@pytest.fixture(params=[False, True], ids=["blank", "named"])
def archive(request):
    return Archive(named=request.param)


def original():
    return [heart().series[level].number for level in LEVELS]


def later():
    return [number + 100 for number in original()]


def test_a_later_repeat_of_another_matrix_leaves_the_whole_stack(archive):
    archive.again(LEVELS[:4])
    archive.intruders = [[replace(frame, plane=replace(frame.plane, rows=14)) for frame in frames] for frames in archive.intruders]
    assert_only_cines_are_used(archive)
    (note,) = notes(archive.views())
    assert "14 × 16" in note.sentence


@pytest.mark.parametrize("shift_mm", [3.0, 5.5])
def test_a_whole_stack_that_was_repeated_a_little_off_is_the_later_one_alone(archive, shift_mm):
    archive.again(LEVELS, shift_mm=shift_mm)
    selection = archive.views()
    assert numbers(selection) == later()
    assert len(archive.study().slices) == 7 + 10


@pytest.mark.parametrize("turn_deg", [4.0, 8.0])
def test_of_a_stack_that_was_planned_anew_the_later_one_is_used_and_noted(archive, turn_deg):
    archive.again(LEVELS, turn_deg=turn_deg)
    selection = archive.views()
    assert numbers(selection) == later()
    (note,) = notes(selection)
    assert "which was planned again" in note.sentence


@pytest.mark.parametrize("angle_deg", [5.0, 6.0])
@pytest.mark.parametrize("from_level", [2, 4])
def test_an_angle_changed_in_mid_stack_loses_no_level(archive, angle_deg, from_level):
    for level in LEVELS[from_level:]:
        archive.series[level] = [
            replace(frame, plane=turned(frame.plane, frame.plane.row_cosine, angle_deg)) for frame in archive.series[level]
        ]
    assert_only_cines_are_used(archive)
    (note,) = notes(archive.views())
    assert note.code is NoteCode.STACK_ANGLE


@pytest.mark.parametrize("shift_mm", [4.0, 5.0, 6.5])
def test_a_shifted_repeat_of_some_levels_keeps_the_steps_even(archive, shift_mm):
    archive.again(LEVELS[2:5], shift_mm=shift_mm)
    selection = archive.views()
    np.testing.assert_allclose(steps_mm(selection), 10.0)
    (note,) = notes(selection)
    assert "lies between the levels of the stack" in note.sentence


def test_overlapping_slices_of_a_3d_cine_are_all_levels(archive):
    base = archive.series["sax1"]
    normal = base[0].plane.normal * np.sign(base[0].plane.normal[2])
    for level in LEVELS[1:]:
        del archive.series[level]
    archive.series["sax1"] = []
    for index in range(19):
        plane = moved(base[0].plane, shift_mm=-3.3 * index * normal)
        archive.intruders.append(
            [
                replace(frame, plane=plane, slice_thickness_mm=10.0, instance_number=12 * index + place)
                for place, frame in enumerate(base)
            ]
        )
    selection = archive.views()
    assert len(selection.views[SAX]) == 19
    np.testing.assert_allclose(steps_mm(selection), 3.3)
    assert notes(selection) == []


@pytest.mark.parametrize("name", ["SA atria cine", "SAX atria", "SA cine"])
def test_levels_of_the_atria_are_left_out_and_noted(archive, name):
    archive.again(LEVELS, shift_mm=70.0 * up(), series_description=name)
    assert_only_cines_are_used(archive)
    (note,) = notes(archive.views())
    assert note.code is NoteCode.SLICE_LEFT_OUT
    assert "7 slices" in note.sentence


def up() -> float:
    """Return the sign of the way from apex to base along the stack's normal."""
    first, last = (heart().series[level].plane.centre_mm for level in (LEVELS[0], LEVELS[-1]))
    return float(np.sign((first - last) @ heart().series["sax1"].plane.normal))


def test_later_repeats_of_single_levels_are_used_and_the_older_ones_noted(archive):
    archive.again(LEVELS[:4])
    selection = archive.views()
    assert numbers(selection) == later()[:4] + original()[4:]
    (note,) = notes(selection)
    assert note.code is NoteCode.SUPERSEDED


def test_a_later_half_of_a_cycle_does_not_displace_the_whole(archive):
    archive.again(LEVELS, n_frames=6, cardiac_number_of_images=6)
    assert_only_cines_are_used(archive)
    assert all(row.fate is not Fate.USED for row in archive.study().passed_over)
