"""Which frames of a view are stored, and what is said about them."""

import numpy as np
import pytest

from cmr_planes.cine.frame_choice import UNKNOWN_FRAME
from cmr_planes.cine.phases import CyclePhases
from cmr_planes.errors import NoteCode
from cmr_planes.extraction.annotated_frames import AnnotatedCycle
from cmr_planes.extraction.assembly import Assembly
from cmr_planes.extraction.options import ExtractOptions
from cmr_planes.extraction.subject_views import SubjectViews
from cmr_planes.extraction.view_frames import choose_view_frames
from cmr_planes.views import CardiacPhase, CardiacView, PhaseChoice
from tests.helpers.slices import evenly

EVEN = np.arange(20) / 20


def choose(times, *, phases=PhaseChoice.ED_ES, named=None, frames=None):
    """Choose the frames of short-axis slices whose frames were taken at these times."""
    slices = tuple(evenly(20, z_mm=8.0 * index) for index in range(len(times)))
    assembly = Assembly(
        subject=SubjectViews(
            views={CardiacView.SAX: slices},  # type: ignore[dict-item]  # what a record stores of them is not asked
            named_phases={} if named is None else {CardiacView.SAX: named},
        ),
        options=ExtractOptions(phases=phases),
        kept=(),
        times={CardiacView.SAX: times},
        choice=AnnotatedCycle(CyclePhases(ed=0.0, es=0.35), {CardiacView.SAX: frames or {}}),
    )
    names, index, findings = choose_view_frames(CardiacView.SAX, assembly)
    return names, index.tolist(), [(finding.code, finding.sentence) for finding in findings]


def test_frames_are_those_nearest_to_the_phases():
    assert choose((EVEN, EVEN)) == (("ed", "es"), [[0, 0], [7, 7]], [])


def test_annotated_frames_near_a_phase_take_their_place():
    names, index, findings = choose((EVEN, EVEN), frames={1: {8: 0.4, 15: 0.75}})
    assert (names, index, findings) == (("ed", "es"), [[0, 0], [7, 8]], [])


def test_a_source_that_names_its_images_has_one_frame_per_phase():
    named = (CardiacPhase.ED, CardiacPhase.ES)
    assert choose((None, None), named=named) == (("ed", "es"), [[0, 0], [1, 1]], [])


def test_slices_that_end_before_a_phase_are_noted():
    _, index, ((code, sentence),) = choose((EVEN, EVEN / 5, EVEN))
    assert index == [[0, 0, 0], [7, 19, 7]]
    assert code is NoteCode.PHASE_NOT_COVERED
    assert sentence.startswith("1 of 3 slices has no frame near ES")


def test_a_view_without_any_times_has_no_end_systole_and_says_so():
    names, index, ((code, sentence),) = choose((None, None))
    assert (names, index) == (("ed",), [[0, 0]])
    assert code is NoteCode.CYCLE_TIME_UNKNOWN
    assert "end-systole was not kept" in sentence


def test_a_slice_without_times_beside_others_has_no_end_systolic_frame():
    assert choose((EVEN, None)) == (("ed", "es"), [[0, 0], [7, UNKNOWN_FRAME]], [])


@pytest.mark.parametrize("times", [(EVEN, EVEN), (None, None)])
def test_all_phases_are_stored_without_notes(times):
    names, index, findings = choose(times, phases=PhaseChoice.ALL)
    assert names == tuple(f"{frame:03d}" for frame in range(20))
    assert index == [[frame, frame] for frame in range(20)]
    assert findings == []
