"""Boxes that can be checked by hand, every way in which a view is refused, and one real examination."""

import pickle
from pathlib import Path
from typing import ClassVar

import numpy as np
import pydicom
import pytest

from cmr_planes.errors import (
    IntersectionOutsideImageError,
    LinesTooCloseError,
    OverlappingBoxesError,
    ParallelPlanesError,
    TooFewBoxesError,
    WeakAlignmentError,
)
from cmr_planes.geometry import VIEW_LINES, BoxLayout, BoxUnits, DecidingAxis, ImagePlane, compute_positions, draw_mask
from cmr_planes.geometry.tolerances import MIN_ALIGNMENT
from cmr_planes.views import TARGET_VIEWS, CardiacView, PositionClass
from tests.helpers import oracles
from tests.helpers.strategies import cropped, heart, image_around, rotation_matrix

REAL_CASE = Path(__file__).parents[4] / "shared" / "data" / "siemens_cine_case"
AXES = (DecidingAxis.LEFT, DecidingAxis.SUPERIOR)

# A coronal image as a viewer shows it: the patient's left on the right side, his head up, one millimetre a pixel.
CORONAL = ImagePlane.from_attributes([-80, 0, 80], [1, 0, 0, 0, 0, -1], [1, 1], rows=161, columns=161)
AXIAL_CUT = image_around([0, 0, 0], [0, 0, 1])
SAGITTAL_CUT = image_around([0, 0, 0], [1, 0, 0])


def place(target=CORONAL, first=AXIAL_CUT, second=SAGITTAL_CUT, *, axes=AXES, layout=None):
    return compute_positions(target, first, second, axes=axes, layout=layout or BoxLayout())


def test_on_a_coronal_image_the_nine_boxes_are_where_a_ruler_puts_them():
    positions = place()
    expected = {
        PositionClass.INTERSECTION: (80, 80),
        PositionClass.LEFT_NEAR: (110, 80),
        PositionClass.LEFT_FAR: (140, 80),
        PositionClass.RIGHT_NEAR: (50, 80),
        PositionClass.RIGHT_FAR: (20, 80),
        PositionClass.UPPER_NEAR: (80, 50),
        PositionClass.UPPER_FAR: (80, 20),
        PositionClass.LOWER_NEAR: (80, 110),
        PositionClass.LOWER_FAR: (80, 140),
    }
    for label, (column, row) in expected.items():
        np.testing.assert_allclose(positions.centres_px[label - 1], (column, row), atol=1e-9)
        np.testing.assert_allclose(positions.centres_mm[label - 1], (column - 80, 0, 80 - row), atol=1e-9)
        assert positions.boxes[label - 1].tolist() == [row - 5, row + 6, column - 5, column + 6]
    assert positions.visible.all()
    np.testing.assert_allclose(positions.alignment, [1, 1])
    assert positions.angle_deg == pytest.approx(90)
    assert positions.condition_number == pytest.approx(1)


def test_anterior_is_towards_negative_y_and_towards_the_head():
    axial = ImagePlane.from_attributes([-80, -80, 0], [1, 0, 0, 0, 1, 0], [1, 1], rows=161, columns=161)
    positions = place(
        axial, image_around([0, 0, 0], [0, 1, 0]), SAGITTAL_CUT, axes=(DecidingAxis.LEFT, DecidingAxis.ANTERIOR_SUPERIOR)
    )
    assert positions.centres_mm[PositionClass.UPPER_NEAR - 1].round(6).tolist() == [0, -30, 0]
    upright = place(axes=(DecidingAxis.LEFT, DecidingAxis.ANTERIOR_SUPERIOR))
    assert upright.centres_mm[PositionClass.UPPER_NEAR - 1].round(6).tolist() == [0, 0, 30]
    np.testing.assert_allclose([positions.alignment[1], upright.alignment[1]], 0.5**0.5)


def test_the_mask_of_a_full_size_image_equals_a_loop_over_its_pixels():
    positions = heart(shifts_mm=(85, -30), rows=192, columns=160).positions(CardiacView.SAX)
    mask = draw_mask(positions, 192, 160)
    np.testing.assert_array_equal(mask, oracles.mask_pixel_by_pixel(positions.centres_px, 192, 160, size=11))
    assert not positions.visible.all()


@pytest.mark.parametrize(
    ("rows", "columns", "visible"),
    [
        pytest.param(slice(0, 161), slice(0, 161), 9, id="all inside"),
        pytest.param(slice(0, 161), slice(0, 136), 9, id="one column of the far left box is inside"),
        pytest.param(slice(0, 161), slice(0, 135), 8, id="the far left box is just outside"),
        pytest.param(slice(25, 161), slice(0, 161), 9, id="one row of the far upper box is inside"),
        pytest.param(slice(26, 161), slice(26, 161), 7, id="the far upper and the far right box are just outside"),
        pytest.param(slice(26, 135), slice(26, 135), 5, id="only the near boxes are inside"),
    ],
)
def test_boxes_outside_the_image_are_not_visible_and_not_drawn(rows, columns, visible):
    target = cropped(CORONAL, rows, columns)
    positions = place(target)
    mask = draw_mask(positions, target.rows, target.columns)
    assert positions.visible.sum() == visible == len(np.unique(mask)) - 1


def test_millimetres_on_pixels_that_are_not_square_give_boxes_that_are_square_in_the_patient():
    target = ImagePlane.from_attributes([-80, 0, 80], [1, 0, 0, 0, 0, -1], [2, 1], rows=81, columns=161)
    positions = place(target, layout=BoxLayout(size=20, gap=40, units=BoxUnits.MILLIMETRES))
    np.testing.assert_allclose(positions.centres_px[PositionClass.LEFT_NEAR - 1], (120, 40), atol=1e-9)
    np.testing.assert_allclose(positions.centres_px[PositionClass.UPPER_NEAR - 1], (80, 20), atol=1e-9)
    assert positions.boxes[0].tolist() == [36, 45, 71, 90]  # 9 rows of 2 mm and 19 columns of 1 mm: all centres within 10 mm


def test_pixels_on_pixels_that_are_not_square_give_square_boxes_in_the_image():
    target = ImagePlane.from_attributes([-80, 0, 160], [1, 0, 0, 0, 0, -1], [2, 1], rows=161, columns=161)
    positions = place(target)
    np.testing.assert_allclose(positions.centres_px[PositionClass.UPPER_FAR - 1], (80, 20), atol=1e-9)
    assert positions.boxes[0].tolist() == [75, 86, 75, 86]


def test_the_default_boxes_are_the_papers():
    assert BoxLayout() == BoxLayout.default(BoxUnits.PIXELS) == BoxLayout(size=11, gap=30, units=BoxUnits.PIXELS)
    millimetres = BoxLayout.default(BoxUnits.MILLIMETRES)
    assert millimetres.gap == pytest.approx(30 * 1.82)
    assert millimetres.size == pytest.approx(11 * 1.82, abs=0.03)


@pytest.mark.parametrize(
    ("size", "gap", "units", "message"),
    [
        (0, 30, BoxUnits.PIXELS, "must be positive, got 0 and 30"),
        (11, -30, BoxUnits.PIXELS, "must be positive, got 11 and -30"),
        (float("nan"), 30, BoxUnits.MILLIMETRES, "must be positive, got nan and 30"),
        (20, float("inf"), BoxUnits.MILLIMETRES, "must be positive, got 20 and inf"),
        (10, 30, BoxUnits.PIXELS, "needs an odd whole size, so that it has a centre pixel, got 10"),
        (11.5, 30, BoxUnits.PIXELS, "needs an odd whole size, so that it has a centre pixel, got 11.5"),
        (11, 15, BoxUnits.PIXELS, "11 px at a gap of 15 px could overlap: the gap must be at least 15.6"),
        (20, 28, BoxUnits.MILLIMETRES, "20 mm at a gap of 28 mm could overlap: the gap must be at least 28.3"),
    ],
)
def test_a_layout_that_gives_no_separate_boxes_is_refused(size, gap, units, message):
    with pytest.raises(ValueError, match=message):
        BoxLayout(size=size, gap=gap, units=units)


def test_planes_that_meet_beside_the_image_are_refused():
    with pytest.raises(IntersectionOutsideImageError, match=r"meet at column 180\.0, row 80\.0, outside the image of 161 columns"):
        place(second=image_around([100, 0, 0], [1, 0, 0]))


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_line_across_its_deciding_axis_is_refused(which):
    axes = (DecidingAxis.SUPERIOR, DecidingAxis.SUPERIOR) if which == "first" else (DecidingAxis.LEFT, DecidingAxis.LEFT)
    with pytest.raises(
        WeakAlignmentError,
        match=r"nearly across the (superior|left) axis .*cosine 0\.000, at least 0\.05 expected.*check ImageOrientationPatient",
    ):
        place(axes=axes)


@pytest.mark.parametrize(("factor", "accepted"), [(1.02, True), (0.98, False)])
@pytest.mark.parametrize("side", [1, -1])
def test_the_smallest_accepted_alignment_is_the_stated_one(factor, accepted, side):
    steep_deg = side * np.degrees(np.arccos(MIN_ALIGNMENT * factor))
    cuts = [image_around([0, 0, 0], rotation_matrix([0, 1, 0], angle) @ [0, 0, 1]) for angle in (steep_deg, steep_deg + 90)]
    if accepted:
        assert place(first=cuts[0], second=cuts[1], axes=(DecidingAxis.LEFT, DecidingAxis.LEFT)).alignment[0] >= MIN_ALIGNMENT
    else:
        with pytest.raises(WeakAlignmentError):
            place(first=cuts[0], second=cuts[1], axes=(DecidingAxis.LEFT, DecidingAxis.LEFT))


def test_an_image_that_shows_fewer_than_five_boxes_is_refused():
    small = cropped(CORONAL, slice(56, 105), slice(20, 101))
    with pytest.raises(
        TooFewBoxesError, match=r"only 3 of 9 boxes are inside the image of 81 columns and 49 rows, and 5 are needed"
    ):
        place(small)


def test_an_image_that_shows_five_boxes_is_accepted():
    assert place(cropped(CORONAL, slice(56, 105), slice(0, 161))).visible.sum() == 5


def test_lines_that_nearly_coincide_are_refused():
    with pytest.raises(LinesTooCloseError, match=r"meet at 31\.0 degrees .*at least 32 are needed.*different views"):
        place(second=image_around([0, 0, 0], rotation_matrix([0, 1, 0], 31) @ [0, 0, 1]), axes=(DecidingAxis.LEFT,) * 2)


def test_boxes_of_another_layout_that_share_pixels_are_refused():
    oblique = image_around([0, 0, 0], rotation_matrix([0, 1, 0], 33) @ [0, 0, 1])
    with pytest.raises(OverlappingBoxesError, match=r"classes 2 and [68] share pixels; choose smaller boxes or a larger gap"):
        place(second=oblique, axes=(DecidingAxis.LEFT,) * 2, layout=BoxLayout(size=19, gap=30))


def test_the_target_cannot_be_one_of_the_cutting_planes():
    with pytest.raises(ParallelPlanesError, match="check that the three series are different views"):
        place(first=CORONAL)


def test_positions_survive_a_process_boundary():
    positions = place()
    copy = pickle.loads(pickle.dumps(positions))  # noqa: S301
    for name in ("centres_px", "centres_mm", "boxes", "visible", "alignment"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(positions, name))
    assert (copy.angle_deg, copy.condition_number, copy.layout) == (
        positions.angle_deg,
        positions.condition_number,
        positions.layout,
    )


def test_each_target_view_is_cut_by_the_two_other_views():
    for view in TARGET_VIEWS:
        assert {view, *(line.view for line in VIEW_LINES[view])} == set(TARGET_VIEWS)
    assert [line.view for line in VIEW_LINES[CardiacView.SAX]] == [CardiacView.FOUR_CHAMBER, CardiacView.TWO_CHAMBER]
    assert [line.view for line in VIEW_LINES[CardiacView.FOUR_CHAMBER]] == [CardiacView.SAX, CardiacView.TWO_CHAMBER]


def real_header(series):
    """The header of the first frame of a series of the real examination, with nothing but numpy's types."""
    folder = next(REAL_CASE.glob(f"{series}_*"))
    dataset = pydicom.dcmread(min(folder.iterdir()), stop_before_pixels=True)
    return {
        "position": np.array(dataset.ImagePositionPatient, dtype=float),
        "orientation": np.array(dataset.ImageOrientationPatient, dtype=float),
        "spacing": np.array(dataset.PixelSpacing, dtype=float),
        "rows": int(dataset.Rows),
        "columns": int(dataset.Columns),
    }


def real_plane(header):
    return ImagePlane.from_attributes(
        header["position"], header["orientation"], header["spacing"], rows=header["rows"], columns=header["columns"]
    )


@pytest.mark.skipif(not REAL_CASE.is_dir(), reason="the real examination is not beside the repository (../shared/data)")
class TestRealExamination:
    """One adult, 1.5 T; directions and the meeting point were computed by hand when the case was first examined."""

    SERIES: ClassVar = {
        CardiacView.SAX: "Series0010",
        CardiacView.TWO_CHAMBER: "Series0007",
        CardiacView.FOUR_CHAMBER: "Series0006",
    }
    UP: ClassVar = {
        CardiacView.SAX: ((1, 0, 0), (0, -1, 1)),
        CardiacView.TWO_CHAMBER: ((1, 0, 0), (0, -1, 1)),
        CardiacView.FOUR_CHAMBER: ((1, 0, 0), (0, 0, 1)),
    }

    def positions(self, view):
        lines = VIEW_LINES[view]
        target, first, second = (real_plane(real_header(self.SERIES[v])) for v in (view, lines[0].view, lines[1].view))
        return place(target, first, second, axes=(lines[0].axis, lines[1].axis))

    def centres_by_hand(self, view):
        """Nine centres (column, row) from the header values by linear equations, without any of the package's classes."""
        headers = {each: real_header(series) for each, series in self.SERIES.items()}
        normals = {each: np.cross(h["orientation"][:3], h["orientation"][3:]) for each, h in headers.items()}
        order = list(headers)
        point = np.linalg.solve([normals[v] for v in order], [normals[v] @ headers[v]["position"] for v in order])
        header = headers[view]
        row_cosine, column_cosine = header["orientation"][:3], header["orientation"][3:]
        row_spacing, column_spacing = header["spacing"]

        def to_pixel(vector):
            return np.array([vector @ row_cosine / column_spacing, vector @ column_cosine / row_spacing])

        centre = to_pixel(point - header["position"])
        centres = [centre]
        for line, up in zip(VIEW_LINES[view], self.UP[view], strict=True):
            along = np.cross(normals[view], normals[line.view])
            along *= np.sign(along @ up)
            step = to_pixel(along)
            step /= np.hypot(*step)
            centres += [centre + 30 * step, centre + 60 * step, centre - 30 * step, centre - 60 * step]
        return np.array(centres)

    @pytest.mark.parametrize("view", TARGET_VIEWS)
    def test_box_centres_are_those_computed_from_the_header_by_hand(self, view):
        expected = self.centres_by_hand(view)
        positions = self.positions(view)
        np.testing.assert_allclose(positions.centres_px, expected, rtol=0, atol=1e-4)  # its cosines are orthonormal to 1e-7 only
        corners = np.stack([np.round(expected[:, 1]) - 5, np.round(expected[:, 0]) - 5], axis=1)
        np.testing.assert_array_equal(positions.boxes[:, [0, 2]], corners)

    @pytest.mark.parametrize("view", TARGET_VIEWS)
    def test_the_three_planes_meet_at_one_point_whatever_the_target(self, view):
        np.testing.assert_allclose(self.positions(view).centres_mm[0], (38.724, -13.503, 51.127), atol=1e-3)

    @pytest.mark.parametrize(
        ("view", "first", "second"),
        [
            (CardiacView.SAX, (0.649, 0.680, 0.342), (0.244, -0.229, 0.942)),
            (CardiacView.FOUR_CHAMBER, (0.649, 0.680, 0.342), (-0.698, 0.655, 0.289)),
        ],
    )
    def test_left_and_upper_arms_run_along_the_known_directions(self, view, first, second):
        centres = self.positions(view).centres_mm
        for label, direction in ((PositionClass.LEFT_NEAR, first), (PositionClass.UPPER_NEAR, second)):
            arm = centres[label - 1] - centres[0]
            np.testing.assert_allclose(arm / np.linalg.norm(arm), direction, atol=1e-3)

    def test_the_intersection_lies_in_the_left_ventricle_on_the_short_axis_image(self):
        np.testing.assert_allclose(self.positions(CardiacView.SAX).centres_px[0], (87, 99), atol=1)
        np.testing.assert_allclose(self.positions(CardiacView.FOUR_CHAMBER).centres_px[0], (105, 94), atol=1)


@pytest.mark.parametrize("name", ["centres_px", "centres_mm", "boxes", "visible", "alignment"])
def test_positions_cannot_be_changed(name):
    with pytest.raises(ValueError, match="read-only"):
        getattr(place(), name)[:] = 0
