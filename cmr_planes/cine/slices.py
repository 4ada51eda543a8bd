"""What a slice of a cine offers, whatever files it was read from."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.cycle_time import FrameTiming
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray

Region: TypeAlias = tuple[slice, slice]
"""Some rows and columns of an image."""
WHOLE: Region = (slice(None), slice(None))
"""All of them."""


class Slice(Protocol):
    """The frames of one plane, in order of time. Frames are numbered from 0."""

    @property
    def plane(self) -> ImagePlane:
        """Where the slice lies."""

    @property
    def n_frames(self) -> int:
        """Number of frames."""

    @property
    def timing(self) -> FrameTiming:
        """What the source says about the times of the frames."""

    @property
    def stated_phases(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The frames that the source itself calls end-diastole, and those that it calls end-systole; often none."""

    def load(self, frames: Sequence[int]) -> None:
        """Read the images of some frames; raises UnreadablePixelsError."""

    def readable(self, frames: Sequence[int]) -> BoolArray:
        """Read what can be read of some frames; return which could be, shape (frame,)."""

    def image(self, frame: int) -> NDArray[np.uint16]:
        """Return the stored intensities of a frame, shape (row, column); raises UnreadablePixelsError."""

    def intensities(self, frame: int, region: Region = WHOLE) -> FloatArray:
        """Return the scanner's values of a part of a frame, bright tissue high, (row, column); raises UnreadablePixelsError."""
