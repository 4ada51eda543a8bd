"""Two images folded open along their common line: where they show the same tissue, structures run on across the seam."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane, UnboundedPlane, intersect_planes
from cmr_planes.geometry.arrays import FloatArray
from cmr_planes.pictures.contact_sheet import DPI, PERCENTILES

STEP_MM, REACH_MM, DEPTH_MM = 1.0, 60.0, 40.0
"""Of a picture: size of a pixel, reach along the line to both sides of the heart, and height of either half."""
PANEL_INCHES = 2.1
"""Width of a picture on a sheet."""
SIDE_UP = np.array([0.0, -1.0, 1.0]) / 2**0.5
"""The upper half shows the first image's side towards the front and the head, LPS."""
_BACKGROUND, _TEXT, _SEAM = "#111111", "#E8E8E8", "#FFC20A"
_TITLE_INCHES, _HEADING_INCHES, _GAP_INCHES = 0.2, 0.4, 0.06


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seam:
    """Two images along their common line."""

    image: NDArray[np.float64]
    """Shape (height, width), 0 black to 1 white; the seam runs through the middle."""
    title: str
    """Printed above."""


def fold(
    first: tuple[ImagePlane, NDArray[np.uint16]],
    second: tuple[ImagePlane, NDArray[np.uint16]],
    *,
    centre_mm: FloatArray,
    towards: FloatArray,
    relative_mm: FloatArray,
) -> NDArray[np.float64]:
    """Fold two images open along their common line.

    Parameters
    ----------
    first, second
        Plane and image, shape (rows, columns), of the upper and the lower half.
    centre_mm
        The heart's middle, shape (3,), LPS: the picture's middle is the nearest point of the line.
    towards
        The lower half shows the second image's side in this direction, shape (3,), LPS.
    relative_mm
        Shift of the second plane less that of the first, shape (3,), LPS.

    Returns
    -------
        Shape (height, width), 0 black to 1 white, NaN outside the images; patient left is on the right.
    """
    plane, other = first[0], second[0]
    line = intersect_planes(plane, UnboundedPlane(centre_mm=other.centre_mm + relative_mm, normal=other.normal))
    along = line.direction if line.direction @ [1.0, 0.3, -0.3] > 0 else -line.direction
    middle_mm = line.point_mm + ((centre_mm - line.point_mm) @ along) * along
    up, down = np.cross(plane.normal, along), np.cross(other.normal, along)
    up = up if up @ SIDE_UP > 0 else -up
    down = down if down @ towards > 0 else -down
    across = np.arange(-REACH_MM, REACH_MM + STEP_MM / 2, STEP_MM)[:, None] * along
    depth = np.arange(STEP_MM / 2, DEPTH_MM, STEP_MM)[:, None, None]
    upper = _sample(*first, middle_mm + across + depth[::-1] * up)
    lower = _sample(*second, middle_mm + across + depth * down - relative_mm)
    return np.concatenate([upper, lower])


def _sample(plane: ImagePlane, image: NDArray[np.uint16], points_mm: FloatArray) -> NDArray[np.float64]:
    """Sample an image at points of its plane, shape (height, width, 3); 0 to 1, NaN outside."""
    from scipy.ndimage import map_coordinates

    low, high = np.percentile(image, PERCENTILES)
    row_column = np.moveaxis(plane.patient_to_pixel(points_mm)[..., ::-1], -1, 0)
    values = map_coordinates(image.astype(np.float64), row_column, order=1, cval=np.nan)
    return np.asarray(((values - low) / max(high - low, 1)).clip(0, 1))


def draw_seams(rows: Sequence[Sequence[Seam]], *, heading: str) -> Figure:
    """Draw folded images in rows of equal length.

    Parameters
    ----------
    rows
        At least one row of at least one picture.
    heading
        Printed above the sheet.

    Returns
    -------
        The figure; :func:`cmr_planes.pictures.png.encode_png` makes the file of it.
    """
    panel_height = PANEL_INCHES * DEPTH_MM / REACH_MM
    width = len(rows[0]) * (PANEL_INCHES + _GAP_INCHES) + _GAP_INCHES
    height = _HEADING_INCHES + len(rows) * (panel_height + _TITLE_INCHES + _GAP_INCHES)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=_BACKGROUND)
    for number, row in enumerate(rows):
        top = height - _HEADING_INCHES - number * (panel_height + _TITLE_INCHES + _GAP_INCHES) - _TITLE_INCHES
        for column, seam in enumerate(row):
            left = _GAP_INCHES + column * (PANEL_INCHES + _GAP_INCHES)
            axes = figure.add_axes((left / width, (top - panel_height) / height, PANEL_INCHES / width, panel_height / height))
            axes.imshow(seam.image, cmap="gray", vmin=0, vmax=1)
            axes.set_axis_off()
            axes.set_title(seam.title, color=_TEXT, fontsize=6.5, pad=2)
            middle = len(seam.image) / 2 - 0.5
            for start, stop in ((0, 6), (seam.image.shape[1] - 7, seam.image.shape[1] - 1)):
                axes.plot([start, stop], [middle, middle], color=_SEAM, linewidth=1)
    figure.text(0.5, 1 - 0.12 / height, heading, color=_TEXT, fontsize=9, weight="bold", ha="center", va="top")
    return figure
