"""Whether blood lies in its muscle: contours and label maps of one image."""

import numpy as np
import pytest

from cmr_planes.annotations.model import Contour, Outline
from cmr_planes.annotations.nesting import Misnested, NestingFault, convex_hull, misnested_contours, misnested_labels, share_inside
from cmr_planes.annotations.rasterise import fill_contours
from tests.helpers.labels import LV, MYO

ANGLE = np.linspace(0, 2 * np.pi, 90, endpoint=False)
ROWS, COLUMNS = np.mgrid[:80, :90]


def contour(outline: Outline, radius: float, x: float = 40, y: float = 40) -> Contour:
    return Contour(outline, np.stack([x + radius * np.cos(ANGLE), y + radius * np.sin(ANGLE)], axis=1))


def disc(radius: float, x: float = 40, y: float = 40) -> np.ndarray:
    return np.hypot(COLUMNS - x, ROWS - y) < radius


def faults_of(*contours: Contour) -> tuple[Misnested, ...]:
    return misnested_contours(fill_contours(contours, 80, 90))


def fault_of(found: tuple[Misnested, ...]) -> NestingFault | None:
    return found[0].fault if found else None


@pytest.mark.parametrize("moved", [0, 2, 4, 7, 10, 15, 25])
def test_the_share_outside_is_that_of_the_circle(moved: float) -> None:
    endocardium, epicardium = contour(Outline.LV_ENDO, 9.0, 40 + moved), contour(Outline.LV_EPI, 13.0)
    found = faults_of(epicardium, endocardium)
    fine = np.linspace(0, 2 * np.pi, 10_000)
    outside = float((np.hypot(moved + 9 * np.cos(fine), 9 * np.sin(fine)) > 13).mean())
    assert fault_of(found) is (NestingFault.OUTSIDE if outside > 0.35 else None)
    if found:
        assert found[0].share == pytest.approx(outside, abs=0.08)


def test_contours_with_exchanged_names_are_told_from_moved_ones() -> None:
    assert fault_of(faults_of(contour(Outline.LV_ENDO, 13), contour(Outline.LV_EPI, 9))) is NestingFault.EXCHANGED
    assert fault_of(faults_of(contour(Outline.LV_ENDO, 13), contour(Outline.LV_EPI, 9, 70))) is NestingFault.OUTSIDE


@pytest.mark.parametrize("missing", [Outline.LV_ENDO, Outline.LV_EPI])
def test_one_contour_alone_says_nothing(missing: Outline) -> None:
    contours = [contour(Outline.LV_ENDO, 13), contour(Outline.LV_EPI, 9), contour(Outline.RV_ENDO, 8, 15)]
    assert faults_of(*(one for one in contours if one.outline is not missing)) == ()


def test_an_open_epicardium_at_the_base_holds_its_endocardium() -> None:
    turn = ANGLE - np.pi
    opened = Contour(Outline.LV_EPI, np.stack([40 + 14 * np.cos(turn), 40 + 14 * np.sin(turn)], axis=1)[np.abs(turn) > 0.8])
    assert faults_of(opened, contour(Outline.LV_ENDO, 9)) == ()


def test_a_right_ventricle_beside_the_epicardium_is_right_and_one_inside_it_is_not() -> None:
    left = [contour(Outline.LV_ENDO, 9), contour(Outline.LV_EPI, 13)]
    assert faults_of(*left, contour(Outline.RV_ENDO, 10, 22)) == ()
    found = faults_of(*left, contour(Outline.RV_ENDO, 10, 41))
    assert found == (Misnested(NestingFault.RIGHT_INSIDE, 1.0),)


def test_muscle_may_be_open_where_blood_lies_within_its_hull() -> None:
    labels = np.where(disc(13), MYO, 0).astype(np.uint8)
    labels[disc(9)] = LV
    assert misnested_labels(labels) == ()
    labels[(labels == MYO) & (np.abs(np.arctan2(ROWS - 40, COLUMNS - 40)) < 0.9)] = 0
    assert misnested_labels(labels) == ()
    assert misnested_labels(np.where(labels == LV, 0, labels).astype(np.uint8)) == ()


@pytest.mark.parametrize("slope", [0, 0.01, 0.02, 0.03, 0.05, 0.1, 0.5])
@pytest.mark.parametrize("offset", [-6, 0, 0.75, 4.75, 7.75, 11.75])
def test_blood_at_the_straight_edge_of_a_slice_through_the_valve_lies_in_its_muscle(slope: float, offset: float) -> None:
    kept = (COLUMNS - 40) + slope * (ROWS - 40) > offset
    labels = np.where(disc(17) & kept, MYO, 0).astype(np.uint8)
    labels[disc(13) & kept] = LV
    assert misnested_labels(labels) == ()


@pytest.mark.parametrize(("moved", "fault"), [(30, NestingFault.OUTSIDE), (10, NestingFault.OUTSIDE)])
def test_blood_off_its_muscle_is_noticed_in_label_maps(moved: float, fault: NestingFault) -> None:
    labels = np.where(disc(13) & ~disc(9), MYO, 0).astype(np.uint8)
    labels[disc(9, 40 + moved)] = LV
    assert fault_of(misnested_labels(labels)) is fault


def test_blood_around_muscle_is_noticed_in_label_maps() -> None:
    labels = np.where(disc(13), LV, 0).astype(np.uint8)
    labels[disc(9)] = MYO
    assert fault_of(misnested_labels(labels)) is NestingFault.EXCHANGED


def test_the_hull_of_few_or_aligned_pixels_is_themselves() -> None:
    for pixels in ([(3, 3)], [(3, 3), (3, 4)], [(2, 2), (3, 3), (4, 4)]):
        region = np.zeros((8, 8), dtype=np.bool_)
        for pixel in pixels:
            region[pixel] = True
        np.testing.assert_array_equal(convex_hull(region), region)
    assert share_inside(np.zeros((4, 4), dtype=np.bool_), np.ones((4, 4), dtype=np.bool_)) == 0
