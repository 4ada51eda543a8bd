"""Contours of masks, and the distances between them: the geometry under :mod:`cmr_train.evaluation.metrics`.

A *layer* is one mask of a stack: one structure in one slice. All layers are worked on at once.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
CountArray = NDArray[np.uint8]

_RING = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))
"""The eight neighbours of a pixel in clockwise order, (row, column); every other one, from the first, shares an edge with it."""

_LEAF_SIZE = 32


def outer_contours(masks: BoolArray) -> CountArray:
    """Find the points of the outer contours, and how often each contour passes them.

    Parameters
    ----------
    masks
        Shape (layers, rows, columns).

    Returns
    -------
        The same shape: 0 off the contours, else the number of times that the point stands in them, 1 to 4; the sum over a layer
        is the number of points that OpenCV's ``findContours(mask, RETR_EXTERNAL, CHAIN_APPROX_NONE)`` returns.

    Notes
    -----
    The background that surrounds a part is what is 4-connected with the outside of the image. A walk round an 8-connected part
    passes a pixel once for every run of that background in the ring of the pixel's eight neighbours that holds an edge
    neighbour. A run ends at the edge neighbour k if the corner k + 1 or the edge neighbour k + 2 is not in it; so the ends are
    counted. A ring that is all background has no end, and is one run.
    """
    from scipy.ndimage import label  # here, since rooms that import this one's names alone measure nothing

    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    width = padded.shape[2]
    # The padding joins the outsides of all layers to one component when the layers stand below one another.
    components, _ = label(~padded.reshape(-1, width))
    outside = np.ravel(components == 1)
    inside = np.flatnonzero(padded)
    ring = [outside[inside + (rows * width + columns)] for rows, columns in _RING]
    ends = np.zeros(len(inside), dtype=np.uint8)
    for k in range(0, 8, 2):
        ends += ring[k] & ~(ring[k + 1] & ring[(k + 2) % 8])
    is_alone = np.logical_and.reduce(ring)
    counts = np.zeros(padded.shape, dtype=np.uint8)
    counts.reshape(-1)[inside] = ends + is_alone
    return counts[:, 1:-1, 1:-1]


def all_borders(masks: BoolArray) -> CountArray:
    """Mark the pixels of which an edge neighbour is outside the mask, or outside the image.

    Parameters
    ----------
    masks
        Shape (layers, rows, columns).

    Returns
    -------
        The same shape: 1 on borders, else 0.
    """
    padded = np.pad(masks, ((0, 0), (1, 1), (1, 1)))
    inner = padded[:, :-2, 1:-1] & padded[:, 2:, 1:-1] & padded[:, 1:-1, :-2] & padded[:, 1:-1, 2:]
    return (masks & ~inner).view(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DirectedDistances:
    """The distance of every contour point of one side to the nearest contour point of the other side in its layer."""

    n_layers: int
    """Number of layers; each has at least one point."""
    layer: IntArray
    """Shape (points,): the point's layer, ascending."""
    distance_mm: FloatArray
    """Shape (points,)."""
    count: CountArray
    """Shape (points,): how often the point counts."""

    def n_points(self) -> FloatArray:
        """Return the number of points in each layer, each as often as it counts; shape (layers,)."""
        return self._sum(self.count)

    def sum_mm(self) -> FloatArray:
        """Return the sum of the distances in each layer, shape (layers,)."""
        return self._sum(self.count * self.distance_mm)

    def mean_mm(self) -> FloatArray:
        """Return the mean distance in each layer, shape (layers,)."""
        mean: FloatArray = self.sum_mm() / self.n_points()
        return mean

    def percentile_mm(self, percent: float) -> FloatArray:
        """Return a percentile of the distances in each layer, linear between ranks, shape (layers,); every point counts once."""
        n_points = np.bincount(self.layer, minlength=self.n_layers)
        start = np.cumsum(n_points) - n_points
        ranked = self.distance_mm[np.lexsort((self.distance_mm, self.layer))]
        rank = (n_points - 1) * (percent / 100)
        below = np.floor(rank).astype(np.int64)
        low, high = ranked[start + below], ranked[start + np.minimum(below + 1, n_points - 1)]
        percentile: FloatArray = low + (high - low) * (rank - below)
        return percentile

    def _sum(self, values: NDArray[Any]) -> FloatArray:
        """Add up the values of the points, shape (points,), in each layer."""
        return np.asarray(np.bincount(self.layer, values, minlength=self.n_layers), dtype=np.float64)


def directed_distances(
    first: CountArray, second: CountArray, spacing_mm: FloatArray
) -> tuple[DirectedDistances, DirectedDistances]:
    """Measure from each contour to the other, in all layers.

    Parameters
    ----------
    first, second
        Shape (layers, rows, columns): contours, as :func:`outer_contours` and :func:`all_borders` return them. No layer is empty.
    spacing_mm
        Shape (layers, 2): distance between rows, distance between columns.

    Returns
    -------
        From the first to the second, and from the second to the first.
    """
    from scipy.spatial import KDTree  # as above

    rows, columns = first.shape[1:]
    # So far apart that the nearest point of another layer is always farther than any point of the same layer.
    layer_distance_mm = 2 * float((spacing_mm @ (rows, columns)).max(initial=0.0))
    sides = []
    for contour in (first, second):
        points = np.flatnonzero(contour)
        layer, row, column = np.unravel_index(points, contour.shape)
        points_mm = np.stack([layer * layer_distance_mm, row * spacing_mm[layer, 0], column * spacing_mm[layer, 1]], axis=1)
        sides.append((layer, points_mm, contour.reshape(-1)[points]))
    results = []
    for (layer, points_mm, count), (_, others_mm, _) in (sides, sides[::-1]):
        distance_mm = np.zeros(0)
        if len(points_mm):
            distance_mm = np.asarray(KDTree(others_mm, leafsize=_LEAF_SIZE).query(points_mm)[0])
        results.append(DirectedDistances(n_layers=len(first), layer=layer, distance_mm=distance_mm, count=count))
    return results[0], results[1]
