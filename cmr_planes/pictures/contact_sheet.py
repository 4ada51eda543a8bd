"""Contact sheets: each image with its two lines and its nine boxes (Bai et al., MICCAI 2019, figure 1b and c)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, IntArray, LabelArray
from cmr_planes.pictures.outlines import draw_outlines
from cmr_planes.pictures.palette import line_colour, position_colour, structure_colour
from cmr_planes.views import CardiacView, PositionClass, Structure, position_name

PERCENTILES = (1, 99)
"""Intensities, in percent of the pixels, that are drawn black and white."""

COLUMNS = 4
"""Images in one row of a sheet."""

PANEL_INCHES = 3.0
"""Width of an image on a sheet."""

DPI = 150
"""Pixels per inch."""

BACKGROUND, TEXT = "#111111", "#E8E8E8"
"""Colours of a picture's ground and of its words."""

_DRAWN = tuple(structure for structure in Structure if structure)
_GAP_INCHES = 0.08
_HEADING_INCHES = 0.4
_TITLE_INCHES = 0.26
_WARNED_TITLE_INCHES = 0.42
_LEGEND_INCHES = 0.62
_MIN_WIDTH_INCHES = 7.4
"""Of a sheet with a legend: its words stand beside each other."""
_MIN_HEADING_INCHES = 4.6
"""Of any other: its heading fits."""
_NAME_FONTSIZE = 5
"""Of the lines' names."""
_EM_OF_CAPITALS, _EM_PER_CAPITAL, _EM_PER_LETTER = 0.8, 0.75, 0.64
"""Height and width of a bold capital, and width of a letter of a line's name, over the size of their font."""
_WARNING = "#FF5A5F"
_NEUTRAL = "#D8D8D8"
"""Colour of boxes and lines beside labels, whose colours then mean structures alone."""
_ARMS = (
    ((PositionClass.LEFT_NEAR, PositionClass.LEFT_FAR), (PositionClass.RIGHT_NEAR, PositionClass.RIGHT_FAR)),
    ((PositionClass.UPPER_NEAR, PositionClass.UPPER_FAR), (PositionClass.LOWER_NEAR, PositionClass.LOWER_FAR)),
)
"""The near and the far box of both arms of each line."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SheetImage:
    """One image of a sheet."""

    image: NDArray[np.uint16]
    """Shape (rows, columns)."""
    plane: ImagePlane
    """Where it lies: for the shape of its pixels and the letters at its edges."""
    centres_px: FloatArray | None
    """Shape (9, 2), (column, row): the box centres, None for an image without positions."""
    boxes: IntArray | None
    """Shape (9, 4): the boxes' pixel ranges, not clipped."""
    title: str
    """Printed above the image."""
    line_names: tuple[str, str] | None = None
    """Names of the two lines, written at their ends; None to leave them out."""
    has_directions: bool = True
    """Whether the plane's directions are known; if not, there are no letters."""
    labels: LabelArray | None = None
    """Shape (rows, columns): manual labels, None for an image without."""
    warning: str = ""
    """Printed below the title in a colour of alarm, and drawn as a frame."""


def box_letters(view: CardiacView, position: PositionClass) -> str:
    """Return the letters of a box: the side, and 1 for near or 2 for far.

    Examples
    --------
    >>> box_letters(CardiacView.SAX, PositionClass.UPPER_FAR), box_letters(CardiacView.FOUR_CHAMBER, PositionClass.UPPER_FAR)
    ('A2', 'S2')
    >>> box_letters(CardiacView.SAX, PositionClass.INTERSECTION)
    '+'
    """
    if position is PositionClass.INTERSECTION:
        return "+"
    side, distance = position_name(view, position).split()
    return side[0].upper() + ("1" if distance == "near" else "2")


def draw_sheet(view: CardiacView, panels: Sequence[SheetImage], *, heading: str) -> Figure:
    """Draw a contact sheet of images of one view.

    Parameters
    ----------
    view
        The view; its words stand in the legend.
    panels
        At least one image.
    heading
        Printed above the sheet.

    Returns
    -------
        The figure; :func:`cmr_planes.pictures.png.encode_png` makes the file of it.
    """
    n_columns = min(COLUMNS, len(panels))
    rows = [panels[start : start + n_columns] for start in range(0, len(panels), n_columns)]
    titles = [_WARNED_TITLE_INCHES if any(panel.warning for panel in row) else _TITLE_INCHES for row in rows]
    images = [PANEL_INCHES * max(_aspect(panel.plane) for panel in row) for row in rows]
    panels_width = n_columns * (PANEL_INCHES + _GAP_INCHES) + _GAP_INCHES
    has_boxes = any(panel.boxes is not None for panel in panels)
    has_labels = any(panel.labels is not None for panel in panels)
    width = max(panels_width, _MIN_WIDTH_INCHES if has_boxes or has_labels else _MIN_HEADING_INCHES)
    height = _HEADING_INCHES + sum(titles) + sum(images) + _GAP_INCHES * len(rows) + (_LEGEND_INCHES if has_boxes else 0)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=BACKGROUND)
    top = height - _HEADING_INCHES
    for row, title_inches, image_inches in zip(rows, titles, images, strict=True):
        top -= title_inches
        for index, panel in enumerate(row):
            left = (width - panels_width) / 2 + _GAP_INCHES + index * (PANEL_INCHES + _GAP_INCHES)
            panel_inches = PANEL_INCHES * _aspect(panel.plane)
            box = (left / width, (top - panel_inches) / height, PANEL_INCHES / width, panel_inches / height)
            _draw_panel(figure.add_axes(box, facecolor=BACKGROUND), view, panel, is_labelled_sheet=has_labels)
        top -= image_inches + _GAP_INCHES
    figure.text(0.5, 1 - 0.12 / height, heading, color=TEXT, fontsize=12, weight="bold", ha="center", va="top")
    if has_boxes:
        draw_legend(figure, view, panels, is_neutral=has_labels)
    if has_labels:
        _draw_label_legend(figure, panels)
    return figure


def orientation_letters(direction: FloatArray) -> str:
    """Name a direction in the patient by one or two letters, the stronger first.

    Parameters
    ----------
    direction
        Shape (3,), LPS.

    Returns
    -------
        Of L/R (left, right), P/A (posterior, anterior), H/F (head, feet), those above a third of the length.

    Examples
    --------
    >>> orientation_letters(np.array([0.9, 0.0, -0.44]))
    'LF'
    """
    letters = ("L", "P", "H"), ("R", "A", "F")
    unit = direction / np.linalg.norm(direction)
    strongest = sorted(range(3), key=lambda axis: -abs(unit[axis]))[:2]
    return "".join(letters[0 if unit[axis] > 0 else 1][axis] for axis in strongest if abs(unit[axis]) > 1 / 3)


def _aspect(plane: ImagePlane) -> float:
    """Height of an image over its width, in the patient."""
    return plane.rows * plane.row_spacing_mm / (plane.columns * plane.column_spacing_mm)


def _draw_panel(axes: Axes, view: CardiacView, panel: SheetImage, *, is_labelled_sheet: bool) -> None:
    plane = panel.plane
    low, high = np.percentile(panel.image, PERCENTILES)
    axes.imshow(panel.image, cmap="gray", vmin=low, vmax=max(high, low + 1), aspect=plane.row_spacing_mm / plane.column_spacing_mm)
    axes.set_xlim(-0.5, plane.columns - 0.5)
    axes.set_ylim(plane.rows - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(bool(panel.warning))
        spine.set_color(_WARNING)
        spine.set_linewidth(2)
    words = f"{panel.title} · no labels" if is_labelled_sheet and panel.labels is None else panel.title
    title = axes.set_title(words, color=TEXT, fontsize=8.5, pad=3)
    if panel.warning:
        title.set_text(f"{words}\n{panel.warning}")
        title.set_color(_WARNING)
    if panel.has_directions:
        _draw_edge_letters(axes, plane)
    if panel.labels is not None:
        draw_outlines(axes, panel.labels, _DRAWN, structure_colour, width=0.9, rim=1.6)
    if panel.centres_px is not None and panel.boxes is not None:
        _draw_lines(axes, panel.centres_px, panel.boxes, panel, is_neutral=is_labelled_sheet)
        draw_boxes(axes, view, panel.boxes, plane, is_neutral=is_labelled_sheet)


def _draw_edge_letters(axes: Axes, plane: ImagePlane) -> None:
    """Say towards which side of the patient the image's right and lower edges lie."""
    style = {"color": TEXT, "fontsize": 7, "style": "italic", "transform": axes.transAxes, "alpha": 0.85}
    outline = [Stroke(linewidth=1.6, foreground="black")]
    for place, direction in (
        ((0.985, 0.5), plane.row_cosine),
        ((0.015, 0.5), -plane.row_cosine),
        ((0.5, 0.02), plane.column_cosine),
        ((0.5, 0.98), -plane.column_cosine),
    ):
        horizontal = {0.985: "right", 0.015: "left"}.get(place[0], "center")
        vertical = {0.02: "bottom", 0.98: "top"}.get(place[1], "center")
        text = axes.text(*place, orientation_letters(direction)[0], ha=horizontal, va=vertical, **style)  # type: ignore[arg-type]
        text.set_path_effects([*outline, Normal()])


def _draw_label_legend(figure: Figure, panels: Sequence[SheetImage]) -> None:
    """Name the structures that occur, at the right of the heading."""
    width, height = figure.get_size_inches()
    present = set().union(*(np.unique(panel.labels).tolist() for panel in panels if panel.labels is not None))
    shown = [structure for structure in reversed(_DRAWN) if structure in present]
    for index, structure in enumerate(shown):
        corner = (1 - (0.12 + 0.38 * index) / width, 1 - 0.14 / height)
        figure.text(*corner, structure.title, color=structure_colour(structure), fontsize=8, weight="bold", ha="right", va="top")


def _draw_lines(axes: Axes, centres_px: FloatArray, boxes: IntArray, panel: SheetImage, *, is_neutral: bool) -> None:
    """Draw the two lines across the whole image, each with its name where all of it is inside, if possible beside the boxes."""
    for number, (first_arm, second_arm) in enumerate(_ARMS):
        colour = _NEUTRAL if is_neutral else line_colour(number)
        axes.axline(tuple(centres_px[0]), tuple(centres_px[first_arm[1] - 1]), color=colour, linewidth=0.5, alpha=0.75)
        if panel.line_names is None:
            continue
        across, down = centres_px[first_arm[1] - 1] - centres_px[0]
        angle_deg = np.degrees(np.arctan2(-down * panel.plane.row_spacing_mm, across * panel.plane.column_spacing_mm))
        angle = np.radians(angle_deg)
        reach = 0.5 * _text_size_px(axes, panel.plane, panel.line_names[number], _NAME_FONTSIZE, _EM_PER_LETTER)[0]
        half = reach * np.abs([np.cos(angle), np.sin(angle)]) * [1, panel.plane.column_spacing_mm / panel.plane.row_spacing_mm]
        places = _name_places((second_arm, first_arm), centres_px, boxes, half)
        whole = [place for place in places if _is_in(place - half, panel.plane) and _is_in(place + half, panel.plane)]
        if not whole:
            continue
        text = axes.text(
            float(whole[0][0]),
            float(whole[0][1]),
            panel.line_names[number],
            color=colour,
            fontsize=_NAME_FONTSIZE,
            rotation=(angle_deg + 90) % 180 - 90,
            ha="center",
            va="center",
            rotation_mode="anchor",
            clip_on=True,
        )
        text.set_path_effects([Stroke(linewidth=1.4, foreground="black"), Normal()])


def _name_places(
    arms: Sequence[tuple[PositionClass, PositionClass]], centres_px: FloatArray, boxes: IntArray, half: FloatArray
) -> list[FloatArray]:
    """Return where the name of a line may stand, the best first: where it covers no box, then anywhere between two.

    Parameters
    ----------
    arms
        The near and the far box on either side.
    centres_px
        Centres of all boxes, shape (9, 2), (column, row).
    boxes
        Their pixel ranges, shape (9, 4).
    half
        Half of the name's extent along the line, shape (2,), (columns, rows).
    """
    between: list[FloatArray] = []
    covering: list[FloatArray] = []
    beyond, inner = [], []
    for near, far in arms:
        near_px, far_px = centres_px[near - 1], centres_px[far - 1]
        way = far_px - near_px
        edge = _edge(boxes[far - 1], way)
        is_free = np.hypot(*way) >= 2 * (np.hypot(*half) + np.hypot(*edge))
        (between if is_free else covering).append((near_px + far_px) / 2)
        beyond.append(far_px + edge + way / np.hypot(*way) * (np.hypot(*half) + 1))
        inner.append((centres_px[PositionClass.INTERSECTION - 1] + near_px) / 2)
    return [*between, *beyond, *covering, *inner]


def _edge(box: IntArray, way: FloatArray) -> FloatArray:
    """Return the step from a box's centre to its border in a direction, both (columns, rows)."""
    row_start, row_stop, column_start, column_stop = box
    size = np.array([column_stop - column_start, row_stop - row_start])
    step: FloatArray = way * np.min(size / 2 / np.maximum(np.abs(way), 1e-9))
    return step


def draw_boxes(
    axes: Axes,
    view: CardiacView,
    boxes: IntArray,
    plane: ImagePlane,
    *,
    is_neutral: bool = False,
    fontsize: float = 5.5,
    linewidth: float = 0.9,
) -> None:
    """Outline boxes, pixel ranges of shape (9, 4), as far as they are inside the image of a plane, and letter them."""
    for position in PositionClass:
        if position is PositionClass.BACKGROUND:
            continue
        row_start, row_stop, column_start, column_stop = _inside(boxes[position - 1], plane)
        if row_stop <= row_start or column_stop <= column_start:
            continue
        colour = _NEUTRAL if is_neutral else position_colour(position)
        corner = (column_start - 0.5, row_start - 0.5)
        size = (column_stop - column_start, row_stop - row_start)
        outline = Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=linewidth)
        outline.set_path_effects([Stroke(linewidth=linewidth + 0.8, foreground="black", alpha=0.6), Normal()])
        axes.add_patch(outline)
        text = axes.text(
            *_letters_place(
                (row_start, row_stop, column_start, column_stop), plane, _text_size_px(axes, plane, "A2", fontsize, _EM_PER_CAPITAL)
            ),
            box_letters(view, position),
            color=colour,
            fontsize=fontsize,
            weight="bold",
            ha="center",
            va="center_baseline",
            clip_on=True,
        )
        text.set_path_effects([Stroke(linewidth=fontsize / 4, foreground="black"), Normal()])


def _text_size_px(axes: Axes, plane: ImagePlane, words: str, fontsize: float, em_per_letter: float) -> tuple[float, float]:
    """Return about how many columns and rows of an image some words cover."""
    width, height = axes.bbox.width / plane.columns, axes.bbox.height / plane.rows  # of a pixel of the image on the figure
    size = fontsize * axes.figure.dpi / 72
    return em_per_letter * size * len(words) / width, _EM_OF_CAPITALS * size / height


def _is_in(place: FloatArray, plane: ImagePlane) -> bool:
    """Tell whether a point, (column, row), lies in an image."""
    return bool((place >= -0.5).all() and place[0] <= plane.columns - 0.5 and place[1] <= plane.rows - 0.5)


def _letters_place(inside: tuple[int, int, int, int], plane: ImagePlane, size: tuple[float, float]) -> tuple[float, float]:
    """Return where a box's letters stand, (column, row): in its middle, or beside what the border leaves of it if that is small."""
    row_start, row_stop, column_start, column_stop = inside
    return (
        _middle(column_start, column_stop, plane.columns, size[0]),
        _middle(row_start, row_stop, plane.rows, size[1]),
    )


def _middle(start: int, stop: int, n_pixels: int, size: float) -> float:
    """Return the middle of a span, or a place beside it towards the image's middle for what is larger than the span."""
    if stop - start >= size:
        return (start + stop - 1) / 2
    return stop - 0.5 + size / 2 if start + stop < n_pixels else start - 0.5 - size / 2


def _inside(box: IntArray, plane: ImagePlane) -> tuple[int, int, int, int]:
    """Return the part of a box that lies inside the image: first row, row past the last, and the same of columns."""
    row_start, row_stop, column_start, column_stop = box.tolist()
    return max(row_start, 0), min(row_stop, plane.rows), max(column_start, 0), min(column_stop, plane.columns)


def _is_seen(panels: Sequence[SheetImage], position: PositionClass) -> bool:
    """Tell whether a box lies in any image of a sheet."""
    boxes = [_inside(panel.boxes[position - 1], panel.plane) for panel in panels if panel.boxes is not None]
    return any(row_stop > row_start and column_stop > column_start for row_start, row_stop, column_start, column_stop in boxes)


def draw_legend(
    figure: Figure,
    view: CardiacView,
    panels: Sequence[SheetImage],
    *,
    is_neutral: bool = False,
    fontsize: float = 8,
    row_inches: float = 0.22,
    column_inches: float = 2.1,
) -> None:
    """Name the letters and classes below a picture in the view's words: near ones in the first row, far ones below them."""
    width, height = figure.get_size_inches()
    for position in PositionClass:
        if position is PositionClass.BACKGROUND:
            continue
        column, row = divmod(position, 2)
        place = f"{position:d}" if _is_seen(panels, position) else f"{position:d}, outside"
        words = f"{box_letters(view, position)}  {position_name(view, position)} ({place})"
        if position is PositionClass.INTERSECTION:
            column, row = 0, 0
        figure.text(
            0.5 + (column - 2) * min(0.2, column_inches / width),
            (_LEGEND_INCHES - 0.14 - row_inches * row) / height,
            words,
            color=_NEUTRAL if is_neutral else position_colour(position),
            fontsize=fontsize,
            ha="center",
            va="top",
        )
