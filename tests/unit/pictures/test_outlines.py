"""Outlines enclose the pixels of their class, and no others; the first class lies above."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays
from hypothesis.strategies import integers
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cmr_planes.pictures.outlines import draw_outlines

COLOURS = {1: "#ff0000", 2: "#00ff00", 3: "#0000ff"}


def outlined(labels, **options):
    axes = Figure(figsize=(4, 4)).add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    draw_outlines(axes, labels, (1, 2, 3), COLOURS.get, **({"width": 2, "rim": 4} | options))
    return axes


def is_inside(polygons, x: float, y: float) -> bool:
    """Count how often a ray to the right crosses edges: odd inside, holes and islands in them included."""
    crossings = 0
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            crossings += (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0)
    return crossings % 2 == 1


@given(labels=arrays(np.uint8, (5, 6), elements=integers(0, 3)))
def test_an_outline_encloses_the_pixels_of_its_class_alone(labels):
    drawn = {to_hex(each.get_edgecolor()[0]): each for each in outlined(labels).collections}
    assert set(drawn) == {COLOURS[value] for value in np.unique(labels) if value}
    for value, colour in COLOURS.items():
        polygons = drawn[colour].get_paths()[0].to_polygons(closed_only=True) if colour in drawn else []
        found = [[is_inside(polygons, column + 1e-3, row + 1e-3) for column in range(6)] for row in range(5)]
        assert (np.array(found) == (labels == value)).all()


def test_straight_edges_lie_between_pixels_and_the_border_is_one():
    labels = np.zeros((8, 9), dtype=np.uint8)
    labels[2:, 3:6] = 1
    axes = outlined(labels)
    (outline,) = axes.collections
    vertices = outline.get_paths()[0].vertices
    assert (vertices.min(axis=0).tolist(), vertices.max(axis=0).tolist()) == ([2.5, 1.5], [5.5, 7.5])
    assert (axes.get_xlim(), axes.get_ylim()) == ((-0.5, 8.5), (7.5, -0.5))


def test_where_two_classes_share_an_edge_the_first_is_seen_on_its_rim():
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[5:35, 5:35], labels[12:28, 12:28] = 2, 1
    axes = outlined(labels)
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3]
    x, y = axes.transData.transform((11.5, 20)).round().astype(int)
    red, green, blue = picture[picture.shape[0] - 1 - y, x - 6 : x + 7].astype(int).T
    assert ((red > 200) & (green < 50)).any()
    assert not ((green > 200) & (red < 50)).any()
    assert ((red < 50) & (green < 50) & (blue < 50)).any()


@pytest.mark.parametrize(("line", "is_whole"), [((0, ()), True), ((0, (2, 2)), False)])
def test_an_outline_has_the_line_style_of_its_class(line, is_whole):
    labels = np.zeros((40, 40), dtype=np.uint8)
    labels[5:35, 5:35] = 1
    axes = outlined(labels, line=lambda _: line)
    canvas = FigureCanvasAgg(axes.figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    (x, low), (_, high) = axes.transData.transform([(4.5, 30), (4.5, 10)]).round().astype(int)
    column = picture[picture.shape[0] - high : picture.shape[0] - low, x - 1 : x + 2]
    is_red = ((column[..., 0] > 180) & (column[..., 1] < 90)).any(axis=1)
    assert bool(is_red.all()) == is_whole
    assert is_red.any()
