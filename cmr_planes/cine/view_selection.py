"""Which cine slices are SAX, 2Ch, 3Ch and 4Ch: geometry judges, names break ties.

The short axis is known by its normal, which runs along the left ventricle: left, anterior and inferior in the patient, and along
the line in which the long-axis planes meet. :mod:`cmr_planes.cine.long_axis` tells the long-axis views apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, CineStudy, is_complete, share_orientation
from cmr_planes.cine.long_axis import SAME_PLACE_DEG, LongAxisPlane, judge_planes
from cmr_planes.cine.stacks import assemble_stack, superseded_sentence
from cmr_planes.errors import Finding, GeometryError, NoteCode, RejectionCode
from cmr_planes.fates import PlaneFate
from cmr_planes.geometry import (
    ImagePlane,
    angle_between_normals_deg,
    intersect_planes,
    intersect_three_planes,
    middle_slice,
)
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.geometry.stack import TYPICAL_APEX_DIRECTION, slice_positions_mm
from cmr_planes.geometry.tolerances import SAME_ORIENTATION_DEG
from cmr_planes.views import CardiacView

MAX_AXIS_TILT_DEG = 50.0
"""Largest angle between a short-axis normal and the typical one, unless the series is named short axis."""
MAX_LINE_TILT_DEG = 30.0
"""Largest angle between the short-axis normal and the line in which the 2Ch and 4Ch planes meet."""
MIN_LONG_AXIS_ANGLE_DEG = 60.0
"""Smallest angle between a long-axis plane and the short-axis planes."""
MIN_STACK_SLICES = 3
"""As many parallel slices make a short-axis stack by themselves; fewer need long-axis planes around them."""

MAX_CENTRE_DISTANCE_MM = 60.0
"""A long-axis plane farther from the middle of the short-axis field of view misses the left ventricle."""
MAX_2CH_DISTANCE_MM = {True: 25.0, False: 40.0}
"""The same for 2Ch: from the point where 3Ch and 4Ch meet (True), or from the middle of the field of view (False).

Beyond lies the right ventricle: its two-chamber view is parallel to the left one's, 4 to 6 cm to the patient's right.
"""

SAME_PLACE_MM = 8.0
"""Long-axis planes within this and ``SAME_PLACE_DEG`` are repeats of one view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSelection:
    """The chosen slices of each view, and why others are missing."""

    views: dict[CardiacView, tuple[CineSlice, ...]]
    """Slices of SAX from base to apex; one slice for a long-axis view."""
    missing: dict[CardiacView, Finding]
    """Reason for each view that was not found."""
    findings: tuple[Finding, ...]
    """Repeats passed over, slices left out, names that contradict geometry."""
    planes: tuple[PlaneFate, ...] = ()
    """What became of each cine slice."""


def select_views(study: CineStudy) -> ViewSelection:
    """Choose the slices of each view.

    Parameters
    ----------
    study
        The cine slices of one study.

    Returns
    -------
        The selection; views that cannot be found are in ``missing``, never an exception.
    """
    missing: dict[CardiacView, Finding] = {}
    views: dict[CardiacView, tuple[CineSlice, ...]] = {}

    short_axis = _find_short_axis(study.slices)
    if not short_axis:
        sentence = f"no short-axis view among {len(study.slices)} cine slices{_left_out(study)}"
        check = "check that the short-axis series belong to this subject"
        missing[CardiacView.SAX] = Finding(CardiacView.SAX.value, RejectionCode.NO_SAX, f"{sentence}; {check}")
        for view, code in ((CardiacView.TWO_CHAMBER, RejectionCode.NO_2CH), (CardiacView.FOUR_CHAMBER, RejectionCode.NO_4CH)):
            reason = f"long-axis views cannot be told apart without a short-axis view, and {sentence}"
            missing[view] = Finding(view.value, code, reason)
        return ViewSelection(views=views, missing=missing, findings=())

    stack = assemble_stack(short_axis, study.slices)
    views[CardiacView.SAX] = stack.slices
    findings = list(stack.findings)
    middle = views[CardiacView.SAX][middle_slice([cine.plane for cine in views[CardiacView.SAX]])].plane
    candidates = judge_planes([cine for cine in study.slices if _is_long_axis(cine.plane, middle)], middle)
    for view in (CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER):
        mine = [candidate.cine for candidate in candidates if candidate.view is view]
        chosen, reason, superseded = _choose_long_axis(view, mine, middle, views)
        findings += superseded
        if chosen is not None:
            views[view] = (chosen,)
        elif view is not CardiacView.THREE_CHAMBER:
            missing[view] = _why_missing(view, reason, candidates, study)
    _check_axis(views, missing)
    findings += _name_conflicts(views)
    return ViewSelection(views=views, missing=missing, findings=tuple(findings))


def _left_out(study: CineStudy) -> str:
    """Return what was passed over before views were looked for, as part of a sentence."""
    parts = [f"{count} frames left out: {reason}" for reason, count in study.excluded.items()]
    if study.n_single_frames:
        parts.append(f"{study.n_single_frames} planes have a single frame")
    return f" ({'; '.join(parts)})" if parts else ""


def _find_short_axis(slices: Sequence[CineSlice]) -> list[CineSlice]:
    """Return the slices of the most numerous orientation that can be the short axis; empty if there is none."""
    clusters: list[list[CineSlice]] = []
    for cine in slices:
        home = next((cluster for cluster in clusters if share_orientation(cluster[0], cine, SAME_ORIENTATION_DEG)), None)
        if home is None:
            clusters.append([cine])
        else:
            home.append(cine)
    qualified = [(cluster, _n_slice_positions(cluster)) for cluster in clusters if _can_be_short_axis(cluster, slices)]
    if not qualified:
        return []
    return max(qualified, key=lambda pair: (pair[1], -_axis_tilt_deg(pair[0][0].plane)))[0]


def _can_be_short_axis(cluster: Sequence[CineSlice], slices: Sequence[CineSlice]) -> bool:
    """Tell whether parallel slices lie across the left ventricle."""
    plane = cluster[0].plane
    named = sum(cine.name_view is CardiacView.SAX for cine in cluster) * 2 > len(cluster)
    if _axis_tilt_deg(plane) > MAX_AXIS_TILT_DEG and not named:
        return False
    if _n_slice_positions(cluster) >= MIN_STACK_SLICES:
        return True
    crossing = [cine.plane for cine in slices if _is_long_axis(cine.plane, plane)]
    return any(
        _tilt_from_line_deg(plane, first, second) <= MAX_LINE_TILT_DEG
        for first in crossing
        for second in crossing
        if first is not second
    )


def _axis_tilt_deg(plane: ImagePlane) -> float:
    """Angle between a plane's normal and the typical long axis of the left ventricle, 0 to 90 degrees."""
    return angle_between_normals_deg(plane.normal, TYPICAL_APEX_DIRECTION)


def _tilt_from_line_deg(short_axis: ImagePlane, first: ImagePlane, second: ImagePlane) -> float:
    """Angle between the short-axis normal and the line in which two planes meet; 90 if they do not."""
    try:
        return angle_between_normals_deg(short_axis.normal, intersect_planes(first, second).direction)
    except GeometryError:
        return 90.0


def _is_long_axis(plane: ImagePlane, short_axis: ImagePlane) -> bool:
    """Tell whether a plane stands upright on the short axis and passes near the middle of its field of view."""
    upright = angle_between_normals_deg(plane.normal, short_axis.normal) >= MIN_LONG_AXIS_ANGLE_DEG
    return upright and abs(float(plane.signed_distance_mm(short_axis.centre_mm))) <= MAX_CENTRE_DISTANCE_MM


def _n_slice_positions(cluster: Sequence[CineSlice]) -> int:
    """Count the distinct positions of parallel slices."""
    positions_mm = np.sort(slice_positions_mm([cine.plane for cine in cluster]))
    return 1 + int((np.diff(positions_mm) > 1.0).sum())


def _choose_long_axis(
    view: CardiacView,
    slices: Sequence[CineSlice],
    middle: ImagePlane,
    views: dict[CardiacView, tuple[CineSlice, ...]],
) -> tuple[CineSlice | None, str, list[Finding]]:
    """Choose the plane nearest to the left ventricle, and of its repeats the latest complete one; or say why none will do."""
    if not slices:
        return None, "", []
    centre_mm, is_ventricle = _ventricle_centre(middle, views)
    distance_mm = {id(cine): abs(float(cine.plane.signed_distance_mm(centre_mm))) for cine in slices}
    best = min(
        slices, key=lambda cine: (round(distance_mm[id(cine)], 1), not is_complete(cine, slices), cine.plane.position_mm.tolist())
    )
    limit_mm = MAX_2CH_DISTANCE_MM[is_ventricle]
    if view is CardiacView.TWO_CHAMBER and distance_mm[id(best)] > limit_mm:
        reason = (
            f"{best.label} runs like a two-chamber view but {distance_mm[id(best)]:.0f} mm from the left ventricle (at most "
            f"{limit_mm:.0f} mm expected), as a right-ventricular one does"
        )
        return None, reason, []
    same_place = [cine for cine in slices if _is_same_place(cine.plane, best.plane, centre_mm)]
    chosen = max(same_place, key=lambda cine: (is_complete(cine, same_place), cine.recency))
    others = [cine for cine in slices if cine is not chosen]
    superseded = [Finding(view.value, NoteCode.SUPERSEDED, superseded_sentence(others))] if others else []
    return chosen, "", superseded


def _ventricle_centre(middle: ImagePlane, views: dict[CardiacView, tuple[CineSlice, ...]]) -> tuple[FloatArray, bool]:
    """Return where the middle SAX, 3Ch and 4Ch planes meet and True; without them the middle of the SAX image and False."""
    if CardiacView.THREE_CHAMBER in views and CardiacView.FOUR_CHAMBER in views:
        try:
            planes = (views[CardiacView.THREE_CHAMBER][0].plane, views[CardiacView.FOUR_CHAMBER][0].plane)
            return intersect_three_planes(middle, *planes).point_mm, True
        except GeometryError:
            pass
    return middle.centre_mm, False


def _is_same_place(first: ImagePlane, second: ImagePlane, near_mm: FloatArray) -> bool:
    """Tell whether two long-axis planes are the same view, seen near a point of the heart."""
    apart_mm = abs(float(first.signed_distance_mm(near_mm)) - float(second.signed_distance_mm(near_mm)))
    if first.normal @ second.normal < 0:
        apart_mm = abs(float(first.signed_distance_mm(near_mm)) + float(second.signed_distance_mm(near_mm)))
    return angle_between_normals_deg(first.normal, second.normal) <= SAME_PLACE_DEG and apart_mm <= SAME_PLACE_MM


def _why_missing(view: CardiacView, reason: str, candidates: Sequence[LongAxisPlane], study: CineStudy) -> Finding:
    """Say why a long-axis view was not found."""
    code = RejectionCode.NO_2CH if view is CardiacView.TWO_CHAMBER else RejectionCode.NO_4CH
    if reason:
        return Finding(view.value, code, f"no {view.title} view: {reason}")
    undecided = [candidate.reason for candidate in candidates if candidate.view is None]
    if undecided:
        sentence = f"no {view.title} view is certain: {undecided[0]}; say what its name means in a table of series names"
        return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)
    found = ", ".join(sorted({candidate.view.title for candidate in candidates if candidate.view})) or "none"
    sentence = f"no {view.title} view among the cine slices (long-axis views found: {found}){_left_out(study)}"
    return Finding(view.value, code, f"{sentence}; check that the long-axis series belong to this subject")


def _check_axis(views: dict[CardiacView, tuple[CineSlice, ...]], missing: dict[CardiacView, Finding]) -> None:
    """Drop the short-axis view if its normal is far from the line in which 2Ch and 4Ch meet."""
    if CardiacView.TWO_CHAMBER not in views or CardiacView.FOUR_CHAMBER not in views:
        return
    plane = views[CardiacView.SAX][0].plane
    tilt_deg = _tilt_from_line_deg(plane, views[CardiacView.TWO_CHAMBER][0].plane, views[CardiacView.FOUR_CHAMBER][0].plane)
    if tilt_deg > MAX_LINE_TILT_DEG:
        label = views.pop(CardiacView.SAX)[0].label
        sentence = (
            f"{label} is taken for the short axis, but its normal is {tilt_deg:.0f} degrees from the line in which the 2Ch and "
            f"4Ch planes meet (at most {MAX_LINE_TILT_DEG:.0f} expected); check the views of this subject"
        )
        missing[CardiacView.SAX] = Finding(CardiacView.SAX.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def _name_conflicts(views: dict[CardiacView, tuple[CineSlice, ...]]) -> list[Finding]:
    """Note chosen series whose names hint at another view."""
    findings = []
    for view, slices in views.items():
        labels = sorted({cine.label for cine in slices if cine.name_view not in (None, view)})
        if labels:
            sentence = f"{'; '.join(labels)}: the name hints at another view, the planes say {view.title}; the planes were followed"
            findings.append(Finding(view.value, NoteCode.NAME_CONFLICT, sentence))
    return findings
