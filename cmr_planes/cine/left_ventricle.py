"""Which of several planes of a view runs through the left ventricle, and whether one that stands alone does.

Three long-axis views that meet in a point show where the left ventricle is. With two, the two-chamber plane may as well be the
right ventricle's, parallel to the left one's and 3 to 7 cm to the patient's right; and of a stack of parallel four-chamber slices
any may be the one. Then images are asked: a short-axis image shows the left ventricle as a pool of blood in a ring of muscle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, is_complete
from cmr_planes.cine.long_axis import MAX_2CH_MM, NAME_COST, Reading, is_radial
from cmr_planes.cine.long_axis_lines import LongAxisLines, angle_between_lines_deg
from cmr_planes.errors import Finding, GeometryError, NoteCode, RejectionCode
from cmr_planes.geometry import angle_between_normals_deg, intersect_three_planes, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.views import CardiacView

FindVentricle = Callable[[CineSlice, FloatArray], FloatArray | None]
"""Say what the image of a short-axis slice shows at a point on it, LPS, mm: the middle of the left ventricle's blood pool if the
point lies in it, else None."""

ALTERNATIVE_COST = 2 * NAME_COST + 4.0
"""A plane that costs so much more than the chosen one, in its place, is not that view."""
SAME_PLACE_DEG = 10.0
SAME_PLACE_MM = 5.0
"""Planes within these are repeats of one view."""
PARALLEL_DEG = 2.0
STACK_REACH_MM = 25.0
"""Parallel planes of one view within this are slices of a stack."""
RIGHT_VENTRICLE_DEG = 25.0
RIGHT_VENTRICLE_MM = (25.0, 80.0)
"""How far the right ventricle's two-chamber plane lies from the left one's; the two are nearly parallel."""

TWO, THREE, FOUR = CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER, CardiacView.FOUR_CHAMBER


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongAxisChoice:
    """The chosen plane of each long-axis view, and what became of the others."""

    planes: Mapping[CardiacView, CineSlice]
    refused: Mapping[CardiacView, Finding]
    """Why a plane that was found is not used."""
    repeats: Mapping[CardiacView, tuple[CineSlice, ...]]
    """Planes at the place of the chosen one."""
    right_ventricular: tuple[CineSlice, ...] = ()
    """Two-chamber planes beside the left ventricle's."""
    findings: tuple[Finding, ...] = ()


def choose_planes(reading: Reading, stack: Sequence[CineSlice], find: FindVentricle | None) -> LongAxisChoice:
    """Choose the planes through the left ventricle.

    Parameters
    ----------
    reading
        What the long-axis planes are, by geometry and names.
    stack
        The short-axis slices, from base to apex.
    find
        What images show; None if there are none to look at.

    Returns
    -------
        The planes. Where neither headers nor images tell, a view is refused.
    """
    lines, planes = reading.lines, dict(reading.planes)
    refused = {view: _uncertain(reading, view) for view in reading.rivals if view is not THREE}
    far = _far_from_ventricle(reading)
    if far is not None and TWO in refused:
        refused[TWO] = far
    if is_radial(reading):
        unnamed = [view for view, index in planes.items() if lines.slices[index].name_view is not view and view is not THREE]
        refused |= {view: _radial(view) for view in unnamed}
    right: list[int] = []
    findings: list[Finding] = []
    if {TWO, FOUR} <= planes.keys() and not refused:
        if THREE not in planes:
            planes[TWO], right = _leftmost(reading, planes)
            if right:
                findings.append(_right_ventricular_note(lines, planes[TWO], right))
        centre_mm = _Centre(lines, stack, find)
        for view in (TWO, FOUR):
            slices = _stack_of(reading, planes, view)
            if len(slices) > 1:
                point = centre_mm.at(planes, view, slices)
                if point is None:
                    refused[view] = _unknown_slice(lines, view, slices)
                else:
                    planes[view] = min(slices, key=lambda index: (lines.distance_mm(index, point), index))
        if THREE not in planes and not right and not refused and centre_mm.at(planes, TWO, [planes[TWO]]) is None:
            refused[TWO] = far or _alone(reading, planes, is_seen=find is not None)
    repeats = {view: _same_place(reading, planes, view) for view in planes}
    chosen = {view: max(same, key=lambda index: _preference(lines, index, same)) for view, same in repeats.items()}
    others = {view: tuple(lines.slices[index] for index in same if index != chosen[view]) for view, same in repeats.items()}
    return LongAxisChoice(
        planes={view: lines.slices[index] for view, index in chosen.items() if view not in refused},
        refused=refused,
        repeats=others,
        right_ventricular=tuple(lines.slices[index] for index in right),
        findings=tuple(findings),
    )


class _Centre:
    """Asks images where the left ventricle is."""

    def __init__(self, lines: LongAxisLines, stack: Sequence[CineSlice], find: FindVentricle | None) -> None:
        self.lines, self.find = lines, find
        middle = middle_slice([cine.plane for cine in stack])
        order = [middle, middle + 1, middle - 1]
        self.levels = [stack[index] for index in order if 0 <= index < len(stack)]

    def at(self, planes: Mapping[CardiacView, int], view: CardiacView, slices: Sequence[int]) -> FloatArray | None:
        """Return the left ventricle's middle on the short axis, shape (2,), from where one of the planes meets the others."""
        if self.find is None:
            return None
        (other,) = {TWO, FOUR} - {view}
        for index in slices:
            for level in self.levels:
                planes_here = (level.plane, self.lines.slices[index].plane, self.lines.slices[planes[other]].plane)
                try:
                    found = self.find(level, intersect_three_planes(*planes_here).point_mm)
                except GeometryError:
                    continue
                if found is not None:
                    return self.lines.on_short_axis(found)
        return None


def _leftmost(reading: Reading, planes: Mapping[CardiacView, int]) -> tuple[int, list[int]]:
    """Return the two-chamber plane farthest to the patient's left, and those beside it that are the right ventricle's."""
    lines, chosen = reading.lines, planes[TWO]
    like = [
        index
        for index in _alternatives(reading, TWO)
        if angle_between_lines_deg(lines.angles_deg[index], lines.angles_deg[chosen]) <= RIGHT_VENTRICLE_DEG
    ]
    left_mm = {index: float(lines.meeting_mm(index, planes[FOUR])[1]) for index in like}
    farthest_mm = max(left_mm.values())
    nearest, farthest = RIGHT_VENTRICLE_MM
    right = [index for index in like if nearest <= farthest_mm - left_mm[index] <= farthest]
    if not right or any(farthest_mm - left_mm[index] > farthest for index in like):
        return chosen, []
    left = [index for index in like if farthest_mm - left_mm[index] < nearest]
    return min(left, key=lambda index: (reading.costs[TWO][index], index)), right


def _alternatives(reading: Reading, view: CardiacView) -> list[int]:
    """Return the planes that may be a view in the place of the chosen one."""
    costs = reading.costs[view]
    return [int(index) for index in np.flatnonzero(costs <= reading.cost + ALTERNATIVE_COST)]


def _stack_of(reading: Reading, planes: Mapping[CardiacView, int], view: CardiacView) -> list[int]:
    """Return the slices of the stack that a view's plane belongs to, the chosen one first; only this if there is no stack."""
    lines, chosen = reading.lines, planes[view]
    apart_mm = {
        index: _apart_mm(lines, planes, view, index)
        for index in _alternatives(reading, view)
        if angle_between_normals_deg(lines.normals[index], lines.normals[chosen]) <= PARALLEL_DEG
    }
    near = [index for index, off_mm in apart_mm.items() if SAME_PLACE_MM < abs(off_mm) <= STACK_REACH_MM]
    is_stack = len({round(apart_mm[index] / SAME_PLACE_MM) for index in near}) > 1 or any(
        lines.slices[index].header.series_uid == lines.slices[chosen].header.series_uid for index in near
    )
    return [chosen, *near] if is_stack else [chosen]


def _apart_mm(lines: LongAxisLines, planes: Mapping[CardiacView, int], view: CardiacView, index: int) -> float:
    """Return how far a plane is from where the chosen one meets another view, signed."""
    chosen = planes[view]
    other = next((plane for name, plane in planes.items() if name is not view), None)
    point_mm = lines.across[chosen] * lines.offsets_mm[chosen] if other is None else lines.meeting_mm(chosen, other)
    sign = 1.0 if lines.across[index] @ lines.across[chosen] >= 0 else -1.0
    return sign * float(lines.offsets_mm[index] - lines.across[index] @ point_mm)


def _same_place(reading: Reading, planes: Mapping[CardiacView, int], view: CardiacView) -> list[int]:
    """Return the planes at the place of a view's plane, this one included."""
    lines, chosen, same = reading.lines, planes[view], []
    for index in sorted({*_alternatives(reading, view), chosen}):
        angle_deg = angle_between_normals_deg(lines.normals[index], lines.normals[chosen])
        if angle_deg <= SAME_PLACE_DEG and abs(_apart_mm(lines, planes, view, index)) <= SAME_PLACE_MM:
            same.append(index)
    return same


def _preference(lines: LongAxisLines, index: int, same: Sequence[int]) -> tuple[bool, bool, bool, tuple[object, ...]]:
    """Prefer oblique planes, acquisitions without doubt, complete ones and later ones."""
    cine = lines.slices[index]
    return (
        not lines.is_patient_axis[index],
        not cine.doubt,
        is_complete(cine, [lines.slices[other] for other in same]),
        cine.recency,
    )


def _uncertain(reading: Reading, view: CardiacView) -> Finding:
    """Say between what a plane could not be decided."""
    lines, plane = reading.lines, reading.planes[view]
    taken_for, rival = reading.rivals[view]
    label, other = lines.slices[plane].label, lines.slices[rival].label
    if rival == plane:
        reason = f"{label} lies between {view.title} and another view, and its name does not decide"
    elif taken_for is None:
        reason = f"{label} and {other} are {view.title} about as likely"
    else:
        reason = f"{label} and {other} lie between {view.title} and {taken_for.title}, and their names do not decide"
    sentence = f"no {view.title} view is certain: {reason}; say what the names of the series mean in a table of series names"
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def _radial(view: CardiacView) -> Finding:
    """Say that the planes stand all around the axis."""
    sentence = (
        f"no {view.title} view is certain: the long-axis planes are a radial set, all around the axis of the left ventricle, and "
        "neither their angles nor their names tell the views; say which series is which in a table of series names"
    )
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def _unknown_slice(lines: LongAxisLines, view: CardiacView, slices: Sequence[int]) -> Finding:
    """Say that none of parallel slices is known to run through the left ventricle."""
    labels = "; ".join(sorted({lines.slices[index].label for index in slices}))
    sentence = (
        f"no {view.title} view is certain: {len(slices)} parallel slices ({labels}) run like one, and no short-axis image shows a "
        "blood pool in a ring of muscle that tells which runs through the left ventricle; keep only the slice that does"
    )
    return Finding(view.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def _alone(reading: Reading, planes: Mapping[CardiacView, int], *, is_seen: bool) -> Finding:
    """Say that a two-chamber plane may be the right ventricle's."""
    label = reading.lines.slices[planes[TWO]].label
    seen = "no short-axis image shows a blood pool in a ring of muscle where it meets the 4Ch plane"
    what = seen if is_seen else "no image was looked at"
    sentence = (
        f"no 2Ch view is certain: {label} may be the two-chamber view of either ventricle, since there is no 3Ch plane to "
        f"show where the left one is, and {what}; look at it, and add the 3Ch series or the left ventricle's 2Ch series"
    )
    return Finding(TWO.value, RejectionCode.AMBIGUOUS_VIEW, sentence)


def _far_from_ventricle(reading: Reading) -> Finding | None:
    """Say that the two-chamber plane is far from where 4Ch and a plane that may be 3Ch meet; None if it is not."""
    if TWO not in reading.planes or THREE in reading.planes or reading.four_and_three is None:
        return None
    lines, plane = reading.lines, reading.planes[TWO]
    distance_mm = lines.distance_mm(plane, lines.meeting_mm(*reading.four_and_three))
    if distance_mm <= MAX_2CH_MM:
        return None
    sentence = (
        f"no 2Ch view: {lines.slices[plane].label} runs like a two-chamber view but {distance_mm:.0f} mm from the left ventricle "
        f"(at most {MAX_2CH_MM:.0f} mm expected), as a right-ventricular one does"
    )
    return Finding(TWO.value, RejectionCode.NO_2CH, sentence)


def _right_ventricular_note(lines: LongAxisLines, chosen: int, right: Sequence[int]) -> Finding:
    """Say that the plane farthest to the left was taken."""
    labels = "; ".join(sorted({lines.slices[index].label for index in right}))
    sentence = (
        f"parallel two-chamber planes lie side by side; {lines.slices[chosen].label}, the one on the patient's left, was used, and "
        f"the others ({labels}) were taken for the right ventricle's"
    )
    return Finding(TWO.value, NoteCode.PASSED_OVER, sentence)
