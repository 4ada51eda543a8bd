"""Contact sheets of the outlines of label maps on their images: one row per phase, one column per slice."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from cmr_planes.pictures.outlines import draw_outlines
from cmr_train.data.images import normalise

MARGIN_PX = 24
"""Image that is shown around the labels."""

MAX_PHASES = 4
"""Rows of a sheet; of more phases, this many are shown at equal distances."""

_OUTLINE, _RIM = 1.1, 2.0
"""Width of an outline, and of the dark rim that shows it on bright blood, in points."""
_PANEL_INCHES = 1.7
_HEADING_INCHES = 0.35
_LEGEND_INCHES = 0.35
_DPI = 130
_BACKGROUND = "#111111"
_TEXT = "#E8E8E8"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sheet:
    """Images and labels of one sheet."""

    images: Sequence[Sequence[NDArray[np.uint16]]]
    """By phase and slice, each of shape (rows, columns)."""
    labels: NDArray[np.uint8]
    """Shape (phases, slices, rows, columns)."""
    phases: tuple[str, ...]
    """Name of each phase."""
    classes: dict[int, str]
    """Names of the classes that are drawn."""
    colour: Callable[[int], str]
    """Colour of a class, ``#RRGGBB``."""
    aspect: float
    """Distance between rows over distance between columns."""
    heading: str
    """Printed above."""


def draw(sheet: Sheet) -> Figure:
    """Draw a contact sheet."""
    n_phases, n_slices = sheet.labels.shape[:2]
    shown = np.unique(np.linspace(0, n_phases - 1, min(n_phases, MAX_PHASES)).round().astype(int)).tolist()
    window = _window(sheet.labels)
    height_ratio = sheet.aspect * (window[0].stop - window[0].start) / (window[1].stop - window[1].start)
    panels = np.array([n_slices * _PANEL_INCHES, len(shown) * _PANEL_INCHES * height_ratio])
    width, height = max(panels[0], 6.0), panels[1] + _HEADING_INCHES + _LEGEND_INCHES
    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor=_BACKGROUND)
    grid = figure.subplots(
        len(shown),
        n_slices,
        squeeze=False,
        gridspec_kw={
            "left": (width - panels[0]) / 2 / width,
            "right": (width + panels[0]) / 2 / width,
            "bottom": _LEGEND_INCHES / height,
            "top": 1 - _HEADING_INCHES / height,
            "wspace": 0.03,
            "hspace": 0.03,
        },
    )
    for row, phase in enumerate(shown):
        for number in range(n_slices):
            title = f"{sheet.phases[phase].upper()}, slice {number + 1}"
            _draw_panel(grid[row, number], sheet.images[phase][number][window], sheet.labels[phase, number][window], title, sheet)
    figure.text(0.5, 1 - 0.1 / height, sheet.heading, color=_TEXT, fontsize=10, weight="bold", ha="center", va="top")
    handles = [Line2D([], [], color=sheet.colour(value), linewidth=2, label=name) for value, name in sheet.classes.items()]
    figure.legend(
        handles=handles, loc="lower center", ncols=len(handles), fontsize=7, frameon=False, labelcolor=_TEXT, borderaxespad=0.2
    )
    return figure


def _draw_panel(axes: Axes, image: NDArray[np.uint16], labels: NDArray[np.uint8], title: str, sheet: Sheet) -> None:
    axes.imshow(normalise(image), cmap="gray", vmin=0, vmax=1, aspect=sheet.aspect, interpolation="nearest")
    draw_outlines(axes, labels, sheet.classes, sheet.colour, width=_OUTLINE, rim=_RIM)
    axes.set_axis_off()
    rim = [withStroke(linewidth=1.5, foreground="black")]
    axes.text(0.03, 0.97, title, color=_TEXT, fontsize=6, ha="left", va="top", transform=axes.transAxes, path_effects=rim)


def _window(labels: NDArray[np.uint8]) -> tuple[slice, slice]:
    """Return the part of the image around all labels; the whole image where there are none."""
    used = np.asarray(labels.any(axis=(0, 1)))
    if not used.any():
        return slice(0, used.shape[0]), slice(0, used.shape[1])
    ranges = []
    for axis in (1, 0):
        indices = np.flatnonzero(used.any(axis=axis))
        ranges.append(slice(max(0, int(indices[0]) - MARGIN_PX), int(indices[-1]) + 1 + MARGIN_PX))
    rows, columns = ranges
    return slice(rows.start, min(rows.stop, used.shape[0])), slice(columns.start, min(columns.stop, used.shape[1]))
