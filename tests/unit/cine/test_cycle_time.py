"""When in the cardiac cycle frames lie."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.cine.cycle_time import (
    FrameTiming,
    cycle_times,
    cyclic_distance,
    frame_step,
    is_far,
    nearest_frame,
    r_wave_frame,
)

RR_MS = 950.0


def cine(n_frames=25, part=1.0, *, start=0.0, rr_ms=RR_MS, nominal_ms=None, unit=1.0, **more):
    """Timing of frames that span ``part`` of an RR interval from ``start`` on; also the true times in the cycle."""
    moments = start + part * np.arange(n_frames) / n_frames
    return FrameTiming(times_ms=unit * rr_ms * moments, nominal_interval_ms=nominal_ms, **more), moments % 1.0


def assert_true(*slices, within=1e-6):
    """Check that the times of slices are the true ones."""
    timings, truths = zip(*slices, strict=True)
    for found, truth in zip(cycle_times(timings), truths, strict=True):
        assert found is not None
        assert cyclic_distance(found, truth).max() <= within


@given(
    n_frames=st.integers(8, 50),
    part=st.floats(0.41, 0.94) | st.just(1.0),
    start=st.floats(0, 0.6),
    rr_ms=st.floats(300, 1800),
    others=st.lists(st.tuples(st.integers(8, 50), st.floats(0.41, 0.94) | st.just(1.0), st.floats(0, 0.6)), max_size=3),
)
def test_trigger_times_over_the_nominal_interval_are_the_times_of_the_cycle(n_frames, part, start, rr_ms, others):
    specified = [(n_frames, part, start), *others]
    assert_true(*(cine(count, share, start=begin, rr_ms=rr_ms, nominal_ms=rr_ms) for count, share, begin in specified))


@pytest.mark.parametrize("unit", [1.0, 0.001])
@pytest.mark.parametrize("nominal_ms", [None, 0.0, RR_MS])
def test_a_whole_cycle_needs_no_nominal_interval_whatever_the_unit(unit, nominal_ms):
    assert_true(cine(unit=unit, nominal_ms=nominal_ms), cine(30, unit=unit, nominal_ms=nominal_ms))


def test_a_nominal_interval_that_is_always_the_same_does_not_move_whole_cycles():
    slices = [cine(25, rr_ms=rr_ms, nominal_ms=1000.0) for rr_ms in (1000.0, 960.0, 1040.0)]
    assert_true(*slices)


def test_a_nominal_interval_of_another_beat_is_not_believed():
    assert_true(cine(nominal_ms=RR_MS), cine(nominal_ms=RR_MS), cine(nominal_ms=2 * RR_MS), cine(nominal_ms=0.5 * RR_MS))


def test_without_nominal_intervals_the_longest_cine_tells_the_interval():
    assert_true(cine(25, 0.65), cine(30, 1.0), cine(25, 0.5))


def test_without_nominal_intervals_the_heart_rate_tells_it():
    assert_true(*(cine(25, 0.6, heart_rate_bpm=60_000 / RR_MS) for _ in range(3)))


def test_a_heart_rate_that_no_cine_fits_is_not_believed():
    assert_true(cine(heart_rate_bpm=200.0), cine(30, 0.7, heart_rate_bpm=200.0))


def test_two_beats_beside_one():
    assert_true(cine(40, 2.0, nominal_ms=RR_MS), cine(20, nominal_ms=RR_MS))


def test_a_short_piece_is_timed_by_the_interval_of_the_others():
    assert_true(cine(nominal_ms=RR_MS), cine(5, 0.2, nominal_ms=RR_MS), cine(5, 0.2))


def test_a_missing_and_a_doubled_time_lie_between_their_neighbours():
    timing, truth = cine(20, nominal_ms=RR_MS)
    times = timing.times_ms.copy()
    times[7], times[12], times[19] = np.nan, times[11], np.nan
    assert_true((FrameTiming(times_ms=times, nominal_interval_ms=RR_MS), truth))


def test_times_rounded_so_that_pairs_are_equal():
    timing, truth = cine(20, rr_ms=1000.0, nominal_ms=1000.0)
    rounded = 100.0 * np.floor(timing.times_ms / 100.0)
    assert_true((FrameTiming(times_ms=rounded, nominal_interval_ms=1000.0), truth))


@pytest.mark.parametrize("times", [np.full(20, np.nan), np.zeros(20), np.arange(20.0)[::-1] * 50, np.arange(20.0) + 1])
def test_times_that_tell_nothing_are_those_of_slices_with_as_many_frames(times):
    timed, truth = cine(20, 0.7, nominal_ms=RR_MS)
    found = cycle_times([timed, FrameTiming(times_ms=times, nominal_interval_ms=RR_MS)])[1]
    np.testing.assert_allclose(found, truth, atol=1e-9)


def test_without_any_times_frames_are_spread_over_the_cycle_where_counts_agree():
    unknown = [FrameTiming(times_ms=np.full(n_frames, np.nan)) for n_frames in (25, 25, 30)]
    first, second, third = cycle_times(unknown)
    np.testing.assert_allclose(first, np.arange(25) / 25)
    np.testing.assert_allclose(second, np.arange(25) / 25)
    assert third is None


def test_another_number_of_frames_than_that_of_timed_slices_tells_nothing():
    timed, _ = cine(25, nominal_ms=RR_MS)
    assert cycle_times([timed, FrameTiming(times_ms=np.full(30, np.nan))])[1] is None


def test_times_that_a_source_states_hold_where_there_are_no_trigger_times():
    stated = np.array([0.0, 0.1, 0.35, 0.6])
    (found,) = cycle_times([FrameTiming(times_ms=np.full(4, np.nan), stated=stated)])
    np.testing.assert_allclose(found, stated)
    for found, n_frames in zip(cycle_times([FrameTiming.evenly(10), FrameTiming.evenly(12)]), (10, 12), strict=True):
        np.testing.assert_allclose(found, np.arange(n_frames) / n_frames)


def test_times_that_do_not_start_at_an_r_wave_are_counted_from_the_first_frame():
    assert_true((cine(25, start=40.37, nominal_ms=RR_MS)[0], np.arange(25) / 25))


def test_no_slices_have_no_times():
    assert cycle_times([]) == ()


@given(times=st.lists(st.floats(0, 0.999), min_size=1, max_size=40), moment=st.floats(0, 1))
def test_the_nearest_frame_is_nearest_on_the_circle(times, moment):
    times = np.array(times)
    literal = [min(abs(time - moment), 1 - abs(time - moment)) for time in times.tolist()]
    frame = nearest_frame(times, moment)
    assert literal[frame] <= min(literal) + 2e-6
    assert all(value > min(literal) + 0.5e-6 for value in literal[:frame])


@pytest.mark.parametrize(
    ("fraction", "n_frames", "frame"), [(0.0, 25, 0), (0.37, 50, 18), (0.37, 30, 11), (0.99, 20, 0), (0.95, 20, 19)]
)
def test_the_nearest_of_evenly_spread_frames(fraction, n_frames, frame):
    assert nearest_frame(np.arange(n_frames) / n_frames, fraction) == frame


@pytest.mark.parametrize(
    ("times", "frame"),
    [([0.0, 0.5], 0), ([0.02, 0.5, 0.98], 0), ([0.02, 0.5, 0.99], 0), ([0.05, 0.5, 0.99], 2), ([0.5, 0.98, 0.02], 2)],
)
def test_the_frame_at_the_r_wave_is_rather_after_than_before_it(times, frame):
    assert r_wave_frame(np.array(times)) == frame


def test_a_moment_beyond_the_frames_is_far():
    times = 0.4 * np.arange(10) / 10
    assert frame_step(times) == pytest.approx(0.04)
    assert not is_far(times, 0.2)
    assert not is_far(times, 0.41)
    assert is_far(times, 0.5)
    assert is_far(times, 0.9)
    assert not is_far(np.arange(8) / 8, 1 / 16)
