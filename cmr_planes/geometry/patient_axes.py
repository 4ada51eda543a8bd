"""The patient's directions in a coordinate system: those of LPS, or others that a table states."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike

from cmr_planes.errors import GeometryError
from cmr_planes.geometry.arrays import FloatArray, cross, frozen, unit

MIN_AXES_ANGLE_DEG = 20.0
"""Two stated directions at a smaller angle, or nearer to opposite, are no two directions."""


class DecidingAxis(Enum):
    """The patient axis that decides which end of a line is which; the first-named end has the larger coordinate along it."""

    LEFT = "left"
    """Left against right."""
    ANTERIOR_SUPERIOR = "anterior-superior"
    """Anterior against posterior. Real hearts tilt: the 2Ch line on SAX runs more along z than along y, so the diagonal decides."""
    SUPERIOR = "superior"
    """Superior against inferior."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PatientAxes:
    """Unit vectors to the patient's left, front and head, shape (3,) each, in the coordinates of the images."""

    left: FloatArray
    anterior: FloatArray
    superior: FloatArray

    def __post_init__(self) -> None:
        for name in ("left", "anterior", "superior"):
            object.__setattr__(self, name, frozen(getattr(self, name), (3,)))

    @classmethod
    def from_directions(cls, left: ArrayLike, anterior: ArrayLike) -> "PatientAxes":
        """Build axes from two directions; anterior is made perpendicular to left, and superior is anterior × left.

        Parameters
        ----------
        left, anterior
            Shape (3,) each, of any length.

        Raises
        ------
        GeometryError
            A direction is zero or not finite, or they are within ``MIN_AXES_ANGLE_DEG`` of one line.
        """
        first, second = np.array(left, dtype=np.float64), np.array(anterior, dtype=np.float64)
        lengths = np.linalg.norm([first, second], axis=1)
        if not (np.isfinite(lengths).all() and (lengths > 0).all()):
            raise GeometryError("the directions left and anterior must be two finite vectors that are not zero")
        first, second = first / lengths[0], second / lengths[1]
        sine = float(np.linalg.norm(cross(first, second)))
        if sine < np.sin(np.radians(MIN_AXES_ANGLE_DEG)):
            angle_deg = np.degrees(np.arcsin(min(1.0, sine)))
            raise GeometryError(
                f"the directions left and anterior are {angle_deg:.1f} degrees from one line, and at least {MIN_AXES_ANGLE_DEG:g} "
                "are needed to tell them apart"
            )
        front = unit(second - (second @ first) * first)
        return cls(left=first, anterior=front, superior=cross(front, first))

    def along(self, axis: DecidingAxis) -> FloatArray:
        """Return the unit vector of a deciding axis, shape (3,)."""
        if axis is DecidingAxis.LEFT:
            return self.left
        return self.superior if axis is DecidingAxis.SUPERIOR else (self.anterior + self.superior) * 0.5**0.5


LPS_AXES = PatientAxes(left=np.array([1.0, 0.0, 0.0]), anterior=np.array([0.0, -1.0, 0.0]), superior=np.array([0.0, 0.0, 1.0]))
"""The axes of LPS coordinates."""
