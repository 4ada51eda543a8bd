"""Which frames of slices are end-diastole and end-systole."""

import numpy as np
import pytest

from cmr_planes.cine.cycle_time import FrameTiming
from cmr_planes.cine.frame_choice import (
    UNKNOWN_FRAME,
    choose_frames,
    end_diastolic_image,
    far_slices,
    find_cycle_phases,
    phase_moments,
    time_views,
)
from cmr_planes.cine.phases import CyclePhases
from cmr_planes.views import CardiacView, PhaseChoice
from tests.helpers.slices import evenly

CYCLE = CyclePhases(ed=0.0, es=0.35)
NO_TIMES = FrameTiming(times_ms=np.full(20, np.nan))


def stack(n_frames=20, n_slices=3, **changes):
    return [evenly(n_frames, z_mm=8.0 * index, **changes) for index in range(n_slices)]


def phases_of(views):
    return find_cycle_phases(views, time_views(views))


# phases of a subject


@pytest.mark.parametrize("n_frames", [12, 25])
@pytest.mark.parametrize("es", [0.28, 0.45])
def test_end_systole_is_where_the_pool_is_smallest(n_frames, es):
    phases = phases_of({CardiacView.SAX: stack(n_frames, es=es)})
    assert phases.ed == 0.0
    assert abs(phases.es - es) <= 0.5 / n_frames + 1e-9


def test_the_short_axis_decides_and_a_long_axis_where_there_is_none():
    late = [evenly(20, es=0.5)]
    assert phases_of({CardiacView.TWO_CHAMBER: late, CardiacView.SAX: stack(es=0.3)}).es == pytest.approx(0.3)
    assert phases_of({CardiacView.TWO_CHAMBER: late}).es == pytest.approx(0.5)


def test_frames_that_cannot_be_read_are_passed_over():
    slices = stack(es=0.35, unreadable=frozenset({7}))
    assert abs(phases_of({CardiacView.SAX: slices}).es - 0.35) == pytest.approx(0.05)


def test_slices_with_a_piece_of_the_cycle_name_no_phase():
    whole = stack(es=0.35, n_slices=5)
    times = np.arange(10) / 40
    piece = evenly(10, times=times, timing=FrameTiming(times_ms=1000 * times, nominal_interval_ms=1000.0), es=0.2, z_mm=16.0)
    assert phases_of({CardiacView.SAX: [*whole[:2], piece, *whole[3:]]}).es == pytest.approx(0.35)


def test_few_frames_and_unknown_times_tell_no_end_systole():
    few = phases_of({CardiacView.SAX: stack(6)})
    assert (few.ed, few.es) == (0.0, None)
    assert "6 frames" in few.lack
    views = {CardiacView.SAX: stack()}
    unknown = find_cycle_phases(views, {CardiacView.SAX: (None, None, None)})
    assert unknown.es is None
    assert "nothing tells" in unknown.lack


def test_images_none_of_which_can_be_read_tell_no_end_systole():
    phases = phases_of({CardiacView.SAX: stack(unreadable=frozenset(range(20)))})
    assert (phases.es, phases.lack) == (None, "no image of the middle slices can be read")


# frames of a view


def chosen(slices, cycle=CYCLE, choice=PhaseChoice.ED_ES):
    times = time_views({CardiacView.SAX: slices})[CardiacView.SAX]
    names, index = choose_frames(slices, times, cycle, choice)
    return names, index.tolist()


def test_each_slice_has_the_frame_nearest_in_time_whatever_its_number_of_frames():
    slices = [evenly(n_frames, z_mm=8.0 * index) for index, n_frames in enumerate((10, 20, 40))]
    assert chosen(slices) == (("ed", "es"), [[0, 0, 0], [3, 7, 14]])


def test_without_end_systole_there_is_end_diastole_alone():
    cycle = CyclePhases(ed=0.95, es=None)
    assert phase_moments(cycle) == [0.95]
    assert chosen(stack(), cycle) == (("ed",), [[19, 19, 19]])


def test_a_frame_that_the_source_names_is_taken_and_of_several_the_nearest():
    slices = [evenly(20, stated_phases=((2,), ())), evenly(20, stated_phases=((), (5, 8, 11)))]
    assert chosen(slices)[1] == [[2, 0], [7, 8]]


def test_of_a_slice_without_times_only_the_first_frame_is_known():
    _, index = choose_frames([evenly(20), evenly(20)], (np.arange(20) / 20, None), CYCLE, PhaseChoice.ED_ES)
    assert index.tolist() == [[0, 0], [7, UNKNOWN_FRAME]]


def test_all_phases_are_those_of_the_usual_number_and_the_same_moments_elsewhere():
    names, index = chosen([evenly(10), evenly(20), evenly(10)], choice=PhaseChoice.ALL)
    assert names == tuple(f"{frame:03d}" for frame in range(10))
    assert index == [[frame, 2 * frame, frame] for frame in range(10)]


def test_all_phases_of_slices_without_times_are_spread_evenly():
    slices = [evenly(10), evenly(20)]
    _, index = choose_frames([*slices, evenly(10)], (None, None, None), CYCLE, PhaseChoice.ALL)
    assert index.tolist() == [[frame, 2 * frame, frame] for frame in range(10)]


def test_slices_without_times_take_those_of_a_slice_with_as_many_frames():
    views = {CardiacView.SAX: [evenly(20), evenly(20, timing=NO_TIMES)]}
    first, second = time_views(views)[CardiacView.SAX]
    np.testing.assert_allclose(second, first)


def test_a_slice_that_ends_before_a_phase_is_far_from_it():
    times = (np.arange(20) / 20, np.arange(10) / 50)
    index = np.array([[0, 0], [7, 9]])
    assert far_slices(times, index, [0.0, 0.35]) == [[], [1]]
    assert far_slices(times, np.array([[0, 0], [7, 3]]), [0.0, 0.35]) == [[], []]  # another frame was chosen, by name


def test_the_end_diastolic_image_is_that_of_the_chosen_frame():
    one = evenly(20)
    np.testing.assert_array_equal(end_diastolic_image(one, one.times, CyclePhases(ed=0.5, es=None)), one.image(10))
