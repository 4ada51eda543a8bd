"""The patient's directions: those of LPS, and others that are stated."""

import numpy as np
import pytest
from hypothesis import given

from cmr_planes.errors import GeometryError
from cmr_planes.geometry.patient_axes import LPS_AXES, DecidingAxis, PatientAxes
from tests.helpers.strategies import rotations


def test_deciding_axes_are_those_of_lps() -> None:
    assert LPS_AXES.along(DecidingAxis.LEFT).tolist() == [1, 0, 0]
    assert LPS_AXES.along(DecidingAxis.SUPERIOR).tolist() == [0, 0, 1]
    np.testing.assert_allclose(LPS_AXES.along(DecidingAxis.ANTERIOR_SUPERIOR), [0, -np.sqrt(0.5), np.sqrt(0.5)])


@given(rotation=rotations())
def test_stated_directions_turn_with_the_coordinates(rotation: np.ndarray) -> None:
    stated = PatientAxes.from_directions(3 * rotation @ LPS_AXES.left, 0.2 * rotation @ LPS_AXES.anterior)
    for axis in DecidingAxis:
        np.testing.assert_allclose(stated.along(axis), rotation @ LPS_AXES.along(axis), atol=1e-12)


@pytest.mark.parametrize("anterior", [(0, 0, 0), (np.nan, 0, 1), (np.inf, 0, 1)])
def test_a_direction_that_is_none_is_refused(anterior: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="two finite vectors"):
        PatientAxes.from_directions((1, 0, 0), anterior)


@pytest.mark.parametrize(("angle_deg", "is_fine"), [(0, False), (19, False), (21, True), (90, True), (162, False), (180, False)])
def test_directions_along_one_line_are_refused(angle_deg: float, is_fine: bool) -> None:
    anterior = [np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg)), 0]
    if is_fine:
        np.testing.assert_allclose(PatientAxes.from_directions((1, 0, 0), anterior).anterior, [0, 1, 0], atol=1e-12)
    else:
        with pytest.raises(GeometryError, match="degrees from one line"):
            PatientAxes.from_directions((1, 0, 0), anterior)
