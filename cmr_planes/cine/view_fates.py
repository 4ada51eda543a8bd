"""What became of each cine slice: one row per plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.cine.left_ventricle import RIGHT_VENTRICLE_MM, LongAxisChoice
from cmr_planes.cine.long_axis_lines import MAX_LEAN_DEG, PATIENT_AXIS_DEG, LongAxisLines
from cmr_planes.cine.short_axis import ShortAxis, axis_tilt_deg, middle_plane
from cmr_planes.cine.stacks import Stack
from cmr_planes.errors import GeometryError
from cmr_planes.fates import Fate, PlaneFate
from cmr_planes.geometry import ImagePlane, angle_between_normals_deg, intersect_planes, intersect_three_planes
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.views import CardiacView

NEIGHBOUR_DEG = 20.0
"""Planes within this of a chosen one are others of its view."""

_PATIENT_PLANES = ("a sagittal plane", "a coronal plane", "an axial plane")


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """What a row says beyond what the plane itself tells."""

    view: CardiacView | None
    fate: Fate
    sentence: str = ""
    angle_deg: float = float("nan")


def fates_without_views(slices: Sequence[CineSlice], sentence: str) -> tuple[PlaneFate, ...]:
    """Return a row per slice of a study of which no view can be determined."""
    return tuple(_fate(cine, _Row(None, Fate.UNDECIDED, sentence), None) for cine in slices)


def fates_of_planes(
    slices: Sequence[CineSlice], short_axis: ShortAxis, stack: Stack, long_axis: LongAxisChoice
) -> tuple[PlaneFate, ...]:
    """Return a row per slice.

    Parameters
    ----------
    slices
        All cine slices of a study.
    short_axis
        What the planes are.
    stack
        The short-axis stack that was made.
    long_axis
        The long-axis planes that were chosen.

    Returns
    -------
        The rows, in the order of ``slices``.
    """
    middle = middle_plane(stack.slices)
    lines = short_axis.reading.lines
    pair = [lines.slices[index].plane for index in short_axis.reading.planes.values()][:2]
    rows: dict[CineSlice, _Row] = {}
    for cine in stack.slices:
        rows[cine] = _Row(CardiacView.SAX, Fate.USED, angle_deg=_tilt_deg(cine.plane, pair))
    for passed in stack.passed_over:
        rows[passed.cine] = _Row(CardiacView.SAX, passed.fate, passed.sentence, _tilt_deg(passed.cine.plane, pair))
    for index, cine in enumerate(lines.slices):
        if cine not in rows:
            rows[cine] = _long_axis_row(index, short_axis, long_axis)
    centre_mm = _centre(middle, pair)
    return tuple(_fate(cine, rows.get(cine) or _across(cine, middle), centre_mm) for cine in slices)


def _long_axis_row(index: int, short_axis: ShortAxis, long_axis: LongAxisChoice) -> _Row:
    """Return the row of a plane that stands upright on the short axis."""
    reading, lines = short_axis.reading, short_axis.reading.lines
    cine, angle_deg = lines.slices[index], float(lines.angles_deg[index])
    for view, chosen in long_axis.planes.items():
        if cine is chosen:
            return _Row(view, Fate.USED, angle_deg=angle_deg)
    if cine in long_axis.right_ventricular:
        sentence = "it lies beside the left ventricle's two-chamber plane, as the right ventricle's does"
        return _Row(None, Fate.OTHER_VIEW, sentence, angle_deg)
    for view, others in long_axis.repeats.items():
        if cine in others:
            return _Row(view, Fate.REPEAT, f"a later or more complete {view.title} at this place was used", angle_deg)
    for view, plane in reading.planes.items():
        if plane == index and view in long_axis.refused:
            return _Row(view, Fate.UNDECIDED, "it is not certain to be this view of the left ventricle", angle_deg)
    return _other_row(index, lines, reading.planes, angle_deg)


def _other_row(index: int, lines: LongAxisLines, planes: Mapping[CardiacView, int], angle_deg: float) -> _Row:
    """Return the row of an upright plane that is none of the chosen ones."""
    kind = _patient_plane(lines.slices[index].plane)
    if kind:
        return _Row(None, Fate.OTHER_VIEW, kind, angle_deg)
    for view, plane in planes.items():
        other = next((chosen for name, chosen in planes.items() if name is not view), None)
        if other is None or angle_between_normals_deg(lines.normals[index], lines.normals[plane]) > NEIGHBOUR_DEG:
            continue
        apart_mm = lines.distance_mm(index, lines.meeting_mm(plane, other))
        if view is CardiacView.TWO_CHAMBER and apart_mm > RIGHT_VENTRICLE_MM[0]:
            return _Row(None, Fate.OTHER_VIEW, f"parallel to 2Ch, {apart_mm:.0f} mm from it: not the left ventricle's", angle_deg)
        return _Row(view, Fate.NEIGHBOUR, f"another plane, {apart_mm:.0f} mm away, was used", angle_deg)
    return _Row(None, Fate.OTHER_VIEW, "it fits none of the views beside the other planes", angle_deg)


def _across(cine: CineSlice, middle: ImagePlane) -> _Row:
    """Return the row of a plane that neither is of the stack nor stands upright on it."""
    kind = _patient_plane(cine.plane)
    if kind:
        return _Row(None, Fate.OTHER_VIEW, kind)
    lean_deg = 90.0 - angle_between_normals_deg(cine.plane.normal, middle.normal)
    if lean_deg > MAX_LEAN_DEG:
        return _Row(
            None, Fate.OTHER_VIEW, f"it stands {90.0 - lean_deg:.0f} degrees from the short axis: neither across nor along it"
        )
    return _Row(None, Fate.OTHER_VIEW, "it misses the heart")


def _patient_plane(plane: ImagePlane) -> str:
    """Name an axial, coronal or sagittal plane; empty for an oblique one."""
    axis = int(np.argmax(np.abs(plane.normal)))
    return _PATIENT_PLANES[axis] if abs(plane.normal[axis]) >= np.cos(np.radians(PATIENT_AXIS_DEG)) else ""


def _tilt_deg(plane: ImagePlane, pair: Sequence[ImagePlane]) -> float:
    """Return the angle between a short-axis normal and the line in which two long-axis planes meet, else the typical axis."""
    try:
        return (
            angle_between_normals_deg(plane.normal, intersect_planes(*pair).direction) if len(pair) == 2 else axis_tilt_deg(plane)
        )
    except GeometryError:
        return axis_tilt_deg(plane)


def _centre(middle: ImagePlane, pair: Sequence[ImagePlane]) -> FloatArray | None:
    """Return where two long-axis planes meet the middle short-axis plane."""
    try:
        return intersect_three_planes(middle, *pair).point_mm if len(pair) == 2 else None
    except GeometryError:
        return None


def _fate(cine: CineSlice, row: _Row, centre_mm: FloatArray | None) -> PlaneFate:
    """Return a plane's row."""
    distance_mm = float("nan") if centre_mm is None else abs(float(cine.plane.signed_distance_mm(centre_mm)))
    return PlaneFate(
        series_number=cine.header.series_number,
        view="" if row.view is None else row.view.value,
        n_frames=len(cine.frames),
        angle_deg=row.angle_deg,
        distance_mm=distance_mm,
        fate=row.fate,
        sentence=row.sentence,
    )
