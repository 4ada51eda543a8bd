"""Slow, literal implementations and independent libraries against which the geometry is checked.

Nothing here imports :mod:`cmr_planes.geometry` functions: a plane is read only through its attributes (the header's values).
"""

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from cmr_planes.geometry import ImagePlane

Points = NDArray[np.float64]


def standard_matrix(plane: ImagePlane) -> Points:
    """The matrix of DICOM PS3.3 equation C.7.6.2.1-1, element by element as printed, for ``(column, row, 0, 1)``."""
    x, y = plane.row_cosine, plane.column_cosine
    s = plane.position_mm
    delta_i, delta_j = plane.column_spacing_mm, plane.row_spacing_mm
    return np.array(
        [
            [x[0] * delta_i, y[0] * delta_j, 0, s[0]],
            [x[1] * delta_i, y[1] * delta_j, 0, s[1]],
            [x[2] * delta_i, y[2] * delta_j, 0, s[2]],
            [0, 0, 0, 1],
        ]
    )


def standard_point(plane: ImagePlane, column: float, row: float) -> Points:
    """Patient coordinates of a pixel by the standard's equation, shape (3,)."""
    return (standard_matrix(plane) @ np.array([column, row, 0, 1]))[:3]


def cross_product(a: Points, b: Points) -> Points:
    """The vector product, component by component."""
    return np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])


def normal_of(plane: ImagePlane) -> Points:
    """Unit normal, shape (3,)."""
    normal = cross_product(plane.row_cosine, plane.column_cosine)
    return normal / np.sqrt(np.sum(normal**2))


def distance_mm(plane: ImagePlane, point: Points) -> float:
    """Distance of a point from a plane, never negative."""
    return float(abs(np.sum((point - plane.position_mm) * normal_of(plane))))


def common_point(first: ImagePlane, second: ImagePlane, third: ImagePlane) -> Points:
    """Where three planes meet, by the closed formula with triple products, shape (3,)."""
    n1, n2, n3 = (normal_of(plane) for plane in (first, second, third))
    d1, d2, d3 = (np.sum(normal_of(plane) * plane.position_mm) for plane in (first, second, third))
    volume = np.sum(n1 * cross_product(n2, n3))
    return (d1 * cross_product(n2, n3) + d2 * cross_product(n3, n1) + d3 * cross_product(n1, n2)) / volume


def nine_centres(
    target: ImagePlane,
    first: ImagePlane,
    second: ImagePlane,
    *,
    axes: tuple[tuple[float, float, float], tuple[float, float, float]],
    gap: float,
    in_mm: bool = False,
) -> Points:
    """Box centres straight from the definition in words, shape (9, 2), (column, row)."""
    pixel_size = np.array([target.column_spacing_mm, target.row_spacing_mm])
    in_plane = np.array([target.row_cosine, target.column_cosine])
    centre = in_plane @ (common_point(target, first, second) - target.position_mm) / pixel_size
    centres = [centre]
    for plane, axis in ((first, axes[0]), (second, axes[1])):
        along = cross_product(normal_of(target), normal_of(plane))
        if np.sum(along * axis) < 0:
            along = -along
        step = in_plane @ along / pixel_size
        length = np.sqrt(np.sum((step * pixel_size if in_mm else step) ** 2))
        centres += [centre + sign * times * gap * step / length for sign in (1, -1) for times in (1, 2)]
    return np.array(centres)


def mask_pixel_by_pixel(
    centres_px: Points,
    rows: int,
    columns: int,
    *,
    size: float,
    pixel_size: tuple[float, float] = (1.0, 1.0),
) -> NDArray[np.uint8]:
    """Ask of every pixel and every box whether the one is in the other.

    ``pixel_size`` is (column step, row step) in the unit of ``size``.
    """
    mask = np.zeros((rows, columns), dtype=np.uint8)
    centres = [(int(np.floor(column + 0.5)), int(np.floor(row + 0.5))) for column, row in centres_px.tolist()]
    for row in range(rows):
        for column in range(columns):
            for label, (centre_column, centre_row) in enumerate(centres, start=1):
                column_away = abs(column - centre_column) * pixel_size[0]
                row_away = abs(row - centre_row) * pixel_size[1]
                if column_away < size / 2 and row_away < size / 2:
                    mask[row, column] = label
    return mask


def sitk_image(plane: ImagePlane) -> SimpleITK.Image:
    """SimpleITK's image of one slice with the plane's origin, direction and spacing."""
    image = SimpleITK.Image(plane.columns, plane.rows, 1, SimpleITK.sitkUInt8)
    image.SetOrigin(plane.position_mm.tolist())
    image.SetSpacing([plane.column_spacing_mm, plane.row_spacing_mm, 1.0])
    image.SetDirection(np.stack([plane.row_cosine, plane.column_cosine, normal_of(plane)], axis=1).ravel().tolist())
    return image


def header_values(plane: ImagePlane) -> dict[str, list[float]]:
    """The plane's attributes under highdicom's argument names."""
    return {
        "image_position": plane.position_mm.tolist(),
        "image_orientation": [*plane.row_cosine.tolist(), *plane.column_cosine.tolist()],
        "pixel_spacing": [plane.row_spacing_mm, plane.column_spacing_mm],
    }
