"""The lines on the network's grid against the planes of the other views, and heat maps against the distance to points of a line."""

import numpy as np
import pytest
import torch

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import TARGET_VIEWS, CardiacView
from cmr_train.data.augment import draw_matrices, move
from cmr_train.data.images import Grid
from cmr_train.data.lines import WIDTH_MM, heat_maps, lines_on_grid
from cmr_train.errors import TrainError
from tests.helpers.training import small_catalogue

STILL = torch.eye(2)[None]
OTHERS = (CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER)
"""The views that leave the lines of a short-axis image, in the order of the lines."""


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    path = small_catalogue(tmp_path_factory.mktemp("data"), 2, TARGET_VIEWS, matrix=(47, 52), spacing_mm=4.0)
    with Catalogue(path) as opened:
        yield opened


def gaussian(distance_mm: np.ndarray) -> np.ndarray:
    return np.exp(-(distance_mm**2) / (2 * WIDTH_MM**2))


@pytest.mark.parametrize(
    ("grid", "edge_mm"),
    [(Grid((64, 64)), 4.0), (Grid((32, 48)), 4.0), (Grid((63, 64), (5.0, 5.0)), 5.0), (Grid((64, 96), (2.5, 2.5)), 2.5)],
)
def test_a_heat_map_is_a_gaussian_of_the_distance_to_the_other_plane(catalogue, grid, edge_mm):
    index = catalogue.index(CardiacView.SAX)
    lines, pixel_mm = lines_on_grid(catalogue, index, grid)
    np.testing.assert_allclose(pixel_mm, edge_mm)
    maps = heat_maps(torch.from_numpy(lines), torch.from_numpy(pixel_mm), STILL.expand(len(index), 2, 2), grid.size).numpy()
    for row in range(len(index)):
        subject, level = index.subject(row), int(index.slice_index[row])
        view = catalogue.view_attributes(subject, CardiacView.SAX)
        plane = view.planes[level]
        first = [(size - n) // 2 for size, n in zip(grid.size, grid.shape_of((47, 52), (4.0, 4.0)), strict=True)]
        places = np.stack(np.meshgrid(*(np.arange(n) for n in grid.size), indexing="ij"), axis=-1) - first
        if grid.pixel_mm is not None:  # the centres of the image stay one point
            old, new = np.array([47, 52]), np.array(grid.shape_of((47, 52), (4.0, 4.0)))
            places = (places - (new - 1) / 2) * edge_mm / 4.0 + (old - 1) / 2
        points_mm = plane.pixel_to_patient(places[..., ::-1].reshape(-1, 2))
        for number, other in enumerate(OTHERS):
            assert view.boxes.line_views[number] is other
            cut = catalogue.view_attributes(subject, other).planes[0]
            sine = np.sqrt(1 - (plane.normal @ cut.normal) ** 2)
            expected = gaussian(cut.signed_distance_mm(points_mm) / sine).reshape(grid.size)
            np.testing.assert_allclose(maps[row, number], expected, atol=2e-4)


def test_a_line_is_as_wide_in_mm_on_a_heart_that_is_turned_and_scaled():
    rows, columns, pixel_mm = 40, 56, np.array([2.0, 3.0])
    matrices = draw_matrices(5, np.random.default_rng(2), rotation_deg=170, scaling=0.4)
    lines = np.array([[0.6, 0.8, 4.0], [-0.8, 0.6, -3.0]], dtype=np.float32)
    maps = heat_maps(
        torch.from_numpy(lines).expand(5, 2, 3),
        torch.from_numpy(pixel_mm).float().expand(5, 2),
        torch.from_numpy(matrices),
        (rows, columns),
    ).numpy()
    pixels = np.stack(np.meshgrid(np.arange(rows) - 19.5, np.arange(columns) - 27.5, indexing="ij"), axis=-1)
    for matrix, found in zip(matrices, maps, strict=True):
        for (row, column, offset), drawn in zip(lines, found, strict=True):
            along = np.linspace(-150, 150, 6_001)[:, None] * [-column, row] - offset * np.array([row, column])
            moved_mm = along @ np.linalg.inv(matrix).T * pixel_mm
            chosen = pixels[::8, ::11].reshape(-1, 2) * pixel_mm
            distance_mm = np.sqrt(((chosen[:, None] - moved_mm) ** 2).sum(axis=-1)).min(axis=1)
            np.testing.assert_allclose(drawn[::8, ::11].ravel(), gaussian(distance_mm), atol=2e-3)


def test_a_line_stays_on_what_it_marks_when_the_image_moves():
    line = torch.tensor([[[0.6, 0.8, 2.0]]])
    matrices = torch.from_numpy(draw_matrices(4, np.random.default_rng(3), rotation_deg=90, scaling=0.3))
    edges = torch.ones(4, 2)
    image = heat_maps(line, torch.ones(1, 2), STILL, (64, 64)).expand(4, 1, 64, 64)
    ridge = (move(image.contiguous(), matrices)[:, 0] > 0.995).numpy()
    drawn = heat_maps(line.expand(4, 1, 3), edges, matrices, (64, 64))[:, 0].numpy()
    assert ridge.sum(axis=(1, 2)).min() > 20
    assert drawn[ridge].min() > 0.98


def test_images_without_positions_have_no_lines(tmp_path):
    path = small_catalogue(tmp_path, 2, with_positions=False)
    with Catalogue(path) as catalogue, pytest.raises(TrainError, match="subject 'SYN-0001' has no lines"):
        lines_on_grid(catalogue, catalogue.index(CardiacView.SAX), Grid((48, 48)))
