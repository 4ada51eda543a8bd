"""Which long-axis view a plane is, from how it stands around the axis of the left ventricle.

Long-axis planes contain that axis; seen along it they fan out, and the angle of their line on the short-axis image tells them
apart: 2Ch runs superior to inferior, 4Ch to the left and posterior, 3Ch between them on the far side. A heart rolled about its
axis shifts all three angles alike: a plane is judged together with the others. Names only decide what geometry leaves open.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice
from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, unit
from cmr_planes.geometry.stack import apex_direction
from cmr_planes.views import CardiacView

REFERENCE_ANGLES_DEG = {CardiacView.TWO_CHAMBER: 0.0, CardiacView.FOUR_CHAMBER: 70.0, CardiacView.THREE_CHAMBER: 120.0}
"""Angle of each long-axis view's line on the short-axis image, from superior towards the patient's left, modulo 180 degrees.

A real case has -2, 69 and 119.
"""

MAX_ROLL_DEG = 30
"""Largest roll of a heart about its long axis that is considered, in degrees."""
ROLL_SPREAD_DEG = 15.0
"""Standard deviation of hearts' roll, in degrees."""
VIEW_SPREAD_DEG = 10.0
"""Standard deviation of a view's angle about its reference, the heart's roll apart, in degrees."""
MAX_DEVIATION_DEG = 30.0
"""A plane farther from every reference angle, the roll apart, is no standard view by geometry."""
MIN_MARGIN = 4.0
"""By how much the second best view of a plane must be worse for geometry to decide alone, as a difference of squared deviations in
units of their standard deviations: a likelihood ratio of exp(2)."""
NAMED_MARGIN = 9.0
"""Views that are worse than the best by less than this may be what a plane is, if its name says so."""

SAME_PLACE_DEG = 10.0
"""Long-axis planes at nearer angles may be one view."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LongAxisPlane:
    """A long-axis plane and what geometry says of it."""

    cine: CineSlice
    """The plane and its frames."""
    view: CardiacView | None
    """Which view it is, None if that is not certain."""
    reason: str
    """Why it is not certain."""


def judge_planes(slices: Sequence[CineSlice], short_axis: ImagePlane) -> list[LongAxisPlane]:
    """Name each long-axis plane by geometry, or by its series' name where geometry leaves two possibilities.

    Parameters
    ----------
    slices
        Planes that stand upright on the short axis.
    short_axis
        A short-axis plane.

    Returns
    -------
        One judgement a plane, in the same order.
    """
    angles_deg = [line_angle_deg(cine.plane, short_axis) for cine in slices]
    return [_judge(cine, angle_deg, angles_deg) for cine, angle_deg in zip(slices, angles_deg, strict=True)]


def _judge(cine: CineSlice, angle_deg: float, all_angles_deg: Sequence[float]) -> LongAxisPlane:
    """Decide the view of one long-axis plane in the light of the others, which tell how the heart is rolled."""
    weighed = _weigh_views(angle_deg, all_angles_deg)
    (best_cost, best, deviation_deg), (second_cost, second, _), *_ = weighed
    if cine.name_view in [view for cost, view, _ in weighed if cost - best_cost < NAMED_MARGIN]:
        return LongAxisPlane(cine=cine, view=cine.name_view, reason="")
    if deviation_deg <= MAX_DEVIATION_DEG and second_cost - best_cost >= MIN_MARGIN:
        return LongAxisPlane(cine=cine, view=best, reason="")
    reason = f"{cine.label} lies between {best.title} and {second.title}, and its name does not decide"
    return LongAxisPlane(cine=cine, view=None, reason=reason)


def _weigh_views(angle_deg: float, all_angles_deg: Sequence[float]) -> list[tuple[float, CardiacView, float]]:
    """Weigh what view a plane is: for each the least cost over all rolls, and the deviation in degrees there; best first.

    Planes at other angles count as other views: each takes the cheapest of those that are left.
    """
    rolls_deg = np.arange(-MAX_ROLL_DEG, MAX_ROLL_DEG + 1.0)
    others_deg = sorted({round(other) for other in all_angles_deg if _deviation_deg(other, angle_deg) > SAME_PLACE_DEG})
    weighed = []
    for view, reference_deg in REFERENCE_ANGLES_DEG.items():
        rest_deg = np.array([other for name, other in REFERENCE_ANGLES_DEG.items() if name is not view])[:, None]
        deviations_deg = _deviation_deg(angle_deg - rolls_deg, reference_deg)
        costs = (rolls_deg / ROLL_SPREAD_DEG) ** 2 + (deviations_deg / VIEW_SPREAD_DEG) ** 2
        for other_deg in others_deg:
            costs += (_deviation_deg(other_deg - rolls_deg, rest_deg).min(axis=0) / VIEW_SPREAD_DEG) ** 2
        roll = int(np.argmin(costs))
        weighed.append((float(costs[roll]), view, float(deviations_deg[roll])))
    return sorted(weighed)


def line_angle_deg(plane: ImagePlane, short_axis: ImagePlane) -> float:
    """Return the angle of a plane's line on the short-axis image, from superior towards the patient's left, 0 to 180 degrees."""
    axis = apex_direction(short_axis.normal)
    superior = unit(np.array([0.0, 0.0, 1.0]) - axis[2] * axis)
    left = np.cross(superior, axis)
    line: FloatArray = np.cross(axis, plane.normal)
    return float(np.degrees(np.arctan2(line @ left, line @ superior))) % 180.0


def _deviation_deg(angle_deg: FloatArray | float, reference_deg: FloatArray | float) -> FloatArray:
    """Return the angle between undirected lines, 0 to 90 degrees, broadcast."""
    return np.abs(np.asarray((np.asarray(angle_deg) - reference_deg + 90.0) % 180.0 - 90.0))
