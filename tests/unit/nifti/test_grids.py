"""Where the voxels of a NIfTI header lie."""

import nibabel
import numpy as np
import pytest

from cmr_planes.nifti.grids import read_grid

SHAPE = (96, 96, 6)


def header(*, sform: np.ndarray | None = None, qform: np.ndarray | None = None) -> nibabel.Nifti1Header:
    result = nibabel.Nifti1Header()
    result.set_data_shape(SHAPE)
    result.set_xyzt_units("mm")
    result["pixdim"][1:4] = (1.5, 1.5, 8)
    if qform is not None:
        result.set_qform(qform, code=1)
    if sform is not None:
        result.set_sform(sform, code=1)
    return result


def oblique() -> np.ndarray:
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn * (1.5, 1.5, 8)
    affine[:3, 3] = (-40, 20, 10)
    return affine


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize("column", range(4))
@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_a_matrix_with_numbers_that_are_not_finite_is_refused(row: int, column: int, number: float) -> None:
    spoilt = oblique()
    spoilt[row, column] = number
    with pytest.raises(ValueError, match="not finite"):
        read_grid(header(sform=spoilt, qform=oblique()), SHAPE)


def test_a_damaged_qform_does_not_matter_beside_an_sform() -> None:
    damaged = header(sform=oblique(), qform=oblique())
    damaged["qoffset_x"] = np.inf
    grid = read_grid(damaged, SHAPE)
    np.testing.assert_allclose(grid.affine_ras, oblique(), atol=1e-6)
    assert (grid.has_directions, grid.remarks, grid.other_affine_ras) == (True, (), None)


def test_an_sform_of_unit_length_takes_its_sizes_from_pixdim() -> None:
    unit = oblique()
    unit[:3, :3] /= (1.5, 1.5, 8)
    grid = read_grid(header(sform=unit), SHAPE)
    np.testing.assert_allclose(grid.affine_ras, oblique(), atol=1e-6)
    assert "pixdim was followed" in grid.remarks[0]


def test_a_matrix_along_the_axes_of_the_patient_tells_no_directions() -> None:
    grid = read_grid(header(sform=np.diag([-1.5, -1.5, 8, 1])), SHAPE)
    assert not grid.has_directions
    np.testing.assert_allclose(grid.sizes_mm, (1.5, 1.5, 8))
