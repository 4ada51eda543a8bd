"""Reading NIfTI volumes: voxels, and where they lie in the patient."""

import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.grids import VolumeGrid, read_grid
from cmr_planes.nifti.quiet import quiet_nibabel

MAX_BYTES = 1 << 28
"""A file whose values take more is refused before it is read; a whole cine of a study has about 20 million values of 16 bits."""


MAX_VOXELS = 1 << 24
"""A volume of one time point with more is refused as well."""


_GZIP = b"\x1f\x8b"
_MAX_OFFSET = 1 << 24
"""Where a file's values begin at the latest: extensions of its header are small."""


_MAX_COORDINATE_MM = 1e6
"""A matrix with larger numbers, or none, is no place in a patient."""

_LEAST_VOLUME_MM3 = 1e-9
"""A voxel of less volume has none."""


LPS_FROM_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI's x and y axes point the other way than DICOM's."""

RAS_FROM_LPS: FloatArray = LPS_FROM_RAS
"""The matrix is its own inverse."""


class WorldAxes(StrEnum):
    """What a file's coordinates are, whatever the standard says."""

    RAS = "ras"
    """+x to the patient's right, +y to the front, +z to the head, as the standard has it."""
    LPS = "lps"
    """+x to the left, +y to the back: DICOM's coordinates, written unchanged."""


def read_volume(path: Path) -> tuple[np.ndarray[Any, Any], VolumeGrid]:
    """Read a NIfTI volume of two to four axes; further ones of length 1 are dropped.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
        Values, shape (i, j, k, t), and where they lie.

    Raises
    ------
    AnnotationError
        It is not a NIfTI file, is cut off, too large, or has no usable matrix.
    """
    with _opened(path) as image:
        shape = _shape(image.shape)
        stored = image.dataobj
        value_size = stored.dtype.itemsize if (stored.slope, stored.inter) == (1, 0) else 8  # scaled values are float64
        if math.prod(shape) * value_size > MAX_BYTES or not 0 <= stored.offset <= _MAX_OFFSET:
            raise AnnotationError(f"has values of more than {MAX_BYTES >> 20} MiB, or far from its header, and was not read")
        values = np.asanyarray(stored)
        grid = _grid(image, shape)
    return values.reshape(shape), grid


def read_volume_grid(path: Path) -> VolumeGrid:
    """Read where the voxels of a volume lie, and not their values; errors are those of :func:`read_volume`."""
    with _opened(path) as image:
        return _grid(image, _shape(image.shape))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Load a file's header; whatever goes wrong while it is used ends as AnnotationError."""
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        with quiet_nibabel():
            image: Any = nibabel.load(path, mmap=False)  # a file that shrinks under a map ends the process
        if not isinstance(image, nibabel.Nifti1Pair):
            raise AnnotationError("is not a NIfTI image (it has another format's header); convert it")
        yield image
    except (
        *(ImageFileError, HeaderDataError, OSError, EOFError, ValueError, TypeError),
        *(LookupError, ArithmeticError, struct.error, zlib.error),
    ) as error:
        raise AnnotationError(f"cannot be read as NIfTI ({type(error).__name__}): {_fault(path)}") from error


def _fault(path: Path) -> str:
    """Say why a file cannot be read, and what to do."""
    if path.name.lower().endswith(".gz"):
        with suppress(OSError), path.open("rb") as file:
            if file.read(len(_GZIP)) not in (_GZIP, b""):
                return "its name ends in .gz and it is not compressed; rename it, or fetch it again"
    return "it is cut off or damaged; fetch it again"


def _shape(stored: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes of i, j, k and t; raises AnnotationError where a file has further axes, or too many voxels."""
    kept = [*stored[:3], *(size for size in stored[3:] if size != 1)]
    if not 2 <= len(kept) <= 4 or min(kept) < 1 or math.prod(kept[:3]) > MAX_VOXELS:
        raise AnnotationError(f"has the shape {stored}: two to four axes, and at most {MAX_VOXELS} voxels, are expected")
    return (*kept, *([1] * (4 - len(kept))))


def _grid(image: Any, shape: tuple[int, ...]) -> VolumeGrid:  # noqa: ANN401  # nibabel has no types
    grid = read_grid(image.header, shape)
    affine = grid.affine_ras
    if not np.abs(affine).max() < _MAX_COORDINATE_MM or abs(np.linalg.det(affine[:3, :3])) < _LEAST_VOLUME_MM3:
        raise AnnotationError("has a matrix to patient coordinates that cannot be inverted; write it with its geometry")
    return grid
