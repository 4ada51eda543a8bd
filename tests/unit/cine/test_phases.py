"""End-diastole and end-systole."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.cine.phases import (
    ED_WINDOW,
    ES_WINDOW,
    blood_pool_curve,
    combine_curves,
    difference_curve,
    disc_mask,
    find_phases,
    nearest_frame,
    otsu_threshold,
    phases_from_headers,
    search_frames,
)
from cmr_planes.geometry import ImagePlane
from tests.helpers.headers import as_slice

PLANE = ImagePlane.from_attributes([0, 0, 0], [1, 0, 0, 0, 1, 0], [2.0, 1.0], rows=40, columns=80)


def cosine_curve(n_frames, low, high, at):
    """Curve from ``high`` at the R wave to ``low`` at ``at`` of the cycle."""
    fraction = np.arange(n_frames) / n_frames
    return high + (low - high) * np.exp(-(((fraction - at + 0.5) % 1 - 0.5) ** 2) / 0.006)


@given(n_frames=st.integers(8, 60), at=st.floats(0.2, 0.6))
def test_end_systole_is_where_the_difference_is_largest_and_end_diastole_the_first_frame(n_frames, at):
    pool, difference = cosine_curve(n_frames, 0.3, 1.0, at), cosine_curve(n_frames, 1.0, 0.0, at)
    phases = find_phases(pool, difference)
    assert phases.ed == 0
    assert abs(phases.es - at) <= 1 / n_frames


def test_end_diastole_before_the_r_wave_is_found_where_the_pool_decides():
    pool = np.roll(cosine_curve(20, 0.2, 1.0, 0.4), -2)
    pool[18] = 1.2  # as in real data whose last frames come before the R wave
    phases = find_phases(pool, np.roll(cosine_curve(20, 1.0, 0.0, 0.4), -2))
    assert phases.ed == 18 / 20


def test_a_pool_that_grows_in_systole_does_not_decide():
    pool = cosine_curve(25, 1.0, 0.2, 0.36)
    pool[22] = 0.5
    phases = find_phases(pool, cosine_curve(25, 1.0, 0.0, 0.36))
    assert phases.ed == 0
    assert phases.es == 9 / 25


def test_the_search_stays_in_its_windows():
    difference = np.zeros(40)
    difference[36] = 9.0  # a glitch outside systole
    difference[15] = 1.0
    assert find_phases(np.ones(40), difference).es == pytest.approx(15 / 40, abs=1 / 40)


@pytest.mark.parametrize("n_frames", [2, 7])
def test_few_frames_have_no_end_systole(n_frames):
    assert find_phases(np.ones(n_frames), np.arange(n_frames, dtype=float)).es is None


def test_images_that_do_not_change_have_no_end_systole():
    assert find_phases(np.ones(20), np.zeros(20)).es is None


def test_frames_that_are_not_searched_are_not_needed():
    wanted = search_frames(50)
    fraction = wanted / 50
    assert ((fraction <= ES_WINDOW[1]) | (fraction >= 1 - ED_WINDOW)).all()
    assert 0 in wanted
    pool, difference = cosine_curve(50, 0.3, 1.0, 0.37), cosine_curve(50, 1.0, 0.0, 0.37)
    whole = find_phases(pool, difference)
    mask = np.isin(np.arange(50), wanted)
    assert find_phases(np.where(mask, pool, np.nan), np.where(mask, difference, np.nan)) == whole


@pytest.mark.parametrize(
    ("fraction", "n_frames", "frame"), [(0.0, 25, 0), (0.37, 50, 18), (0.37, 30, 11), (0.99, 20, 0), (0.95, 20, 19)]
)
def test_the_nearest_frame_of_another_number_of_frames(fraction, n_frames, frame):
    assert nearest_frame(fraction, n_frames) == frame


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
    threshold = otsu_threshold(np.concatenate([dark, bright]), dark.min(), bright.max(), n_bins=512)
    assert dark.max() <= threshold <= bright.min()


def test_the_difference_of_constant_images_is_their_step():
    images = np.stack([np.full((30, 30), level) for level in (10.0, 13.0, 6.0)])
    mask = np.zeros((30, 30), bool)
    mask[5:20, 7:25] = True
    np.testing.assert_allclose(difference_curve(images, mask), [0, 3, 4])


def test_curves_of_different_length_are_averaged_on_the_longest():
    short, long = np.array([0.0, 1.0]), np.array([2.0, 2.0, 4.0, np.nan])
    np.testing.assert_allclose(combine_curves([short, long]), [1.0, 1.0, 2.5, 0.0])


def test_phases_that_headers_name_are_taken():
    cine = as_slice(PLANE, n_frames=10)
    frames = list(cine.frames)
    frames[2] = replace(frames[2], cardiac_cycle_position="END_SYSTOLE")
    frames[9] = replace(frames[9], cardiac_cycle_position="END_DIASTOLE")
    assert phases_from_headers(replace(cine, frames=tuple(frames))) == (9, 2)
    assert phases_from_headers(cine) == (None, None)
