"""Which of several planes of a view runs through the left ventricle, and whether one that stands alone does.

Three long-axis views that meet in a point show where the left ventricle is. With two, the two-chamber plane may as well be the
right ventricle's, parallel to the left one's and 3 to 7 cm to the patient's right; and of a stack of parallel four-chamber slices
any may be the one. Then images are asked: a short-axis image shows the left ventricle as a pool of blood in a ring of muscle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine import plane_refusals as refusals
from cmr_planes.cine.acquisitions import CineSlice, is_complete
from cmr_planes.cine.long_axis import NAME_COST, Reading, is_radial
from cmr_planes.cine.long_axis_lines import LongAxisLines, angle_between_lines_deg
from cmr_planes.errors import Finding, GeometryError
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
SURE_2CH_MM = 12.0
"""A two-chamber plane farther from where 3Ch and 4Ch meet is examined: in a small heart it may be the right ventricle's, and an
outflow view of the right ventricle runs like one."""
STACK_STEP_MM = 25.0
"""Neighbours among parallel planes of one view within this are slices of a stack."""
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
    far = refusals.far_from_ventricle(reading)
    refused = _refused_by_reading(reading, far)
    right: list[int] = []
    if {TWO, FOUR} <= planes.keys() and not refused:
        if THREE not in planes:
            planes[TWO], right = _leftmost(reading, planes)
        ventricle = _VentricleSearch(lines, stack, find)
        for view in (TWO, FOUR):
            slices = _stack_of(reading, planes, view)
            if len(slices) > 1:
                point_mm = ventricle.middle_mm(planes, view, slices)
                if point_mm is None:
                    refused[view] = refusals.unknown_slice(lines, view, slices)
                else:
                    planes[view] = min(slices, key=lambda index: (lines.distance_mm(index, point_mm), index))
        if not right and not refused and _may_miss(lines, planes, find) and ventricle.middle_mm(planes, TWO, [planes[TWO]]) is None:
            refused[TWO] = far or refusals.alone(reading, planes, is_seen=find is not None)
    if FOUR in refused and TWO in planes and not _is_sure_alone(lines, planes):
        refused.setdefault(TWO, refusals.without_four(lines, planes))
    repeats = {view: _same_place(reading, planes, view) for view in planes}
    chosen = {view: max(same, key=lambda index: _preference(lines, index, same)) for view, same in repeats.items()}
    others = {view: tuple(lines.slices[index] for index in same if index != chosen[view]) for view, same in repeats.items()}
    return LongAxisChoice(
        planes={view: lines.slices[index] for view, index in chosen.items() if view not in refused},
        refused=refused,
        repeats=others,
        right_ventricular=tuple(lines.slices[index] for index in right),
        findings=(refusals.right_ventricular(lines, planes[TWO], right),) if right else (),
    )


class _VentricleSearch:
    """Asks images where the left ventricle is."""

    def __init__(self, lines: LongAxisLines, stack: Sequence[CineSlice], find: FindVentricle | None) -> None:
        self.lines, self.find = lines, find
        middle = middle_slice([cine.plane for cine in stack])
        order = [middle, middle + 1, middle - 1]
        self.levels = [stack[index] for index in order if 0 <= index < len(stack)]

    def middle_mm(self, planes: Mapping[CardiacView, int], view: CardiacView, slices: Sequence[int]) -> FloatArray | None:
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


def _refused_by_reading(reading: Reading, far: Finding | None) -> dict[CardiacView, Finding]:
    """Refuse 2Ch and 4Ch where another reading fits about as well, and those of a radial set that are not named so."""
    lines = reading.lines
    refused = {view: refusals.uncertain(reading, view) for view in reading.rivals if view is not THREE}
    if far is not None and TWO in refused:
        refused[TWO] = far
    if is_radial(reading):
        unnamed = [view for view, index in reading.planes.items() if lines.slices[index].name_view is not view]
        refused |= {view: refusals.radial(view) for view in unnamed if view is not THREE}
    return refused


def _may_miss(lines: LongAxisLines, planes: Mapping[CardiacView, int], find: FindVentricle | None) -> bool:
    """Tell whether a two-chamber plane may miss the left ventricle, as far as the other views and the means to look at it go."""
    if THREE not in planes:
        return True
    return find is not None and lines.distance_mm(planes[TWO], lines.meeting_mm(planes[FOUR], planes[THREE])) > SURE_2CH_MM


def _is_sure_alone(lines: LongAxisLines, planes: Mapping[CardiacView, int]) -> bool:
    """Tell whether a two-chamber plane is known as one without a four-chamber plane: by its name and a three-chamber plane."""
    return THREE in planes and lines.slices[planes[TWO]].name_view is TWO


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
    near = [index for index in _within_steps(apart_mm) if abs(apart_mm[index]) > SAME_PLACE_MM]
    is_stack = len({round(apart_mm[index] / SAME_PLACE_MM) for index in near}) > 1 or any(
        lines.slices[index].header.series_uid == lines.slices[chosen].header.series_uid for index in near
    )
    return [chosen, *near] if is_stack else [chosen]


def _within_steps(apart_mm: Mapping[int, float]) -> list[int]:
    """Return the planes that lead to the chosen one, which is at 0 mm, in steps of a stack."""
    order = sorted(apart_mm, key=lambda index: (apart_mm[index], index))
    is_gap = np.diff([apart_mm[index] for index in order]) > STACK_STEP_MM
    run = np.concatenate([[0], np.cumsum(is_gap)])
    mine = run[np.argmin([abs(apart_mm[index]) for index in order])]
    return sorted(index for index, number in zip(order, run.tolist(), strict=True) if number == mine)


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
