"""What a shard holds: the values that go in, and the names under which they are stored.

This module is the single truth of the format; ``docs/catalogue.md`` explains it to readers in any language.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cmr_planes.errors import Note, Rejection
from cmr_planes.geometry import ImagePlane, Positions
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.views import CardiacView

SCHEMA_VERSION = 1
"""Version of the format. A reader refuses a newer one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ViewRecord:
    """The images of one view of one subject, and the positions on them.

    Slices of SAX run from base to apex; long-axis views have one slice.
    """

    view: CardiacView
    """Which view."""
    image: NDArray[np.uint16]
    """Shape (phase, slice, row, column), stored intensities."""
    phases: tuple[str, ...]
    """Name of each phase: ``"ed"``, ``"es"``, or with all frames kept ``"000"``, ``"001"``, … in order of time."""
    frame_numbers: IntArray
    """Shape (phase, slice): place of the frame in its slice's cycle, ordered by time, from 1."""
    trigger_time_ms: FloatArray
    """Shape (phase, slice): time after the R wave, NaN where the headers do not say."""
    planes: tuple[ImagePlane, ...]
    """One plane a slice."""
    positions: tuple[Positions, ...] | None
    """One set of nine positions a slice, the same at each phase, or None if the view was kept without."""
    line_agreement: FloatArray | None
    """Shape (slice, 2): correlation of the two images' profiles along each line at ED, NaN where too short; None without positions."""
    rescale: tuple[float, float]
    """Slope and intercept that turn stored intensities into the scanner's values (1, 0 if none are given)."""
    manufacturer: str
    """Manufacturer, or empty."""
    field_strength_t: float
    """MagneticFieldStrength in tesla, NaN if not given."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SubjectRecord:
    """What became of one subject."""

    key: str
    """The name under which the subject is stored."""
    participant: str
    """The person: the same for repeat visits, so that splits keep a person on one side."""
    views: tuple[ViewRecord, ...]
    """Views that are stored; empty if the subject was rejected."""
    rejections: tuple[Rejection, ...]
    """What was left out."""
    notes: tuple[Note, ...]
    """What is worth knowing."""
