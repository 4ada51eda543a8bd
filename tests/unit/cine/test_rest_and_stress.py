"""One state of the heart for all views."""

from dataclasses import replace

import pytest

from cmr_planes.cine.rest_and_stress import select_one_state
from cmr_planes.cine.view_selection import ViewSelection, select_views
from cmr_planes.errors import NoteCode
from cmr_planes.fates import Fate
from cmr_planes.phantom.small_study import simple_study
from tests.helpers.headers import as_study, study_frames

HEART = simple_study(n_frames=2, rows=16, columns=16, spacing_mm=(20.0, 20.0))


def selected(keep_rest, keep_stress) -> ViewSelection:
    rest = study_frames(HEART)
    stress = {
        key: [
            replace(
                frame,
                series_number=frame.series_number + 100,
                acquired_at="20200101230000",
                series_description=f"stress {frame.series_description}",
            )
            for frame in frames
        ]
        for key, frames in study_frames(HEART).items()
    }
    groups = [rest[key] for key in rest if keep_rest(key)] + [stress[key] for key in stress if keep_stress(key)]
    return select_one_state(as_study(*groups), select_views)


def states(selection):
    return {"stress" if cine.header.series_number > 100 else "rest" for slices in selection.views.values() for cine in slices}


@pytest.mark.parametrize(
    ("keep_rest", "keep_stress", "used", "other"),
    [
        (lambda _: True, lambda key: key.startswith("sax") or key == "3ch", "rest", "7 slices under stress were not used"),
        (lambda _: True, lambda _: True, "rest", "9 slices under stress were not used"),
        (lambda key: key != "4ch", lambda _: True, "stress", "8 slices at rest were not used"),
    ],
)
def test_all_views_are_of_one_state_and_the_other_is_named(keep_rest, keep_stress, used, other):
    selection = selected(keep_rest, keep_stress)
    assert not selection.missing
    assert states(selection) == {used}
    (note,) = [finding for finding in selection.findings if finding.code is NoteCode.REST_AND_STRESS]
    assert other in note.sentence
    assert sum(row.fate is Fate.NOT_USED for row in selection.planes) == int(other.split()[0])


def test_both_states_are_used_with_a_note_where_neither_has_all_views():
    selection = selected(lambda key: key != "4ch", lambda key: key == "4ch")
    assert not selection.missing
    assert states(selection) == {"rest", "stress"}
    assert [finding.code for finding in selection.findings] == [NoteCode.REST_AND_STRESS]


def test_one_state_alone_has_no_note():
    assert selected(lambda _: True, lambda _: False).findings == selected(lambda _: False, lambda _: True).findings == ()
