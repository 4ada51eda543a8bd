"""NIfTI label maps: values by a stated convention, coordinates turned from RAS to LPS."""

import math
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from cmr_planes.annotations.classes import ClassMap, check_anatomy, classes_from_name, view_from_name
from cmr_planes.annotations.files import stem_of
from cmr_planes.annotations.model import Annotation, LabelFormat, LabelVolume, Moment
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.quiet import quiet_nibabel
from cmr_planes.views import CardiacPhase, CardiacView, Structure

MAX_BYTES = 1 << 28
"""A file whose values take more is refused before it is read; a whole cine of a study has about 20 million values of 16 bits."""
MAX_VOXELS = 1 << 24
"""A volume of one moment with more is refused likewise."""
_MAX_OFFSET = 1 << 24
"""Where a file's values begin at the latest: extensions of its header are small."""
_MAX_COORDINATE_MM = 1e6
"""A matrix with larger numbers, or none, is no place in a patient."""

LPS_FROM_RAS: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0])
"""NIfTI's x and y axes point the other way than DICOM's."""

_PHASE_WORD = re.compile(r"(?<![a-z])(ed|es)(?![a-z])", re.IGNORECASE)
_FRAME_WORD = re.compile(r"frame[_-]?(\d{1,4})(?!\d)", re.IGNORECASE)


def read_nifti_labels(path: Path, classes: ClassMap | None = None) -> Annotation:
    """Read a label map of one moment, or of several (a fourth axis).

    Parameters
    ----------
    path
        The file. Its name tells the view and the phase (``ED``, ``ES``, ``frame01``) where it follows a public data set, and the
        convention where ``classes`` is None.
    classes
        What its values mean.

    Returns
    -------
        One volume a moment; moments without any label are left out where there are several.

    Raises
    ------
    AnnotationError
        It cannot be read, its values are not whole numbers or not those of the convention, nobody says which that is, or LV and RV
        are exchanged.
    """
    stem = stem_of(path.name)
    classes = classes or classes_from_name(stem)
    if classes is None:
        raise AnnotationError(
            "does not tell by its name what its values mean, and sources differ (1 is RV in ACDC and LV in M&Ms); say it with "
            "--classes, for example --classes acdc or --classes 1=RV,2=Myo,3=LV"
        )
    values, affine_ras = read_volume(path)
    view = view_from_name(stem)
    volumes = []
    n_moments = values.shape[3]
    for index in range(n_moments):
        labels = classes.apply(_whole_numbers(values[..., index]))
        if view in (None, CardiacView.SAX):
            check_anatomy(labels)
        if labels.any() or n_moments == 1:
            volumes.append(
                LabelVolume(
                    labels=labels,
                    affine_lps_mm=LPS_FROM_RAS @ affine_ras,
                    structures=frozenset(classes.structures.values()) - {Structure.BACKGROUND},
                    moment=Moment(frame_number=index + 1) if n_moments > 1 else moment_from_name(stem),
                    view=view,
                )
            )
    return Annotation(source=LabelFormat.NIFTI, volumes=tuple(volumes))


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


def _whole_numbers(values: np.ndarray[Any, Any]) -> IntArray:
    """Return label values as integers; raises AnnotationError for others."""
    if values.dtype.kind not in "uif":
        raise AnnotationError(f"holds values of type {values.dtype}, and whole numbers are expected")
    numbers = np.rint(values) if values.dtype.kind == "f" else values
    if not 0 <= values.min() <= values.max() < 1e4 or np.abs(numbers - values).max() > 1e-3:  # NaN is not above 0
        raise AnnotationError(
            "holds values that are no classes (fractions, negative or huge numbers): is it an image, or interpolated?"
        )
    return numbers.astype(np.int64)


def moment_from_name(stem: str) -> Moment:
    """Return when in the cycle a label map is of, by its name.

    Examples
    --------
    >>> moment_from_name("patient001_frame01_gt").frame_number, moment_from_name("label_sa_ES").phase
    (1, <CardiacPhase.ES: 'es'>)
    """
    frames, phases = _FRAME_WORD.findall(stem), _PHASE_WORD.findall(stem)
    return Moment(phase=CardiacPhase(phases[-1].lower()) if phases else None, frame_number=int(frames[-1]) if frames else None)
