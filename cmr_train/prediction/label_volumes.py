"""Label maps as NIfTI: from slices in LPS to one volume in RAS."""

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

from cmr_planes.system.whole_file import write_whole

GRID_TOLERANCE_MM = 0.1
"""How far a slice may lie from a regular grid before a stack is not one volume: a fraction of any pixel."""

_EXTENT_PX = 512
"""Differences of direction are judged at this distance from an image's first pixel: the larger matrices of the field."""

_make_image: Any = nibabel.Nifti1Image  # nibabel has no types

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def volume_affine_ras(affines_lps_mm: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return the affine of a stack of slices.

    Parameters
    ----------
    affines_lps_mm
        Shape (slices, 4, 4): (column, row, 0, 1) to LPS of each slice; the third column is the unit normal.

    Returns
    -------
        Shape (4, 4): (column, row, slice, 1) to RAS in mm; None where the slices are no regular grid. A single slice is given
        a thickness of 1 mm along its normal.
    """
    first, n_slices = affines_lps_mm[0], len(affines_lps_mm)
    volume = first.copy()
    if n_slices > 1:
        volume[:, 2] = (affines_lps_mm[-1, :, 3] - first[:, 3]) / (n_slices - 1)
    expected_mm = first[:, 3] + np.arange(n_slices)[:, np.newaxis] * volume[:, 2]
    is_spaced = np.abs(affines_lps_mm[:, :, 3] - expected_mm).max() <= GRID_TOLERANCE_MM
    is_parallel = np.abs(affines_lps_mm[:, :, :2] - first[:, :2]).max() * _EXTENT_PX <= GRID_TOLERANCE_MM
    return _LPS_TO_RAS @ volume if is_spaced and is_parallel else None


def encode_labels(labels: NDArray[np.uint8], affine_ras: NDArray[np.float64]) -> bytes:
    """Encode a label map; equal arguments give equal bytes.

    Parameters
    ----------
    labels
        Shape (slices, rows, columns), or (phases, slices, rows, columns) for a cine.
    affine_ras
        Shape (4, 4): (column, row, slice, 1) to RAS in mm.

    Returns
    -------
        A compressed NIfTI-1 file: axes column, row, slice, and phase if there is one.
    """
    image = _make_image(labels.transpose(range(labels.ndim)[::-1]), affine_ras, dtype=np.uint8)
    image.set_sform(affine_ras, code="scanner")
    image.set_qform(affine_ras, code="scanner", strip_shears=True)
    image.header.set_xyzt_units("mm")
    return gzip.compress(image.to_bytes(), mtime=0)


def write_labels(folder: Path, stem: str, labels: NDArray[np.uint8], affines_lps_mm: NDArray[np.float64]) -> tuple[Path, ...]:
    """Write a label map: one file, or one a slice where the slices are no regular grid.

    Parameters
    ----------
    folder
        Where to; it exists.
    stem
        The file's name without ``.nii.gz``; ``_slice00`` and so on is added where there is one file a slice.
    labels
        Shape (slices, rows, columns) or (phases, slices, rows, columns).
    affines_lps_mm
        Shape (slices, 4, 4), as of :func:`volume_affine_ras`.

    Returns
    -------
        The files.
    """
    affine = volume_affine_ras(affines_lps_mm)
    if affine is not None:
        parts = [(f"{stem}.nii.gz", labels, affine)]
    else:
        parts = [
            (f"{stem}_slice{number:02d}.nii.gz", labels[..., number : number + 1, :, :], _LPS_TO_RAS @ each)
            for number, each in enumerate(affines_lps_mm)
        ]
    paths = []
    for name, part, part_affine in parts:
        path = folder / name
        write_whole(path, encode_labels(part, part_affine))
        paths.append(path)
    return tuple(paths)
