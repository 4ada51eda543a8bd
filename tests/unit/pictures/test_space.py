"""Planes in space: which of them is seen where, against a slow walk along each line of sight."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from cmr_planes.pictures import space
from cmr_planes.pictures.contact_sheet import box_letters
from cmr_planes.pictures.png import encode_png
from cmr_planes.pictures.space import PlaneImage, Scene, draw_scene
from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass
from tests.helpers.records import make_view


@pytest.fixture(scope="module")
def scene() -> Scene:
    records = {view: make_view(view, n_slices=1) for view in TARGET_VIEWS}
    positions = records[CardiacView.SAX].positions[0]
    return Scene(
        images={view: PlaneImage(record.image[0, 0], record.planes[0]) for view, record in records.items()},
        centres_px=positions.centres_px,
        boxes=positions.boxes,
        title="subject 1 · ED",
    )


@pytest.fixture(scope="module")
def figure(scene):
    return draw_scene(scene)


def test_the_nearest_plane_is_seen(scene):
    centre_mm = scene.images[CardiacView.SAX].plane.pixel_to_patient(scene.centres_px[0])
    sheets, camera = space._sheets(scene, centre_mm), space._camera(scene, centre_mm)
    extent = (-120.0, 120.0, -110.0, 110.0)
    picture, depth = space._render(sheets, scene, camera, extent)
    assert picture.shape[:2] == depth.shape
    assert (picture >= 0).all()
    assert (picture <= 1).all()
    rng = np.random.default_rng(0)
    walk = np.arange(300, -300, -0.5)
    n_seen = 0
    for row, column in rng.integers((0, 0), depth.shape, (60, 2)).tolist():
        x = extent[0] + (column + 0.25) / depth.shape[1] * (extent[1] - extent[0])
        y = extent[3] - (row + 0.25) / depth.shape[0] * (extent[3] - extent[2])
        path = centre_mm + x * camera.right + y * camera.up + walk[:, None] * camera.towards
        met = []
        for sheet in sheets.values():
            plane = sheet.image.plane
            sides = np.sign((path - plane.position_mm) @ np.cross(plane.row_cosine, plane.column_cosine))
            for place in np.flatnonzero(np.diff(sides)):
                offset = path[place] - centre_mm
                across, down = offset @ plane.row_cosine, offset @ plane.column_cosine
                left, right, top, bottom = sheet.bounds_mm
                if min(across - left, right - across, down - top, bottom - down) > 1:
                    met.append(walk[place])
                elif max(left - across, across - right, top - down, down - bottom) < 1:
                    met = [None]  # too near an edge to tell
                    break
            if met == [None]:
                break
        if met != [None]:
            assert depth[row, column] == pytest.approx(max(met), abs=1) if met else np.isneginf(depth[row, column])
            n_seen += bool(met)
    assert n_seen > 20


def test_all_planes_are_seen_from_a_side_and_the_head_is_up(scene):
    centre_mm = scene.images[CardiacView.SAX].plane.pixel_to_patient(scene.centres_px[0])
    camera = space._camera(scene, centre_mm)
    slants = [abs(float(camera.towards @ found.plane.normal)) for found in scene.images.values()]
    assert slants == pytest.approx([slants[0]] * 3)
    assert slants[0] > 0.3
    assert camera.up[2] > 0.5
    np.testing.assert_allclose(np.cross(camera.right, camera.up), camera.towards, atol=1e-12)


def test_boxes_lie_on_straight_lines_through_the_point_where_the_planes_meet(figure):
    axes = figure.axes[0]
    places = {text.get_text(): np.array(text.get_position()) for text in axes.texts}
    assert {box_letters(CardiacView.SAX, position) for position in PositionClass if position} <= places.keys()
    np.testing.assert_allclose(places["+"], 0, atol=1e-9)
    for side in "LRAP":
        np.testing.assert_allclose(places[f"{side}2"], 2 * places[f"{side}1"], rtol=1e-6)
    np.testing.assert_allclose(places["L2"], -places["R2"], rtol=1e-6)
    assert {"SAX", "2Ch", "4Ch"} <= places.keys()


def test_a_scene_is_a_picture_of_equal_bytes_with_its_words_inside(scene, figure):
    first, second = (encode_png(each) for each in (figure, draw_scene(scene)))
    assert first == second
    picture = imread(BytesIO(first))[..., :3]
    ground = picture[0, 0]
    for edge in (picture[:2], picture[-2:], picture[:, :2], picture[:, -2:]):
        assert (edge == ground).all(), "nothing is cut at an edge"
