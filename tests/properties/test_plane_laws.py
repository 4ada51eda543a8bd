"""Laws of single planes and of planes that meet."""

from itertools import permutations

import numpy as np
import pytest
from highdicom.spatial import PixelToReferenceTransformer, ReferenceToImageTransformer
from hypothesis import assume, given
from hypothesis import strategies as st

from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry import ImagePlane, intersect_planes, intersect_three_planes, line_in_image
from cmr_planes.geometry.tolerances import MAX_CONDITION_NUMBER, PARALLEL_ANGLE_DEG
from cmr_planes.views import CardiacView
from tests.helpers import oracles
from tests.helpers.strategies import (
    cropped,
    flipped_left_right,
    flipped_up_down,
    heart_planes,
    image_around,
    moved,
    pixels,
    planes,
    refined,
    rotation_matrix,
    rotations,
    translations,
    transposed,
)

ROUND_TRIP_PX = 1e-9
PATIENT_MM = 1e-6

any_plane = st.one_of(planes(), planes(cosine_digits=6), planes(cosine_digits=4))


def well_apart(*some_planes: ImagePlane) -> bool:
    """Whether planes cross clearly, judged by the oracle's normals."""
    normals = np.array([oracles.normal_of(plane) for plane in some_planes])
    cosines = np.abs(normals @ normals.T)[np.triu_indices(len(normals), k=1)]
    return bool((cosines < np.cos(np.radians(2 * PARALLEL_ANGLE_DEG))).all())


@given(any_plane, pixels())
def test_pixel_to_patient_and_back_is_the_same_pixel(plane, pixel):
    back = plane.patient_to_pixel(plane.pixel_to_patient(pixel))
    np.testing.assert_allclose(back, pixel, rtol=0, atol=ROUND_TRIP_PX)


@given(any_plane, pixels())
def test_points_are_those_of_the_standards_matrix(plane, pixel):
    expected = oracles.standard_point(plane, *pixel)
    np.testing.assert_allclose(plane.pixel_to_patient(pixel), expected, rtol=0, atol=PATIENT_MM)
    np.testing.assert_allclose(plane.patient_from_pixel @ [*pixel, 0, 1], [*expected, 1], rtol=0, atol=PATIENT_MM)


@given(planes(), pixels(), st.floats(-100, 100))
def test_simpleitk_agrees_in_both_directions(plane, pixel, depth_mm):
    image = oracles.sitk_image(plane)
    point = image.TransformContinuousIndexToPhysicalPoint([*pixel.tolist(), 0.0])
    np.testing.assert_allclose(plane.pixel_to_patient(pixel), point, rtol=0, atol=PATIENT_MM)

    off_plane = np.array(point) + depth_mm * oracles.normal_of(plane)
    column, row, depth = image.TransformPhysicalPointToContinuousIndex(off_plane.tolist())
    np.testing.assert_allclose(plane.patient_to_pixel(off_plane), [column, row], rtol=0, atol=PATIENT_MM)
    np.testing.assert_allclose(plane.signed_distance_mm(off_plane), depth, rtol=0, atol=PATIENT_MM)


@given(planes(), st.integers(0, 511), st.integers(0, 511))
def test_highdicom_agrees_in_both_directions(plane, column, row):
    header = oracles.header_values(plane)
    point = PixelToReferenceTransformer(**header)(np.array([[column, row]]))[0]
    np.testing.assert_allclose(plane.pixel_to_patient([column, row]), point, rtol=0, atol=PATIENT_MM)

    back = ReferenceToImageTransformer(**header)(point[np.newaxis])[0]
    from_corner = back[:2] - 0.5  # highdicom counts from the corner of the first pixel here, not from its centre
    np.testing.assert_allclose(plane.patient_to_pixel(point), from_corner, rtol=0, atol=PATIENT_MM)


@given(any_plane, st.lists(pixels(), min_size=1, max_size=4))
def test_many_pixels_map_as_each_does_alone(plane, some_pixels):
    together = plane.pixel_to_patient(some_pixels)
    np.testing.assert_allclose(together, [plane.pixel_to_patient(pixel) for pixel in some_pixels], rtol=0, atol=PATIENT_MM)
    np.testing.assert_allclose(plane.patient_to_pixel(together), some_pixels, rtol=0, atol=ROUND_TRIP_PX)


@given(planes(), pixels(), rotations(), translations())
def test_a_pixel_moves_with_the_patient(plane, pixel, rotation, translation_mm):
    before = plane.pixel_to_patient(pixel)
    after = moved(plane, rotation, translation_mm).pixel_to_patient(pixel)
    np.testing.assert_allclose(after, rotation @ before + translation_mm, rtol=0, atol=PATIENT_MM)


@given(any_plane, pixels(), st.integers(2, 5))
def test_spacing_and_matrix_scaled_together_leave_patient_points(plane, pixel, factor):
    fine = refined(plane, factor)
    fine_pixel = (pixel + 0.5) * factor - 0.5
    np.testing.assert_allclose(fine.pixel_to_patient(fine_pixel), plane.pixel_to_patient(pixel), rtol=0, atol=PATIENT_MM)
    np.testing.assert_allclose(fine.centre_mm, plane.centre_mm, rtol=0, atol=PATIENT_MM)
    assert fine.contains(fine_pixel) == plane.contains(pixel) or np.abs((pixel + 0.5) % 1).min() < ROUND_TRIP_PX


@given(any_plane, pixels())
def test_a_rearranged_image_shows_the_same_points(plane, pixel):
    column, row = pixel
    expected = plane.pixel_to_patient(pixel)
    part = cropped(plane, slice(plane.rows // 3, plane.rows), slice(plane.columns // 4, plane.columns))
    for image, same_pixel in (
        (flipped_left_right(plane), (plane.columns - 1 - column, row)),
        (flipped_up_down(plane), (column, plane.rows - 1 - row)),
        (transposed(plane), (row, column)),
        (part, (column - plane.columns // 4, row - plane.rows // 3)),
    ):
        np.testing.assert_allclose(image.pixel_to_patient(same_pixel), expected, rtol=0, atol=PATIENT_MM)


@given(any_plane, st.floats(-300, 300))
def test_the_signed_distance_grows_along_the_normal_and_is_zero_in_the_image(plane, depth_mm):
    on_plane = plane.centre_mm
    assert abs(plane.signed_distance_mm(on_plane)) < PATIENT_MM
    np.testing.assert_allclose(plane.signed_distance_mm(on_plane + depth_mm * plane.normal), depth_mm, rtol=0, atol=PATIENT_MM)
    np.testing.assert_allclose(plane.normal, oracles.normal_of(plane), rtol=0, atol=1e-12)


@given(planes(), planes(), st.floats(-500, 500))
def test_every_point_of_an_intersection_line_lies_on_both_planes(first, second, along_mm):
    assume(well_apart(first, second))
    line = intersect_planes(first, second)
    point = line.point_mm + along_mm * line.direction
    assert oracles.distance_mm(first, point) < PATIENT_MM
    assert oracles.distance_mm(second, point) < PATIENT_MM


@given(planes(), planes())
def test_an_intersection_line_is_a_unit_vector_across_both_normals(first, second):
    assume(well_apart(first, second))
    direction = intersect_planes(first, second).direction
    assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-12)
    assert abs(direction @ oracles.normal_of(first)) < 1e-9
    assert abs(direction @ oracles.normal_of(second)) < 1e-9


@given(planes(), planes())
def test_the_order_of_two_planes_does_not_matter(first, second):
    assume(well_apart(first, second))
    line, other = intersect_planes(first, second), intersect_planes(second, first)
    assert abs(line.direction @ other.direction) == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(line.point_mm, other.point_mm, rtol=0, atol=PATIENT_MM)


@given(planes(), planes())
def test_the_point_of_a_line_is_its_nearest_to_the_middle_between_the_images(first, second):
    assume(well_apart(first, second))
    line = intersect_planes(first, second)
    centres = [oracles.standard_point(plane, (plane.columns - 1) / 2, (plane.rows - 1) / 2) for plane in (first, second)]
    assert abs((np.mean(centres, axis=0) - line.point_mm) @ line.direction) < PATIENT_MM


@given(planes(), planes(), planes())
def test_the_common_point_lies_on_all_three_planes(first, second, third):
    normals = np.array([oracles.normal_of(plane) for plane in (first, second, third)])
    assume(np.linalg.cond(normals) < 0.99 * MAX_CONDITION_NUMBER)
    meeting = intersect_three_planes(first, second, third)
    for plane in (first, second, third):
        assert oracles.distance_mm(plane, meeting.point_mm) < PATIENT_MM
    assert meeting.condition_number == pytest.approx(np.linalg.cond(normals), rel=1e-6)


@given(heart_planes())
def test_the_common_point_is_that_of_the_closed_formula_in_any_order(some_heart):
    three = [some_heart.plane(view) for view in (CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER)]
    expected = oracles.common_point(*three)
    for order in permutations(three):
        np.testing.assert_allclose(intersect_three_planes(*order).point_mm, expected, rtol=0, atol=PATIENT_MM)


@given(heart_planes(), rotations(), translations())
def test_the_common_point_moves_with_the_patient(some_heart, rotation, translation_mm):
    views = (CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER)
    before = intersect_three_planes(*(some_heart.plane(view) for view in views))
    after = intersect_three_planes(*(moved(some_heart.plane(view), rotation, translation_mm) for view in views))
    np.testing.assert_allclose(after.point_mm, rotation @ before.point_mm + translation_mm, rtol=0, atol=PATIENT_MM)
    assert after.condition_number == pytest.approx(before.condition_number, rel=1e-9)


@given(heart_planes(), st.floats(-100, 100))
def test_a_line_drawn_in_an_image_is_where_the_other_plane_cuts_it(some_heart, steps):
    image, other = some_heart.plane(CardiacView.SAX), some_heart.four_chamber
    point_px, direction_px = line_in_image(intersect_planes(image, other), image)
    assert np.linalg.norm(direction_px) == pytest.approx(1, abs=1e-12)
    on_line = oracles.standard_point(image, *(point_px + steps * direction_px))
    assert oracles.distance_mm(other, on_line) < PATIENT_MM


@given(
    normal=rotations().map(lambda rotation: rotation[:, 2]),
    distance_mm=st.floats(-100, 100),
    tilt_deg=st.floats(-0.9 * PARALLEL_ANGLE_DEG, 0.9 * PARALLEL_ANGLE_DEG),
    turn_deg=st.floats(-180, 180),
    reverse=st.booleans(),
)
def test_parallel_and_antiparallel_planes_do_not_meet_in_either_order(normal, distance_mm, tilt_deg, turn_deg, reverse):
    first = image_around([0, 0, 0], normal)
    tilted = rotation_matrix(first.row_cosine, tilt_deg) @ normal
    second = image_around(distance_mm * normal, -tilted if reverse else tilted, turn_deg=turn_deg)
    third = image_around([0, 0, 0], first.row_cosine)
    for pair in ((first, second), (second, first)):
        with pytest.raises(ParallelPlanesError, match="check that the two series are different views"):
            intersect_planes(*pair)
        with pytest.raises(ParallelPlanesError, match="check that the three series are different views"):
            intersect_three_planes(*pair, third)


@given(rotations(), st.floats(-100, 100))
def test_three_planes_around_one_common_direction_have_no_common_point(rotation, shift_mm):
    axis = rotation[:, 2]
    fan = [image_around(shift_mm * axis, rotation_matrix(axis, angle) @ rotation[:, 0]) for angle in (0, 60, 120)]
    with pytest.raises(ParallelPlanesError, match=r"condition number .*, allowed 100"):
        intersect_three_planes(*fan)
