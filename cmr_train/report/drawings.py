"""The report's pictures of images, drawn with matplotlib and no global state; equal values give equal bytes."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from cmr_planes.pictures.outlines import SOLID, LineStyle, draw_outlines
from cmr_planes.pictures.palette import position_colour, structure_colour
from cmr_planes.pictures.png import encode_png, encode_webp
from cmr_planes.system.text import counted
from cmr_train.choices import TransferMode
from cmr_train.data.images import normalise
from cmr_train.report.examples import Example, PretextExample

CONTOUR_LINES: tuple[LineStyle, ...] = (
    SOLID,
    (0, (4, 1.5)),
    (0, (1, 1)),
    (0, (4, 1, 1, 1)),
    (0, (6, 1, 1, 1, 1, 1)),
)
"""Of the structures, in the order of their classes."""

CSS_SCALE = 0.64
"""CSS pixels per pixel of a figure: 96 per inch on the page, 150 in the file."""

NARROW_INCHES = 3.8
"""Width of a figure for a narrow window."""

_DPI = 150
_HALO = [withStroke(linewidth=2, foreground="white")]
_OUTLINE, _RIM = 2.0, 3.2
"""Width of an outline, and of the dark rim that shows it on bright blood, in points."""
INK = "#1C2733"
"""Of all that is written."""


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    _pad(figure)
    figure.set_dpi(_DPI)
    return encode_png(figure)


def webp(figure: Figure) -> bytes:
    """Return a figure as WebP."""
    _pad(figure)
    return encode_webp(figure, _DPI)


def _pad(figure: Figure) -> None:
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(w_pad=0.08, h_pad=0.08)


def segmentations(example: Example, classes: dict[int, str], modes: Sequence[TransferMode], per_row: int | None = None) -> Figure:
    """Draw the image, the manual contours and those of each method, by number of subjects (the paper's Figs 3 and 5).

    With ``per_row``, this many panels stand side by side; else those of one number of subjects have one row.
    """
    subjects = sorted({n for n, _ in example.panels})
    window = window_around(example.truth)
    image, truth = normalise(example.image)[window], example.truth[window]
    columns = per_row or 2 + len(modes)
    rows = -(-(2 + len(modes)) // columns)
    width = 1.9 if per_row is None else NARROW_INCHES / columns
    height = max(1.2, width * example.aspect * image.shape[0] / image.shape[1]) + (0 if per_row is None else 0.35)
    figure = Figure(
        figsize=(width * columns + (0.5 if per_row is None else 0), height * rows * len(subjects) + 0.75), layout="constrained"
    )
    grid = figure.subplots(rows * len(subjects), columns, squeeze=False)
    for number, n in enumerate(subjects):
        panels: list[tuple[str, NDArray[np.uint8] | None, float | None]] = [("image", None, None), ("manual", truth, None)]
        for mode in modes:
            panel = example.panels.get((n, mode))
            panels.append((mode.value, None if panel is None else panel.labels[window], math.nan if panel is None else panel.dice))
        own = [*grid[number * rows : (number + 1) * rows].flat]
        for axes in own[len(panels) :]:
            axes.set_axis_off()
        for axes, (title, labels, dice) in zip(own, panels, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=example.aspect, interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if number == 0 or per_row is not None:
                axes.set_title(title, fontsize=10, color=INK)
            if labels is not None:
                draw_outlines(axes, labels, classes, structure_colour, width=_OUTLINE, rim=_RIM, line=_line)
            if dice is not None:
                text = "not there" if labels is None else "no Dice" if math.isnan(dice) else f"Dice {dice:.2f}"
                axes.set_xlabel(text, fontsize=9, color=INK, labelpad=2)
        for axes in grid[number * rows : (number + 1) * rows, 0]:
            axes.set_ylabel(counted(n, "subject"), fontsize=9, color=INK)
    rim = [withStroke(linewidth=_RIM, foreground="black")]
    handles = [
        Line2D([], [], color=structure_colour(v), linestyle=_line(v), linewidth=_OUTLINE, path_effects=rim, label=name)
        for v, name in classes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=9, frameon=False, handlelength=3)
    return figure


def positions(example: PretextExample, classes: dict[int, str], per_row: int = 3) -> Figure:
    """Draw an image with the true and the predicted positions, each box with the number of its class; 3 panels per row, or 1."""
    rows, width = 3 // per_row, 3.0 if per_row > 1 else NARROW_INCHES
    height = width * example.aspect * example.image.shape[0] / example.image.shape[1]
    figure = Figure(figsize=(width * per_row, height * rows + 0.9), layout="constrained")
    image = normalise(example.image)
    for axes, (title, labels) in zip(
        figure.subplots(rows, per_row).flat,
        (("image", None), ("true positions", example.truth), ("predicted positions", example.predicted)),
        strict=True,
    ):
        axes.imshow(image, cmap="gray", vmin=0, vmax=1, aspect=example.aspect, interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.set_title(title, fontsize=10, color=INK)
        if labels is not None:
            for value in classes:
                _draw_position(axes, labels == value, value)
    handles = [
        Line2D([], [], color=position_colour(v), marker="s", linestyle="none", label=f"{v} {name}") for v, name in classes.items()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=5 if per_row > 1 else 2, fontsize=8, frameon=False)
    return figure


def window_around(labels: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the part of an image around all labels, half as much again on every side; all of it where there are none."""
    if not labels.any():
        return slice(0, labels.shape[0]), slice(0, labels.shape[1])
    used = [np.flatnonzero(labels.any(axis=axis)) for axis in (1, 0)]
    margin = max(4, int(0.5 * max(indices[-1] - indices[0] + 1 for indices in used)))
    rows, columns = (
        slice(max(0, int(indices[0]) - margin), min(size, int(indices[-1]) + 1 + margin))
        for indices, size in zip(used, labels.shape, strict=True)
    )
    return rows, columns


def _draw_position(axes: Axes, mask: NDArray[np.bool_], value: int) -> None:
    if not mask.any():
        return
    layer = np.zeros((*mask.shape, 4))
    layer[mask] = to_rgba(position_colour(value), 0.65)
    axes.imshow(layer, aspect=axes.get_aspect(), interpolation="nearest")
    points = np.argwhere(mask)
    row, column = points[np.square(points - points.mean(axis=0)).sum(axis=1).argmin()]
    axes.text(column, row, str(value), fontsize=7, weight="bold", ha="center", va="center", color="black", path_effects=_HALO)


def _line(value: int) -> LineStyle:
    return CONTOUR_LINES[(value - 1) % len(CONTOUR_LINES)]
