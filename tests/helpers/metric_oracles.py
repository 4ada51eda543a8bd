"""Metrics as they are defined, pixel by pixel and loop by loop: slow, and with nothing in common with the code under test."""

import math

import numpy as np

EIGHT = [(0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1)]
"""Neighbours as (row, column), counter-clockwise on an image whose rows run down."""
FOUR = [(0, 1), (-1, 0), (0, -1), (1, 0)]


def pixel(mask, row, column):
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])


def outside_of(mask):
    """The background that is 4-connected with the outside of the image, as a set; the frame around the image belongs to it."""
    rows, columns = mask.shape
    reached, waiting = {(-1, -1)}, [(-1, -1)]
    while waiting:
        row, column = waiting.pop()
        for down, right in FOUR:
            new = (row + down, column + right)
            if new not in reached and -1 <= new[0] <= rows and -1 <= new[1] <= columns and not pixel(mask, *new):
                reached.add(new)
                waiting.append(new)
    return reached


def component_of(mask, start):
    """The 8-connected part of the mask that holds a pixel, as a set."""
    reached, waiting = {start}, [start]
    while waiting:
        row, column = waiting.pop()
        for down, right in EIGHT:
            new = (row + down, column + right)
            if new not in reached and pixel(mask, *new):
                reached.add(new)
                waiting.append(new)
    return reached


def follow_border(mask, start):
    """Suzuki and Abe 1985, appendix 1, steps 3.1 to 3.5, for the outer border that begins at ``start``: its pixels in order."""
    origin = (start[0], start[1] - 1)

    def neighbours(centre, first, step):
        """The ring around ``centre``, beginning after the pixel ``first``, counter-clockwise (step 1) or clockwise (-1)."""
        begin = EIGHT.index((first[0] - centre[0], first[1] - centre[1]))
        for k in range(1, 9):
            down, right = EIGHT[(begin + step * k) % 8]
            yield centre[0] + down, centre[1] + right

    first = next((each for each in neighbours(start, origin, -1) if pixel(mask, *each)), None)
    if first is None:
        return [start]
    border, before, here = [], first, start
    while True:
        after = next(each for each in neighbours(here, before, 1) if pixel(mask, *each))
        border.append(here)
        if after == start and here == first:
            return border
        before, here = here, after


def external_contours(mask):
    """What ``cv2.findContours(mask, RETR_EXTERNAL, CHAIN_APPROX_NONE)`` returns: lists of (row, column).

    One outer border for every 8-connected part that touches the outside; parts inside the hole of another are skipped.
    """
    outside, seen, contours = outside_of(mask), set(), []
    for row, column in zip(*np.nonzero(mask), strict=True):
        start = (int(row), int(column))
        if start in seen:
            continue
        part = component_of(mask, start)
        seen |= part
        if (start[0], start[1] - 1) in outside:  # raster order: what is left of a part's first pixel is around the part
            contours.append(follow_border(mask, start))
    return contours


def border_pixels(mask):
    """Pixels of the mask that have an edge neighbour outside the mask or the image."""
    return [
        (int(row), int(column))
        for row, column in zip(*np.nonzero(mask), strict=True)
        if any(not pixel(mask, row + down, column + right) for down, right in FOUR)
    ]


def nearest(points, others, spacing_mm):
    """For every point the distance to the nearest of the others, in mm."""
    return [
        min(
            math.hypot((row - other_row) * spacing_mm[0], (column - other_column) * spacing_mm[1])
            for other_row, other_column in others
        )
        for row, column in points
    ]


def mean_over_slices(truth, prediction, measure):
    values = [measure(a, b) for a, b in zip(truth, prediction, strict=True) if a.any() and b.any()]
    return sum(values) / len(values) if values else math.nan


def bai2019(truth, prediction, spacing_mm):
    """Mean contour distance as in the published code of Bai et al.; masks of shape (slices, rows, columns)."""

    def measure(a, b):
        points_a, points_b = ([point for contour in external_contours(mask) for point in contour] for mask in (a, b))
        there, back = nearest(points_a, points_b, spacing_mm), nearest(points_b, points_a, spacing_mm)
        return 0.5 * (sum(there) / len(there) + sum(back) / len(back))

    return mean_over_slices(truth, prediction, measure)


def all_borders(truth, prediction, spacing_mm):
    """Mean over the border pixels of both masks."""

    def measure(a, b):
        points_a, points_b = border_pixels(a), border_pixels(b)
        distances = nearest(points_a, points_b, spacing_mm) + nearest(points_b, points_a, spacing_mm)
        return sum(distances) / len(distances)

    return mean_over_slices(truth, prediction, measure)


def hausdorff95(truth, prediction, spacing_mm):
    """The larger directed 95th percentile."""

    def measure(a, b):
        points_a, points_b = border_pixels(a), border_pixels(b)
        there, back = nearest(points_a, points_b, spacing_mm), nearest(points_b, points_a, spacing_mm)
        return max(np.percentile(there, 95), np.percentile(back, 95))

    return mean_over_slices(truth, prediction, measure)


def dice(truth, prediction):
    """Twice the common pixels over all pixels."""
    common = sum(1 for a, b in zip(truth.ravel(), prediction.ravel(), strict=True) if a and b)
    total = int(truth.sum()) + int(prediction.sum())
    return 2 * common / total if total else math.nan
