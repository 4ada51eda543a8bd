"""How far slices lie from where the subject's images agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.geometry.arrays import FloatArray, freeze_fields, median


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceShifts:
    """The shift of each slice of a view at which its image agrees best with the other views'."""

    shift_mm: FloatArray
    """Shape (slice, 3), LPS, mm: to add to a slice's position, relative to the long-axis views; NaN where images do not tell."""
    sd_mm: FloatArray
    """Shape (slice, 2), mm: standard deviation in the slice's plane, where it is larger, and through it; NaN in the same cases."""
    agreement: FloatArray
    """Shape (slice, 2): mean correlation along the slice's lines, by the headers and shifted; NaN where there is no line."""

    def __post_init__(self) -> None:
        n_slices = len(self.shift_mm)
        for name, width in (("shift_mm", 3), ("sd_mm", 2), ("agreement", 2)):
            shape = getattr(self, name).shape
            if shape != (n_slices, width):
                raise ValueError(f"{name} has shape {shape}, and {(n_slices, width)} is expected")
        freeze_fields(self)

    def of(self, slices: Sequence[int | None]) -> "SliceShifts":
        """Return the shifts of some slices, NaN for those of which the index is None."""
        missing = np.array([index is None for index in slices])
        rows = [0 if index is None else index for index in slices]
        taken = (np.where(missing[:, None], np.nan, values[rows]) for values in (self.shift_mm, self.sd_mm, self.agreement))
        shift_mm, sd_mm, agreement = taken
        return SliceShifts(shift_mm=shift_mm, sd_mm=sd_mm, agreement=agreement)


def median_shift_mm(shift_mm: FloatArray) -> FloatArray:
    """Return the median of each component over the slices whose shift, shape (slice, 3), is known; shape (3,), NaN for none."""
    known = shift_mm[np.isfinite(shift_mm).all(axis=1)]
    return np.array([median(component) for component in known.T])
