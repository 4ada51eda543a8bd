"""Which parallel cine slices can be the short axis, and which of them is, with the long-axis planes around each.

The short axis is known by its normal, which runs along the left ventricle: left, anterior and inferior in the patient, and along
the line in which the long-axis planes meet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cmr_planes.cine.acquisitions import CineSlice, share_orientation
from cmr_planes.cine.long_axis import MIN_MARGIN, Reading, read_long_axis
from cmr_planes.cine.stack_runs import count_levels
from cmr_planes.cine.stacks import NEARLY_PARALLEL_DEG
from cmr_planes.geometry import ImagePlane, angle_between_normals_deg, middle_slice
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.geometry.stack import TYPICAL_APEX_DIRECTION, slice_positions_mm
from cmr_planes.geometry.tolerances import SAME_ORIENTATION_DEG
from cmr_planes.views import CardiacView

MAX_AXIS_TILT_DEG = 50.0
"""Largest angle between a short-axis normal and the typical one."""
MAX_NAMED_TILT_DEG = 75.0
"""The same for a series that is named short axis and has long-axis planes around it."""
AXIS_TILT_SPREAD_DEG = 18.0
"""Standard deviation of that angle."""
MIN_STACK_SLICES = 3
"""As many parallel slices make a short-axis stack by themselves; fewer need long-axis planes around them."""
FEW_LEVELS_COST = {1: 9.0, 2: 4.0}
"""What a set of fewer levels costs."""
NAME_COST = 10.0
"""What a name adds: so much less where most slices are named short axis, so much more where they are named another view."""
PLAIN_TILT_DEG = 40.0
"""A stack of at most this tilt, with 2Ch and 4Ch around it, is not examined as if it were mirrored."""
MIRROR_MARGIN = 3.0
"""A patient is mirrored if that explains the planes better by this."""

_UPRIGHT = np.ones(3)
_FLIPS = ((-1.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, -1.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShortAxis:
    """A set of parallel slices as the short axis, with what the other planes are around it."""

    slices: tuple[CineSlice, ...]
    reading: Reading
    cost: float
    """Of both; the less the better."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShortAxisChoice:
    """The short axis that fits best."""

    best: ShortAxis | None
    """None if no set of slices can be the short axis."""
    rival: ShortAxis | None
    """Another set that fits about as well."""
    is_mirrored: bool
    """Whether the planes are those of a mirrored patient."""


def choose_short_axis(slices: Sequence[CineSlice]) -> ShortAxisChoice:
    """Find the short axis among the cine slices of a study."""
    weighed = sorted(_weighed(slices, _UPRIGHT), key=lambda one: one.cost)
    best = weighed[0] if weighed else None
    rival = next((one for one in weighed[1:] if one.cost < weighed[0].cost + MIN_MARGIN and _is_other(one, weighed[0])), None)
    is_plain = best is not None and rival is None and _is_plain(best)
    return ShortAxisChoice(best=best, rival=rival, is_mirrored=not is_plain and _is_mirrored(slices))


def _is_other(first: ShortAxis, second: ShortAxis) -> bool:
    """Tell whether two sets are not of one stack, whose angle may have been changed."""
    return not share_orientation(first.slices[0], second.slices[0], NEARLY_PARALLEL_DEG)


def _is_plain(short_axis: ShortAxis) -> bool:
    """Tell whether no other reading, of a mirrored patient either, can come near."""
    reading = short_axis.reading
    names = {reading.lines.slices[index].name_view: view for view, index in reading.planes.items()}
    return (
        _is_whole(reading)
        and all(name in (None, view) for name, view in names.items())
        and _n_levels(short_axis.slices) >= MIN_STACK_SLICES
        and axis_tilt_deg(short_axis.slices[0].plane) <= PLAIN_TILT_DEG
    )


def _is_mirrored(slices: Sequence[CineSlice]) -> bool:
    """Tell whether the planes, names apart, are those of a mirrored patient: names are exchanged more often."""
    unnamed = [replace(cine, name_view=None) for cine in slices]
    mirrored = [one.cost for flip in _FLIPS for one in _weighed(unnamed, np.array(flip)) if _is_whole(one.reading)]
    if not mirrored:
        return False
    upright = min((one.cost for one in _weighed(unnamed, _UPRIGHT, MAX_NAMED_TILT_DEG)), default=np.inf)
    return min(mirrored) < upright - MIRROR_MARGIN


def axis_tilt_deg(plane: ImagePlane) -> float:
    """Return the angle between a plane's normal and the typical long axis of the left ventricle, 0 to 90 degrees."""
    return angle_between_normals_deg(plane.normal, TYPICAL_APEX_DIRECTION)


def middle_plane(slices: Sequence[CineSlice]) -> ImagePlane:
    """Return the plane of the middle slice of a stack."""
    planes = [cine.plane for cine in slices]
    return planes[middle_slice(planes)]


def _parallel_sets(slices: Sequence[CineSlice]) -> Iterator[list[int]]:
    """Group slices by orientation; each group has those parallel to its first one that no earlier group has."""
    normals = np.array([cine.plane.normal for cine in slices]).reshape(-1, 3)
    is_free = np.ones(len(slices), dtype=np.bool_)
    while is_free.any():
        first = int(np.argmax(is_free))
        members = is_free & (np.abs(normals @ normals[first]) >= np.cos(np.radians(SAME_ORIENTATION_DEG)))
        members[first] = True
        is_free &= ~members
        yield np.flatnonzero(members).tolist()


def _weighed(slices: Sequence[CineSlice], flip: FloatArray, max_tilt_deg: float = MAX_AXIS_TILT_DEG) -> Iterator[ShortAxis]:
    """Weigh each set of parallel slices as the short axis of a patient who is mirrored as ``flip`` says."""
    for indices in _parallel_sets(slices):
        members = [slices[index] for index in indices]
        tilt_deg = angle_between_normals_deg(members[0].plane.normal * flip, TYPICAL_APEX_DIRECTION)
        name_cost = _name_cost(members)
        if tilt_deg > (MAX_NAMED_TILT_DEG if name_cost < 0 else max_tilt_deg):
            continue
        mine = set(indices)
        others = [cine for index, cine in enumerate(slices) if index not in mine]
        reading = read_long_axis(others, middle_plane(members), flip)
        n_levels = _n_levels(members)
        if len(reading.planes) < 2 and (n_levels < MIN_STACK_SLICES or tilt_deg > MAX_AXIS_TILT_DEG):
            continue
        cost = (tilt_deg / AXIS_TILT_SPREAD_DEG) ** 2 + FEW_LEVELS_COST.get(n_levels, 0.0) + name_cost + reading.cost
        yield ShortAxis(slices=tuple(members), reading=reading, cost=cost)


def _is_whole(reading: Reading) -> bool:
    return {CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER} <= reading.planes.keys()


def _name_cost(members: Sequence[CineSlice]) -> float:
    """Return what the names of most slices say."""
    n_named = sum(cine.name_view is CardiacView.SAX for cine in members)
    n_other = sum(cine.name_view not in (CardiacView.SAX, None) for cine in members)
    if 2 * n_named > len(members):
        return -NAME_COST
    return NAME_COST if 2 * n_other > len(members) else 0.0


def _n_levels(members: Sequence[CineSlice]) -> int:
    """Count the distinct positions of parallel slices."""
    return count_levels(slice_positions_mm([cine.plane for cine in members]))
