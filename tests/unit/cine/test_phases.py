"""End-diastole and end-systole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.cine.phases import (
    ED_WINDOW,
    ES_WINDOW,
    CycleCurves,
    blood_pool_curve,
    combine_curves,
    difference_curve,
    disc_mask,
    find_phases,
    otsu_threshold,
    phases_from_headers,
    search_frames,
    systole_share,
    timing_from_headers,
)
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import as_slice

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 1.0], rows=40, columns=80)


def cosine_curve(times, low, high, at):
    """Curve from ``high`` at the R wave to ``low`` at ``at`` of the cycle."""
    return high + (low - high) * np.exp(-(((times - at + 0.5) % 1 - 0.5) ** 2) / 0.006)


def evenly(n_frames):
    """Times of frames that are spread over the cycle."""
    return np.arange(n_frames) / n_frames


def found(times, pool, difference):
    """Phases on one slice."""
    return find_phases(combine_curves([CycleCurves(times, pool, difference)]))


@given(n_frames=st.integers(8, 60), at=st.floats(0.2, 0.6))
def test_end_systole_is_where_the_difference_is_largest_and_end_diastole_the_first_frame(n_frames, at):
    times = evenly(n_frames)
    phases = found(times, cosine_curve(times, 0.3, 1.0, at), cosine_curve(times, 1.0, 0.0, at))
    assert phases.ed == 0
    assert abs(phases.es - at) <= 1 / n_frames


@given(n_frames=st.integers(15, 40), delay=st.floats(0, 0.99), part=st.floats(0.62, 1.0), at=st.floats(0.25, 0.5))
def test_phases_do_not_depend_on_where_in_the_cycle_frames_begin_nor_on_how_much_they_span(n_frames, delay, part, at):
    times = (delay + part * np.arange(n_frames) / n_frames) % 1.0
    covers = systole_share(times, np.ones(n_frames, dtype=bool)) == 1.0 and np.abs((times + 0.5) % 1 - 0.5).min() < 0.02
    if covers:
        phases = found(times, cosine_curve(times, 0.3, 1.0, at), cosine_curve(times, 1.0, 0.0, at))
        assert min(phases.ed, 1 - phases.ed) <= 0.05
        assert abs(phases.es - at) <= 1.5 * part / n_frames


def test_end_diastole_before_the_r_wave_is_found_where_the_pool_decides():
    pool = np.roll(cosine_curve(evenly(20), 0.2, 1.0, 0.4), -2)
    pool[18] = 1.2  # as in real data whose last frames come before the R wave
    phases = found(evenly(20), pool, np.roll(cosine_curve(evenly(20), 1.0, 0.0, 0.4), -2))
    assert phases.ed == 18 / 20


def test_of_equally_large_pools_the_nearest_to_the_r_wave_is_end_diastole():
    pool = cosine_curve(evenly(20), 0.2, 1.0, 0.4)
    pool[[17, 18, 19]] = 1.20, 1.21, 1.19
    assert found(evenly(20), pool, cosine_curve(evenly(20), 1.0, 0.0, 0.4)).ed == 19 / 20


def test_a_pool_that_grows_in_systole_does_not_decide():
    pool = cosine_curve(evenly(25), 1.0, 0.2, 0.36)
    pool[22] = 0.5
    phases = found(evenly(25), pool, cosine_curve(evenly(25), 1.0, 0.0, 0.36))
    assert phases.ed == 0
    assert phases.es == 9 / 25


def test_the_search_stays_in_its_windows():
    difference = np.zeros(40)
    difference[36] = 9.0  # a glitch outside systole
    difference[15] = 1.0
    assert found(evenly(40), np.ones(40), difference).es == pytest.approx(15 / 40, abs=1 / 40)


def test_images_that_do_not_change_have_no_end_systole_and_it_is_said():
    phases = found(evenly(20), np.ones(20), np.zeros(20))
    assert phases.es is None
    assert "do not change" in phases.lack


def test_frames_that_end_before_systole_does_name_no_end_systole():
    times = 0.3 * evenly(20)
    phases = found(times, cosine_curve(times, 0.3, 1.0, 0.4), cosine_curve(times, 1.0, 0.0, 0.4))
    assert phases.es is None
    assert phases.lack.startswith("the frames end at 28% of the cardiac cycle")


def test_systole_of_which_nothing_can_be_read_has_no_end():
    difference = cosine_curve(evenly(20), 1.0, 0.0, 0.4)
    difference[3:14] = np.nan
    phases = found(evenly(20), np.ones(20), difference)
    assert phases.es is None
    assert "can be read" in phases.lack


def test_frames_that_are_not_searched_are_not_needed():
    times = evenly(50)
    wanted = search_frames(times)
    assert ((times[wanted] <= ES_WINDOW[1]) | (times[wanted] >= 1 - ED_WINDOW)).all()
    assert 0 in wanted
    pool, difference = cosine_curve(times, 0.3, 1.0, 0.37), cosine_curve(times, 1.0, 0.0, 0.37)
    whole = found(times, pool, difference)
    mask = np.isin(np.arange(50), wanted)
    assert found(times, np.where(mask, pool, np.nan), np.where(mask, difference, np.nan)) == whole


def test_the_part_of_systole_that_frames_span():
    times, everything = evenly(20), np.ones(20, dtype=bool)
    assert systole_share(times, everything) == 1.0
    assert systole_share(times, everything & (times < 0.41)) == pytest.approx(0.5, abs=0.03)
    assert systole_share(times, np.arange(20) != 5) == 1.0
    assert systole_share(times, ~everything) == 0.0


def test_a_disc_is_round_in_millimetres():
    mask = disc_mask(PLANE, np.array([40.0, 20.0]), radius_mm=10.0)
    rows, columns = np.nonzero(mask)
    expected = {(row, column) for row in range(40) for column in range(80) if ((row - 20) * 2) ** 2 + (column - 40) ** 2 <= 100}
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == expected


def test_the_pool_of_a_shrinking_disc_follows_its_area():
    row, column = np.mgrid[:64, :64]
    radius = np.hypot(row - 32, column - 32)
    radii = np.array([20, 18, 14, 12, 15, 19])
    images = np.stack([np.where(radius < size, 400.0, 80.0) for size in radii])
    curve = blood_pool_curve(images[:, radius < 28])
    np.testing.assert_allclose(curve, [(radius < size).sum() for size in radii])


def test_otsu_splits_two_populations_between_them():
    rng = np.random.default_rng(0)
    dark, bright = rng.normal(50, 5, 500), rng.normal(200, 10, 300)
    threshold = otsu_threshold(np.sort(np.concatenate([dark, bright])), dark.min(), bright.max(), n_bins=512)
    assert dark.max() <= threshold <= bright.min()


def test_the_difference_of_constant_images_is_their_step():
    images = np.stack([np.full((30, 30), level) for level in (10.0, 13.0, 6.0)])
    mask = np.zeros((30, 30), bool)
    mask[5:20, 7:25] = True
    np.testing.assert_allclose(difference_curve(images, mask), [0, 3, 4])


def test_the_difference_is_from_the_image_that_is_named():
    images = np.stack([np.full((30, 30), level) for level in (10.0, 13.0, 6.0)])
    np.testing.assert_allclose(difference_curve(images, np.ones((30, 30), bool), 1), [3, 0, 7])


def test_curves_of_different_frames_are_averaged_at_all_their_times():
    straight = CycleCurves(evenly(4), np.array([0.0, 4.0, 8.0, 4.0]), np.zeros(4))
    between = CycleCurves(np.array([0.125, 0.375, 0.625, 0.875]), np.array([2.0, 2.0, 2.0, 2.0]), np.zeros(4))
    both = combine_curves([straight, between])
    np.testing.assert_allclose(both.times, np.arange(8) / 8)
    np.testing.assert_allclose(both.pool, [1, 2, 3, 4, 5, 4, 3, 2])


def test_a_curve_is_unknown_where_its_frames_are_far_apart():
    times = 0.5 * evenly(10)
    both = combine_curves([CycleCurves(times, np.ones(10), np.ones(10)), CycleCurves(evenly(20), np.ones(20), np.ones(20))])
    np.testing.assert_array_equal(np.isfinite(both.pool), both.times <= 0.45 + 1e-9)


def test_two_beats_are_averaged():
    two = CycleCurves(np.tile(evenly(10), 2), np.concatenate([np.zeros(10), np.full(10, 2.0)]), np.ones(20))
    both = combine_curves([two])
    np.testing.assert_allclose(both.times, evenly(10))
    np.testing.assert_allclose(both.pool, 1.0)


def test_phases_that_headers_name_are_taken():
    cine = as_slice(PLANE, n_frames=10)
    frames = list(cine.frames)
    frames[2] = replace(frames[2], cardiac_cycle_position="END_SYSTOLE")
    frames[9] = replace(frames[9], cardiac_cycle_position="END_DIASTOLE")
    frames[3] = replace(frames[3], cardiac_cycle_position="END_SYSTOLE")
    assert phases_from_headers(replace(cine, frames=tuple(frames))) == ((9,), (2, 3))
    assert phases_from_headers(cine) == ((), ())


def test_what_headers_say_about_times():
    cine = as_slice(PLANE, n_frames=4)
    frames = [
        replace(
            frame,
            trigger_time_ms=None if index == 2 else 100.0 * index,
            nominal_interval_ms=(900.0, 900.0, 0.0, 1700.0)[index],
            heart_rate_bpm=None,
            cycle_percentage=25.0 * index,
        )
        for index, frame in enumerate(cine.frames)
    ]
    timing = timing_from_headers(replace(cine, frames=tuple(frames)))
    np.testing.assert_array_equal(timing.times_ms, [0, 100, np.nan, 300])
    assert (timing.nominal_interval_ms, timing.heart_rate_bpm) == (900.0, None)
    np.testing.assert_array_equal(timing.stated, [0, 0.25, 0.5, 0.75])
    frames[1] = replace(frames[1], cycle_percentage=None)
    assert timing_from_headers(replace(cine, frames=tuple(frames))).stated is None
