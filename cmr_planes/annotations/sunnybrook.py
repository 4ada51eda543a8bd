"""Contours of the Sunnybrook Cardiac Data: a text file for each, named by the image's InstanceNumber, one ``x y`` per line.

Coordinates count from 1 at the centre of the first pixel, as in the MATLAB code that the data came with. Two subjects agree: of the
contours moved by quarters of a pixel, those moved by (-1, -1) have the strongest edge under them.
"""

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from cmr_planes.annotations.files import SUNNYBROOK_NAME, LabelFile, open_label_file
from cmr_planes.annotations.model import Annotation, Contour, ContourImage, LabelFormat, Outline
from cmr_planes.errors import AnnotationError
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.system.text import counted

FIRST_PIXEL = 1.0
"""Coordinate of the first pixel's centre."""

_OUTLINES = {"i": Outline.LV_ENDO, "o": Outline.LV_EPI}
_MAX_BYTES = 1 << 20
_MIN_POINTS = 3


def read_sunnybrook(files: Iterable[LabelFile]) -> Annotation:
    """Read a subject's contour files.

    Parameters
    ----------
    files
        The files. Contours of papillary muscles are ignored: they belong to the blood pool.

    Returns
    -------
        Contours by InstanceNumber.

    Raises
    ------
    AnnotationError
        A file is not what its name says.
    """
    contours: defaultdict[int, list[Contour]] = defaultdict(list)
    for file in files:
        match = SUNNYBROOK_NAME.fullmatch(file.parts[-1])
        outline = _OUTLINES.get(match["kind"].lower()) if match else None
        if match is None or outline is None:
            continue
        with open_label_file(file) as stream:
            data = stream.read(_MAX_BYTES + 1)
        number = int(match["number"])
        contours[number].append(Contour(outline, parse_points(data, f"contour of image {number}") - FIRST_PIXEL))
    images = (ContourImage(contours=tuple(contours[number]), instance_number=number) for number in sorted(contours))
    return Annotation(source=LabelFormat.SUNNYBROOK, contour_images=tuple(images))


def parse_points(data: bytes, name: str) -> FloatArray:
    """Read a contour file's points, shape (n, 2), (column, row); raises AnnotationError."""
    try:
        rows = [line.split() for line in data.decode("ascii").splitlines() if line.strip()]
        points = np.array([[float(x), float(y)] for x, y in rows])
    except (UnicodeError, ValueError) as error:
        raise AnnotationError(f"{name} is not a list of points, one 'x y' per line; fetch it again") from error
    if len(data) > _MAX_BYTES or len(points) < _MIN_POINTS or not np.isfinite(points).all() or np.abs(points).max() > 1e5:
        raise AnnotationError(
            f"{name} has {counted(len(points), 'point')}, or points beyond any image; at least {_MIN_POINTS} are expected"
        )
    return points
