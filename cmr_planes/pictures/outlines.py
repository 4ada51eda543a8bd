"""Outlines of label maps on images."""

from collections.abc import Callable, Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke

from cmr_planes.geometry.arrays import LabelArray

LineStyle = tuple[float, tuple[float, ...]]
"""Offset, and the lengths of dashes and gaps in widths of the line; no lengths for a solid line."""

SOLID: LineStyle = (0, ())


def draw_outlines(
    axes: Axes,
    labels: LabelArray,
    classes: Iterable[int],
    colour: Callable[[int], str],
    *,
    width: float,
    rim: float,
    line: Callable[[int], LineStyle] = lambda _: SOLID,
) -> None:
    """Draw the outline of each class half-way between its pixels and the others, and at the border of the image.

    Parameters
    ----------
    axes
        Where the image is drawn, with integers at pixel centres; its limits become those of the image.
    labels
        Shape (rows, columns).
    classes
        Their values; the outline of the first lies above all others, with which it may share edges.
    colour
        Colour of a class.
    width, rim
        Width of an outline, and of the dark rim that shows it on bright blood, in points.
    line
        Line style of a class.
    """
    rows, columns = (np.arange(-1, size + 1) for size in labels.shape)
    for value in reversed([*classes]):
        mask = np.pad(labels == value, 1)
        if mask.any():
            outline = axes.contour(
                columns,
                rows,
                mask.astype(np.float64),
                levels=[0.5],
                colors=[colour(value)],
                linestyles=[line(value)],
                linewidths=width,
            )
            outline.set_path_effects([withStroke(linewidth=rim, foreground="black")])
    axes.set(xlim=(-0.5, labels.shape[1] - 0.5), ylim=(labels.shape[0] - 0.5, -0.5))
