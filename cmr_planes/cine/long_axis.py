"""Which long-axis views planes are, from how they stand around the axis of the left ventricle, all weighed together.

Long-axis planes contain that axis; seen along it they fan out, and the angle of their line on the short-axis image tells them
apart: 2Ch runs superior to inferior, 4Ch to the left and posterior, 3Ch between them on the far side. A heart rolled about its
axis shifts all three angles alike, and the three lines meet in the left ventricle. Names add to the evidence.

Costs are squared deviations in units of their standard deviations: a difference of 2 is a likelihood ratio of e.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.cine.long_axis_lines import MAX_FIELD_DISTANCE_MM, LongAxisLines, lines_on, signed_deg
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.views import CardiacView

REFERENCE_ANGLES_DEG = {CardiacView.TWO_CHAMBER: 0.0, CardiacView.FOUR_CHAMBER: 70.0, CardiacView.THREE_CHAMBER: 120.0}
"""Angle of each long-axis view's line on the short-axis image, from superior towards the patient's left, modulo 180 degrees.

A real case has -2, 69 and 119.
"""

MAX_ROLL_DEG = 40.0
"""Largest roll of a heart about its long axis that is considered."""
ROLL_SPREAD_DEG = 12.0
"""Standard deviation of hearts' roll."""
VIEW_SPREAD_DEG = 8.0
"""Standard deviation of a view's angle about its reference, the heart's roll apart."""
MAX_DEVIATION_DEG = 25.0
"""A plane farther from a reference angle, the roll apart, is not that view."""
MAX_PAIR_DEVIATION_DEG = 30.0
"""Two views alone, whose angle differs by more from that of their references, are not these views."""
AXIS_SPREAD_DEG = 10.0
"""Standard deviation of the angle between the line in which two views meet and the short-axis normal."""
MAX_LINE_TILT_DEG = 30.0
"""Largest such angle."""
LEAN_SPREAD_DEG = 8.0
"""Standard deviation of the angle between a third view and the line in which two others meet."""
MEETING_SPREAD_MM = 5.0
"""Standard deviation of how far a plane is off, where three of them do not meet in a point."""
MAX_MEETING_MM = 17.0
"""Largest such distance."""
MAX_2CH_MM = 22.0
"""A two-chamber plane farther from where 3Ch and 4Ch meet is the right ventricle's: that is 4 to 6 cm from the left one's."""
FIELD_SPREAD_MM = 80.0
"""Standard deviation of the meeting point's distance from the middle of the field of view, kept wide: it says little."""

NAME_COST = 6.0
"""What a name adds: so much less for the view that it names, so much more for another view."""
PATIENT_AXIS_COST = 24.0
"""What such a plane costs."""

UNEXPLAINED_COST = 12.0
"""What a plane costs that stands on the short axis and is none of the views."""
MISSING_COST = {CardiacView.TWO_CHAMBER: 8.0, CardiacView.FOUR_CHAMBER: 8.0, CardiacView.THREE_CHAMBER: 3.0}
"""What a view costs that was not acquired; many protocols have no 3Ch."""
MIN_MARGIN = 7.0
"""By how much any other reading of the planes must be worse."""
OTHER_PLANE_DEG = 22.0
"""Planes farther apart than this are two readings of a view; nearer ones are two takes of it."""
OTHER_NAMED_DEG = 35.0
"""The same for planes that are both named after the view."""
RADIAL_PLANES = 5
RADIAL_GAP_DEG = 58.0
"""This many planes around one axis, with no larger gap between neighbours, are a radial set: their angles do not tell the views."""

MAX_CANDIDATES = 40
"""This many planes at most are weighed for a view, the likeliest ones."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What the planes are, read together."""

    lines: LongAxisLines
    planes: Mapping[CardiacView, int]
    """The plane that fits best, for each view that was found."""
    cost: float
    """Of this reading; the less the better."""
    rivals: Mapping[CardiacView, tuple[CardiacView | None, int]]
    """Views that are not certain, each with another plane that may be it, and the view for which this plane is taken here."""
    four_and_three: tuple[int, int] | None
    """The planes of 4Ch and 3Ch in the best reading without 2Ch, None if that is far-fetched."""
    costs: Mapping[CardiacView, FloatArray]
    """For each view that was found the cost of each plane in the place of the chosen one, shape (planes,)."""


def read_long_axis(slices: Sequence[CineSlice], short_axis: ImagePlane, flip: FloatArray | None = None) -> Reading:
    """Find the reading of long-axis planes that fits best.

    Parameters
    ----------
    slices
        Cine slices that are not of the short-axis stack.
    short_axis
        The middle short-axis plane.
    flip
        Signs of the patient's axes, shape (3,), to read a mirrored patient.

    Returns
    -------
        The reading; it may be empty.
    """
    lines = lines_on(slices, short_axis, np.ones(3) if flip is None else flip)
    readings = list(_readings(lines))
    best = min(readings, key=lambda reading: reading[1], default=None)
    if best is None:
        return Reading(lines=lines, planes={}, cost=sum(MISSING_COST.values()), rivals={}, four_and_three=None, costs={})
    views, cost, index, costs = best
    planes = dict(zip(views, index, strict=True))
    rivals = {}
    for view, plane in planes.items():
        rival = _rival(lines, view, plane, readings, cost + MIN_MARGIN)
        if rival is not None:
            rivals[view] = (next((other for other, mine in planes.items() if mine == rival), None), rival)
    instead = {view: costs[tuple(slice(None) if other is view else planes[other] for other in views)] for view in views}
    return Reading(
        lines=lines,
        planes=planes,
        cost=cost,
        rivals=rivals,
        four_and_three=next(
            (
                (index[0], index[1])
                for views, other, index, _ in readings
                if views == (CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER) and other <= cost + 2 * NAME_COST
            ),
            None,
        ),
        costs=instead,
    )


_PATTERNS = (
    (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER),
    (CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER),
    (CardiacView.FOUR_CHAMBER, CardiacView.THREE_CHAMBER),
    (CardiacView.TWO_CHAMBER, CardiacView.THREE_CHAMBER),
    (CardiacView.TWO_CHAMBER,),
    (CardiacView.FOUR_CHAMBER,),
    (CardiacView.THREE_CHAMBER,),
)
"""The views that a reading may have."""

_Weighed = tuple[tuple[CardiacView, ...], float, tuple[int, ...], FloatArray]


def _readings(lines: LongAxisLines) -> Iterator[_Weighed]:
    """Weigh every reading: for each set of views the least cost, the planes that have it, and the costs of all planes."""
    for views in _PATTERNS:
        costs = _costs(lines, views)
        if np.isfinite(costs).any():
            index = np.unravel_index(int(np.argmin(costs)), costs.shape)
            yield views, float(costs[index]), tuple(int(one) for one in index), costs


def _costs(lines: LongAxisLines, views: Sequence[CardiacView]) -> FloatArray:
    """Weigh every choice of one plane per view; shape (planes,) * views; infinite for what cannot be."""
    n, rank = len(lines), len(views)
    candidates = [_likeliest(lines, view) for view in views]
    costs = np.full((n,) * rank, np.inf)
    if any(len(mine) == 0 for mine in candidates):
        return costs
    grids = np.ix_(*candidates)
    deviations_deg = [
        signed_deg(lines.angles_deg[grid] - REFERENCE_ANGLES_DEG[view]) for grid, view in zip(grids, views, strict=True)
    ]
    total = np.sum(np.broadcast_arrays(*deviations_deg), axis=0)
    roll_deg = (total / (rank + (VIEW_SPREAD_DEG / ROLL_SPREAD_DEG) ** 2)).clip(-MAX_ROLL_DEG, MAX_ROLL_DEG)
    cost = (roll_deg / ROLL_SPREAD_DEG) ** 2 + sum(cost for view, cost in MISSING_COST.items() if view not in views)
    cost = cost - UNEXPLAINED_COST * rank
    for view, grid, deviation_deg in zip(views, grids, deviations_deg, strict=True):
        off_deg = np.abs(deviation_deg - roll_deg)
        cost = (
            cost + _name_costs(lines, view)[grid] + np.where(off_deg < MAX_DEVIATION_DEG, (off_deg / VIEW_SPREAD_DEG) ** 2, np.inf)
        )
    if rank >= 2:
        cost = cost + _meeting_costs(lines, grids)
    if rank == 2:
        cost = np.where(np.abs(deviations_deg[0] - deviations_deg[1]) <= MAX_PAIR_DEVIATION_DEG, cost, np.inf)
    costs[grids] = cost
    return costs


def _likeliest(lines: LongAxisLines, view: CardiacView) -> IntArray:
    """Return the planes that may be a view, not more than ``MAX_CANDIDATES``."""
    off_deg = np.abs(signed_deg(lines.angles_deg - REFERENCE_ANGLES_DEG[view]))
    cost = _name_costs(lines, view) + (off_deg / ROLL_SPREAD_DEG) ** 2 + (lines.offsets_mm / FIELD_SPREAD_MM) ** 2
    order = np.argsort(cost, kind="stable")[:MAX_CANDIDATES]
    return np.sort(order[np.isfinite(cost[order])])


def _name_costs(lines: LongAxisLines, view: CardiacView) -> FloatArray:
    """Return what names say of each plane, and that it lies across a patient axis; shape (planes,)."""
    names = [cine.name_view for cine in lines.slices]
    cost = np.array([0.0 if name is None else -NAME_COST if name is view else NAME_COST for name in names])
    across_patient = np.where(cost < 0, PATIENT_AXIS_COST, np.inf)
    return np.where(lines.is_patient_axis, cost + across_patient, cost)


def _meeting_costs(lines: LongAxisLines, grids: Sequence[IntArray]) -> FloatArray:
    """Weigh how two or three planes meet: along the short-axis normal, in the field of view, and in one point."""
    first, second = grids[0], grids[1]
    cross = np.cross(lines.normals[first], lines.normals[second])
    direction = cross / np.linalg.norm(cross, axis=-1, keepdims=True).clip(min=1e-6)
    tilt_deg = np.degrees(np.arccos(np.abs(direction @ lines.axis).clip(max=1.0)))
    across, offsets_mm = lines.across, lines.offsets_mm
    sine = _cross(across[first], across[second])
    foot_mm = offsets_mm[first][..., None] * across[second] - offsets_mm[second][..., None] * across[first]
    from_middle_mm = np.linalg.norm(foot_mm, axis=-1) / np.abs(sine).clip(min=1e-6)
    cost: FloatArray = np.where(tilt_deg <= MAX_LINE_TILT_DEG, (tilt_deg / AXIS_SPREAD_DEG) ** 2, np.inf)
    cost = cost + np.where(from_middle_mm <= MAX_FIELD_DISTANCE_MM, (from_middle_mm / FIELD_SPREAD_MM) ** 2, np.inf)
    if len(grids) == 3:
        third = grids[2]
        lean_deg = np.degrees(np.arcsin(np.abs((direction * lines.normals[third]).sum(axis=-1)).clip(max=1.0)))
        weights = [_cross(across[second], across[third]), _cross(across[third], across[first]), sine]
        gap_mm = sum(weight * offsets_mm[grid] for weight, grid in zip(weights, grids, strict=True))
        off_mm = np.abs(gap_mm) / np.sqrt(sum(weight**2 for weight in weights)).clip(min=1e-6)
        cost = cost + (lean_deg / LEAN_SPREAD_DEG) ** 2
        is_near = (off_mm <= MAX_MEETING_MM) & (np.abs(gap_mm) <= MAX_2CH_MM * np.abs(weights[0]))
        cost = cost + np.where(is_near, (off_mm / MEETING_SPREAD_MM) ** 2, np.inf)
    return cost


def _cross(first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the sine of the angle from one unit vector to another, both of shape (…, 2)."""
    return np.asarray(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])


def _rival(lines: LongAxisLines, view: CardiacView, plane: int, readings: Sequence[_Weighed], limit: float) -> int | None:
    """Return a plane that another reading, not much worse than the best, takes for a view, or the plane itself if it has none."""
    apart_deg = np.abs(signed_deg(lines.angles_deg - lines.angles_deg[plane]))
    is_named = np.array([cine.name_view is view for cine in lines.slices])
    is_other = apart_deg > np.where(is_named & is_named[plane], OTHER_NAMED_DEG, OTHER_PLANE_DEG)
    best, rival = limit, None
    for views, cost, _, costs in readings:
        if view not in views:
            if cost < best:
                best, rival = cost, plane
            continue
        axis = views.index(view)
        least = costs.min(axis=tuple(other for other in range(costs.ndim) if other != axis))
        least = np.where(is_other, least, np.inf)
        if least.min() < best:
            best, rival = float(least.min()), int(np.argmin(least))
    return rival


def is_radial(reading: Reading) -> bool:
    """Tell whether planes stand all around the point where two views meet."""
    lines, planes = reading.lines, list(reading.planes.values())
    if len(planes) < 2:
        return False
    point_mm = lines.meeting_mm(planes[0], planes[1])
    through = [index for index in range(len(lines)) if lines.distance_mm(index, point_mm) <= MAX_MEETING_MM]
    angles_deg = np.sort(lines.angles_deg[through])
    gaps_deg = np.diff(angles_deg, append=angles_deg[0] + 180.0)
    return len(through) >= RADIAL_PLANES and bool(gaps_deg.max() <= RADIAL_GAP_DEG)
