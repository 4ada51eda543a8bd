"""Which acquisitions make a short-axis stack: whole ones, of one matrix, in even steps."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from cmr_planes.cine.stacks import Stack, assemble_stack
from cmr_planes.errors import NoteCode
from cmr_planes.fates import Fate
from cmr_planes.geometry import ImagePlane
from cmr_planes.phantom.small_study import ORIENTATIONS
from tests.helpers.headers import as_study, cine_frames, moved, turned

NORMAL = -np.array(ORIENTATIONS["sax"][1]) / np.linalg.norm(ORIENTATIONS["sax"][1])
ROW = np.cross(NORMAL, [0.0, 0.0, 1.0]) / np.linalg.norm(np.cross(NORMAL, [0.0, 0.0, 1.0]))
BASE = ImagePlane(
    position_mm=np.array([-40.0, -60.0, 90.0]),
    row_cosine=ROW,
    column_cosine=np.cross(NORMAL, ROW),
    row_spacing_mm=2.0,
    column_spacing_mm=2.0,
    rows=96,
    columns=96,
)


def plane_at(place_mm, turn_deg=0.0):
    return turned(moved(BASE, shift_mm=place_mm * NORMAL), ROW, turn_deg)


def levels(places_mm, *, first=1, hour="10", turn_deg=0.0, **changes):
    """One series per level, acquired one after the other."""
    return [
        cine_frames(
            replace(plane_at(place, turn_deg), rows=changes.get("rows", 96)),
            number=first + index,
            acquired_at=f"20200101{hour}{index:02d}00",
            **{name: value for name, value in changes.items() if name != "rows"},
        )
        for index, place in enumerate(places_mm)
    ]


def one_series(places_mm, *, number, hour="10", **changes):
    """All levels in one series."""
    groups = levels(places_mm, hour=hour, **changes)
    return [
        [
            replace(frame, series_number=number, series_uid=f"2.25.{number}", instance_number=20 * level + index)
            for index, frame in enumerate(group)
        ]
        for level, group in enumerate(groups)
    ]


def stack_of(*groups) -> Stack:
    study = as_study(*groups)
    return assemble_stack(study.slices[:1], study.slices)


def numbers(stack):
    return [cine.header.series_number for cine in stack.slices]


def places(stack):
    return [round(float((cine.plane.centre_mm - BASE.centre_mm) @ NORMAL), 1) for cine in stack.slices]


def fates(stack):
    return Counter(one.fate for one in stack.passed_over)


SEVEN = [10.0 * index for index in range(7)]
TEN = [10.0 * index for index in range(10)]


def test_a_plain_stack_runs_from_base_to_apex_without_a_word():
    stack = stack_of(*reversed(levels(SEVEN)))
    assert numbers(stack) == [1, 2, 3, 4, 5, 6, 7]
    assert stack.passed_over == stack.findings == ()


def test_the_common_matrix_is_settled_before_repeats_are():
    stack = stack_of(*levels(SEVEN), *levels(SEVEN[:4], first=20, hour="23", rows=88))
    assert numbers(stack) == [1, 2, 3, 4, 5, 6, 7]
    assert fates(stack) == {Fate.REPEAT: 4}
    (note,) = stack.findings
    assert (
        "4 slices were left out of the stack (series 20; series 21; series 22; series 23): the first has 88 × 96" in note.sentence
    )


@pytest.mark.parametrize("shift_mm", [0.0, 3.0, 5.0, 5.5, 6.5])
def test_a_whole_later_stack_is_used_alone_wherever_it_lies(shift_mm):
    later = levels([place + shift_mm for place in SEVEN], first=20, hour="23")
    stack = stack_of(*levels(SEVEN), *later)
    assert numbers(stack) == [20, 21, 22, 23, 24, 25, 26]
    assert len(stack.passed_over) == 7
    assert all(finding.code in (NoteCode.SUPERSEDED, NoteCode.SLICE_LEFT_OUT) for finding in stack.findings)


def test_later_repeats_of_single_levels_take_their_places():
    stack = stack_of(*levels(TEN), *levels(TEN[3:6], first=20, hour="23"))
    assert numbers(stack) == [1, 2, 3, 20, 21, 22, 7, 8, 9, 10]
    (note,) = stack.findings
    assert note.code is NoteCode.SUPERSEDED
    assert "a later acquisition of this level was used" in note.sentence


@pytest.mark.parametrize("shift_mm", [4.0, 5.0, 6.5])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "later"])
def test_shifted_repeats_of_some_levels_do_not_break_the_even_steps(shift_mm, at_once):
    repeated = [place + shift_mm for place in TEN[3:6]]
    groups = levels(TEN[:6] + repeated + TEN[6:]) if at_once else levels(TEN) + levels(repeated, first=20, hour="23")
    stack = stack_of(*groups)
    assert places(stack) == TEN
    assert fates(stack) == {Fate.REPEAT: 3}
    (note,) = stack.findings
    assert "lies between the levels of the stack" in note.sentence


def test_a_hole_of_the_latest_stack_is_filled_from_the_older_one():
    later = levels(SEVEN, first=20, hour="23")
    stack = stack_of(*levels(SEVEN), *(group for index, group in enumerate(later) if index != 3))
    assert numbers(stack) == [20, 21, 22, 4, 24, 25, 26]


def test_a_later_stack_of_half_cycles_does_not_displace_the_whole_one():
    halves = [group[:5] for group in levels(SEVEN, first=20, hour="23", cardiac_number_of_images=5)]
    assert numbers(stack_of(*levels(SEVEN), *halves)) == [1, 2, 3, 4, 5, 6, 7]


def test_an_angle_changed_on_the_way_is_one_stack_with_a_note():
    turned = levels(SEVEN[4:], first=5, turn_deg=5.0, hour="11")
    stack = stack_of(*levels(SEVEN[:4]), *turned)
    assert numbers(stack) == [1, 2, 3, 4, 5, 6, 7]
    (note,) = stack.findings
    assert note.code is NoteCode.STACK_ANGLE
    assert "3 of 7 slices are turned by up to 5 degrees (series 5; series 6; series 7)" in note.sentence


@pytest.mark.parametrize("turn_deg", [2.0, 4.0, 8.0])
def test_of_a_stack_and_one_planned_anew_the_later_is_used(turn_deg):
    later = levels(SEVEN, first=20, hour="23", turn_deg=turn_deg)
    stack = stack_of(*levels(SEVEN), *later)
    assert numbers(stack) == [20, 21, 22, 23, 24, 25, 26]
    assert fates(stack) == {Fate.REPEAT: 7}
    if turn_deg > 3:
        assert f"turned by {turn_deg:.0f} degrees against the stack, which was planned again" in stack.findings[0].sentence


@pytest.mark.parametrize("places_mm", [[0, 28, 42], [0, 28, 56, 70], [0, 14, 42, 70], [0, 20, 40, 10, 30, 50]])
def test_holes_and_interleaved_levels_cost_no_level(places_mm):
    assert places(stack_of(*levels(places_mm))) == sorted(places_mm)
    assert places(stack_of(*one_series(places_mm, number=3))) == sorted(places_mm)


def test_overlapping_levels_of_one_series_are_all_levels():
    thin = [3.3 * index for index in range(21)]
    stack = stack_of(*one_series(thin, number=4, slice_thickness_mm=10.0))
    assert places(stack) == pytest.approx(thin, abs=0.06)
    assert stack.findings == ()


@pytest.mark.parametrize("name", ["SAX atria", "SA cine"])
@pytest.mark.parametrize("hour", ["09", "23"])
@pytest.mark.parametrize("as_one", [False, True], ids=["a series per level", "one series"])
def test_a_stack_that_goes_on_above_the_base_under_another_name_is_left_out(name, hour, as_one):
    above = [-60.0 + 10 * index for index in range(6)]
    atria = (
        one_series(above, number=50, hour=hour, series_description=name)
        if as_one
        else levels(above, first=50, hour=hour, series_description=name)
    )
    stack = stack_of(*levels(TEN, series_description="SAX"), *atria)
    assert numbers(stack) == list(range(1, 11))
    (note,) = stack.findings
    assert note.code is NoteCode.SLICE_LEFT_OUT
    assert "beyond the stack" in note.sentence


def test_an_unnamed_series_that_would_make_the_stack_longer_than_a_heart_is_left_out():
    above = one_series([-60.0 + 10 * index for index in range(6)], number=50, hour="23")
    stack = stack_of(*one_series(TEN, number=3), *above)
    assert set(numbers(stack)) == {3}


def test_two_series_of_one_stack_are_joined():
    stack = stack_of(*one_series(SEVEN[:4], number=3), *one_series(SEVEN[4:], number=4, hour="11"))
    assert places(stack) == SEVEN


def test_parts_of_a_stack_under_names_of_their_own_are_joined():
    parts = [
        levels(TEN[3 * part : 3 * part + 3], first=1 + 3 * part, hour=f"1{part}", series_description=f"SAX {name}")
        for part, name in enumerate(("base", "mid", "apex"))
    ]
    assert places(stack_of(*(group for part in parts for group in part))) == TEN[:9]


def test_the_choice_does_not_depend_on_the_order_of_files():
    groups = [*levels(TEN), *levels([place + 4 for place in TEN[3:6]], first=20, hour="23")]
    assert numbers(stack_of(*groups)) == numbers(stack_of(*reversed(groups)))
