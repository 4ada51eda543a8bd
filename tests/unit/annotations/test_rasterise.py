"""Contours become label maps: compared with a literal point-in-polygon test, and with areas."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from cmr_planes.annotations.model import Contour, Outline
from cmr_planes.annotations.rasterise import drawn_structures, fill_contours, fill_polygon, is_open, paint_regions
from cmr_planes.views import Structure


def circle(column: float, row: float, radius: float, n_points: int = 80) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, n_points, endpoint=False)
    return np.stack([column + radius * np.cos(angle), row + radius * np.sin(angle)], axis=1)


@given(
    st.lists(st.tuples(st.floats(-4.7, 16.3), st.floats(-4.7, 16.3)), min_size=3, max_size=7),
)
def test_filled_polygons_are_those_of_a_literal_test(points: list[tuple[float, float]]) -> None:
    """Matplotlib winds around too; centres within a hair of an edge may fall on either side."""
    polygon = np.array(points) + 0.0123
    columns, rows = np.meshgrid(np.arange(12), np.arange(11))
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    expected = np.array([_winding(polygon, point) != 0 for point in centres]).reshape(11, 12)
    near = _distance_to_edges(polygon, centres).reshape(11, 12) < 1e-6
    np.testing.assert_array_equal(fill_polygon(polygon, 11, 12) | near, expected | near)


def _winding(polygon: np.ndarray, point: np.ndarray) -> float:
    """Sum the angles under which the edges are seen: a definition that shares nothing with the code."""
    towards = polygon - point
    angle = np.arctan2(towards[:, 1], towards[:, 0])
    turns = np.diff(np.append(angle, angle[0]))
    return round(float(((turns + np.pi) % (2 * np.pi) - np.pi).sum() / (2 * np.pi)))


def _distance_to_edges(polygon: np.ndarray, points: np.ndarray) -> np.ndarray:
    distances = []
    for start, stop in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        along = stop - start
        place = np.clip(((points - start) @ along) / max(float(along @ along), 1e-30), 0, 1)
        distances.append(np.linalg.norm(points - start - place[:, None] * along, axis=1))
    return np.min(distances, axis=0)


def test_a_simple_polygon_is_filled_as_matplotlib_fills_it() -> None:
    polygon = circle(30.3, 24.7, 17.1)
    columns, rows = np.meshgrid(np.arange(64), np.arange(50))
    expected = Polygon(polygon).contains_points(np.stack([columns.ravel(), rows.ravel()], axis=1)).reshape(50, 64)
    np.testing.assert_array_equal(fill_polygon(polygon, 50, 64), expected)


def _polygon_area_px(points_px: np.ndarray) -> float:
    """Return the area of a polygon, shape (n, 2), in pixels."""
    x, y = points_px.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@given(st.integers(0, 1 << 16))
def test_areas_of_a_stack_are_within_one_percent_of_the_polygons(seed: int) -> None:
    """Ten contours on quarters of a pixel, as cvi42 has them, of 9 to 25 pixels' radius: a ventricle from apex to base."""
    rng = np.random.default_rng(seed)
    stack = [np.rint(circle(*rng.uniform(30, 34, 2), radius) * 4) / 4 for radius in np.linspace(9, 25, 10)]
    drawn = sum(int(fill_polygon(polygon, 64, 64).sum()) for polygon in stack)
    assert drawn == pytest.approx(sum(map(_polygon_area_px, stack)), rel=0.01)
    for polygon in stack:
        assert fill_polygon(polygon, 64, 64).sum() == pytest.approx(_polygon_area_px(polygon), rel=0.035)


def test_neighbours_that_share_an_edge_share_no_pixel() -> None:
    left = np.array([[2.0, 2], [10, 2], [10, 9], [2, 9]])
    right = left + np.array([8, 0])
    both = fill_polygon(left, 12, 24).astype(int) + fill_polygon(right, 12, 24)
    assert both.max() == 1
    assert both.sum() == 16 * 7


def test_what_is_traced_twice_stays_filled() -> None:
    once = circle(20, 20, 9)
    np.testing.assert_array_equal(fill_polygon(np.concatenate([once, once]), 40, 40), fill_polygon(once, 40, 40))


def test_pieces_joined_by_bridges_without_width_are_filled_without_them() -> None:
    pieces = [circle(12.3, 11.1, 7.2), circle(40.7, 30.9, 6.1), circle(15.2, 41.4, 5.3)]
    first = pieces[0][:1]
    joined = np.concatenate([part for piece in pieces for part in (piece, piece[:1], first)])
    expected = sum(fill_polygon(piece, 60, 60).astype(int) for piece in pieces)
    np.testing.assert_array_equal(fill_polygon(joined, 60, 60), expected)


def test_parts_outside_the_image_are_cut() -> None:
    assert fill_polygon(circle(-5, 10, 9), 20, 20).sum() == fill_polygon(circle(15, 10, 9), 20, 40)[:, 20:].sum()
    assert not fill_polygon(circle(-50, 10, 9), 20, 20).any()


def test_muscle_lies_between_the_two_contours_and_blood_covers_it() -> None:
    contours = [
        Contour(Outline.LV_ENDO, circle(30, 30, 10)),
        Contour(Outline.LV_EPI, circle(30, 30, 15)),
        Contour(Outline.RV_ENDO, circle(14, 30, 12)),
    ]
    labels = paint_regions(fill_contours(contours, 60, 60), 60, 60)
    assert (labels == Structure.LV).sum() == fill_polygon(circle(30, 30, 10), 60, 60).sum()
    assert (np.isin(labels, (Structure.LV, Structure.MYO))).sum() == fill_polygon(circle(30, 30, 15), 60, 60).sum()
    assert labels[30, 14] == Structure.RV
    assert drawn_structures(fill_contours(contours, 60, 60)) == {0, Structure.LV, Structure.MYO, Structure.RV}


def test_the_muscle_is_drawn_only_where_the_epicardium_is() -> None:
    assert drawn_structures([Outline.LV_ENDO]) == {0, Structure.LV}
    cap = fill_contours([Contour(Outline.LV_EPI, circle(30, 30, 10))], 60, 60)
    assert drawn_structures(cap) == {0, Structure.LV, Structure.MYO}
    assert set(np.unique(paint_regions(cap, 60, 60))) == {0, Structure.MYO}
    assert drawn_structures([Outline.LA]) == {0, Structure.LA}


def test_an_epicardium_left_open_at_the_base_is_joined_to_the_endocardium() -> None:
    """A long-axis arc from one side of the mitral valve around the apex to the other."""
    angle = np.linspace(-0.15 * np.pi, 1.15 * np.pi, 60)
    epicardium = np.stack([50 + 26 * np.cos(angle), 40 + 34 * np.sin(angle)], axis=1)
    wall = np.linspace(-0.1 * np.pi, 1.1 * np.pi, 60)
    endocardium = np.stack([50 + 16 * np.cos(wall), 40 + 24 * np.sin(wall)], axis=1)
    assert is_open(epicardium)
    assert not is_open(circle(30, 30, 15))
    regions = fill_contours([Contour(Outline.LV_EPI, epicardium), Contour(Outline.LV_ENDO, endocardium)], 90, 100)
    labels = paint_regions(regions, 90, 100)
    above_valve = labels[: int(endocardium[:, 1].min()) - 1, 45:56]
    assert not (above_valve == Structure.MYO).any(), "no muscle lies across the valve"
    assert (labels == Structure.MYO).sum() > 0.7 * (
        fill_polygon(epicardium, 90, 100).sum() - fill_polygon(endocardium, 90, 100).sum()
    )
