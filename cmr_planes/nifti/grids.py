"""Where the voxels of a NIfTI file lie: one matrix from a header that says it up to three times, and may contradict itself."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.geometry_header import geometry_header

SAME_SIZE = 0.01
"""Voxel sizes that differ by a smaller share are the same: headers round them."""
SAME_PLACE_VOXELS = 0.5
"""The two matrices of a header contradict each other where they put a corner of the volume farther apart than this."""
PIXEL_SIZES_MM = (0.3, 10.0)
"""The pixels of cardiac MR, 0.6 to 5 mm, with room to spare."""
SHORTEST_STACK_MM = 20.0
"""A shorter stack of three or more slices less than 2 mm apart is no heart."""

_ALIGNED_COSINE = np.cos(np.radians(0.5))
_MM_PER_UNIT = {1: 1000.0, 2: 1.0, 3: 0.001}
"""By the code of ``xyzt_units``: metre, millimetre, micrometre."""


@dataclass(frozen=True, slots=True, eq=False)
class VolumeGrid:
    """Where the voxels of a volume lie."""

    affine_ras: FloatArray
    """Shape (4, 4): (i, j, k, 1) to RAS coordinates in mm."""
    has_directions: bool
    """False where the header has no matrix, or one that is parallel to the axes of the patient on all three of its own: no image of
    the heart is, so that it stands in for directions that were lost."""
    remarks: tuple[str, ...] = ()
    """What in the header is contradictory or not plausible, and what was taken; parts of a sentence."""
    other_affine_ras: FloatArray | None = None
    """The matrix that was not taken where the header has two of equal voxel sizes that contradict each other; else None."""
    header: bytes = b""
    """What the header says, as :func:`cmr_planes.nifti.geometry_header.geometry_header` keeps it."""

    @property
    def sizes_mm(self) -> FloatArray:
        """Shape (3,): the voxel's edges along i, j and k."""
        return np.asarray(np.linalg.norm(self.affine_ras[:3, :3], axis=0))


def read_grid(header: Any, shape: tuple[int, ...]) -> VolumeGrid:  # noqa: ANN401  # nibabel has no types
    """Read where the voxels lie.

    ``sform`` holds before ``qform``, as in the standard. Where the lengths of its columns are not those of ``pixdim``, the latter
    hold, as for ITK: ACDC's matrices are of unit length. Only a ``pixdim`` that no heart has yields to a matrix that one may have.

    Parameters
    ----------
    header
        A NIfTI header of nibabel.
    shape
        The sizes of i, j and k.

    Raises
    ------
    ValueError, HeaderDataError
        The ``sform``, or the only matrix of the header, cannot be read.
    """
    scale = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    pixdim = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    sform = _finite(header.get_sform()) if int(header["sform_code"]) > 0 else None
    if sform is not None and shape[2] == 1:
        pixdim[2] = np.linalg.norm(sform[:3, 2])  # of a single slice nobody states the distance to the next
    qform = _qform(header, is_needed=sform is None)
    remarks: list[str] = []
    if scale != 1 and not is_pixel_size(scale * pixdim) and is_pixel_size(pixdim):
        remarks.append(f"the header's unit would make pixels of {_text(scale * pixdim[:2])} mm; its numbers were taken as mm")
        scale = 1.0
    other = None
    if sform is not None:
        affine, other, found = _choose(sform, qform, pixdim, scale, shape)
        remarks += found
    else:
        affine = np.asarray(header.get_base_affine(), dtype=np.float64) if qform is None else qform
    affine = _scaled(affine, scale)
    return VolumeGrid(
        affine_ras=affine,
        has_directions=(sform is not None or qform is not None) and not _is_aligned(affine),
        remarks=tuple(remarks),
        other_affine_ras=None if other is None else _scaled(other, scale),
        header=geometry_header(header, shape),
    )


def is_pixel_size(sizes_mm: FloatArray) -> bool:
    """Tell whether a voxel may be one of cardiac MR, by its edges along i and j."""
    low, high = PIXEL_SIZES_MM
    return bool(np.all((sizes_mm[:2] >= low) & (sizes_mm[:2] <= high)))


def is_heart_size(sizes_mm: FloatArray, shape: tuple[int, ...]) -> bool:
    """Tell whether a stack of images may be one of a heart, by its voxel and its number of slices."""
    length_mm = (shape[2] - 1) * sizes_mm[2]
    is_short = shape[2] > 2 and sizes_mm[2] < 2 and length_mm < SHORTEST_STACK_MM
    return is_pixel_size(sizes_mm) and bool(sizes_mm[2] > 0) and not is_short


def size_remark(sizes_mm: FloatArray, shape: tuple[int, ...]) -> str | None:
    """Say that a stack of images cannot be of the size that its header gives; None where it can."""
    if is_heart_size(sizes_mm, shape):
        return None
    stack = f" and a stack {(shape[2] - 1) * sizes_mm[2]:g} mm long" if shape[2] > 1 else ""
    return (
        f"voxels of {_text(sizes_mm)} mm{stack} are not those of a heart: millimetres are not known, and sizes and volumes "
        "made from them are wrong"
    )


def _finite(matrix: Any) -> FloatArray:  # noqa: ANN401  # nibabel has no types
    """Return a matrix of a header; raises ValueError where numbers in it are infinite or none."""
    affine = np.asarray(matrix, dtype=np.float64)
    if not np.isfinite(affine).all():
        raise ValueError("a matrix holds numbers that are not finite")
    return affine


def _qform(header: Any, *, is_needed: bool) -> FloatArray | None:  # noqa: ANN401  # nibabel has no types
    """Return the qform's matrix, None where there is none; a damaged one is an error only where there is no other."""
    from nibabel.spatialimages import HeaderDataError

    if int(header["qform_code"]) <= 0:
        return None
    try:
        return _finite(header.get_qform())
    except (ValueError, HeaderDataError):
        if is_needed:
            raise
        return None


def _choose(
    sform: FloatArray, qform: FloatArray | None, pixdim: FloatArray, scale: float, shape: tuple[int, ...]
) -> tuple[FloatArray, FloatArray | None, list[str]]:
    """Return the matrix to take, the other where both may hold, and what is to be said."""
    lengths = np.linalg.norm(sform[:3, :3], axis=0)
    if np.all(np.abs(lengths - pixdim) <= SAME_SIZE * pixdim):
        if qform is None or _is_same_place(sform, qform, shape):
            return sform, None, []
        return sform, qform, ["its sform and qform contradict each other"]
    if not np.all(lengths > 0):
        return sform, None, []  # refused later, as no matrix at all
    if not np.all((pixdim > 0) & (pixdim < np.inf)) or (
        is_heart_size(scale * lengths, shape) and not is_heart_size(scale * pixdim, shape)
    ):
        return sform, None, [_size_sentence(lengths, pixdim, "the matrix was followed, for pixdim is not that of a heart")]
    if qform is not None and (not _is_aligned(qform) or _is_aligned(sform)):
        return qform, None, [_size_sentence(lengths, pixdim, "pixdim and the qform were followed")]
    scaled = sform.copy()
    scaled[:3, :3] *= pixdim / lengths
    return scaled, None, [_size_sentence(lengths, pixdim, "pixdim was followed")]


def _size_sentence(lengths: FloatArray, pixdim: FloatArray, taken: str) -> str:
    return f"its matrix (sform) makes voxels of {_text(lengths)} mm, its pixdim of {_text(pixdim)} mm; {taken}"


def _scaled(affine: FloatArray, scale: float) -> FloatArray:
    result = affine.copy()
    result[:3] *= scale
    return result


def _is_same_place(first: FloatArray, second: FloatArray, shape: tuple[int, ...]) -> bool:
    return corner_distance_mm(first, second, shape) <= SAME_PLACE_VOXELS * float(np.linalg.norm(first[:3, :3], axis=0).min())


def corner_distance_mm(first: FloatArray, second: FloatArray, shape: tuple[int, ...]) -> float:
    """Return how far apart two matrices, shape (4, 4) each, put the corners of a volume at most."""
    corners = np.array([[i, j, k, 1] for i in (0, shape[0] - 1) for j in (0, shape[1] - 1) for k in (0, shape[2] - 1)])
    return float(np.linalg.norm((corners @ (first - second).T)[:, :3], axis=1).max())


def _is_aligned(affine: FloatArray) -> bool:
    """Tell whether each axis of a matrix is parallel to one of the patient's."""
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = np.abs(affine[:3, :3]) / np.where(lengths > 0, lengths, 1)
    return bool(np.all(cosines.max(axis=0) > _ALIGNED_COSINE))


def _text(sizes: FloatArray) -> str:
    return " × ".join(f"{size:.3g}" if size < 0.1 or size >= 100 else f"{size:.2f}" for size in sizes.tolist())
