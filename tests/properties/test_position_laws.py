"""Laws of the nine positions: where boxes lie, which class they have, and what must not change them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cmr_planes.errors import LinesTooCloseError
from cmr_planes.geometry import VIEW_LINES, BoxLayout, BoxUnits, DecidingAxis, ImagePlane, Positions, compute_positions, draw_mask
from cmr_planes.geometry.tolerances import MIN_ALIGNMENT, MIN_LINE_ANGLE_DEG, MIN_VISIBLE_BOXES
from cmr_planes.views import N_POSITIONS, TARGET_VIEWS, CardiacView, PositionClass
from tests.helpers import oracles
from tests.helpers.strategies import (
    cropped,
    flipped_left_right,
    flipped_up_down,
    heart_planes,
    image_around,
    refined,
    rotation_matrix,
    rotations,
    translations,
    transposed,
)

TIE_PX = 1e-6
CENTRE_PX = 1e-7

views = st.sampled_from(TARGET_VIEWS)
pixel_layouts = st.builds(
    lambda size, extra: BoxLayout(size=size, gap=1.5 * size + extra), st.sampled_from([3, 5, 7, 9, 11, 15]), st.floats(0, 30)
)
mm_layouts = st.builds(
    lambda size, extra: BoxLayout(size=size, gap=1.5 * size + extra, units=BoxUnits.MILLIMETRES), st.floats(8, 30), st.floats(8, 40)
)
layouts = st.one_of(st.just(BoxLayout()), pixel_layouts, mm_layouts)


def assume_no_ties(positions: Positions) -> None:
    """Stay away from centres so near to half a pixel that rounding errors decide which pixel is nearest."""
    fraction = positions.centres_px % 1
    assume(bool((np.abs(fraction - 0.5) > TIE_PX).all()))


def box_set(positions: Positions) -> set[tuple[int, ...]]:
    """The boxes without their classes."""
    return {tuple(box) for box in positions.boxes.tolist()}


def patient_axis(axis: DecidingAxis) -> np.ndarray:
    """The axis as the patient has it: left is +x, posterior +y, superior +z in LPS."""
    diagonal = np.sqrt(0.5)
    return np.array(
        {
            DecidingAxis.LEFT: [1, 0, 0],
            DecidingAxis.ANTERIOR_SUPERIOR: [0, -diagonal, diagonal],
            DecidingAxis.SUPERIOR: [0, 0, 1],
        }[axis]
    )


@given(heart_planes(), views, layouts)
def test_centres_are_those_of_the_definition_in_plain_numpy(some_heart, view, layout):
    positions = some_heart.accepted_positions(view, layout)
    lines = VIEW_LINES[view]
    expected = oracles.nine_centres(
        some_heart.plane(view),
        *(some_heart.plane(line.view) for line in lines),
        axes=tuple(patient_axis(line.axis) for line in lines),
        gap=layout.gap,
        in_mm=layout.units is BoxUnits.MILLIMETRES,
    )
    np.testing.assert_allclose(positions.centres_px, expected, rtol=0, atol=CENTRE_PX)
    for centre_px, centre_mm in zip(expected, positions.centres_mm, strict=True):
        np.testing.assert_allclose(centre_mm, oracles.standard_point(some_heart.plane(view), *centre_px), rtol=0, atol=1e-6)


@given(heart_planes(), views, layouts)
def test_arms_lie_on_the_planes_that_leave_them(some_heart, view, layout):
    positions = some_heart.accepted_positions(view, layout)
    first, second = (some_heart.plane(line.view) for line in VIEW_LINES[view])
    for label in (1, 2, 3, 4, 5):
        assert oracles.distance_mm(first, positions.centres_mm[label - 1]) < 1e-6
    for label in (1, 6, 7, 8, 9):
        assert oracles.distance_mm(second, positions.centres_mm[label - 1]) < 1e-6


@given(heart_planes(), views, layouts)
def test_left_boxes_lie_to_the_patients_left_and_upper_ones_up_their_axis(some_heart, view, layout):
    positions = some_heart.accepted_positions(view, layout)
    target = some_heart.plane(view)
    row_start, row_stop, column_start, column_stop = positions.boxes.T
    middles = np.stack([(column_start + column_stop - 1) / 2, (row_start + row_stop - 1) / 2], axis=1)
    points = np.array([oracles.standard_point(target, *middle) for middle in middles])
    pixel_mm = max(target.row_spacing_mm, target.column_spacing_mm)
    for line, arm in zip(VIEW_LINES[view], ([3, 2, 1, 4, 5], [7, 6, 1, 8, 9]), strict=True):
        exact = positions.centres_mm[np.array(arm) - 1] @ patient_axis(line.axis)
        assert (np.diff(exact) < 0).all()
        drawn = points[np.array(arm) - 1] @ patient_axis(line.axis)
        assert (np.diff(drawn)[np.abs(np.diff(exact)) > 2 * pixel_mm] < 0).all()


@given(heart_planes(), views)
def test_a_shifted_patient_has_the_same_boxes_with_the_same_classes(some_heart, view):
    positions = some_heart.accepted_positions(view)
    assume_no_ties(positions)
    shifted = some_heart.moved(np.eye(3), np.array([-31.0, 17.5, 240.25])).positions(view)
    np.testing.assert_array_equal(shifted.boxes, positions.boxes)
    np.testing.assert_allclose(shifted.centres_mm - positions.centres_mm, [[-31.0, 17.5, 240.25]] * N_POSITIONS, rtol=0, atol=1e-6)


@given(heart_planes(), views, layouts, rotations(), translations())
def test_a_turned_patient_has_the_same_boxes_and_classes_until_an_axis_is_crossed(
    some_heart, view, layout, rotation, translation_mm
):
    # one slice only: of two equally central ones the more basal is taken, and a half turn exchanges base and apex
    some_heart = replace(some_heart, sax=(some_heart.plane(CardiacView.SAX),))
    positions = some_heart.accepted_positions(view, layout)
    assume_no_ties(positions)
    turned = some_heart.moved(rotation, translation_mm).accepted_positions(view, layout)
    assert box_set(turned) == box_set(positions)
    crossed = []
    for line, near in zip(VIEW_LINES[view], (PositionClass.LEFT_NEAR, PositionClass.UPPER_NEAR), strict=True):
        arm = positions.centres_mm[near - 1] - positions.centres_mm[0]
        crossed.append(bool((rotation @ arm) @ patient_axis(line.axis) < 0))
    order = np.arange(N_POSITIONS)
    for axis_crossed, arm in zip(crossed, ([1, 2, 3, 4], [5, 6, 7, 8]), strict=True):
        if axis_crossed:
            order[arm] = np.roll(arm, 2)
    np.testing.assert_array_equal(turned.boxes, positions.boxes[order])


@given(heart_planes(), views, rotations(max_angle_deg=3))
def test_a_small_rotation_keeps_every_class(some_heart, view, rotation):
    positions = some_heart.accepted_positions(view)
    assume_no_ties(positions)
    assume(positions.alignment.min() > MIN_ALIGNMENT + np.radians(3))
    turned = some_heart.moved(rotation, np.zeros(3)).positions(view)
    np.testing.assert_array_equal(turned.boxes, positions.boxes)


@given(heart_planes(), views, layouts)
def test_exchanging_the_two_lines_exchanges_their_classes(some_heart, view, layout):
    positions = some_heart.accepted_positions(view, layout)
    first, second = VIEW_LINES[view]
    exchanged = compute_positions(
        some_heart.plane(view),
        some_heart.plane(second.view),
        some_heart.plane(first.view),
        axes=(second.axis, first.axis),
        layout=layout,
    )
    order = [0, 5, 6, 7, 8, 1, 2, 3, 4]
    np.testing.assert_allclose(exchanged.centres_px, positions.centres_px[order], rtol=0, atol=CENTRE_PX)
    assert exchanged.angle_deg == pytest.approx(positions.angle_deg, abs=1e-6)


@given(heart_planes(), views)
def test_a_cutting_plane_given_from_its_other_side_changes_nothing(some_heart, view):
    positions = some_heart.accepted_positions(view)
    assume_no_ties(positions)
    first, second = VIEW_LINES[view]
    for flip_first, flip_second in ((flipped_left_right, flipped_up_down), (transposed, lambda plane: plane)):
        other = compute_positions(
            some_heart.plane(view),
            flip_first(some_heart.plane(first.view)),
            flip_second(some_heart.plane(second.view)),
            axes=(first.axis, second.axis),
            layout=BoxLayout(),
        )
        np.testing.assert_array_equal(other.boxes, positions.boxes)
        np.testing.assert_allclose(other.alignment, positions.alignment, rtol=0, atol=1e-9)


@given(heart_planes(), views, layouts)
def test_a_flipped_or_transposed_image_has_the_flipped_or_transposed_mask(some_heart, view, layout):
    target = some_heart.plane(view)
    positions = some_heart.accepted_positions(view, layout)
    assume_no_ties(positions)
    mask = draw_mask(positions, target.rows, target.columns)
    for image, expected in (
        (flipped_left_right(target), mask[:, ::-1]),
        (flipped_up_down(target), mask[::-1]),
        (transposed(target), mask.T),
        (transposed(flipped_up_down(target)), mask[::-1].T),
    ):
        result = draw_mask(some_heart.positions(view, layout, target=image), image.rows, image.columns)
        np.testing.assert_array_equal(result, expected)


@given(heart_planes(), views, layouts, st.tuples(*[st.integers(0, 60)] * 4))
def test_a_cropped_image_has_the_cropped_mask(some_heart, view, layout, margins):
    target = some_heart.plane(view)
    positions = some_heart.accepted_positions(view, layout)
    assume_no_ties(positions)
    rows, columns = slice(margins[0], target.rows - margins[1]), slice(margins[2], target.columns - margins[3])
    image = cropped(target, rows, columns)
    result = some_heart.accepted_positions(view, layout, target=image)
    mask = draw_mask(positions, target.rows, target.columns)
    np.testing.assert_array_equal(draw_mask(result, image.rows, image.columns), mask[rows, columns])


@given(heart_planes(matrix=st.integers(60, 90)), views, st.sampled_from([3, 5, 7]), st.floats(0, 12))
def test_the_mask_is_that_of_a_loop_over_pixels_also_at_the_border(some_heart, view, size, extra):
    positions = some_heart.accepted_positions(view, BoxLayout(size=size, gap=1.5 * size + extra))
    assume_no_ties(positions)
    target = some_heart.plane(view)
    rows, columns = target.rows, target.columns
    expected = oracles.mask_pixel_by_pixel(positions.centres_px, rows, columns, size=size)
    mask = draw_mask(positions, rows, columns)
    np.testing.assert_array_equal(mask, expected)
    drawn = set(np.unique(expected).tolist()) - {PositionClass.BACKGROUND}
    assert set((np.flatnonzero(positions.visible) + 1).tolist()) == drawn


@given(heart_planes(matrix=st.integers(48, 64), spacings_mm=st.tuples(st.floats(2, 4), st.floats(2, 4))), views, st.floats(8, 16))
def test_the_mask_in_millimetres_is_that_of_a_loop_over_pixels_that_need_not_be_square(some_heart, view, size_mm):
    target = some_heart.plane(view)
    positions = some_heart.accepted_positions(view, BoxLayout(size=size_mm, gap=2 * size_mm, units=BoxUnits.MILLIMETRES))
    assume_no_ties(positions)
    half_px = size_mm / 2 / np.array([target.column_spacing_mm, target.row_spacing_mm])
    assume(
        bool((np.abs(half_px - np.rint(half_px)) > TIE_PX).all())
    )  # a pixel's centre on the edge is in or out by a rounding error
    expected = oracles.mask_pixel_by_pixel(
        positions.centres_px,
        target.rows,
        target.columns,
        size=size_mm,
        pixel_size=(target.column_spacing_mm, target.row_spacing_mm),
    )
    np.testing.assert_array_equal(draw_mask(positions, target.rows, target.columns), expected)


@given(heart_planes(), views)
def test_a_box_of_the_paper_has_121_pixels_less_what_the_border_cuts(some_heart, view):
    target = some_heart.plane(view)
    positions = some_heart.accepted_positions(view)
    assume_no_ties(positions)
    mask = draw_mask(positions, target.rows, target.columns)
    for label, (column, row) in enumerate(positions.centres_px.tolist(), start=1):
        row_pixels = sum(0 <= round(row) + step < target.rows for step in range(-5, 6))
        column_pixels = sum(0 <= round(column) + step < target.columns for step in range(-5, 6))
        assert np.count_nonzero(mask == label) == row_pixels * column_pixels


@given(heart_planes(spacings_mm=st.just(1.82)), views)
def test_pixels_and_millimetres_agree_at_the_papers_resolution(some_heart, view):
    in_px = some_heart.accepted_positions(view, BoxLayout.default(BoxUnits.PIXELS))
    assume_no_ties(in_px)
    in_mm = some_heart.positions(view, BoxLayout.default(BoxUnits.MILLIMETRES))
    np.testing.assert_array_equal(in_mm.boxes, in_px.boxes)
    np.testing.assert_allclose(in_mm.centres_px, in_px.centres_px, rtol=0, atol=CENTRE_PX)


@given(heart_planes(), views, st.integers(2, 3))
def test_positions_in_millimetres_do_not_depend_on_the_resolution(some_heart, view, factor):
    layout = BoxLayout.default(BoxUnits.MILLIMETRES)
    positions = some_heart.accepted_positions(view, layout)
    fine = some_heart.accepted_positions(view, layout, target=refined(some_heart.plane(view), factor))
    np.testing.assert_allclose(fine.centres_mm, positions.centres_mm, rtol=0, atol=1e-6)


@given(heart_planes(), views)
def test_boxes_in_pixels_scale_with_the_pixels(some_heart, view):
    positions = some_heart.accepted_positions(view)
    distances = np.linalg.norm(positions.centres_px - positions.centres_px[0], axis=1)
    np.testing.assert_allclose(distances, [0, 30, 60, 30, 60, 30, 60, 30, 60], rtol=0, atol=CENTRE_PX)


@given(heart_planes(spacings_mm=st.tuples(st.floats(1, 2.5), st.floats(1, 2.5))), views)
def test_boxes_in_millimetres_are_as_far_apart_in_the_patient_whatever_the_pixels(some_heart, view):
    positions = some_heart.accepted_positions(view, BoxLayout.default(BoxUnits.MILLIMETRES))
    distances = np.linalg.norm(positions.centres_mm - positions.centres_mm[0], axis=1)
    np.testing.assert_allclose(distances, np.array([0, 1, 2, 1, 2, 1, 2, 1, 2]) * 54.6, rtol=0, atol=1e-6)


@given(
    angle_deg=st.floats(MIN_LINE_ANGLE_DEG + 1e-3, 180 - MIN_LINE_ANGLE_DEG - 1e-3),
    first_deg=st.floats(-60, 60),
    shift_px=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
def test_no_two_boxes_overlap_at_any_accepted_angle(angle_deg, first_deg, shift_px):
    positions = crossing_lines(first_deg, angle_deg, shift_px)
    mask = draw_mask(positions, 160, 160)
    assert np.bincount(mask.ravel(), minlength=10)[1:].tolist() == [121] * N_POSITIONS
    assert positions.angle_deg == pytest.approx(min(angle_deg, 180 - angle_deg), abs=1e-6)


@given(angle_deg=st.floats(2, MIN_LINE_ANGLE_DEG - 1e-3), first_deg=st.floats(-60, 60), obtuse=st.booleans())
def test_lines_at_smaller_angles_are_refused(angle_deg, first_deg, obtuse):
    with pytest.raises(LinesTooCloseError, match=r"meet at .* degrees in the image, and at least 32 are needed"):
        crossing_lines(first_deg, 180 - angle_deg if obtuse else angle_deg, (0.0, 0.0))


def crossing_lines(first_deg: float, angle_deg: float, shift_px: tuple[float, float]) -> Positions:
    """Positions on a coronal image, 1 mm a pixel, whose lines leave the rows at ``first_deg`` and ``first_deg + angle_deg``."""
    target = image_around([shift_px[0], 0, shift_px[1]], [0, 1, 0], spacing_mm=(1, 1), rows=160, columns=160)
    cutting = [
        image_around([0, 0, 0], rotation_matrix([0, 1, 0], angle) @ [0, 0, 1]) for angle in (first_deg, first_deg + angle_deg)
    ]
    second_line = rotation_matrix([0, 1, 0], first_deg + angle_deg) @ [1, 0, 0]
    # the axis that lies nearer to the second line, so that no angle is refused for a weak one
    second_axis = DecidingAxis.SUPERIOR if abs(second_line[2]) > abs(second_line[0]) else DecidingAxis.LEFT
    return compute_positions(target, *cutting, axes=(DecidingAxis.LEFT, second_axis), layout=BoxLayout())


@given(heart_planes(), views, layouts)
def test_a_mask_holds_only_position_classes_in_bytes(some_heart, view, layout):
    target = some_heart.plane(view)
    positions = some_heart.accepted_positions(view, layout)
    mask = draw_mask(positions, target.rows, target.columns)
    assert mask.dtype == np.uint8
    assert mask.shape == (target.rows, target.columns)
    assert set(np.unique(mask).tolist()) <= {int(label) for label in PositionClass}
    assert len(np.unique(mask)) - 1 == positions.visible.sum() >= MIN_VISIBLE_BOXES
    assert positions.layout == layout


@given(heart_planes(), views)
def test_alignment_is_the_cosine_of_each_line_with_its_axis(some_heart, view):
    positions = some_heart.accepted_positions(view)
    for line, cosine in zip(VIEW_LINES[view], positions.alignment, strict=True):
        along = oracles.cross_product(oracles.normal_of(some_heart.plane(view)), oracles.normal_of(some_heart.plane(line.view)))
        expected = abs(along @ patient_axis(line.axis)) / np.linalg.norm(along)
        assert cosine == pytest.approx(expected, abs=1e-9)
        assert cosine >= MIN_ALIGNMENT


@given(heart_planes(), st.floats(-30, 30))
def test_the_boxes_of_every_slice_have_the_classes_of_the_middle_one(some_heart, level_mm):
    middle = some_heart.plane(CardiacView.SAX)
    positions = some_heart.accepted_positions(CardiacView.SAX)
    level = replace(middle, position_mm=middle.position_mm + level_mm * oracles.normal_of(middle))
    other = some_heart.accepted_positions(CardiacView.SAX, target=level)
    arms = positions.centres_px - positions.centres_px[0]
    np.testing.assert_allclose(other.centres_px - other.centres_px[0], arms, rtol=0, atol=CENTRE_PX)


@given(
    column=st.integers(150, 250),
    row=st.integers(150, 250),
    halves=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
    turn_deg=st.sampled_from([0.0, 30.0, 45.0, 60.0]),
    rearranged=st.sampled_from([flipped_left_right, flipped_up_down, transposed]),
)
def test_a_point_between_two_pixels_gives_the_mirrored_mask_on_the_mirrored_image(column, row, halves, turn_deg, rearranged):
    target = ImagePlane.from_attributes([-200, -200, 0], [1, 0, 0, 0, 1, 0], [1, 1], rows=400, columns=400)
    meeting = np.array([column - 200 + halves[0] / 2, row - 200 + halves[1] / 2, 0.0])
    cosine, sine = np.cos(np.radians(turn_deg)), np.sin(np.radians(turn_deg))
    planes = [
        ImagePlane.from_attributes(meeting, [*along, 0, 0, 0, 1], [1, 1], rows=10, columns=10)
        for along in ((cosine, sine), (-sine, cosine))
    ]
    axes = (DecidingAxis.LEFT, DecidingAxis.ANTERIOR_SUPERIOR)
    mask, other = (
        draw_mask(compute_positions(plane, *planes, axes=axes, layout=BoxLayout()), 400, 400)
        for plane in (target, rearranged(target))
    )
    expected = {flipped_left_right: mask[:, ::-1], flipped_up_down: mask[::-1], transposed: mask.T}[rearranged]
    np.testing.assert_array_equal(other, expected)
