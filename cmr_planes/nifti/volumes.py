"""Reading NIfTI volumes: voxels and their matrix to patient coordinates."""

import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.nifti.quiet import quiet_nibabel

MAX_BYTES = 1 << 28
"""A file whose values take more is refused before it is read; a whole cine of a study has about 20 million values of 16 bits."""


MAX_VOXELS = 1 << 24
"""A volume of one time point with more is refused as well."""


_MAX_OFFSET = 1 << 24
"""Where a file's values begin at the latest: extensions of its header are small."""


_MAX_COORDINATE_MM = 1e6
"""A matrix with larger numbers, or none, is no place in a patient."""


LPS_FROM_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI's x and y axes point the other way than DICOM's."""

RAS_FROM_LPS: FloatArray = LPS_FROM_RAS
"""The matrix is its own inverse."""


def read_volume(path: Path) -> tuple[np.ndarray[Any, Any], FloatArray]:
    """Read a NIfTI volume of three or four axes.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
        Values, shape (i, j, k, t), and the matrix from (i, j, k, 1) to RAS coordinates in mm.

    Raises
    ------
    AnnotationError
        It is not a NIfTI file, is cut off, too large, or has no usable matrix.
    """
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        with quiet_nibabel():
            image: Any = nibabel.load(path, mmap=False)  # a file that shrinks under a map ends the process
        shape = image.shape
        stored = image.dataobj
        if len(shape) not in (2, 3, 4) or min(shape) < 1 or math.prod(shape[:3]) > MAX_VOXELS:
            raise AnnotationError(f"has the shape {shape}: two to four axes, and at most {MAX_VOXELS} voxels, are expected")
        value_size = stored.dtype.itemsize if (stored.slope, stored.inter) == (1, 0) else 8  # scaled values are float64
        if math.prod(shape) * value_size > MAX_BYTES or not 0 <= stored.offset <= _MAX_OFFSET:
            raise AnnotationError(f"has values of more than {MAX_BYTES >> 20} MiB, or far from its header, and was not read")
        values = np.asanyarray(stored)
        affine = np.asarray(image.affine, dtype=np.float64)
    except (
        *(ImageFileError, HeaderDataError, OSError, EOFError, ValueError, TypeError),
        *(LookupError, ArithmeticError, struct.error, zlib.error),
    ) as error:
        raise AnnotationError(
            f"cannot be read as NIfTI ({type(error).__name__}): it is cut off or damaged; fetch it again"
        ) from error
    if not np.abs(affine).max() < _MAX_COORDINATE_MM or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise AnnotationError("has a matrix to patient coordinates that cannot be inverted; write it with its geometry")
    return values.reshape(*shape, *([1] * (4 - len(shape)))), affine
