"""Whether LV lies in its muscle on one image: contours of two patients, or with exchanged names, do not."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cmr_planes.annotations.model import Outline
from cmr_planes.annotations.rasterise import fill_polygon
from cmr_planes.geometry.arrays import BoolArray, FloatArray, LabelArray
from cmr_planes.views import Structure

MAX_OUTSIDE = 0.3
"""The share of the edge of LV that may lie outside its muscle. In ACDC's 1,808 slices at most 0.03 does; with the epicardium of
another patient, in nine images of the Sunnybrook Cardiac Data, about half."""


class NestingFault(StrEnum):
    """What is wrong with the contours or classes of one image."""

    OUTSIDE = "outside"
    """Blood lies outside the muscle: one of the two is another image's."""
    EXCHANGED = "exchanged"
    """The muscle lies inside the blood: names are exchanged."""
    RIGHT_INSIDE = "right inside"
    """The right ventricle lies inside the left one's epicardium."""

    @property
    def refused(self) -> frozenset[Structure]:
        """Structures that cannot be used on the image."""
        return {
            NestingFault.OUTSIDE: frozenset({Structure.MYO}),
            NestingFault.EXCHANGED: frozenset({Structure.LV, Structure.MYO}),
            NestingFault.RIGHT_INSIDE: frozenset({Structure.RV}),
        }[self]


@dataclass(frozen=True, slots=True)
class Misnested:
    """A fault of one image."""

    fault: NestingFault
    """Which."""
    share: float
    """How much of the inner one's edge lies where it should not, 0 to 1."""


def misnested_contours(regions: Mapping[Outline, BoolArray]) -> tuple[Misnested, ...]:
    """Find what is wrong with how the contours of one image lie in each other.

    Parameters
    ----------
    regions
        What lies inside them, as :func:`cmr_planes.annotations.rasterise.fill_contours` returns it.

    Returns
    -------
        At most one fault of the left ventricle and one of the right; none where one contour of a pair was not drawn.
    """
    epicardium = regions.get(Outline.LV_EPI)
    if epicardium is None:
        return ()
    endocardium, right = regions.get(Outline.LV_ENDO), regions.get(Outline.RV_ENDO)
    faults = () if endocardium is None else _faults(endocardium, epicardium, epicardium, endocardium)
    inside = 0.0 if right is None else share_inside(right, epicardium)
    return (*faults, Misnested(NestingFault.RIGHT_INSIDE, inside)) if inside >= 1 - MAX_OUTSIDE else faults


def misnested_labels(labels: LabelArray) -> tuple[Misnested, ...]:
    """Find what is wrong with how LV and Myo of a label map, shape (rows, columns), lie in each other; muscle may be open.

    Where the plane of the valve cuts a slice, both end at one straight edge, along which their pixels may differ by one.
    """
    blood, muscle = labels == Structure.LV, labels == Structure.MYO
    if not (blood.any() and muscle.any()):
        return ()
    return _faults(blood, _grown(convex_hull(muscle)), muscle, convex_hull(blood))


def _faults(blood: BoolArray, within: BoolArray, muscle: BoolArray, blood_within: BoolArray) -> tuple[Misnested, ...]:
    """Compare the edge of the blood with what it should lie within, and that of the muscle with what lies within the blood."""
    if not (blood.any() and muscle.any()):
        return ()
    outside = 1 - share_inside(blood, within)
    if outside <= MAX_OUTSIDE:
        return ()
    inside = share_inside(muscle, blood_within)
    return (Misnested(NestingFault.EXCHANGED, inside) if inside >= 1 - MAX_OUTSIDE else Misnested(NestingFault.OUTSIDE, outside),)


def share_inside(region: BoolArray, other: BoolArray) -> float:
    """Return the share of a region's edge, its pixels beside others, that lies in another region; 0 for an empty one.

    Examples
    --------
    >>> left = np.array([[True, True, False]])
    >>> share_inside(left, np.array([[False, True, True]]))
    0.5
    """
    padded = np.pad(region, 1)
    edge = region & ~(padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:])
    return float(other[edge].mean()) if edge.any() else 0.0


def _grown(region: BoolArray) -> BoolArray:
    """Return a region with the pixels beside it."""
    padded = np.pad(region, 1)
    return region | padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]


def convex_hull(region: BoolArray) -> BoolArray:
    """Return the pixels in the convex hull of a region, shape (rows, columns)."""
    from scipy.spatial import ConvexHull, QhullError

    corners: FloatArray = np.argwhere(region)[:, ::-1].astype(np.float64)
    try:
        hull = corners[ConvexHull(corners).vertices]
    except (QhullError, ValueError):  # on one line, or too few
        return region
    return region | fill_polygon(hull, *region.shape)
