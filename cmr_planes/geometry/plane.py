"""The plane of one image in the patient."""

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cmr_planes.errors import InvalidOrientationError, InvalidPlaneError
from cmr_planes.geometry.arrays import FloatArray, cross, frozen, unit
from cmr_planes.geometry.tolerances import MAX_POSITION_MM, MAX_SPACING_MM, PERPENDICULAR_TOLERANCE, UNIT_LENGTH_TOLERANCE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImagePlane:
    """An image's place in the patient: position, orientation, spacing and matrix.

    Cosines are kept as the header gives them (up to rounding they are orthonormal), so that pixel coordinates map to the
    same points as in any other software that follows the standard's equation.

    Raises
    ------
    InvalidOrientationError
        The cosines are not finite, not of unit length, or not perpendicular.
    InvalidPlaneError
        The position is not finite, a spacing is not positive, or the matrix is empty.

    References
    ----------
    DICOM PS3.3 C.7.6.2.1.1 (ImagePositionPatient, ImageOrientationPatient) and 10.7.1.3 (PixelSpacing).

    Examples
    --------
    >>> plane = ImagePlane.from_attributes([0, 0, 5], [1, 0, 0, 0, 1, 0], [2.0, 1.0], rows=100, columns=200)
    >>> plane.pixel_to_patient([10, 20]).tolist()
    [10.0, 40.0, 5.0]
    >>> plane.normal.tolist()
    [0.0, 0.0, 1.0]
    """

    position_mm: FloatArray
    """Centre of the first pixel, shape (3,), LPS, mm (ImagePositionPatient)."""
    row_cosine: FloatArray
    """Direction of increasing column index, shape (3,): the first three values of ImageOrientationPatient."""
    column_cosine: FloatArray
    """Direction of increasing row index, shape (3,): the last three values of ImageOrientationPatient."""
    row_spacing_mm: float
    """Distance between neighbouring rows, mm (PixelSpacing, first value)."""
    column_spacing_mm: float
    """Distance between neighbouring columns, mm (PixelSpacing, second value)."""
    rows: int
    """Number of rows."""
    columns: int
    """Number of columns."""
    normal: FloatArray = field(init=False, repr=False)
    """The unit normal, row cosine × column cosine, shape (3,)."""
    patient_from_pixel: FloatArray = field(init=False, repr=False)
    """The matrix of equation C.7.6.2.1-1, shape (4, 4), for ``(column, row, 0, 1)``; its third column is the unit normal."""
    pixel_from_patient: FloatArray = field(init=False, repr=False)
    """Maps vectors in mm to steps (columns, rows) of their perpendicular feet on the plane, shape (2, 3)."""

    def __post_init__(self) -> None:
        for name in ("position_mm", "row_cosine", "column_cosine"):
            object.__setattr__(self, name, frozen(getattr(self, name), (3,)))
        if not (np.abs(self.position_mm) <= MAX_POSITION_MM).all():  # NaN is not
            raise InvalidPlaneError(
                f"ImagePositionPatient (0020,0032) is {self.position_mm.tolist()!r}: three finite numbers in mm are expected, "
                f"none above {MAX_POSITION_MM:g}"
            )
        _check_orientation(self.row_cosine, self.column_cosine)
        for spacing_mm in (self.row_spacing_mm, self.column_spacing_mm):
            if not 1 / MAX_SPACING_MM <= spacing_mm <= MAX_SPACING_MM:
                raise InvalidPlaneError(f"PixelSpacing (0028,0030) holds {spacing_mm!r}: two positive numbers in mm are expected")
        if self.rows < 1 or self.columns < 1:
            raise InvalidPlaneError(
                f"Rows (0028,0010) and Columns (0028,0011) are {self.rows!r} and {self.columns!r}: both must be at least 1"
            )
        object.__setattr__(self, "normal", frozen(unit(cross(self.row_cosine, self.column_cosine)), (3,)))
        object.__setattr__(self, "patient_from_pixel", frozen(self._matrix(), (4, 4)))
        object.__setattr__(self, "pixel_from_patient", frozen(np.linalg.pinv(self.patient_from_pixel[:3, :2]), (2, 3)))

    def _matrix(self) -> FloatArray:
        """Return :attr:`patient_from_pixel`."""
        matrix = np.eye(4)
        matrix[:3, 0] = self.row_cosine * self.column_spacing_mm
        matrix[:3, 1] = self.column_cosine * self.row_spacing_mm
        matrix[:3, 2] = self.normal
        matrix[:3, 3] = self.position_mm
        return matrix

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor, so that a copy is validated and read-only too."""
        return _plane_from_fields, tuple(getattr(self, item.name) for item in fields(self) if item.init)

    @classmethod
    def from_attributes(
        cls,
        image_position_patient: ArrayLike,
        image_orientation_patient: ArrayLike,
        pixel_spacing: ArrayLike,
        *,
        rows: int,
        columns: int,
    ) -> "ImagePlane":
        """Build a plane from the DICOM attributes of the same names.

        Parameters
        ----------
        image_position_patient
            Three values, LPS, mm.
        image_orientation_patient
            Six values: row cosine, then column cosine.
        pixel_spacing
            Two values in mm: between rows, then between columns.
        rows, columns
            The matrix size.

        Raises
        ------
        InvalidPlaneError
            A value is missing or impossible; :class:`InvalidOrientationError` for the orientation.
        """
        position, orientation, spacing = (
            _numbers(values, count, keyword, kind)
            for values, count, keyword, kind in (
                (image_position_patient, 3, "ImagePositionPatient (0020,0032)", InvalidPlaneError),
                (image_orientation_patient, 6, "ImageOrientationPatient (0020,0037)", InvalidOrientationError),
                (pixel_spacing, 2, "PixelSpacing (0028,0030)", InvalidPlaneError),
            )
        )
        return cls(
            position_mm=position,
            row_cosine=orientation[:3],
            column_cosine=orientation[3:],
            row_spacing_mm=float(spacing[0]),
            column_spacing_mm=float(spacing[1]),
            rows=rows,
            columns=columns,
        )

    @property
    def centre_mm(self) -> FloatArray:
        """The middle of the field of view, shape (3,), LPS, mm."""
        return self.pixel_to_patient([(self.columns - 1) / 2, (self.rows - 1) / 2])

    def pixel_to_patient(self, column_row: ArrayLike) -> FloatArray:
        """Map pixel coordinates to patient coordinates.

        Parameters
        ----------
        column_row
            Shape (..., 2), zero-based (column, row); (0, 0) is the centre of the first pixel. May lie outside the image.

        Returns
        -------
            Shape (..., 3), LPS, mm.
        """
        pixel = np.asarray(column_row, dtype=np.float64)
        return pixel @ self.patient_from_pixel[:3, :2].T + self.position_mm

    def patient_to_pixel(self, point_mm: ArrayLike) -> FloatArray:
        """Map patient coordinates to the pixel coordinates of their perpendicular foot on the plane.

        Parameters
        ----------
        point_mm
            Shape (..., 3), LPS, mm.

        Returns
        -------
            Shape (..., 2), (column, row); may lie outside the image.
        """
        offset = np.asarray(point_mm, dtype=np.float64) - self.position_mm
        return self.direction_to_pixel(offset)

    def direction_to_pixel(self, direction_mm: ArrayLike) -> FloatArray:
        """Map vectors, shape (..., 3), mm, to pixel steps (columns, rows), shape (..., 2)."""
        return np.asarray(direction_mm, dtype=np.float64) @ self.pixel_from_patient.T

    def signed_distance_mm(self, point_mm: ArrayLike) -> FloatArray:
        """Distance of points, shape (..., 3), from the plane, shape (...), mm; positive on the side of the normal."""
        return (np.asarray(point_mm, dtype=np.float64) - self.position_mm) @ self.normal

    def contains(self, column_row: ArrayLike) -> bool:
        """Whether the pixel coordinates (column, row), shape (2,), fall on a pixel of the image."""
        column, row = np.asarray(column_row, dtype=np.float64)
        return bool(-0.5 <= column <= self.columns - 0.5 and -0.5 <= row <= self.rows - 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class UnboundedPlane:
    """A plane in the patient without an image.

    Raises
    ------
    InvalidPlaneError
        The point is not finite, or the normal is zero or not finite.
    """

    centre_mm: FloatArray
    """A point of the plane, shape (3,), LPS, mm."""
    normal: FloatArray
    """Its normal, shape (3,), of any length when given and of unit length afterwards; the sign carries no meaning."""

    def __post_init__(self) -> None:
        for name in ("centre_mm", "normal"):
            object.__setattr__(self, name, frozen(getattr(self, name), (3,)))
        if not (np.abs(self.centre_mm) <= MAX_POSITION_MM).all():  # NaN is not
            raise InvalidPlaneError(
                f"the point is {self.centre_mm.tolist()!r}: three finite numbers in mm are expected, none above {MAX_POSITION_MM:g}"
            )
        length = float(np.linalg.norm(self.normal))
        if not (np.isfinite(length) and length > 0):
            raise InvalidPlaneError(f"the normal is {self.normal.tolist()!r}: a finite vector that is not zero is expected")
        object.__setattr__(self, "normal", frozen(self.normal / length, (3,)))

    def signed_distance_mm(self, point_mm: ArrayLike) -> FloatArray:
        """Distance of points, shape (..., 3), from the plane, shape (...), mm; positive on the side of the normal."""
        return (np.asarray(point_mm, dtype=np.float64) - self.centre_mm) @ self.normal


def _plane_from_fields(*values: Any) -> ImagePlane:  # noqa: ANN401  # the fields of ImagePlane in order
    names = (item.name for item in fields(ImagePlane) if item.init)
    return ImagePlane(**dict(zip(names, values, strict=True)))


def _numbers(values: ArrayLike, count: int, keyword: str, kind: type[InvalidPlaneError]) -> FloatArray:
    """Return ``count`` numbers, or say which attribute does not have them by an error of the given kind."""
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise kind(f"{keyword} is not numeric: {count} numbers are expected") from error
    if numbers.shape != (count,):
        raise kind(f"{keyword} has {numbers.size} values: {count} are expected")
    return numbers


def _check_orientation(row_cosine: FloatArray, column_cosine: FloatArray) -> None:
    """Raise unless the two cosines are perpendicular unit vectors."""
    keyword = "ImageOrientationPatient (0020,0037)"
    if not (np.isfinite(row_cosine).all() and np.isfinite(column_cosine).all()):
        raise InvalidOrientationError(f"{keyword} holds numbers that are not finite: two unit vectors are expected")
    for name, cosine in (("row", row_cosine), ("column", column_cosine)):
        length = float(np.linalg.norm(cosine))
        if abs(length - 1) > UNIT_LENGTH_TOLERANCE:
            raise InvalidOrientationError(
                f"{keyword}: the {name} cosine has length {length:.6g}, and 1 within {UNIT_LENGTH_TOLERANCE} is expected"
            )
    dot = float(row_cosine @ column_cosine)
    if abs(dot) > PERPENDICULAR_TOLERANCE:
        raise InvalidOrientationError(
            f"{keyword}: row and column cosines are not perpendicular (dot product {dot:.6g}, allowed {PERPENDICULAR_TOLERANCE})"
        )
