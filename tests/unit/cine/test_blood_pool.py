"""Whether a short-axis image shows the left ventricle at a point."""

import numpy as np
import pytest

from cmr_planes.cine.blood_pool import left_ventricle_at
from cmr_planes.geometry import ImagePlane

PLANE = ImagePlane.from_attributes([10, 20, 30], [1, 0, 0, 0, 1, 0], [2.0, 1.5], rows=80, columns=100)
POOL_MM = np.array([85.0, 95.0, 30.0])
BLOOD, MUSCLE, LUNG = 400.0, 120.0, 20.0


def distances_mm() -> tuple[np.ndarray, np.ndarray]:
    """Distance of each pixel from the pool's middle, along x and y; shape (row, column) each."""
    rows, columns = np.mgrid[: PLANE.rows, : PLANE.columns]
    return 10 + 1.5 * columns - POOL_MM[0], 20 + 2.0 * rows - POOL_MM[1]


def ventricle(radius_mm: float = 22.0, wall_mm: float = 10.0) -> np.ndarray:
    distance = np.hypot(*distances_mm())
    return np.where(distance < radius_mm, BLOOD, np.where(distance < radius_mm + wall_mm, MUSCLE, LUNG))


@pytest.mark.parametrize("off_mm", [(0, 0), (6, 0), (-4, 5)])
@pytest.mark.parametrize("radius_mm", [14.0, 22.0, 30.0])
def test_the_middle_of_a_round_pool_is_found_from_a_point_near_it(off_mm: tuple[float, float], radius_mm: float) -> None:
    found = left_ventricle_at(ventricle(radius_mm), PLANE, POOL_MM + np.array([*off_mm, 0]))
    assert found is not None
    np.testing.assert_allclose(found, POOL_MM, atol=1.0)


def test_neither_brightness_nor_contrast_matters() -> None:
    found = left_ventricle_at(1000 + 0.1 * ventricle(), PLANE, POOL_MM)
    np.testing.assert_allclose(found, POOL_MM, atol=1.0)


def test_a_crescent_with_a_thin_wall_is_no_left_ventricle() -> None:
    along_x, along_y = distances_mm()
    outer, inner = np.hypot(along_x, along_y) < 32, np.hypot(along_x - 22, along_y) < 32
    wall = np.hypot(along_x, along_y) < 35
    image = np.where(outer & ~inner, BLOOD, np.where(wall, MUSCLE, 0.9 * BLOOD))
    assert left_ventricle_at(image, PLANE, POOL_MM + np.array([-20, 0, 0])) is None


@pytest.mark.parametrize("radius_mm", [4.0, 60.0])
def test_a_pool_of_no_ventricles_size_is_none(radius_mm: float) -> None:
    assert left_ventricle_at(ventricle(radius_mm), PLANE, POOL_MM) is None


@pytest.mark.parametrize("image", [np.zeros((80, 100)), np.full((80, 100), 300.0)], ids=["black", "even"])
def test_an_image_that_shows_nothing_has_no_ventricle(image: np.ndarray) -> None:
    assert left_ventricle_at(image, PLANE, POOL_MM) is None


def test_a_point_beside_the_image_has_no_ventricle() -> None:
    assert left_ventricle_at(ventricle(), PLANE, POOL_MM + np.array([200, 0, 0])) is None
