"""Nine anatomical positions on an image, from the lines that two other view planes leave on it.

Bai et al., MICCAI 2019, sections 2 and 3: one box at the intersection and two on each of the four arms, 11 × 11 pixels, 30
pixels apart. Which end of a line is which comes from the patient axes alone, so a flipped, rotated or cropped image gives the
flipped, rotated or cropped mask.
"""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from cmr_planes.errors import (
    IntersectionOutsideImageError,
    LinesTooCloseError,
    OverlappingBoxesError,
    TooFewBoxesError,
    WeakAlignmentError,
)
from cmr_planes.geometry.arrays import BoolArray, FloatArray, IntArray, LabelArray, freeze_fields
from cmr_planes.geometry.lines import Plane, intersect_planes, intersect_three_planes
from cmr_planes.geometry.patient_axes import LPS_AXES, DecidingAxis, PatientAxes
from cmr_planes.geometry.plane import ImagePlane
from cmr_planes.geometry.tolerances import MIN_ALIGNMENT, MIN_LINE_ANGLE_DEG, MIN_VISIBLE_BOXES, TIE_PX
from cmr_planes.views import N_POSITIONS, CardiacView


class BoxUnits(StrEnum):
    """In what boxes are sized and spaced."""

    PIXELS = "px"
    """Pixels of the image, as in the paper: for cohorts of one resolution."""
    MILLIMETRES = "mm"
    """Millimetres: for cohorts of mixed resolution."""


@dataclass(frozen=True, slots=True)
class ViewLine:
    """One of the two lines on a target image."""

    view: CardiacView
    """The view whose plane leaves the line (SAX stands for its middle slice)."""
    axis: DecidingAxis
    """What tells the line's ends apart."""


VIEW_LINES: dict[CardiacView, tuple[ViewLine, ViewLine]] = {
    CardiacView.SAX: (
        ViewLine(CardiacView.FOUR_CHAMBER, DecidingAxis.LEFT),
        ViewLine(CardiacView.TWO_CHAMBER, DecidingAxis.ANTERIOR_SUPERIOR),
    ),
    CardiacView.FOUR_CHAMBER: (
        ViewLine(CardiacView.SAX, DecidingAxis.LEFT),
        ViewLine(CardiacView.TWO_CHAMBER, DecidingAxis.SUPERIOR),
    ),
    CardiacView.TWO_CHAMBER: (
        ViewLine(CardiacView.FOUR_CHAMBER, DecidingAxis.LEFT),
        ViewLine(CardiacView.SAX, DecidingAxis.ANTERIOR_SUPERIOR),
    ),
}
"""For each target view the line of classes 2 to 5 and the line of classes 6 to 9.

The paper says that the 2Ch plane bisects both ventricles and the 4Ch plane only the left one; in anatomy it is the other way
round, and so it is here.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxLayout:
    """Size and spacing of the boxes.

    Raises
    ------
    ValueError
        A size or gap that is not positive, a size in pixels that is not an odd whole number, or a gap so small that boxes on
        one line could overlap.
    """

    size: float = 11
    """Edge of a box. A pixel belongs to it if its centre is less than half of this from the box's centre pixel."""
    gap: float = 30
    """Distance between the centres of adjacent boxes, measured along the line."""
    units: BoxUnits = BoxUnits.PIXELS
    """Unit of both."""

    def __post_init__(self) -> None:
        if not (np.isfinite([self.size, self.gap]).all() and self.size > 0 and self.gap > 0):
            raise ValueError(f"box size and gap must be positive, got {self.size!r} and {self.gap!r}")
        if self.units is BoxUnits.PIXELS and self.size % 2 != 1:
            raise ValueError(f"a box in pixels needs an odd whole size, so that it has a centre pixel, got {self.size!r}")
        if self.gap < 2**0.5 * self.size:
            raise ValueError(
                f"boxes of {self.size:g} {self.units} at a gap of {self.gap:g} {self.units} could overlap: "
                f"the gap must be at least {2**0.5 * self.size:.1f}"
            )

    @classmethod
    def default(cls, units: BoxUnits) -> "BoxLayout":
        """Return the paper's boxes: 11 and 30 pixels, or the same at 1.82 mm a pixel, 20 and 54.6 mm."""
        return cls() if units is BoxUnits.PIXELS else cls(size=20.0, gap=54.6, units=units)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """Nine anatomical positions on one image. Row k of each array is class k + 1."""

    centres_px: FloatArray
    """Exact box centres, shape (9, 2), (column, row) in pixels; may lie outside the image."""
    centres_mm: FloatArray
    """The same points, shape (9, 3), LPS, mm."""
    boxes: IntArray
    """Shape (9, 4): first row, row past the last, first column, column past the last; not clipped."""
    visible: BoolArray
    """Shape (9,): whether any pixel of the box is inside the image."""
    alignment: FloatArray
    """Shape (2,): absolute cosine of each line with its deciding axis."""
    angle_deg: float
    """Angle between the two lines in the image, 0 to 90 degrees, in the units in which boxes are spaced."""
    condition_number: float
    """Condition number of the three planes."""
    layout: BoxLayout = field(default_factory=BoxLayout)
    """Size and spacing used."""

    def __post_init__(self) -> None:
        freeze_fields(self)


def compute_positions(
    target: ImagePlane,
    first: Plane,
    second: Plane,
    *,
    axes: tuple[DecidingAxis, DecidingAxis],
    layout: BoxLayout,
    patient: PatientAxes = LPS_AXES,
) -> Positions:
    """Place the nine boxes on an image.

    Parameters
    ----------
    target
        The image on which boxes are placed.
    first, second
        The planes that leave the line of classes 2 to 5 and the line of classes 6 to 9.
    axes
        The axis that decides the ends of each line.
    layout
        Box size and spacing.
    patient
        The patient's directions in the planes' coordinates.

    Returns
    -------
        The positions.

    Raises
    ------
    ParallelPlanesError
        Two of the planes do not cross.
    IntersectionOutsideImageError
        The planes meet outside the image.
    LinesTooCloseError
        The lines meet at less than ``MIN_LINE_ANGLE_DEG`` in the image.
    WeakAlignmentError
        A line's ends cannot be distinguished.
    TooFewBoxesError
        Fewer than ``MIN_VISIBLE_BOXES`` boxes are inside the image.
    OverlappingBoxesError
        Two boxes share pixels (only for layouts and spacings other than the default).
    """
    meeting = intersect_three_planes(target, first, second)
    centre_px = target.patient_to_pixel(meeting.point_mm)
    if not target.contains(centre_px):
        raise IntersectionOutsideImageError(
            f"the planes meet at column {centre_px[0]:.1f}, row {centre_px[1]:.1f}, outside the image of {target.columns} "
            f"columns and {target.rows} rows; check that the three views are of one examination"
        )
    steps = []
    alignment = []
    scale = _unit_per_pixel(target, layout.units)
    for plane, axis in zip((first, second), axes, strict=True):
        direction, cosine = _orient(intersect_planes(target, plane).direction, axis, patient)
        step_px = target.direction_to_pixel(direction)
        steps.append(step_px / np.linalg.norm(step_px * scale))
        alignment.append(cosine)
    angle_deg = _line_angle_deg(steps[0] * scale, steps[1] * scale)

    arms = np.array([[0, 0], [1, 0], [2, 0], [-1, 0], [-2, 0], [0, 1], [0, 2], [0, -1], [0, -2]])
    centres_px = centre_px + layout.gap * (arms @ np.array(steps))
    boxes = _boxes(target, centres_px, layout.size / scale)
    visible = _visible(boxes, target)
    if visible.sum() < MIN_VISIBLE_BOXES:
        raise TooFewBoxesError(
            f"only {visible.sum()} of {N_POSITIONS} boxes are inside the image of {target.columns} columns and {target.rows} rows, "
            f"and {MIN_VISIBLE_BOXES} are needed; try smaller boxes or a smaller gap, or give both in millimetres"
        )
    _check_overlap(boxes)
    return Positions(
        centres_px=centres_px,
        centres_mm=target.pixel_to_patient(centres_px),
        boxes=boxes,
        visible=visible,
        alignment=np.array(alignment),
        angle_deg=angle_deg,
        condition_number=meeting.condition_number,
        layout=layout,
    )


def draw_mask(positions: Positions, rows: int, columns: int) -> LabelArray:
    """Draw the ten-class position mask.

    Parameters
    ----------
    positions
        The nine positions.
    rows, columns
        Size of the image.

    Returns
    -------
        Shape (rows, columns), classes 0 to 9; boxes are clipped at the border.
    """
    mask = np.zeros((rows, columns), dtype=np.uint8)
    for label, (row_start, row_stop, column_start, column_stop) in enumerate(positions.boxes.clip(min=0), start=1):
        mask[row_start:row_stop, column_start:column_stop] = label
    return mask


def _unit_per_pixel(plane: ImagePlane, units: BoxUnits) -> FloatArray:
    """Return the length of one column step and one row step in ``units``, shape (2,)."""
    if units is BoxUnits.PIXELS:
        return np.ones(2)
    return np.array([plane.column_spacing_mm, plane.row_spacing_mm])


def _orient(direction: FloatArray, axis: DecidingAxis, patient: PatientAxes) -> tuple[FloatArray, float]:
    """Point a unit direction, shape (3,), along ``axis``; also return their cosine."""
    cosine = float(direction @ patient.along(axis))
    if abs(cosine) < MIN_ALIGNMENT:
        raise WeakAlignmentError(
            f"the line runs along {np.round(direction, 3).tolist()} (LPS), nearly across the {axis.value} axis that tells its ends "
            f"apart (absolute cosine {abs(cosine):.3f}, at least {MIN_ALIGNMENT} expected); check ImageOrientationPatient of the "
            "views"
        )
    return (direction if cosine > 0 else -direction), abs(cosine)


def _line_angle_deg(first: FloatArray, second: FloatArray) -> float:
    """Angle between two unit directions in the image, shape (2,) each, 0 to 90 degrees; raises if it is too small."""
    cross = abs(first[0] * second[1] - first[1] * second[0])
    angle_deg = float(np.degrees(np.arctan2(cross, abs(first @ second))))
    if angle_deg < MIN_LINE_ANGLE_DEG:
        raise LinesTooCloseError(
            f"the two lines meet at {angle_deg:.1f} degrees in the image, and at least {MIN_LINE_ANGLE_DEG:g} are needed for nine "
            "separate boxes; check that the two long-axis series are different views"
        )
    return angle_deg


def _boxes(target: ImagePlane, centres_px: FloatArray, size_px: FloatArray) -> IntArray:
    """Return the pixel ranges of boxes, shape (9, 4), around centres, shape (9, 2); ``size_px`` is (columns, rows)."""
    half = np.ceil(size_px / 2 - 1e-9).astype(np.int64) - 1
    column, row = _nearest_pixels(target, centres_px).T
    return np.stack([row - half[1], row + half[1] + 1, column - half[0], column + half[0] + 1], axis=1)


def _nearest_pixels(target: ImagePlane, points_px: FloatArray) -> IntArray:
    """Return the pixels nearest to points, both of shape (points, 2).

    Of two equally near pixels it is the one farther along the patient axis that the row or column runs along most, so that an image
    that is stored mirrored gives the mirrored pixels.
    """
    directions = np.stack([target.row_cosine, target.column_cosine])
    main = directions[[0, 1], np.abs(directions).argmax(axis=1)]
    sign = np.where(main > 0, 1.0, -1.0)
    return np.asarray(sign * np.floor(sign * points_px + 0.5 + TIE_PX), dtype=np.int64)


def _visible(boxes: IntArray, plane: ImagePlane) -> BoolArray:
    """Tell which boxes, shape (9, 4), share a pixel with the image; shape (9,)."""
    row_start, row_stop, column_start, column_stop = boxes.T
    visible: BoolArray = (row_stop > 0) & (row_start < plane.rows) & (column_stop > 0) & (column_start < plane.columns)
    return visible


def _check_overlap(boxes: IntArray) -> None:
    """Raise if two boxes, shape (9, 4), share a pixel."""
    row_start, row_stop, column_start, column_stop = boxes.T
    rows_meet = (row_start[:, None] < row_stop) & (row_start < row_stop[:, None])
    columns_meet = (column_start[:, None] < column_stop) & (column_start < column_stop[:, None])
    pairs = np.argwhere(np.triu(rows_meet & columns_meet, k=1))
    if len(pairs):
        first, second = (int(label) + 1 for label in pairs[0])
        raise OverlappingBoxesError(f"the boxes of classes {first} and {second} share pixels; choose smaller boxes or a larger gap")
