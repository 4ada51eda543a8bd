"""Planes whose intersections can be read off by hand, and those of one real examination."""

import numpy as np
import pytest

from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry import intersect_planes, intersect_three_planes, line_in_image
from cmr_planes.geometry.tolerances import PARALLEL_ANGLE_DEG
from cmr_planes.views import CardiacView
from tests.helpers.strategies import flipped_left_right, heart, image_around, rotation_matrix

SAGITTAL = image_around([10, 0, 0], [1, 0, 0])
CORONAL = image_around([0, 20, 0], [0, 1, 0])
AXIAL = image_around([0, 0, 30], [0, 0, 1])


def test_a_sagittal_and_a_coronal_plane_meet_in_a_vertical_line():
    line = intersect_planes(SAGITTAL, CORONAL)
    np.testing.assert_allclose(line.point_mm[:2], [10, 20], atol=1e-9)
    np.testing.assert_allclose(np.abs(line.direction), [0, 0, 1], atol=1e-12)


def test_three_perpendicular_planes_meet_where_their_coordinates_say_and_are_best_conditioned():
    meeting = intersect_three_planes(SAGITTAL, CORONAL, AXIAL)
    np.testing.assert_allclose(meeting.point_mm, [10, 20, 30], atol=1e-9)
    assert meeting.condition_number == pytest.approx(1)


def test_planes_meet_outside_their_images_too():
    far = image_around([10, 900, 0], [1, 0, 0], rows=8, columns=8)
    np.testing.assert_allclose(intersect_three_planes(far, CORONAL, AXIAL).point_mm, [10, 20, 30], atol=1e-9)


def test_the_condition_number_grows_as_two_planes_approach_each_other():
    numbers = [
        intersect_three_planes(
            SAGITTAL, image_around([0, 0, 0], rotation_matrix([0, 0, 1], angle) @ [1, 0, 0]), AXIAL
        ).condition_number
        for angle in (90, 60, 30, 10, 2)
    ]
    assert numbers == sorted(numbers)
    assert numbers[-1] == pytest.approx(1 / np.tan(np.radians(1)), rel=1e-6)  # two unit vectors at an angle a: cot(a / 2)


@pytest.mark.parametrize("other", [SAGITTAL, flipped_left_right(SAGITTAL)], ids=["the same plane", "the same plane from behind"])
def test_a_plane_does_not_meet_itself(other):
    with pytest.raises(ParallelPlanesError, match=r"angle 0\.00 degrees, distance 0\.0 mm"):
        intersect_planes(SAGITTAL, other)


@pytest.mark.parametrize("reverse", [1, -1])
def test_the_message_of_parallel_planes_tells_their_distance(reverse):
    with pytest.raises(ParallelPlanesError, match=r"distance 25\.0 mm.*check that the two series are different views"):
        intersect_planes(SAGITTAL, image_around([35, 7, 7], [reverse, 0, 0]))


@pytest.mark.parametrize("sign", [1, -1])
def test_planes_just_above_the_smallest_angle_still_meet(sign):
    tilted = image_around([10, 0, 0], rotation_matrix([0, 0, 1], sign * 1.1 * PARALLEL_ANGLE_DEG) @ [1, 0, 0])
    line = intersect_planes(SAGITTAL, tilted)
    np.testing.assert_allclose(np.abs(line.direction), [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(line.point_mm[:2], [10, 0], atol=1e-6)


def test_a_line_is_drawn_as_column_and_row():
    image = image_around([0, 0, 0], [0, 0, 1], spacing_mm=(2.0, 1.0), rows=51, columns=101)
    point, direction = line_in_image(intersect_planes(image, SAGITTAL), image)
    across = np.array([image.row_cosine[0], image.column_cosine[0] / 2]) * 10
    expected = np.array([50, 25]) + across
    assert abs((point - expected) @ across) < 1e-9
    assert abs(direction @ across) < 1e-9
    assert np.linalg.norm(direction) == pytest.approx(1)


@pytest.mark.parametrize(
    ("views", "direction"),
    [
        ((CardiacView.SAX, CardiacView.FOUR_CHAMBER), (0.649, 0.680, 0.342)),
        ((CardiacView.SAX, CardiacView.TWO_CHAMBER), (-0.244, 0.229, -0.942)),
        ((CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER), (-0.698, 0.655, 0.289)),
    ],
)
def test_lines_between_planes_with_a_real_adults_normals_run_as_computed_by_hand(views, direction):
    first, second = (heart().plane(view) for view in views)
    assert abs(intersect_planes(first, second).direction @ direction) == pytest.approx(1, abs=2e-3)
