"""An image plane accepts what the standard allows, refuses the rest, and stays as it was made."""

import copy
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from cmr_planes.errors import InvalidOrientationError, InvalidPlaneError
from cmr_planes.geometry import ImagePlane
from tests.helpers.strategies import image_around

POSITION = [-73.0, 91.5, 242.25]
ORIENTATION = [0.6, -0.8, 0.0, 0.0, 0.0, -1.0]
SPACING = [1.5, 1.25]
NAN, INFINITY = float("nan"), float("inf")


def plane(position=POSITION, orientation=ORIENTATION, spacing=SPACING, *, rows=100, columns=80):
    return ImagePlane.from_attributes(position, orientation, spacing, rows=rows, columns=columns)


def unpickled(image):
    return pickle.loads(pickle.dumps(image))  # noqa: S301


def test_the_first_spacing_is_between_rows_and_the_second_between_columns():
    assert plane().row_spacing_mm == 1.5
    assert plane().column_spacing_mm == 1.25
    np.testing.assert_allclose(plane().pixel_to_patient([2, 0]) - POSITION, [1.5, -2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(plane().pixel_to_patient([0, 2]) - POSITION, [0.0, 0.0, -3.0], atol=1e-12)


def test_the_first_pixels_centre_is_the_image_position():
    assert plane().pixel_to_patient([0, 0]).tolist() == POSITION


def test_the_normal_is_row_cosine_cross_column_cosine():
    np.testing.assert_allclose(plane().normal, [0.8, 0.6, 0.0], atol=1e-12)


def test_the_centre_is_the_middle_of_the_field_of_view():
    corners = plane().pixel_to_patient([[-0.5, -0.5], [79.5, -0.5], [-0.5, 99.5], [79.5, 99.5]])
    np.testing.assert_allclose(plane().centre_mm, corners.mean(axis=0), atol=1e-9)


def test_a_point_off_the_plane_maps_to_its_perpendicular_foot():
    point = plane().pixel_to_patient([12.25, 40.5]) + 17 * plane().normal
    np.testing.assert_allclose(plane().patient_to_pixel(point), [12.25, 40.5], atol=1e-9)
    assert plane().signed_distance_mm(point) == pytest.approx(17)


@pytest.mark.parametrize(
    ("pixel", "inside"),
    [
        pytest.param([0, 0], True, id="first pixel"),
        pytest.param([79, 99], True, id="last pixel"),
        pytest.param([-0.4, 50], True, id="left half of the first column"),
        pytest.param([79.4, 99.4], True, id="outer half of the last pixel"),
        pytest.param([-0.6, 50], False, id="left of the image"),
        pytest.param([79.6, 50], False, id="right of the image"),
        pytest.param([40, -0.6], False, id="above the image"),
        pytest.param([40, 99.6], False, id="below the image"),
        pytest.param([90, 70], False, id="column beyond the last, though a row of that number exists"),
        pytest.param([NAN, 50], False, id="not a number"),
    ],
)
def test_an_image_reaches_half_a_pixel_beyond_its_outer_pixel_centres(pixel, inside):
    assert plane().contains(pixel) is inside


def test_cosines_are_kept_as_the_header_gives_them():
    rounded = np.round(image_around([0, 0, 0], [0.3, -0.5, 0.7], turn_deg=33).patient_from_pixel[:3, :2] / 1.82, 4)
    orientation = [*rounded[:, 0], *rounded[:, 1]]
    image = plane(orientation=orientation)
    assert [*image.row_cosine, *image.column_cosine] == orientation
    assert np.linalg.norm(image.normal) == pytest.approx(1, abs=1e-12)


def test_header_strings_are_read_as_numbers():
    image = plane(["-73.0", "91.5", "242.25"], [str(value) for value in ORIENTATION], ["1.5", "1.25"])
    np.testing.assert_array_equal(image.patient_from_pixel, plane().patient_from_pixel)


@pytest.mark.parametrize("position", [[NAN, 0, 0], [0, INFINITY, 0], [0, 0, -INFINITY]])
def test_a_position_that_is_not_finite_is_refused(position):
    with pytest.raises(
        InvalidPlaneError, match=r"ImagePositionPatient \(0020,0032\) is .*: three finite numbers in mm are expected"
    ):
        plane(position=position)


@pytest.mark.parametrize("spacing", [[0, 1], [1, 0], [-1.5, 1.5], [1.5, -1.5], [NAN, 1], [1, NAN], [INFINITY, 1], [1, INFINITY]])
def test_a_spacing_that_is_not_positive_and_finite_is_refused(spacing):
    with pytest.raises(InvalidPlaneError, match=r"PixelSpacing \(0028,0030\) holds .*: two positive numbers in mm are expected"):
        plane(spacing=spacing)


@pytest.mark.parametrize(("rows", "columns"), [(0, 80), (100, 0), (-1, 80), (100, -1)])
def test_an_empty_matrix_is_refused(rows, columns):
    with pytest.raises(InvalidPlaneError, match=rf"Rows .* and Columns .* are {rows} and {columns}: both must be at least 1"):
        plane(rows=rows, columns=columns)


@pytest.mark.parametrize(
    ("orientation", "message"),
    [
        pytest.param([NAN, 0, 0, 0, 1, 0], "not finite", id="NaN in the row cosine"),
        pytest.param([1, 0, 0, 0, 1, INFINITY], "not finite", id="infinity in the column cosine"),
        pytest.param([0, 0, 0, 0, 1, 0], "row cosine has length 0, and 1 within 0.001 is expected", id="null row cosine"),
        pytest.param([1, 0, 0, 0, 0, 0], "column cosine has length 0, and 1", id="null column cosine"),
        pytest.param([1.002, 0, 0, 0, 1, 0], "row cosine has length 1.002", id="row cosine too long"),
        pytest.param([1, 0, 0, 0, 0.998, 0], "column cosine has length 0.998", id="column cosine too short"),
        pytest.param([1, 0, 0, 1, 0, 0], r"not perpendicular \(dot product 1, allowed 0.001\)", id="the same cosine twice"),
        pytest.param([1, 0, 0, -1, 0, 0], r"not perpendicular \(dot product -1, allowed 0.001\)", id="opposite cosines"),
        pytest.param([1, 0, 0, 0.0015, 1, 0], r"not perpendicular \(dot product 0.0015", id="slightly oblique cosines"),
    ],
)
def test_an_orientation_that_is_not_two_perpendicular_unit_vectors_is_refused(orientation, message):
    with pytest.raises(InvalidOrientationError, match=rf"ImageOrientationPatient \(0020,0037\).*{message}"):
        plane(orientation=orientation)


@pytest.mark.parametrize("orientation", [[1.0005, 0, 0, 0, 1, 0], [1, 0, 0, 0.0005, 1, 0], [0.6, -0.8, 0, 0, 0, -0.9995]])
def test_an_orientation_rounded_like_a_header_is_accepted(orientation):
    assert np.linalg.norm(plane(orientation=orientation).normal) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("attribute", "values", "message"),
    [
        ("position", [1, 2], r"ImagePositionPatient \(0020,0032\) has 2 values: 3 are expected"),
        ("position", [1, 2, 3, 4], r"ImagePositionPatient \(0020,0032\) has 4 values: 3 are expected"),
        ("position", [], r"ImagePositionPatient \(0020,0032\) has 0 values: 3 are expected"),
        ("position", ["one", "two", "three"], r"ImagePositionPatient \(0020,0032\) is not numeric: 3 numbers are expected"),
        ("position", [[1, 2, 3], [4, 5]], r"ImagePositionPatient \(0020,0032\) is not numeric: 3 numbers are expected"),
        ("spacing", [1.5], r"PixelSpacing \(0028,0030\) has 1 values: 2 are expected"),
        ("spacing", [1.5, 1.5, 1.5], r"PixelSpacing \(0028,0030\) has 3 values: 2 are expected"),
        ("spacing", 1.5, r"PixelSpacing \(0028,0030\) has 1 values: 2 are expected"),
        ("spacing", ["", ""], r"PixelSpacing \(0028,0030\) is not numeric: 2 numbers are expected"),
    ],
)
def test_a_wrong_number_or_kind_of_values_is_refused(attribute, values, message):
    with pytest.raises(InvalidPlaneError, match=message):
        plane(**{attribute: values})


@pytest.mark.parametrize("orientation", [ORIENTATION[:5], [*ORIENTATION, 0.0], [], None, ["a"] * 6])
def test_a_wrong_number_or_kind_of_cosines_is_an_invalid_orientation(orientation):
    with pytest.raises(InvalidOrientationError, match=r"ImageOrientationPatient \(0020,0037\) .* 6 (are|numbers are) expected"):
        plane(orientation=orientation)


def test_a_shape_that_no_header_can_cause_is_a_programming_mistake():
    with pytest.raises(ValueError, match=r"expected an array of shape \(3,\), got \(2,\)"):
        ImagePlane(
            position_mm=[0, 0],
            row_cosine=[1, 0, 0],
            column_cosine=[0, 1, 0],
            row_spacing_mm=1,
            column_spacing_mm=1,
            rows=1,
            columns=1,
        )


@pytest.mark.parametrize(
    "duplicate",
    [lambda image: image, copy.copy, copy.deepcopy, unpickled],
)
@pytest.mark.parametrize("name", ["position_mm", "row_cosine", "column_cosine"])
def test_arrays_are_read_only_also_in_a_copy_or_after_pickle(duplicate, name):
    image = duplicate(plane())
    np.testing.assert_array_equal(getattr(image, name), getattr(plane(), name))
    with pytest.raises(ValueError, match="read-only"):
        getattr(image, name)[0] = 5.0


def test_a_pickled_plane_is_the_same_plane():
    assert repr(unpickled(plane())) == repr(plane())


def test_a_plane_does_not_change_with_the_array_it_was_made_from():
    position = np.array(POSITION)
    image = plane(position=position)
    position[0] = 1e6
    assert image.position_mm.tolist() == POSITION


def test_attributes_cannot_be_replaced():
    with pytest.raises(FrozenInstanceError):
        plane().rows = 5


def test_the_matrix_and_the_normal_cannot_be_changed():
    image = plane()
    for array in (image.patient_from_pixel, image.normal):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0
