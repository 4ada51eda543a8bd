"""Three planes in space with their images, the lines that they leave on each other, and the boxes of the short axis.

Each pixel of the scene is the nearest plane on the way to a far viewer, found by arithmetic: planes that cut each other hide each
other where they do in space, which drawing them one after another cannot show.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from matplotlib.patheffects import Normal, Stroke
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from cmr_planes.geometry import ImagePlane
from cmr_planes.geometry.arrays import FloatArray, IntArray
from cmr_planes.pictures.contact_sheet import BACKGROUND, DPI, PERCENTILES, TEXT, SheetImage, box_letters, draw_boxes, draw_legend
from cmr_planes.pictures.palette import line_colour, position_colour
from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass

VIEWER = np.array([0.42, -0.78, 0.46])
"""Towards the viewer, LPS: left, in front and above, as far as all three planes are then seen from a side."""

MARGIN_MM = 9.0
"""Of a plane that is shown around the outermost boxes."""

LONG_AXIS_SHARE = 0.85
"""How far the long-axis planes are shown from the centre, as a part of the short axis's farthest edge."""

_SCENE_PX, _OVERSAMPLING = 720, 2
_DARKEST = 0.07
"""Brightness of what is black in an image, so that planes are seen before the background."""
_NAME_MM = 9.0
"""Distance of a plane's name from its corner."""
_SAME_MM = 0.5
"""A point that lies farther behind a plane is hidden by it."""
_NEAR_MM = 4.0
"""The like for the middle of a box, which lies on two planes."""
_THROUGH = 0.45
"""Opacity of outlines behind a plane."""
_LINE_MM, _EDGE_MM, _BOX_MM = 1.1, 1.6, 1.5
_SIZE_INCHES = (12.6, 5.35)
_FRAMES = {CardiacView.SAX: TEXT, CardiacView.FOUR_CHAMBER: line_colour(0), CardiacView.TWO_CHAMBER: line_colour(1)}
"""Colours of the planes' edges: those of the lines that they leave on the short axis."""


@dataclass(frozen=True, slots=True, eq=False)
class PlaneImage:
    """An image and where it lies."""

    image: NDArray[np.uint16]
    """Shape (rows, columns)."""
    plane: ImagePlane
    """Its plane."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """The three planes of one subject."""

    images: Mapping[CardiacView, PlaneImage]
    """SAX, 2Ch and 4Ch; of SAX a slice that has positions."""
    centres_px: FloatArray
    """Shape (9, 2), (column, row): the box centres on the short-axis image."""
    boxes: IntArray
    """Shape (9, 4): the boxes' pixel ranges there, not clipped."""
    title: str
    """Printed above the picture."""


@dataclass(frozen=True, slots=True, eq=False)
class _Camera:
    """A far viewer, whose eye is on the point in which the planes meet."""

    centre_mm: FloatArray
    right: FloatArray
    up: FloatArray
    towards: FloatArray

    def project(self, point_mm: FloatArray) -> FloatArray:
        """Return where points of shape (..., 3) are seen: to the right, up, and towards the viewer, in mm."""
        offset = point_mm - self.centre_mm
        return np.stack([offset @ self.right, offset @ self.up, offset @ self.towards], axis=-1)


def draw_scene(scene: Scene) -> Figure:
    """Draw the planes in space, their lines on the short-axis image, and the nine boxes, from left to right.

    Parameters
    ----------
    scene
        The subject.

    Returns
    -------
        The figure; :func:`cmr_planes.pictures.png.encode_png` makes the file of it.
    """
    width, height = _SIZE_INCHES
    figure = Figure(figsize=_SIZE_INCHES, dpi=DPI, facecolor=BACKGROUND)
    figure.text(0.5, 1 - 0.14 / height, scene.title, color=TEXT, fontsize=14, weight="bold", ha="center", va="top")
    bottom, top, side = 0.7, height - 0.86, 3.36
    middle = (bottom + top - side) / 2
    space = figure.add_axes((0.1 / width, bottom / height, (width - 2 * side - 1.25) / width, (top - bottom) / height))
    lines = figure.add_axes(((width - 2 * side - 0.7) / width, middle / height, side / width, side / height))
    boxes = figure.add_axes(((width - side - 0.15) / width, middle / height, side / width, side / height))
    _draw_space(space, scene)
    _draw_short_axis(lines, scene)
    _draw_lines(lines, scene.centres_px, linewidth=1.6)
    _name_lines(lines, scene)
    _draw_short_axis(boxes, scene)
    _draw_lines(boxes, scene.centres_px, linewidth=0.9)
    draw_boxes(boxes, CardiacView.SAX, scene.boxes, scene.images[CardiacView.SAX].plane, fontsize=9, linewidth=1.5)
    titles = ("three planes in space", "their lines on a short-axis image", "nine boxes")
    for axes, words in zip((space, lines, boxes), titles, strict=True):
        place = axes.get_position()
        figure.text((place.x0 + place.x1) / 2, 1 - 0.56 / height, words, color=TEXT, fontsize=12.5, ha="center", va="top")
    for left, right in ((space, lines), (lines, boxes)):
        start, end = left.get_position().x1, right.get_position().x0
        y = (bottom + top) / 2 / height
        span = end - start
        figure.add_artist(
            ConnectionPatch(
                (start + 0.08 * span, y),
                (end - 0.08 * span, y),
                "figure fraction",
                arrowstyle="-|>,head_width=0.35,head_length=0.6",
                color=TEXT,
                linewidth=1.8,
                shrinkA=0,
                shrinkB=0,
            )
        )
    draw_legend(figure, CardiacView.SAX, [_short_axis(scene)], fontsize=11, row_inches=0.25, column_inches=2.3)
    return figure


def _draw_space(axes: Axes, scene: Scene) -> None:
    """Draw the scene and name its planes."""
    centre_mm = scene.images[CardiacView.SAX].plane.pixel_to_patient(scene.centres_px[0])
    sheets, camera = _sheets(scene, centre_mm), _camera(scene, centre_mm)
    corners = {view: camera.project(sheet.corners_mm(centre_mm)) for view, sheet in sheets.items()}
    outline = np.concatenate([*corners.values()])[:, :2]
    (left, bottom), (right, top) = outline.min(axis=0) - 2 * _NAME_MM, outline.max(axis=0) + 2 * _NAME_MM
    extent = (float(left), float(right), float(bottom), float(top))
    picture, depth = _render(sheets, scene, camera, extent)
    axes.imshow(picture, extent=extent, interpolation="antialiased")
    axes.set(xlim=extent[:2], ylim=extent[2:], xticks=[], yticks=[], aspect="equal")
    axes.set_facecolor(BACKGROUND)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _letter_boxes(axes, scene, camera, depth, extent)
    for view in TARGET_VIEWS:
        _name_plane(axes, view, corners[view])


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """The part of a plane that is shown, in mm from the point in which the planes meet."""

    image: PlaneImage
    bounds_mm: tuple[float, float, float, float]
    """Along the rows from and to, along the columns from and to."""

    def corners_mm(self, centre_mm: FloatArray) -> FloatArray:
        """Return its corners in the patient, shape (4, 3), in the order of going round."""
        left, right, top, bottom = self.bounds_mm
        plane = self.image.plane
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        offsets = [a * plane.row_cosine + b * plane.column_cosine for a, b in corners]
        return np.asarray(centre_mm + np.array(offsets), dtype=np.float64)


def _sheets(scene: Scene, centre_mm: FloatArray) -> dict[CardiacView, _Sheet]:
    """Cut the planes: the short axis around its boxes, the others as far from the centre as that reaches; none beyond its image."""
    short_axis = scene.images[CardiacView.SAX].plane
    rows, columns = scene.boxes[:, :2] - 0.5, scene.boxes[:, 2:] - 0.5
    centre = scene.centres_px[0]
    around = (
        (columns.min() - centre[0]) * short_axis.column_spacing_mm - MARGIN_MM,
        (columns.max() - centre[0]) * short_axis.column_spacing_mm + MARGIN_MM,
        (rows.min() - centre[1]) * short_axis.row_spacing_mm - MARGIN_MM,
        (rows.max() - centre[1]) * short_axis.row_spacing_mm + MARGIN_MM,
    )
    reach = max(map(abs, around)) * LONG_AXIS_SHARE
    wanted = {view: around if view is CardiacView.SAX else (-reach, reach, -reach, reach) for view in TARGET_VIEWS}
    return {view: _Sheet(scene.images[view], _within(scene.images[view].plane, centre_mm, wanted[view])) for view in TARGET_VIEWS}


def _within(plane: ImagePlane, centre_mm: FloatArray, wanted: tuple[float, ...]) -> tuple[float, float, float, float]:
    """Cut what is wanted of a plane at the edges of its image."""
    column, row = plane.patient_to_pixel(centre_mm)[:2].tolist()
    return (
        max(wanted[0], (-0.5 - column) * plane.column_spacing_mm),
        min(wanted[1], (plane.columns - 0.5 - column) * plane.column_spacing_mm),
        max(wanted[2], (-0.5 - row) * plane.row_spacing_mm),
        min(wanted[3], (plane.rows - 0.5 - row) * plane.row_spacing_mm),
    )


def _camera(scene: Scene, centre_mm: FloatArray) -> _Camera:
    """Look from that of the eight sides from which all planes are seen as slantwise that lies nearest to :data:`VIEWER`."""
    normals = np.stack([scene.images[view].plane.normal for view in TARGET_VIEWS])
    signs = np.array([(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)], dtype=np.float64)
    sides = np.linalg.solve(normals, signs.T).T
    sides /= np.linalg.norm(sides, axis=1, keepdims=True)
    towards = sides[np.argmax(sides @ VIEWER)]
    right = np.cross([0.0, 0.0, 1.0], towards)
    right /= np.linalg.norm(right)
    return _Camera(centre_mm, right, np.cross(towards, right), towards)


def _render(
    sheets: Mapping[CardiacView, _Sheet], scene: Scene, camera: _Camera, extent: tuple[float, float, float, float]
) -> tuple[FloatArray, FloatArray]:
    """Find the colour and the depth of each pixel of the scene: shapes (rows, columns, 3) and (rows, columns)."""
    left, right, bottom, top = extent
    step = (right - left) / _SCENE_PX / _OVERSAMPLING
    x, y = np.meshgrid(np.arange(left + step / 2, right, step), np.arange(top - step / 2, bottom, -step))
    depth = np.full(x.shape, -np.inf)
    colour = np.broadcast_to(to_rgb(BACKGROUND), (*x.shape, 3)).copy()
    behind = []
    for view, sheet in sheets.items():
        normal = sheet.image.plane.normal
        t = -(x * (camera.right @ normal) + y * (camera.up @ normal)) / (camera.towards @ normal)
        offset = x[..., None] * camera.right + y[..., None] * camera.up + t[..., None] * camera.towards
        inside = _inside_mm(sheet, offset)
        seen = (inside > 0) & (t > depth)
        colour[seen] = _paint(view, sheets, scene, camera.centre_mm, offset[seen], inside[seen])
        depth[seen] = t[seen]
        behind.append((view, offset, t, inside))
    for view, offset, t, inside in behind:
        hidden = (inside > 0) & (t < depth - _SAME_MM)
        opacity = _outline(view, sheets[view], scene, camera.centre_mm, offset[hidden], inside[hidden])
        for paint, strokes in opacity:
            colour[hidden] = _over(colour[hidden], paint, _THROUGH * strokes)
    n_rows, n_columns = (size // _OVERSAMPLING for size in x.shape)
    blocks = colour[: n_rows * _OVERSAMPLING, : n_columns * _OVERSAMPLING].reshape(
        n_rows, _OVERSAMPLING, n_columns, _OVERSAMPLING, 3
    )
    return blocks.mean(axis=(1, 3)), depth[::_OVERSAMPLING, ::_OVERSAMPLING]


def _inside_mm(sheet: _Sheet, offset_mm: FloatArray) -> FloatArray:
    """Return how far points of the sheet's plane, shape (..., 3), lie within its edges; negative outside."""
    left, right, top, bottom = sheet.bounds_mm
    a, b = offset_mm @ sheet.image.plane.row_cosine, offset_mm @ sheet.image.plane.column_cosine
    return np.minimum(np.minimum(a - left, right - a), np.minimum(b - top, bottom - b))


def _paint(
    view: CardiacView,
    sheets: Mapping[CardiacView, _Sheet],
    scene: Scene,
    centre_mm: FloatArray,
    offset_mm: FloatArray,
    inside_mm: FloatArray,
) -> FloatArray:
    """Return the colours of points of a plane, shape (points, 3): the image, the lines of the other planes, boxes, and the edge."""
    sheet = sheets[view]
    pixels = sheet.image.plane.patient_to_pixel(offset_mm + centre_mm)
    low, high = np.percentile(sheet.image.image, PERCENTILES)
    grey = map_coordinates(sheet.image.image.astype(np.float64), [pixels[:, 1], pixels[:, 0]], order=1, mode="nearest")
    grey = ((grey - low) / max(high - low, 1)).clip(0, 1)
    colour = np.repeat((_DARKEST + (1 - _DARKEST) * grey)[:, None], 3, axis=1)
    for other, other_sheet in sheets.items():
        if other is not view:
            direction = np.cross(sheet.image.plane.normal, other_sheet.image.plane.normal)
            direction /= np.linalg.norm(direction)
            aside = np.linalg.norm(offset_mm - (offset_mm @ direction)[:, None] * direction, axis=1)
            is_shared = _inside_mm(other_sheet, offset_mm) > 0
            colour = _over(colour, _line_of(view, other), is_shared * _stroke(aside, _LINE_MM))
    for paint, strokes in _outline(view, sheet, scene, centre_mm, offset_mm, inside_mm):
        colour = _over(colour, paint, strokes)
    return colour


def _outline(
    view: CardiacView, sheet: _Sheet, scene: Scene, centre_mm: FloatArray, offset_mm: FloatArray, inside_mm: FloatArray
) -> list[tuple[str, FloatArray]]:
    """Return colour and opacity of what is drawn on a plane and seen through others: its edge, and of the short axis the boxes."""
    strokes = [(_FRAMES[view], _stroke(inside_mm, _EDGE_MM))]
    if view is CardiacView.SAX:
        plane = sheet.image.plane
        pixels = plane.patient_to_pixel(offset_mm + centre_mm)
        strokes += [
            (position_colour(position), _box_stroke(plane, scene.boxes[position - 1], pixels))
            for position in PositionClass
            if position is not PositionClass.BACKGROUND
        ]
    return strokes


def _line_of(view: CardiacView, other: CardiacView) -> str:
    """Return the colour of two planes' common line: on the short axis that of `show`."""
    return _FRAMES[other if view is CardiacView.SAX else view] if CardiacView.SAX in (view, other) else TEXT


def _box_stroke(plane: ImagePlane, box: IntArray, pixels: FloatArray) -> FloatArray:
    """Return how much of a box's outline covers points, given as (column, row)."""
    row_start, row_stop, column_start, column_stop = (box - 0.5).tolist()
    across = np.abs(pixels[:, 0] - (column_start + column_stop) / 2) * plane.column_spacing_mm
    down = np.abs(pixels[:, 1] - (row_start + row_stop) / 2) * plane.row_spacing_mm
    outside = np.maximum(
        across - (column_stop - column_start) / 2 * plane.column_spacing_mm,
        down - (row_stop - row_start) / 2 * plane.row_spacing_mm,
    )
    return _stroke(np.abs(outside), _BOX_MM / 2)


def _stroke(distance_mm: FloatArray, half_width_mm: float) -> FloatArray:
    """Return the opacity of a stroke at distances from its middle, its sides softened over a quarter of a millimetre."""
    return ((half_width_mm - distance_mm) / 0.25 + 0.5).clip(0, 1)


def _over(colour: FloatArray, paint: str, opacity: FloatArray) -> FloatArray:
    return colour + opacity[:, None] * (np.array(to_rgb(paint)) - colour)


def _letter_boxes(axes: Axes, scene: Scene, camera: _Camera, depth: FloatArray, extent: tuple[float, float, float, float]) -> None:
    """Write the letters of the boxes, fainter where their centres are hidden."""
    plane = scene.images[CardiacView.SAX].plane
    left, right, bottom, top = extent
    for position in PositionClass:
        if position is PositionClass.BACKGROUND:
            continue
        x, y, t = camera.project(plane.pixel_to_patient(scene.centres_px[position - 1])).tolist()
        row = int((top - y) / (top - bottom) * depth.shape[0])
        column = int((x - left) / (right - left) * depth.shape[1])
        is_on = 0 <= row < depth.shape[0] and 0 <= column < depth.shape[1]
        is_hidden = is_on and t < depth[row, column] - _NEAR_MM
        letters = box_letters(CardiacView.SAX, position)
        _write(axes, (x, y), letters, position_colour(position), fontsize=9, alpha=0.6 if is_hidden else 1.0)


def _name_plane(axes: Axes, view: CardiacView, corners: FloatArray) -> None:
    """Write the name of a plane outside the corner that is seen farthest from the middle."""
    corner = corners[np.argmax(np.linalg.norm(corners[:, :2], axis=1)), :2]
    x, y = corner + _NAME_MM * corner / np.linalg.norm(corner)
    _write(axes, (x, y), view.title, _FRAMES[view], fontsize=13)


def _write(axes: Axes, place: tuple[float, float], words: str, colour: str, *, fontsize: float, alpha: float = 1.0) -> None:
    text = axes.text(*place, words, color=colour, fontsize=fontsize, alpha=alpha, weight="bold", ha="center", va="center")
    text.set_path_effects([Stroke(linewidth=fontsize / 4, foreground="black"), Normal()])


def _draw_short_axis(axes: Axes, scene: Scene) -> None:
    """Draw the short-axis image around the boxes."""
    found = scene.images[CardiacView.SAX]
    plane = found.plane
    low, high = np.percentile(found.image, PERCENTILES)
    axes.imshow(found.image, cmap="gray", vmin=low, vmax=max(high, low + 1), aspect=plane.row_spacing_mm / plane.column_spacing_mm)
    rows, columns = scene.boxes[:, :2], scene.boxes[:, 2:]
    half = max(np.ptp(rows) * plane.row_spacing_mm, np.ptp(columns) * plane.column_spacing_mm) / 2 + MARGIN_MM
    middle = ((columns.min() + columns.max()) / 2, (rows.min() + rows.max()) / 2)
    across, down = half / plane.column_spacing_mm, half / plane.row_spacing_mm
    axes.set(xlim=(middle[0] - across, middle[0] + across), ylim=(middle[1] + down, middle[1] - down), xticks=[], yticks=[])
    axes.set_facecolor(BACKGROUND)
    for spine in axes.spines.values():
        spine.set_color(TEXT)


def _short_axis(scene: Scene) -> SheetImage:
    found = scene.images[CardiacView.SAX]
    return SheetImage(image=found.image, plane=found.plane, centres_px=scene.centres_px, boxes=scene.boxes, title=scene.title)


def _draw_lines(axes: Axes, centres_px: FloatArray, *, linewidth: float) -> None:
    """Draw the two lines across the whole image."""
    for number, far in enumerate((PositionClass.LEFT_FAR, PositionClass.UPPER_FAR)):
        axes.axline(tuple(centres_px[0]), tuple(centres_px[far - 1]), color=line_colour(number), linewidth=linewidth, alpha=0.75)


def _name_lines(axes: Axes, scene: Scene) -> None:
    """Write beside each line which plane leaves it."""
    for number, (far, words) in enumerate(((PositionClass.LEFT_FAR, "4Ch plane"), (PositionClass.UPPER_FAR, "2Ch plane"))):
        centre, end = scene.centres_px[0], scene.centres_px[far - 1]
        x, y = centre + 0.74 * (end - centre)
        text = axes.text(x, y, words, color=line_colour(number), fontsize=11, weight="bold", ha="center", va="center")
        text.set_bbox({"facecolor": BACKGROUND, "edgecolor": "none", "alpha": 0.75, "pad": 2})
