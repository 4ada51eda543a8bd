"""The grid of a NIfTI volume on which the slices of a stack lie voxel for voxel, in whatever order."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.nifti.geometry_header import sizes_of
from cmr_planes.nifti.volumes import read_volume_grid
from cmr_planes.nifti.writing import encode_on_header, is_regular_stack, stack_affine_ras
from cmr_planes.system.whole_file import write_whole

TOLERANCE_VOXELS = 0.1
"""How far voxels of a stack may lie from those of the grid: headers are rounded, and nothing is interpolated."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetGrid:
    """A volume's grid, and where on it the slices, rows and columns of a stack lie."""

    header: bytes
    """Size and place of the volume's voxels (:func:`cmr_planes.nifti.geometry_header.geometry_header`)."""
    places: tuple[int, ...]
    """By slice, its index along the volume's axis of slices."""
    axes: tuple[int, int, int] = (2, 1, 0)
    """For i, j and k, what runs along it: 0 slices, 1 rows, 2 columns."""
    is_flipped: tuple[bool, bool] = (False, False)
    """Whether rows, and columns, run against their axis."""

    @property
    def n_slices(self) -> int:
        """Slices of the volume."""
        return sizes_of(self.header)[self.axes.index(0)]

    @classmethod
    def of_file(cls, path: Path, affines_lps_mm: FloatArray, matrix: tuple[int, int]) -> Self:
        """Find a stack on the grid of a file.

        Parameters
        ----------
        path
            A NIfTI image of exactly these slices, in any order and direction of its axes.
        affines_lps_mm
            Shape (slices, 4, 4): (column, row, 0, 1) to LPS of each slice; the third column is the unit normal.
        matrix
            Rows and columns of each slice.

        Raises
        ------
        AnnotationError
            The file cannot be read, or its voxels are not those of the slices; the message is the end of a sentence.
        """
        grid = read_volume_grid(path)
        shape = np.array(sizes_of(grid.header))
        sizes = np.array([matrix[1], matrix[0], len(affines_lps_mm)])
        if sorted(shape) != sorted(sizes):
            raise AnnotationError(f"has {_times(shape)} voxels, the label map {_times(sizes)}")
        if not is_regular_stack(affines_lps_mm):
            raise AnnotationError("is one volume, and the slices are not parallel and evenly spaced, so that they are none")
        stack = stack_affine_ras(affines_lps_mm)
        if len(affines_lps_mm) == 1:  # how thick its voxels are, only the file says
            along = np.abs(grid.affine_ras[:3, :3].T @ stack[:3, 2]) / grid.sizes_mm
            stack[:, 2] *= grid.sizes_mm[along.argmax()]
        to_voxels = np.linalg.inv(grid.affine_ras) @ stack
        whole = to_voxels.round()
        corners = np.array([[i, j, k, 1] for i in (0, sizes[0] - 1) for j in (0, sizes[1] - 1) for k in (0, sizes[2] - 1)]).T
        distances = np.abs((to_voxels - whole) @ corners).max()
        turn = np.abs(whole[:3, :3])
        if distances > TOLERANCE_VOXELS or not ((turn.sum(axis=0) == 1).all() and (turn.sum(axis=1) == 1).all()):
            raise AnnotationError("has voxels that are not those of the slices: they lie between them, or are of other size")
        ends = (whole @ corners)[:3]
        if (ends.min(axis=1) != 0).any() or (ends.max(axis=1) != shape - 1).any():
            raise AnnotationError("has voxels in the directions of the slices and of their size, but elsewhere in the patient")
        along_stack = whole[:3, :3].T  # column, row, slice
        columns_axis, rows_axis, slices_axis = turn.argmax(axis=0).tolist()
        axes = {columns_axis: 2, rows_axis: 1, slices_axis: 0}
        steps = along_stack.sum(axis=1)
        places = np.arange(sizes[2]) if steps[2] > 0 else np.arange(sizes[2])[::-1]
        return cls(
            header=grid.header,
            places=tuple(places.tolist()),
            axes=(axes[0], axes[1], axes[2]),
            is_flipped=(bool(steps[1] < 0), bool(steps[0] < 0)),
        )

    def lay(self, labels: LabelArray) -> LabelArray:
        """Lay label maps on the grid.

        Parameters
        ----------
        labels
            Shape (slices, rows, columns), or (phases, slices, rows, columns).

        Returns
        -------
            Shape (i, j, k), or (i, j, k, phases); 0 on slices of the volume that are none of the stack's.
        """
        rows, columns = (slice(None, None, -1) if flipped else slice(None) for flipped in self.is_flipped)
        stack = np.zeros((*labels.shape[:-3], self.n_slices, *labels.shape[-2:]), dtype=labels.dtype)
        stack[..., list(self.places), :, :] = labels[..., rows, columns]
        n_phase_axes = labels.ndim - 3
        axes = [n_phase_axes + axis for axis in self.axes]
        return stack.transpose(*axes, *range(n_phase_axes))


def write_on_grid(folder: Path, stem: str, labels: LabelArray, grid: TargetGrid, description: str = "") -> Path:
    """Write a label map on the grid of a volume.

    Parameters
    ----------
    folder
        An existing folder.
    stem
        The file's name without ``.nii.gz``.
    labels
        As of :meth:`TargetGrid.lay`.
    grid
        The grid.
    description
        As of :func:`cmr_planes.nifti.writing.encode_label_map`.

    Raises
    ------
    ShardError
        The file cannot be written.
    """
    path = folder / f"{stem}.nii.gz"
    write_whole(path, encode_on_header(grid.lay(labels), grid.header, description))
    return path


def _times(sizes: Sequence[int] | FloatArray) -> str:
    return " × ".join(str(int(size)) for size in sizes)
