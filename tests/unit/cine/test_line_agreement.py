"""Whether two images show the same tissue along their common line."""

import numpy as np
import pytest

from cmr_planes.cine.line_agreement import line_agreement
from cmr_planes.errors import ParallelPlanesError
from cmr_planes.geometry import ImagePlane

AXIAL = ImagePlane.from_attributes([-100, -100, 7], [1, 0, 0, 0, 1, 0], [2, 2], rows=101, columns=101)
CORONAL = ImagePlane.from_attributes([-100, 5, 100], [1, 0, 0, 0, 0, -1], [2, 2], rows=101, columns=101)
CENTRE = np.array([0.0, 5.0, 7.0])
"""On the line of both planes."""


def scene(plane, shift_mm=0.0):
    """Sample a smooth three-dimensional pattern on a plane."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    x, y, z = np.moveaxis(plane.pixel_to_patient(np.stack([column, row], axis=-1)), -1, 0)
    return 500 + 200 * np.sin((x - shift_mm) / 15) + 100 * np.cos(y / 9) + 50 * np.sin(z / 12)


def test_images_of_one_scene_agree():
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL), CENTRE) > 0.999


def test_agreement_does_not_depend_on_the_order_or_on_the_scale_of_intensities():
    forward = line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 10), CENTRE)
    backward = line_agreement(CORONAL, 3 * scene(CORONAL, 10) + 40, AXIAL, scene(AXIAL), CENTRE)
    assert forward == pytest.approx(backward, abs=1e-9)


def test_a_shift_lowers_agreement_and_half_a_period_turns_it():
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 20), CENTRE) < 0.5
    assert line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 15 * np.pi), CENTRE) < -0.9


def test_flat_images_and_images_that_share_too_little_say_nothing():
    assert np.isnan(line_agreement(AXIAL, np.ones((101, 101)), CORONAL, scene(CORONAL), CENTRE))
    far = ImagePlane.from_attributes([30, 5, 100], [1, 0, 0, 0, 0, -1], [2, 2], rows=101, columns=101)
    assert np.isnan(line_agreement(AXIAL, scene(AXIAL), far, scene(far), CENTRE))


def test_parallel_images_share_no_line():
    with pytest.raises(ParallelPlanesError):
        line_agreement(AXIAL, scene(AXIAL), AXIAL, scene(AXIAL), CENTRE)


def test_what_lies_far_from_the_heart_does_not_hide_that_it_moved():
    def chest(plane, shift_mm):
        column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
        x = plane.pixel_to_patient(np.stack([column, row], axis=-1))[..., 0]
        return np.where(np.abs(x) > 65, 3000 + 20 * x, scene(plane, shift_mm))

    still = line_agreement(AXIAL, chest(AXIAL, 0), CORONAL, chest(CORONAL, 0), CENTRE)
    moved = line_agreement(AXIAL, chest(AXIAL, 0), CORONAL, chest(CORONAL, 30), CENTRE)
    assert still > 0.999
    assert moved == pytest.approx(line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 30), CENTRE), abs=1e-9)
    assert moved < 0.2


def test_the_heart_may_lie_beside_the_line():
    beside = CENTRE + np.array([0.0, 9.0, -4.0])
    at, near = (line_agreement(AXIAL, scene(AXIAL), CORONAL, scene(CORONAL, 12), centre) for centre in (CENTRE, beside))
    assert near == pytest.approx(at, abs=1e-12)
