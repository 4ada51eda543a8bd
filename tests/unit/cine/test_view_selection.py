"""Which slices are SAX, 2Ch, 3Ch and 4Ch."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from cmr_planes.cine.view_selection import ViewSelection, select_views
from cmr_planes.errors import NoteCode, RejectionCode
from cmr_planes.fates import Fate
from cmr_planes.geometry.stack import slice_positions_mm
from cmr_planes.phantom.small_study import ORIENTATIONS, SimpleStudy, simple_study
from cmr_planes.views import CardiacView
from tests.helpers.headers import as_study, cine_frames, moved, study_frames, turned

SAX, TWO, THREE, FOUR = CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER


@cache
def the_heart() -> SimpleStudy:
    return simple_study(n_frames=2, rows=16, columns=16, spacing_mm=(20.0, 20.0))


@pytest.fixture
def heart() -> SimpleStudy:
    return the_heart()


def series_numbers(selection: ViewSelection, view: CardiacView) -> list[int | None]:
    return [cine.header.series_number for cine in selection.views[view]]


def codes(selection: ViewSelection, view: CardiacView | None = None) -> set[NoteCode]:
    return {note.code for note in selection.findings if view is None or note.view == view.value}


def assert_right_views(selection: ViewSelection, heart: SimpleStudy) -> None:
    assert not selection.missing
    assert series_numbers(selection, SAX) == [heart.series[f"sax{level}"].number for level in range(1, 7)]
    for view, key in ((TWO, "2ch"), (THREE, "3ch"), (FOUR, "4ch")):
        assert series_numbers(selection, view) == [heart.series[key].number]


@pytest.mark.parametrize("names", [True, False], ids=["named", "blank"])
def test_views_of_a_heart_are_found_with_and_without_names(heart, names):
    selection = select_views(as_study(*study_frames(heart, names=names).values()))
    assert_right_views(selection, heart)
    assert selection.findings == ()


def turned_heart(heart: SimpleStudy, roll, tilt, turn, shift, *, names: bool) -> ViewSelection:
    axis = -np.array(ORIENTATIONS["sax"][1]) / np.linalg.norm(ORIENTATIONS["sax"][1])
    rotation = (Rotation.from_euler("xz", [tilt, turn], degrees=True) * Rotation.from_rotvec(np.radians(roll) * axis)).as_matrix()
    frames = []
    for series in study_frames(heart, names=names).values():
        plane = moved(series[0].plane, rotation=rotation, shift_mm=shift)
        frames.append([replace(frame, plane=plane) for frame in series])
    return select_views(as_study(*frames))


SHIFTS = st.tuples(*[st.floats(-100, 100)] * 3)


@given(roll=st.floats(-12, 12), tilt=st.floats(-12, 12), turn=st.floats(-20, 20), shift=SHIFTS)
def test_views_without_names_are_found_in_hearts_that_are_rolled_and_tilted(roll, tilt, turn, shift):
    assert_right_views(turned_heart(the_heart(), roll, tilt, turn, shift, names=False), the_heart())


@given(roll=st.floats(-20, 20), tilt=st.floats(-15, 20), turn=st.floats(-20, 20), shift=SHIFTS)
def test_views_with_names_are_found_in_hearts_that_are_rolled_and_tilted_far(roll, tilt, turn, shift):
    selection = turned_heart(the_heart(), roll, tilt, turn, shift, names=True)
    assert_right_views(selection, the_heart())
    assert codes(selection) == set()


@given(roll=st.floats(-20, 20), tilt=st.floats(-20, -15), turn=st.floats(-20, 20), shift=SHIFTS)
def test_in_hearts_that_are_tilted_farther_a_named_4ch_is_found_or_refused(roll, tilt, turn, shift):
    """Around a roll of -5 degrees, the plane and the name are not enough: another reading is nearly as likely."""
    selection = turned_heart(the_heart(), roll, tilt, turn, shift, names=True)
    if selection.missing:
        assert -13 < roll < 3
        assert {view: finding.code for view, finding in selection.missing.items()} == {FOUR: RejectionCode.AMBIGUOUS_VIEW}
        assert [series_numbers(selection, view) for view in (TWO, THREE)] == [
            [the_heart().series[key].number] for key in ("2ch", "3ch")
        ]
    else:
        assert_right_views(selection, the_heart())
    assert codes(selection) == set()


def test_short_axis_runs_from_base_to_apex_whatever_the_order_of_files(heart):
    by_key = study_frames(heart, names=False)
    shuffled = [by_key[key] for key in sorted(by_key, reverse=True)]
    selection = select_views(as_study(*shuffled))
    levels = slice_positions_mm([cine.plane for cine in selection.views[SAX]])
    assert (np.diff(levels) > 0).all()
    assert_right_views(selection, heart)


def test_a_3ch_view_named_4ch_stays_3ch_and_is_noted(heart):
    by_key = study_frames(heart)
    by_key["3ch"] = [replace(frame, series_description="4CH_FIESTA_BH") for frame in by_key["3ch"]]
    selection = select_views(as_study(*by_key.values()))
    assert_right_views(selection, heart)
    assert codes(selection) == {NoteCode.NAME_CONFLICT}


def test_a_3ch_view_named_4ch_is_not_taken_for_a_missing_4ch(heart):
    by_key = study_frames(heart)
    del by_key["4ch"]
    by_key["3ch"] = [replace(frame, series_description="4CH_FIESTA_BH") for frame in by_key["3ch"]]
    selection = select_views(as_study(*by_key.values()))
    assert selection.missing[FOUR].code is RejectionCode.NO_4CH
    assert "3Ch" in selection.missing[FOUR].sentence


def test_a_right_ventricular_2ch_named_2ch_is_not_used(heart):
    by_key = study_frames(heart)
    normal = by_key["2ch"][0].plane.normal
    to_the_right = -45 * normal * np.sign(normal[0])
    right = moved(by_key["2ch"][0].plane, shift_mm=to_the_right)
    by_key["2ch"] = [replace(frame, plane=right) for frame in by_key["2ch"]]
    selection = select_views(as_study(*by_key.values()))
    code, sentence = selection.missing[TWO].code, selection.missing[TWO].sentence
    assert code is RejectionCode.NO_2CH
    assert "45 mm from the left ventricle" in sentence


def test_of_a_left_and_a_right_2ch_the_left_one_is_used(heart):
    by_key = study_frames(heart, names=False)
    normal = by_key["2ch"][0].plane.normal
    right = moved(by_key["2ch"][0].plane, shift_mm=-45 * normal * np.sign(normal[0]))
    selection = select_views(as_study(*by_key.values(), cine_frames(right, n_frames=2, number=99)))
    assert_right_views(selection, heart)
    assert selection.planes[-1].fate is Fate.OTHER_VIEW


def test_of_repeats_the_latest_complete_one_wins(heart):
    by_key = study_frames(heart)
    sax, four = by_key["sax3"][0].plane, by_key["4ch"][0].plane
    later_sax = cine_frames(moved(sax, shift_mm=2 * sax.normal), n_frames=2, number=50)
    cut_off = cine_frames(four, n_frames=10, number=52)[:2]
    cut_off = [replace(frame, cardiac_number_of_images=10) for frame in cut_off]
    later_four = cine_frames(moved(four, shift_mm=3 * four.normal), n_frames=2, number=51)
    selection = select_views(as_study(*by_key.values(), later_sax, later_four, cut_off))
    assert series_numbers(selection, SAX)[2] == 50
    assert len(selection.views[SAX]) == 6
    assert series_numbers(selection, FOUR) == [51]
    superseded = [note for note in selection.findings if note.code is NoteCode.SUPERSEDED]
    assert {note.view for note in superseded} == {"sax", "4ch"}
    assert any("series 52" in note.sentence for note in superseded)


def test_slices_of_another_matrix_are_left_out_with_a_note(heart):
    by_key = study_frames(heart)
    odd = replace(by_key["sax2"][0].plane, rows=20)
    by_key["sax2"] = [replace(frame, plane=odd) for frame in by_key["sax2"]]
    selection = select_views(as_study(*by_key.values()))
    assert len(selection.views[SAX]) == 5
    (note,) = [note for note in selection.findings if note.code is NoteCode.SLICE_LEFT_OUT]
    assert "20 × 16" in note.sentence


def test_an_axial_stack_is_not_the_short_axis(heart):
    by_key = study_frames(heart, names=False)
    axial = [cine_frames(axial_plane(level_mm), n_frames=2, number=60 + index) for index, level_mm in enumerate(range(-60, 100, 8))]
    selection = select_views(as_study(*by_key.values(), *axial))
    assert_right_views(selection, heart)


def axial_plane(level_mm):
    from cmr_planes.geometry import ImagePlane

    return ImagePlane.from_attributes([-150, -150, level_mm], [1, 0, 0, 0, 1, 0], [20, 20], rows=16, columns=16)


def test_one_short_axis_slice_is_known_by_the_line_in_which_long_axis_planes_meet(heart):
    by_key = study_frames(heart, names=False)
    selection = select_views(as_study(*(by_key[key] for key in ("sax3", "2ch", "3ch", "4ch"))))
    assert not selection.missing
    assert series_numbers(selection, SAX) == [heart.series["sax3"].number]


def test_without_a_short_axis_every_view_is_missing_with_a_reason(heart):
    by_key = study_frames(heart)
    selection = select_views(as_study(by_key["2ch"], by_key["4ch"]))
    assert {view: finding.code for view, finding in selection.missing.items()} == {
        SAX: RejectionCode.NO_SAX,
        TWO: RejectionCode.NO_2CH,
        FOUR: RejectionCode.NO_4CH,
    }
    assert selection.views == {}


def test_excluded_series_are_counted_in_the_reason(heart):
    by_key = study_frames(heart)
    by_key["2ch"] = [replace(frame, series_description="LGE_2CH_PSIR") for frame in by_key["2ch"]]
    selection = select_views(as_study(*by_key.values()))
    assert "2 frames left out: late enhancement" in selection.missing[TWO].sentence


def test_a_plane_between_two_views_is_decided_by_its_name_or_not_at_all(heart):
    by_key = study_frames(heart)
    axis = np.array(ORIENTATIONS["sax"][1])
    between = turned(by_key["4ch"][0].plane, axis / np.linalg.norm(axis), 23.5, centre_mm=heart.centre_mm)
    frames = [by_key[key] for key in by_key if key.startswith("sax")]
    named = cine_frames(between, n_frames=2, number=70, series_description="4CH_FIESTA_BH")
    blank = cine_frames(between, n_frames=2, number=70)
    assert FOUR in select_views(as_study(*frames, by_key["2ch"], named)).views
    reason = select_views(as_study(*frames, by_key["2ch"], blank)).missing[FOUR]
    code, sentence = reason.code, reason.sentence
    assert code is RejectionCode.AMBIGUOUS_VIEW
    assert "between" in sentence
