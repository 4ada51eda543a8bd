"""From contours to label maps: a pixel belongs to the structure that covers its centre."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from cmr_planes.annotations.model import Contour, Outline
from cmr_planes.geometry.arrays import BoolArray, FloatArray, LabelArray
from cmr_planes.views import Structure

OPEN_GAP_STEPS = 4.0
"""A contour whose ends lie farther apart than so many of its usual steps, and than :data:`OPEN_GAP_PX`, was left open."""
OPEN_GAP_PX = 3.0
"""See :data:`OPEN_GAP_STEPS`; pixels."""

_FILL_ORDER = (
    (Outline.RV_ENDO, Structure.RV),
    (Outline.LV_EPI, Structure.MYO),
    (Outline.LV_ENDO, Structure.LV),
    (Outline.RA, Structure.RA),
    (Outline.LA, Structure.LA),
)
"""What is drawn later covers what is there: the order of ukbb_cardiac."""


STRUCTURES: Mapping[Outline, Structure] = MappingProxyType(dict(_FILL_ORDER))
"""What each kind of contour is drawn as."""


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


def fill_contours(contours: Sequence[Contour], rows: int, columns: int) -> LabelArray:
    """Draw the label map of one image.

    Parameters
    ----------
    contours
        The image's contours, in any order.
    rows, columns
        The matrix.

    Returns
    -------
        Shape (rows, columns). An epicardium without endocardium is muscle all through, as near the apex; an epicardium that was
        left open at the base is joined to the endocardium.
    """
    labels = np.zeros((rows, columns), dtype=np.uint8)
    for outline, structure in _FILL_ORDER:
        labels[fill_outline(contours, outline, rows, columns)] = structure
    return labels


def fill_outline(contours: Sequence[Contour], outline: Outline, rows: int, columns: int) -> BoolArray:
    """Fill an image's contours of one kind, shape (rows, columns); an open epicardium is joined to the endocardium."""
    endocardium = [contour.points_px for contour in contours if contour.outline is Outline.LV_ENDO]
    filled = np.zeros((rows, columns), dtype=np.bool_)
    for contour in contours:
        if contour.outline is outline:
            points = contour.points_px
            if outline is Outline.LV_EPI and endocardium and is_open(points):
                points = _joined(points, np.concatenate(endocardium))
            filled |= fill_polygon(points, rows, columns)
    return filled


def drawn_structures(contours: Iterable[Contour]) -> frozenset[Structure]:
    """Return the structures that an image's contours decide: the muscle only where the epicardium was drawn."""
    outlines = {contour.outline for contour in contours}
    drawn = {Structure.BACKGROUND}
    if outlines & {Outline.LV_ENDO, Outline.LV_EPI}:
        drawn.add(Structure.LV)
    for outline, structure in _FILL_ORDER:
        if outline in outlines:
            drawn.add(structure)
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
