"""A slice of a NIfTI volume in memory, as the assembly of a subject reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.cine.cycle_time import FrameTiming
from cmr_planes.cine.slices import WHOLE, Region
from cmr_planes.dicom.pixel_format import PixelRepair
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import BoolArray, FloatArray
from cmr_planes.shards.records import InstanceRef


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NiftiSlice:
    """A slice of a volume in memory: a :class:`cmr_planes.extraction.subject_views.ReadSlice`."""

    plane: ImagePlane
    images: NDArray[np.uint16]
    """Shape (frame, row, column)."""
    scaling: tuple[float, float]
    """Slope and intercept from stored intensities to the file's values, for all frames."""
    label: str
    frame_numbers: tuple[int, ...]
    """The number of each frame in its cine, from 1."""
    stated_phases: tuple[tuple[int, ...], tuple[int, ...]]
    has_directions: bool
    source_index: int
    manufacturer: str = ""
    field_strength_t: float = float("nan")
    slice_thickness_mm: float = float("nan")
    frames_of_reference: frozenset[str] = frozenset()

    @property
    def n_frames(self) -> int:
        """Number of frames."""
        return len(self.images)

    @property
    def timing(self) -> FrameTiming:
        """One whole cycle: NIfTI keeps no times."""
        return FrameTiming.evenly(self.n_frames)

    def load(self, frames: Sequence[int]) -> None:
        """Do nothing: the images are in memory."""

    def readable(self, frames: Sequence[int]) -> BoolArray:
        """Return True for every frame: the images are in memory."""
        return np.ones(len(frames), dtype=np.bool_)

    def image(self, frame: int) -> NDArray[np.uint16]:
        """Return the stored intensities of a frame."""
        return np.asarray(self.images[frame])

    def intensities(self, frame: int, region: Region = WHOLE) -> FloatArray:
        """Return the file's values of a part of a frame."""
        slope, intercept = self.scaling
        return np.asarray(self.images[frame][region] * slope + intercept, dtype=np.float64)

    def rescale(self, frame: int) -> tuple[float, float]:  # noqa: ARG002  # the same for every frame
        """Return slope and intercept from stored intensities to the file's values."""
        return self.scaling

    def repair(self, frame: int) -> PixelRepair:  # noqa: ARG002  # the same for every frame
        """Return that nothing was changed."""
        return PixelRepair()

    def frame_number(self, frame: int) -> int:
        """Return the number of a frame in its cine, from 1."""
        return self.frame_numbers[frame]

    def trigger_time_ms(self, frame: int) -> float:  # noqa: ARG002  # the same for every frame
        """Return NaN: NIfTI keeps no trigger times."""
        return float("nan")

    def instance(self, frame: int) -> InstanceRef | None:  # noqa: ARG002  # the same for every frame
        """Return None: the image is no DICOM instance."""
        return None
