"""The two lines in which other views meet an image, and their heat maps.

A line is (row, column, offset): a pixel lies on it where ``row × its row + column × its column + offset`` is 0, rows and columns
counted from the centre of the matrix. Moving an image moves its lines with no loss, so heat maps are made after the augmentation.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.columns import ImageIndex
from cmr_planes.shards.view_attributes import BoxAttributes
from cmr_train.data.images import Grid, fitted_offset
from cmr_train.errors import TrainError

WIDTH_MM = 5.0
"""Standard deviation of the Gaussian across a line."""

_ENDS = ((2, 4), (6, 8))
"""The farthest boxes to either side on each line, as rows of the nine centres."""


def lines_on_grid(catalogue: Catalogue, index: ImageIndex, grid: Grid) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the lines of images as a network sees them.

    Parameters
    ----------
    catalogue
        Where the images are.
    index
        Images of one view with positions.
    grid
        The network's grid.

    Returns
    -------
    lines
        Shape (images, 2, 3): that of classes 2 to 5, that of classes 6 to 9; see the module.
    pixel_mm
        Shape (images, 2): distance between rows and between columns on the grid.

    Raises
    ------
    TrainError
        An image has no positions.
    """
    lines = np.empty((len(index), 2, 3), dtype=np.float32)
    pixels_mm = np.empty((len(index), 2), dtype=np.float32)
    for subject, rows in index.rows_by_subject().items():
        view = catalogue.view_attributes(subject, str(index.view[rows[0]]))
        if view.boxes is None:
            raise TrainError(f"subject {subject!r} has no lines in {str(catalogue.path)!r}: it was kept without positions")
        for row in rows:
            level = int(index.slice_index[row])
            plane = view.planes[level]
            spacing_mm = plane.row_spacing_mm, plane.column_spacing_mm
            lines[row] = _lines(view.boxes, level, (plane.rows, plane.columns), spacing_mm, grid)
            pixels_mm[row] = spacing_mm if grid.pixel_mm is None or grid.keeps(spacing_mm) else grid.pixel_mm
    return lines, pixels_mm


def _lines(
    boxes: BoxAttributes, level: int, shape: tuple[int, int], spacing_mm: tuple[float, float], grid: Grid
) -> NDArray[np.float64]:
    """Return the lines of one image on the grid, shape (2, 3)."""
    centres = boxes.centres_px[level][:, ::-1] - (np.array(shape) - 1) / 2  # (row, column) from the image's own centre
    resampled = grid.shape_of(shape, spacing_mm)
    if grid.pixel_mm is not None and not grid.keeps(spacing_mm):
        centres = centres * np.array(spacing_mm) / np.array(grid.pixel_mm)
    centres = (
        centres + (np.array(resampled) - 1) / 2 + np.array(fitted_offset(resampled, grid.size)) - (np.array(grid.size) - 1) / 2
    )
    found = []
    for first, last in _ENDS:
        along = centres[first] - centres[last]
        across = np.array([-along[1], along[0]]) / np.hypot(*along)
        found.append([*across, -across @ centres[first]])
    return np.array(found)


def heat_maps(lines: Tensor, pixel_mm: Tensor, matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """Draw lines on images that were rotated and scaled: a Gaussian of the distance in mm.

    Parameters
    ----------
    lines
        Shape (N, lines, 3), those of the images before.
    pixel_mm
        Shape (N, 2): distance between rows and between columns, before as after.
    matrices
        Shape (N, 2, 2), as :func:`cmr_train.data.augment.draw_matrices` gives them.
    size
        (rows, columns).

    Returns
    -------
        Shape (N, lines, rows, columns), 1 on the line; as wide on a heart that was made larger.
    """
    across = torch.einsum("nij,nli->nlj", matrices, lines[..., :2])
    row, column = (torch.arange(n, device=lines.device) - (n - 1) / 2 for n in size)
    along_rows, along_columns = across[..., 0, None] * row, across[..., 1, None] * column
    value = along_rows[..., :, None] + along_columns[..., None, :] + lines[..., 2, None, None]
    distance_mm = value / torch.linalg.vector_norm(across / pixel_mm[:, None], dim=-1)[..., None, None]
    return torch.exp(-((distance_mm / WIDTH_MM) ** 2) / 2)
