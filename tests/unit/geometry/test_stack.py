"""The order of short-axis slices, and the middle one, come from positions in the patient alone."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.geometry import angle_between_normals_deg, middle_slice, order_from_base
from cmr_planes.geometry.stack import apex_direction
from tests.helpers.strategies import (
    BASE_TO_APEX,
    flipped_left_right,
    flipped_up_down,
    heart_planes,
    image_around,
    rotations,
    transposed,
)

AXIS = np.array(BASE_TO_APEX) / np.linalg.norm(BASE_TO_APEX)


def stack(*levels_mm):
    """Short-axis slices at distances from the base towards the apex."""
    return [image_around(np.multiply(BASE_TO_APEX, level), BASE_TO_APEX) for level in levels_mm]


@pytest.mark.parametrize(
    ("levels_mm", "middle"),
    [
        pytest.param([0], 0, id="one slice"),
        pytest.param([0, 10, 20], 1, id="odd"),
        pytest.param([0, 10, 20, 30], 1, id="even: the more basal of two"),
        pytest.param([30, 20, 10, 0], 2, id="even, apex first: still the more basal"),
        pytest.param([20, 0, 30, 10], 3, id="even, in no order"),
        pytest.param([0, 10, 20, 90], 2, id="a gap: nearest to the centre of the extent"),
        pytest.param([0, 40], 0, id="two slices"),
        pytest.param([10, 10, 10], 0, id="all at one level"),
        pytest.param([0, 10.0000004, 19.9999996, 30], 1, id="a tie but for the rounding of headers"),
        pytest.param([0, 9.9, 20, 29.8], 1, id="no tie: nearest wins"),
        pytest.param([0, 10.2, 20, 30], 1, id="no tie, nearer is the more basal"),
        pytest.param([0, 9.5, 20, 30], 2, id="no tie, nearer is the more apical"),
    ],
)
def test_the_middle_slice_is_nearest_to_the_centre_and_the_more_basal_on_a_tie(levels_mm, middle):
    assert middle_slice(stack(*levels_mm)) == middle


@pytest.mark.parametrize("decimals", [1, 2, 3, 6])
def test_the_middle_slice_of_an_even_stack_does_not_depend_on_how_headers_are_rounded(decimals):
    rng = np.random.default_rng(3)
    for _ in range(100):
        planes = [image_around(place, BASE_TO_APEX) for place in rng.uniform(-50, 50, 3) + 10.0 * np.arange(10)[:, None] * AXIS]
        rounded = [replace(plane, position_mm=np.round(plane.position_mm, decimals)) for plane in planes]
        assert middle_slice(rounded) == middle_slice(planes) == 4


def test_slices_are_ordered_from_base_to_apex():
    assert order_from_base(stack(30, 0, 10, 20)) == [1, 2, 3, 0]


def test_slices_at_one_level_keep_their_order():
    assert order_from_base(stack(10, 0, 10, 10)) == [1, 0, 2, 3]


def test_the_apex_is_to_the_left_of_and_below_the_base():
    direction = apex_direction(image_around([0, 0, 0], BASE_TO_APEX).normal)
    np.testing.assert_allclose(direction, np.array(BASE_TO_APEX) / np.linalg.norm(BASE_TO_APEX), atol=1e-12)
    np.testing.assert_allclose(apex_direction(-direction), direction, atol=0)


@given(heart_planes(), st.randoms(use_true_random=False))
def test_shuffled_slices_give_the_same_stack(heart, random):
    shuffled = random.sample(range(len(heart.sax)), len(heart.sax))
    planes = [heart.sax[index] for index in shuffled]
    assert [shuffled[index] for index in order_from_base(planes)] == list(range(len(heart.sax)))
    assert shuffled[middle_slice(planes)] == middle_slice(heart.sax) == (len(heart.sax) - 1) // 2


@given(heart_planes(), st.data())
def test_slices_shifted_in_their_plane_or_seen_from_behind_are_at_the_same_level(heart, data):
    rearranged = []
    for plane in heart.sax:
        change = data.draw(st.sampled_from([flipped_left_right, flipped_up_down, transposed, lambda same: same]))
        shift_mm = data.draw(st.integers(-20, 20))
        rearranged.append(change(replace(plane, position_mm=plane.position_mm + shift_mm * plane.row_cosine)))
    assert order_from_base(rearranged) == list(range(len(heart.sax)))
    assert middle_slice(rearranged) == middle_slice(heart.sax)


@given(rotations(), st.floats(0, 90), st.booleans())
def test_the_angle_between_normals_has_no_sign(rotation, angle_deg, reverse):
    first = rotation[:, 0]
    second = np.cos(np.radians(angle_deg)) * rotation[:, 0] + np.sin(np.radians(angle_deg)) * rotation[:, 1]
    if reverse:
        second = -second
    assert angle_between_normals_deg(first, second) == pytest.approx(angle_deg, abs=1e-6)
    assert angle_between_normals_deg(second, first) == pytest.approx(angle_deg, abs=1e-6)
