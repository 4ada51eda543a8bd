"""What became of each plane of a study: which view it is taken as, and whether it is used or why not."""

from dataclasses import dataclass
from enum import StrEnum


class Fate(StrEnum):
    """What became of a plane. The values are stable: scripts may rely on them."""

    USED = "used"
    """It is a view's plane: its images are kept, those of 3Ch excepted, which shows where the left ventricle is."""
    NOT_CINE = "not_cine"
    """Headers or images say that it is no cine of the heart: perfusion, a map, flow, a result with contours."""
    SINGLE_FRAME = "single_frame"
    """It has one frame: a localiser or a single shot."""
    EXCLUDED_NAME = "excluded_name"
    """The series' name says that it is none of the views."""
    NO_PLACE = "no_place"
    """A header does not say where it lies in the patient."""
    REPEAT = "repeat"
    """Another acquisition of the same plane was used."""
    NEIGHBOUR = "neighbour"
    """A parallel plane of the same view was used."""
    OTHER_VIEW = "other_view"
    """It is none of the views: another chamber, a vessel, an axial stack."""
    UNDECIDED = "undecided"
    """Neither geometry nor name say which view it is."""
    NOT_USED = "not_used"
    """It is a view that was not used: another reason, which the sentence says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFate:
    """What became of one plane, or of the single-frame planes of one series."""

    series_number: int | None
    """SeriesNumber; None if not given."""
    view: str
    """The view that it is taken as (``"sax"``, ``"3ch"``), empty for none."""
    n_frames: int
    """Frames of the plane."""
    n_planes: int = 1
    """Planes that the row stands for; more than 1 where single-frame planes are counted by series."""
    angle_deg: float = float("nan")
    """Short axis: angle between its normal and the line in which the long-axis planes meet (without them, the typical axis of the
    left ventricle), 0 to 90 degrees. Long axis: angle of its line on the short-axis image, from superior towards the patient's
    left, 0 to 180 degrees. NaN if not known."""
    distance_mm: float = float("nan")
    """Distance of the plane from the left ventricle's centre, in mm; NaN if not known."""
    fate: Fate
    """What became of it."""
    sentence: str = ""
    """Why it was not used; empty if it was."""
