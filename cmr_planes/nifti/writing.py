"""Images and label maps as NIfTI: from slices in LPS to one volume in RAS."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cmr_planes.geometry.arrays import FloatArray, LabelArray
from cmr_planes.nifti.volumes import RAS_FROM_LPS
from cmr_planes.system.whole_file import write_whole

GRID_TOLERANCE_MM = 0.1
"""How far a slice may lie from a regular grid before a stack is not one volume: a fraction of any pixel."""

_EXTENT_PX = 512
"""Differences of direction are judged at this distance from an image's first pixel: the larger matrices of the field."""


def is_regular_stack(affines_lps_mm: FloatArray) -> bool:
    """Tell whether slices are parallel and evenly spaced, so that one affine fits them all; shape (slices, 4, 4)."""
    first, last, n_slices = affines_lps_mm[0], affines_lps_mm[-1], len(affines_lps_mm)
    step_mm = (last[:, 3] - first[:, 3]) / max(1, n_slices - 1)
    expected_mm = first[:, 3] + np.arange(n_slices)[:, np.newaxis] * step_mm
    is_spaced = np.abs(affines_lps_mm[:, :, 3] - expected_mm).max() <= GRID_TOLERANCE_MM
    is_parallel = np.abs(affines_lps_mm[:, :, :2] - first[:, :2]).max() * _EXTENT_PX <= GRID_TOLERANCE_MM
    return bool(is_spaced and is_parallel)


def stack_affine_ras(affines_lps_mm: FloatArray, thickness_mm: float = 1.0) -> FloatArray:
    """Return the affine of a regular stack of slices.

    Parameters
    ----------
    affines_lps_mm
        Shape (slices, 4, 4): (column, row, 0, 1) to LPS of each slice; the third column is the unit normal.
    thickness_mm
        The extent of a single slice along its normal; not used where there are several.

    Returns
    -------
        Shape (4, 4): (column, row, slice, 1) to RAS in mm.
    """
    volume: FloatArray = affines_lps_mm[0].copy()
    if len(affines_lps_mm) > 1:
        volume[:, 2] = (affines_lps_mm[-1, :, 3] - volume[:, 3]) / (len(affines_lps_mm) - 1)
    else:
        volume[:, 2] *= thickness_mm
    return RAS_FROM_LPS @ volume


def encode_image(
    image: NDArray[np.uint16] | NDArray[np.int16] | NDArray[np.float32] | LabelArray,
    affine_ras: FloatArray,
    *,
    rescale: tuple[float, float] = (1.0, 0.0),
    interval_s: float | None = None,
    has_directions: bool = True,
) -> bytes:
    """Encode a volume or a cine; equal arguments give equal bytes.

    Parameters
    ----------
    image
        Shape (slices, rows, columns), or (phases, slices, rows, columns) for a cine.
    affine_ras
        Shape (4, 4): (column, row, slice, 1) to RAS in mm.
    rescale
        Slope and intercept that readers apply to the stored values.
    interval_s
        Time between two frames of a cine in seconds; None if not known.
    has_directions
        Whether the affine's directions are the patient's. If not, the file states lengths only (sform and qform code 0).

    Returns
    -------
        A compressed NIfTI-1 file: axes column, row, slice, and phase if there is one.
    """
    from isal import igzip

    nifti = _on_affine(image, affine_ras, "scanner" if has_directions else "unknown")
    is_timed = image.ndim == 4 and interval_s is not None
    if is_timed:
        nifti.header["pixdim"][4] = interval_s
    nifti.header.set_xyzt_units("mm", "sec" if is_timed else "unknown")
    if rescale != (1.0, 0.0):
        nifti.header.set_slope_inter(*rescale)
    compressed: bytes = igzip.compress(nifti.to_bytes(), mtime=0)
    return compressed


def encode_label_map(labels: LabelArray, affine_ras: FloatArray, description: str = "") -> bytes:
    """Encode a label map; equal arguments give equal bytes.

    Parameters
    ----------
    labels
        Shape (slices, rows, columns), or (phases, slices, rows, columns) for a cine.
    affine_ras
        Shape (4, 4): (column, row, slice, 1) to RAS in mm.
    description
        Text of the header's field ``descrip``, at most 79 characters of ASCII.

    Returns
    -------
        A compressed NIfTI-1 file: axes column, row, slice, and phase if there is one.
    """
    image = _on_affine(labels.astype(np.uint8, copy=False), affine_ras, "scanner")
    image.header.set_xyzt_units("mm")
    return _compressed(image, description)


def encode_on_header(labels: LabelArray, header: bytes, description: str = "") -> bytes:
    """Encode a label map that lies where a header says, bit for bit; equal arguments give equal bytes.

    Parameters
    ----------
    labels
        Shape (i, j, k), or (i, j, k, phases) for a cine.
    header
        As :func:`cmr_planes.nifti.geometry_header.geometry_header` returns it.
    description
        As of :func:`encode_label_map`.

    Returns
    -------
        A compressed NIfTI-1 file.
    """
    import nibabel

    place: Any = nibabel.Nifti1Header(header, endianness="<", check=False)  # type: ignore[no-untyped-call]
    make_image: Any = nibabel.Nifti1Image  # nibabel has no types
    return _compressed(make_image(labels, None, place, dtype=np.uint8), description)


def _on_affine(values: NDArray[Any], affine_ras: FloatArray, code: str) -> Any:  # noqa: ANN401  # nibabel has no types
    """Return an image of (…, slices, rows, columns) whose sform and qform, as far as it has no shears, are the affine."""
    import nibabel

    make_image: Any = nibabel.Nifti1Image
    image = make_image(values.transpose(range(values.ndim)[::-1]), affine_ras, dtype=values.dtype)
    image.set_sform(affine_ras, code=code)
    image.set_qform(affine_ras, code=code, strip_shears=True)
    return image


def _compressed(image: Any, description: str) -> bytes:  # noqa: ANN401  # nibabel has no types
    image.header["descrip"] = description.encode("ascii")
    return gzip.compress(image.to_bytes(), mtime=0)


def write_label_map(
    folder: Path, stem: str, labels: LabelArray, affines_lps_mm: FloatArray, description: str = ""
) -> tuple[Path, ...]:
    """Write a label map: one file, or one file per slice where the slices are no regular stack.

    Parameters
    ----------
    folder
        An existing folder.
    stem
        The file's name without ``.nii.gz``; ``_slice00`` and so on is added where there is one file per slice.
    labels
        Shape (slices, rows, columns) or (phases, slices, rows, columns).
    affines_lps_mm
        Shape (slices, 4, 4), as of :func:`stack_affine_ras`.
    description
        As of :func:`encode_label_map`.

    Returns
    -------
        The files.

    Raises
    ------
    ShardError
        A file cannot be written.
    """
    if is_regular_stack(affines_lps_mm):
        stacks = {stem: slice(None)}
    else:
        stacks = {f"{stem}_slice{number:02d}": slice(number, number + 1) for number in range(len(affines_lps_mm))}
    paths = []
    for name, part in stacks.items():
        path = folder / f"{name}.nii.gz"
        write_whole(path, encode_label_map(labels[..., part, :, :], stack_affine_ras(affines_lps_mm[part]), description))
        paths.append(path)
    return tuple(paths)
