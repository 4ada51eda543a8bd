"""From contours to label maps: a pixel belongs to the structure that covers its centre."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from cmr_planes.annotations.model import Contour, Outline
from cmr_planes.geometry.arrays import BoolArray, FloatArray, LabelArray
from cmr_planes.views import Structure

OPEN_GAP_STEPS = 4.0
"""A contour whose ends lie farther apart than this many of its usual steps, and than :data:`OPEN_GAP_PX`, was left open."""
OPEN_GAP_PX = 3.0
"""See :data:`OPEN_GAP_STEPS`; pixels."""

STRUCTURES: Mapping[Outline, Structure] = MappingProxyType(
    {
        Outline.RV_ENDO: Structure.RV,
        Outline.LV_EPI: Structure.MYO,
        Outline.LV_ENDO: Structure.LV,
        Outline.RA: Structure.RA,
        Outline.LA: Structure.LA,
    }
)
"""What each kind of contour is drawn as; what is drawn later covers what was drawn before: the order of ukbb_cardiac."""


def fill_polygon(points_px: FloatArray, rows: int, columns: int) -> BoolArray:
    """Fill a polygon.

    Parameters
    ----------
    points_px
        Shape (n, 2), (column, row); the last point is joined to the first. May run outside the image, and over itself: what it
        winds around is inside.
    rows, columns
        The matrix.

    Returns
    -------
        Shape (rows, columns): the pixels whose centres are inside. A centre on an edge belongs to one of its two sides only.

    Examples
    --------
    >>> fill_polygon(np.array([[0.5, 0.5], [2.5, 0.5], [2.5, 1.5], [0.5, 1.5]]), 3, 4).astype(int).tolist()
    [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    """
    winding = np.zeros((rows, columns + 1), dtype=np.int64)
    for (x1, y1), (x2, y2) in zip(points_px, np.roll(points_px, -1, axis=0), strict=True):
        (x_low, low), (x_high, high) = sorted(((x1, y1), (x2, y2)), key=lambda end: end[1])  # there and back cross alike
        crossed = np.arange(max(0, int(np.ceil(low))), min(rows, int(np.ceil(high))))  # a row at the upper end is not crossed
        if not len(crossed):
            continue
        x = x_low + (crossed - low) * (x_high - x_low) / (high - low)
        winding[crossed, np.clip(np.ceil(x), 0, columns).astype(np.int64)] += 1 if y2 > y1 else -1
    inside: BoolArray = np.cumsum(winding, axis=1)[:, :columns] != 0
    return inside


def fill_contours(contours: Iterable[Contour], rows: int, columns: int) -> dict[Outline, BoolArray]:
    """Fill the contours of one image.

    Parameters
    ----------
    contours
        The image's contours, in any order.
    rows, columns
        The matrix.

    Returns
    -------
        Shape (rows, columns) each, by kind: the pixels inside any contour of the kind. An epicardium that was left open at the
        base is joined to the endocardium.
    """
    points_px: defaultdict[Outline, list[FloatArray]] = defaultdict(list)
    for contour in contours:
        points_px[contour.outline].append(contour.points_px)
    if Outline.LV_ENDO in points_px and Outline.LV_EPI in points_px:
        endocardium = np.concatenate(points_px[Outline.LV_ENDO])
        points_px[Outline.LV_EPI] = [
            _joined(points, endocardium) if is_open(points) else points for points in points_px[Outline.LV_EPI]
        ]
    return {
        outline: np.logical_or.reduce([fill_polygon(points, rows, columns) for points in of_kind])
        for outline, of_kind in points_px.items()
    }


def paint_regions(regions: Mapping[Outline, BoolArray], rows: int, columns: int) -> LabelArray:
    """Draw the label map of one image, shape (rows, columns); an epicardium without endocardium is muscle all through.

    Parameters
    ----------
    regions
        As :func:`fill_contours` returns them.
    rows, columns
        The matrix.
    """
    labels = np.zeros((rows, columns), dtype=np.uint8)
    for outline, structure in STRUCTURES.items():
        if outline in regions:
            labels[regions[outline]] = structure
    return labels


def drawn_structures(outlines: Collection[Outline]) -> frozenset[Structure]:
    """Return the structures that an image's contours decide: the muscle only where the epicardium was drawn."""
    drawn = {Structure.BACKGROUND, *(STRUCTURES[outline] for outline in outlines)}
    if Outline.LV_EPI in outlines:
        drawn.add(Structure.LV)
    return frozenset(drawn)


def is_open(points_px: FloatArray) -> bool:
    """Tell whether the ends of a contour, shape (n, 2), were left apart."""
    if len(points_px) < 3:  # points of a triangle
        return False
    steps = np.linalg.norm(np.diff(points_px, axis=0), axis=1)
    gap = float(np.linalg.norm(points_px[-1] - points_px[0]))
    return gap > max(OPEN_GAP_PX, OPEN_GAP_STEPS * float(np.median(steps)))


def _joined(epicardium: FloatArray, endocardium: FloatArray) -> FloatArray:
    """Join the ends of an open epicardium to the nearest points of the endocardium; shape (n, 2)."""
    ends = [endocardium[np.argmin(np.linalg.norm(endocardium - end, axis=1))] for end in (epicardium[0], epicardium[-1])]
    return np.concatenate([ends[:1], epicardium, ends[1:]])
