"""Slices of a cine in memory, for tests of what happens after reading."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.cycle_time import FrameTiming
from cmr_planes.cine.slices import WHOLE, Region
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray

SIZE = 64
"""Rows and columns, of 2 mm."""
RADIUS_PX = 12.0
"""Of the blood pool at end-diastole."""


@dataclass(frozen=True, eq=False)
class BeatingSlice:
    """A bright disc in the middle of a dark image that is smallest at ``es`` of the cycle; it lies at ``z_mm``."""

    times: FloatArray
    timing: FrameTiming
    es: float = 0.35
    z_mm: float = 0.0
    stated_phases: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    unreadable: frozenset[int] = frozenset()

    @property
    def plane(self) -> ImagePlane:
        """An axial plane."""
        return ImagePlane.from_attributes([0, 0, self.z_mm], [1, 0, 0, 0, 1, 0], [2, 2], rows=SIZE, columns=SIZE)

    @property
    def n_frames(self) -> int:
        """As many as it has times."""
        return len(self.times)

    def load(self, frames: Sequence[int]) -> None:
        """Do nothing: images are drawn when they are asked for."""

    def readable(self, frames: Sequence[int]) -> BoolArray:
        """Return which frames are not among the unreadable ones."""
        return np.array([frame not in self.unreadable for frame in frames], dtype=np.bool_)

    def image(self, frame: int) -> NDArray[np.uint16]:
        """Draw the disc."""
        assert frame not in self.unreadable
        apart = (self.times[frame] - self.es + 0.5) % 1 - 0.5
        radius = RADIUS_PX * (1 - 0.4 * np.exp(-((apart / 0.12) ** 2)))
        rows, columns = np.mgrid[:SIZE, :SIZE] - (SIZE - 1) / 2
        return np.where(np.hypot(rows, columns) < radius, 400, 50).astype(np.uint16)

    def intensities(self, frame: int, region: Region = WHOLE) -> FloatArray:
        """Return the values that are stored."""
        return self.image(frame)[region].astype(np.float64)


def evenly(n_frames: int, **changes: object) -> BeatingSlice:
    """Return a slice with frames spread over a whole cycle of 1000 ms."""
    times = np.arange(n_frames) / n_frames
    timing = FrameTiming(times_ms=1000 * times, nominal_interval_ms=1000.0)
    return BeatingSlice(**{"times": times, "timing": timing, **changes})  # type: ignore[arg-type]
