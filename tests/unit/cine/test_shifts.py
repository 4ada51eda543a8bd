"""How far slices lie from where the images agree: found again on scenes that were moved by known vectors."""

from dataclasses import replace

import numpy as np
import pytest

from cmr_planes.cine.line_surfaces import N_SIDE, STEP_MM, ThickImage, line_surfaces
from cmr_planes.cine.shifts import MAX_SD_MM, estimate_shifts
from cmr_planes.geometry import ImagePlane
from cmr_planes.views import CardiacView
from tests.helpers.records import heart_image, make_plane

GRID = {"matrix": (120, 120), "spacing_mm": 2.6}
HEAD = np.array([0.0, 0.0, 1.0])
SAX, TWO, FOUR = CardiacView.SAX, CardiacView.TWO_CHAMBER, CardiacView.FOUR_CHAMBER
LEVELS_MM = (-30.0, -18.0, -6.0, 6.0, 18.0, 30.0)
WAVES = np.random.default_rng(3).normal(size=(40, 3)) / 14
PHASES = np.random.default_rng(4).uniform(0, 2 * np.pi, 40)


def scene(plane, moved_mm=(0.0, 0.0, 0.0)):
    """Sample a smooth random pattern, moved by a vector, on a plane: waves of 30 to 300 mm in all directions."""
    column, row = np.meshgrid(np.arange(plane.columns), np.arange(plane.rows))
    points = plane.pixel_to_patient(np.stack([column, row], axis=-1)) - np.array(moved_mm)
    return (2000 + 60 * np.cos(points @ WAVES.T + PHASES).sum(axis=-1)).round().astype(np.uint16)


def three_chamber_plane():
    """A plane through the long axis, half-way between 2Ch and 4Ch on the other side."""
    two, four = make_plane(TWO, **GRID), make_plane(FOUR, **GRID)
    axis = np.cross(two.normal, four.normal)
    axis /= np.linalg.norm(axis)
    turned = two.normal * np.cos(1.1) + np.cross(axis, two.normal) * np.sin(1.1)
    row = np.cross(turned, axis)
    column = np.cross(turned, row)
    half = GRID["spacing_mm"] / 2 * np.array([two.columns - 1, two.rows - 1])
    return replace(two, position_mm=two.centre_mm - half[0] * row - half[1] * column, row_cosine=row, column_cosine=column)


LONG = [make_plane(TWO, **GRID), three_chamber_plane(), make_plane(FOUR, **GRID)]
SHORT = [make_plane(SAX, along_mm=level, **GRID) for level in LEVELS_MM]


def thick(plane, moved_mm=(0.0, 0.0, 0.0), **changes):
    return replace(ThickImage(plane=plane, image=scene(plane, moved_mm), thickness_mm=2.0), **changes)


def random_moves(seed, n, sd=(1.0, 2.0, 4.0)):
    return np.random.default_rng(seed).normal(size=(n, 3)) * sd


def to_long_axis(moved_mm, n_short):
    """What has to be added to each plane, relative to the long-axis planes, which lie near one another here."""
    return -(moved_mm - moved_mm[n_short:].mean(axis=0))


def test_shifts_of_a_moved_scene_are_found_again():
    for seed in range(3):
        moves = random_moves(seed, 9)
        moves[6:] *= 0.3
        images = [thick(plane, move) for plane, move in zip([*SHORT, *LONG], moves, strict=True)]
        found = estimate_shifts(images[:6], images[6:], head=HEAD)
        error = np.linalg.norm(found.shift_mm - to_long_axis(moves, 6), axis=1)
        assert np.isfinite(found.shift_mm).all()
        assert error.max() < 1.0
        assert (found.sd_mm > 0).all()
        assert (found.sd_mm <= MAX_SD_MM).all()
        assert (found.agreement[:, 1] > 0.97).all()
        assert (found.agreement[:, 1] >= found.agreement[:, 0] - 0.01).all()


def test_two_long_axis_views_are_enough_and_one_is_not():
    moves = random_moves(7, 8)
    moves[6:] *= 0.3
    images = [thick(plane, move) for plane, move in zip([*SHORT, LONG[0], LONG[2]], moves, strict=True)]
    found = estimate_shifts(images[:6], images[6:], head=HEAD)
    relative = found.shift_mm - found.shift_mm[6:].mean(axis=0)
    assert np.linalg.norm(relative - to_long_axis(moves, 6), axis=1).max() < 1.5
    assert estimate_shifts(images[:6], images[6:7], head=HEAD) is None
    assert estimate_shifts([], images[6:], head=HEAD) is None


@pytest.mark.parametrize("view", [0, 1, 2])
def test_a_long_axis_view_that_moved_shows_it_and_leaves_the_others_at_their_place(view):
    moves = np.zeros((9, 3))
    moves[6 + view] = (3.0, -4.0, 11.0)
    found = estimate_shifts(
        [thick(plane) for plane in SHORT], [thick(p, m) for p, m in zip(LONG, moves[6:], strict=True)], head=HEAD
    )
    lengths = np.linalg.norm(found.shift_mm, axis=1)
    assert lengths[6 + view] > 10
    assert np.delete(lengths, 6 + view).max() < 2
    np.testing.assert_allclose(found.shift_mm[6 + view] - found.shift_mm[0], -moves[6 + view], atol=1)


def test_a_stack_that_moved_shows_it():
    found = estimate_shifts([thick(plane, (-6.0, 4.0, 9.0)) for plane in SHORT], [thick(plane) for plane in LONG], head=HEAD)
    assert np.abs(found.shift_mm[:6] - (6.0, -4.0, -9.0)).max() < 1
    assert np.abs(found.shift_mm[6:]).max() < 0.5


def test_contrast_and_order_of_slices_change_nothing():
    moves = random_moves(11, 9)
    images = [thick(plane, move) for plane, move in zip([*SHORT, *LONG], moves, strict=True)]
    brighter = [replace(one, image=(one.image * (1 + k) // 2 + 30 * k).astype(np.uint16)) for k, one in enumerate(images)]
    first = estimate_shifts(images[:6], images[6:], head=HEAD)
    again = estimate_shifts(images[:6], images[6:], head=HEAD)
    other = estimate_shifts(brighter[:6], brighter[6:], head=HEAD)
    assert (first.shift_mm == again.shift_mm).all()
    assert (first.sd_mm == again.sd_mm).all()
    np.testing.assert_allclose(other.shift_mm, first.shift_mm, atol=0.1)
    turned = estimate_shifts(images[5::-1], images[6:], head=HEAD)
    np.testing.assert_allclose(turned.shift_mm[5::-1], first.shift_mm[:6], atol=0.2)


def spoilt(kind, plane):
    """An image of slice 2 that shows nothing of the scene."""
    rng = np.random.default_rng(0)
    if kind == "flat":
        return thick(plane, image=np.full((plane.rows, plane.columns), 700, np.uint16))
    if kind == "black":
        return thick(plane, image=np.zeros((plane.rows, plane.columns), np.uint16))
    if kind == "noise":
        return thick(plane, image=rng.integers(0, 4000, (plane.rows, plane.columns)).astype(np.uint16))
    if kind == "another patient":
        return thick(plane, image=scene(plane, (400.0, 300.0, 900.0)))
    if kind == "inverted contrast":
        return thick(plane, image=(6000 - scene(plane).astype(int)).astype(np.uint16))
    if kind == "elsewhere":
        far = replace(plane, position_mm=plane.position_mm + 900 * plane.row_cosine)
        return thick(far)
    corner = replace(plane, rows=40, columns=40)
    return thick(corner)


@pytest.mark.parametrize("kind", ["flat", "black", "noise", "another patient", "inverted contrast", "elsewhere", "cropped"])
def test_a_slice_whose_image_does_not_tell_has_no_shift_and_spoils_no_other(kind):
    short, long = [thick(plane) for plane in SHORT], [thick(plane) for plane in LONG]
    short[2] = spoilt(kind, SHORT[2])
    found = estimate_shifts(short, long, head=HEAD)
    assert np.isnan(found.shift_mm[2]).all(), (found.shift_mm[2], found.sd_mm[2], found.agreement[2])
    assert np.isnan(found.sd_mm[2]).all()
    others = np.delete(found.shift_mm, 2, axis=0)
    assert np.abs(others).max() < 0.7


def test_images_that_show_nothing_in_common_have_no_shifts():
    rng = np.random.default_rng(1)
    noise = [thick(plane, image=rng.integers(0, 4000, (plane.rows, plane.columns)).astype(np.uint16)) for plane in [*SHORT, *LONG]]
    found = estimate_shifts(noise[:6], noise[6:], head=HEAD)
    assert np.isnan(found.shift_mm).all()
    flat = [thick(plane, image=np.ones((plane.rows, plane.columns), np.uint16)) for plane in [*SHORT, *LONG]]
    assert estimate_shifts(flat[:6], flat[6:], head=HEAD) is None


def test_another_moment_of_the_cycle_makes_a_shift_less_certain():
    def heart(plane, contraction=0.0):
        return ThickImage(plane=plane, image=heart_image(plane, contraction=contraction), thickness_mm=2.0)

    long = [heart(plane) for plane in LONG]
    at_ed = estimate_shifts([heart(plane) for plane in SHORT], long, head=HEAD)
    at_es = estimate_shifts([heart(plane, 0.3 if k == 2 else 0.0) for k, plane in enumerate(SHORT)], long, head=HEAD)
    assert at_es.agreement[2, 1] < at_ed.agreement[2, 1] - 0.02
    assert not (at_es.sd_mm[2] < at_ed.sd_mm[2]).any()
    in_plane = at_es.shift_mm[2] - (at_es.shift_mm[2] @ SHORT[2].normal) * SHORT[2].normal
    assert np.isnan(in_plane).any() or np.linalg.norm(in_plane) < 2


def test_surfaces_hold_the_correlations_of_shifted_profiles():
    first, second = thick(SHORT[1], (1.0, 2.0, 3.0)), thick(LONG[0])
    for one in (first, replace(first, plane=replace(first.plane, columns=85), image=first.image[:, :85])):
        surfaces = line_surfaces([one, second], [(0, 1)], [SHORT[1].centre_mm])
        for offsets in ((0, 0, 0), (2, -3, 4), (-5, 1, -6)):
            expected = literal_correlation(one, second, np.array(offsets) * STEP_MM)
            places = tuple(N_SIDE + offset for offset in offsets)
            assert surfaces.correlation[0][places] == pytest.approx(expected, abs=2e-3)


def literal_correlation(first, second, offsets_mm):
    """Correlate two profiles sampled point by point, with bilinear weights written out."""
    along = np.cross(first.plane.normal, second.plane.normal)
    along /= np.linalg.norm(along)
    point = np.linalg.lstsq(
        np.stack([first.plane.normal, second.plane.normal, along]),
        [first.plane.normal @ first.plane.centre_mm, second.plane.normal @ second.plane.centre_mm, along @ SHORT[1].centre_mm],
        rcond=None,
    )[0]
    pairs = []
    for u in np.arange(-60, 60.1, STEP_MM):
        p = point + u * along + offsets_mm[0] * np.cross(first.plane.normal, along)
        q = point + (u - offsets_mm[2]) * along + offsets_mm[1] * np.cross(second.plane.normal, along)
        values = [bilinear(first, p), bilinear(second, q)]
        if None not in values:
            pairs.append(values)
    return np.corrcoef(np.array(pairs).T)[0, 1]


def bilinear(one, point):
    column, row = one.plane.patient_to_pixel(point)
    if not (0 <= column <= one.plane.columns - 1 and 0 <= row <= one.plane.rows - 1):
        return None
    c, r = min(int(column), one.plane.columns - 2), min(int(row), one.plane.rows - 2)
    x, y = column - c, row - r
    image = one.image.astype(float)
    return (image[r, c] * (1 - x) + image[r, c + 1] * x) * (1 - y) + (image[r + 1, c] * (1 - x) + image[r + 1, c + 1] * x) * y


def test_offsets_say_where_the_tissue_of_a_common_point_lies_in_both_images():
    first, second = thick(SHORT[1]), thick(LONG[0])
    surfaces = line_surfaces([first, second], [(0, 1)], [SHORT[1].centre_mm])
    shift = np.array([1.5, -2.0, 3.0])
    a, b, c = surfaces.offsets_from_shift[0] @ shift
    along = np.cross(first.plane.normal, second.plane.normal)
    along /= np.linalg.norm(along)
    in_first = a * np.cross(first.plane.normal, along) + c * along
    in_second = b * np.cross(second.plane.normal, along)
    np.testing.assert_allclose(in_first, in_second + shift, atol=1e-9)


def test_planes_that_nearly_coincide_are_not_compared():
    near = replace(LONG[0], position_mm=LONG[0].position_mm + 5 * LONG[0].normal)
    assert not len(line_surfaces([thick(LONG[0]), thick(near)], [(0, 1)], [SHORT[1].centre_mm]).pairs)


def test_a_plane_without_pixels_in_common_gives_no_surface():
    small = ImagePlane.from_attributes([500, 500, 500], [1, 0, 0, 0, 1, 0], [2, 2], rows=30, columns=30)
    assert not len(line_surfaces([thick(small), thick(LONG[0])], [(0, 1)], [SHORT[1].centre_mm]).pairs)
