"""Whether two images show the same tissue along their common line."""

import numpy as np
import pytest

from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry import ImagePlane

AXIAL = ImagePlane.from_attributes([-100, -100, 7], [1, 0, 0, 0, 1, 0], [2, 2], rows=101, columns=101)
CORONAL = ImagePlane.from_attributes([-100, 5, 100], [1, 0, 0, 0, 0, -1], [2, 2], rows=101, columns=101)


def scene(plane, shift_mm=0.0):
    """Sample a smooth three-dimensional pattern on a plane."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    x, y, z = np.moveaxis(plane.pixel_to_patient(np.stack([column, row], axis=-1)), -1, 0)
    return 500 + 200 * np.sin((x - shift_mm) / 15) + 100 * np.cos(y / 9) + 50 * np.sin(z / 12)


def test_images_of_one_scene_agree():
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL)) > 0.999


def test_agreement_does_not_depend_on_the_order_or_on_the_scale_of_intensities():
    forward = line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 10))
    backward = line_agreement(CORONAL, 3 * scene(CORONAL, 10) + 40, AXIAL, scene(AXIAL))
    assert forward == pytest.approx(backward, abs=1e-9)


def test_a_shift_lowers_agreement_and_half_a_period_turns_it():
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 20)) < 0.5
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 15 * np.pi)) < -0.9


def test_flat_images_and_images_that_share_too_little_say_nothing():
    assert np.isnan(line_agreement(AXIAL, np.ones((101, 101)), CORONAL, scene(CORONAL)))
    far = ImagePlane.from_attributes([90, 5, 100], [1, 0, 0, 0, 0, -1], [2, 2], rows=101, columns=101)
    assert np.isnan(line_agreement(AXIAL, scene(AXIAL), far, scene(far)))


def test_parallel_images_share_no_line():
    with pytest.raises(ParallelPlanesError):
        line_agreement(AXIAL, scene(AXIAL), AXIAL, scene(AXIAL))
