"""Volumes of bodies whose volume is known."""

import math
from operator import attrgetter

import numpy as np
import pytest

from cmr_planes.views import Structure
from cmr_train.evaluation.volumes import Doubt, VentricularFunction, slice_distances_mm, structure_volumes_ml, voxel_volumes_ml


def stack(places_mm, normal=(0.0, 0.6, 0.8)):
    """Affines of slices at places along a normal, 1 mm pixels."""
    normal = np.array(normal)
    row = np.array([1.0, 0.0, 0.0])
    affines = np.tile(np.eye(4), (len(places_mm), 1, 1))
    affines[:, :3, 0], affines[:, :3, 1], affines[:, :3, 2] = row, np.cross(normal, row), normal
    affines[:, :3, 3] = np.array([5.0, -7.0, 20.0]) + np.outer(places_mm, normal)
    return affines


@pytest.mark.parametrize(
    ("places_mm", "expected"),
    [
        pytest.param([0, 10, 20, 30], [10, 10, 10, 10], id="regular"),
        pytest.param([30, 20, 10, 0], [10, 10, 10, 10], id="against the normal"),
        pytest.param([0, 10, 30, 40], [10, 15, 15, 10], id="a slice is missing"),
        pytest.param([0, 8], [8, 8], id="two"),
    ],
)
def test_a_slice_reaches_half_way_to_its_neighbours(places_mm, expected):
    assert slice_distances_mm(stack(places_mm)).tolist() == pytest.approx(expected)


def test_one_slice_has_no_volume():
    assert np.isnan(slice_distances_mm(stack([0]))).all()


def test_slices_moved_in_their_plane_are_no_farther_apart():
    affines = stack([0, 10, 20])
    affines[1, :3, 3] += 4 * affines[1, :3, 0]
    assert slice_distances_mm(affines).tolist() == pytest.approx([10, 10, 10])


def ball(radius_mm, spacing_mm, distance_mm, n_slices=41):
    places = (np.arange(n_slices) - n_slices // 2) * distance_mm
    rows, columns = np.indices((80, 80))
    across2 = ((rows - 39.6) * spacing_mm[0]) ** 2 + ((columns - 40.3) * spacing_mm[1]) ** 2
    return stack(places), (across2[None] + places[:, None, None] ** 2 <= radius_mm**2).astype(np.uint8)


def test_a_ball_has_the_volume_of_a_ball():
    spacing_mm = (1.5, 1.2)
    affines, labels = ball(30.0, spacing_mm, 2.0)
    voxels_ml = voxel_volumes_ml(affines, np.tile(spacing_mm, (len(affines), 1)))
    (volume_ml,) = structure_volumes_ml(labels[None], Structure.LV, voxels_ml)
    assert volume_ml == pytest.approx(4 / 3 * math.pi * 3**3, rel=0.01)  # 113 ml; 1 % for pixels of 3 mm cubed


def volumes_of(blood, muscle, right, phases, voxel_ml=0.5):
    """Labels of one slice with this many pixels of each structure in every phase."""
    labels = np.zeros((len(phases), 1, 10, 40), np.uint8)
    for phase, counts in enumerate(zip(blood, muscle, right, strict=True)):
        row = np.repeat([Structure.LV, Structure.MYO, Structure.RV], counts)
        labels[phase, 0].ravel()[: len(row)] = row
    return VentricularFunction.measure(labels, phases, np.array([voxel_ml]))


def test_function_of_named_phases():
    function = volumes_of([120, 50], [100, 110], [140, 70], ("ed", "es"))
    assert function.lv.end_diastolic_ml == 60
    assert function.lv.stroke_ml == 35
    assert function.lv.ejection_fraction_percent == pytest.approx(100 * 70 / 120)
    assert function.rv.ejection_fraction_percent == 50
    assert function.lv_mass_g == pytest.approx(50 * 1.05)
    assert (function.ed_phase, function.es_phase) == ("ed", "es")


def test_in_a_cine_the_left_ventricle_decides():
    function = volumes_of([90, 120, 40, 60], [80, 100, 70, 75], [80, 90, 50, 40], ("000", "001", "002", "003"))
    assert (function.ed_phase, function.es_phase) == ("001", "002")
    assert function.rv.end_systolic_ml == 25
    assert function.lv_mass_g == pytest.approx(52.5)


def test_what_is_missing_is_not_guessed():
    alone = volumes_of([100], [100], [100], ("ed",))
    assert alone.lv.end_diastolic_ml == 50
    assert math.isnan(alone.lv.end_systolic_ml)
    assert math.isnan(alone.lv.ejection_fraction_percent)
    assert alone.es_phase == ""
    unknown = volumes_of([100, 50], [100, 100], [100, 50], ("000", "001"), voxel_ml=np.nan)
    assert math.isnan(unknown.lv.end_diastolic_ml)
    assert unknown.ed_phase == ""
    assert unknown.doubts == (Doubt.SINGLE_SLICE,)
    empty = volumes_of([0, 0], [10, 10], [0, 0], ("ed", "es"))
    assert math.isnan(empty.lv.ejection_fraction_percent)


NAN_LV = "lv.end_diastolic_ml lv.end_systolic_ml lv.stroke_ml lv.ejection_fraction_percent".split()
NAN_RV = [name.replace("lv", "rv") for name in NAN_LV]


@pytest.mark.parametrize(
    ("blood", "muscle", "right", "phases", "doubts", "missing"),
    [
        ([0, 0, 0], [9, 9, 9], [128, 64, 96], ("000", "001", "002"), ["no_phases"], [*NAN_LV, *NAN_RV, "lv_mass_g"]),
        ([100, 0], [50, 50], [80, 40], ("ed", "es"), ["lv_missing_es"], NAN_LV[1:]),
        ([0, 60], [50, 50], [80, 40], ("ed", "es"), ["lv_missing_ed"], [NAN_LV[0], *NAN_LV[2:]]),
        ([60, 100], [50, 50], [80, 40], ("ed", "es"), ["lv_larger_at_es"], NAN_LV),
        ([100, 100], [50, 50], [80, 40], ("ed", "es"), ["lv_larger_at_es"], NAN_LV),
        ([100, 60], [50, 50], [40, 80], ("ed", "es"), ["rv_larger_at_es"], NAN_RV),
        ([100, 60], [0, 50], [40, 0], ("ed", "es"), ["rv_missing_es", "no_myocardium"], [*NAN_RV[1:], "lv_mass_g"]),
        ([100, 0, 60], [50, 50, 50], [80, 40, 50], ("000", "001", "002"), ["lv_missing_es"], NAN_LV[1:]),
        ([100, 60], [50, 50], [80, 40], ("ed", "es"), [], []),
    ],
)
def test_no_number_stands_where_a_structure_was_not_found_or_grew_in_systole(blood, muscle, right, phases, doubts, missing):
    function = volumes_of(blood, muscle, right, phases)
    assert list(function.doubts) == doubts
    found = [name for name in (*NAN_LV, *NAN_RV, "lv_mass_g") if math.isnan(attrgetter(name)(function))]
    assert found == missing


def test_a_structure_that_the_network_does_not_find_has_no_volume():
    labels = np.zeros((2, 3, 4, 4), dtype=np.uint8)
    labels[0, :, :2], labels[1, :, :1] = Structure.LV, Structure.LV
    found = VentricularFunction.measure(labels, ("ed", "es"), np.ones(3), structures=(Structure.LV,))
    assert (found.lv.end_diastolic_ml, found.lv.end_systolic_ml) == (24, 12)
    assert np.isnan([found.rv.end_diastolic_ml, found.rv.ejection_fraction_percent, found.lv_mass_g]).all()
    assert found.doubts == (Doubt.MYO_NOT_SEGMENTED, Doubt.RV_NOT_SEGMENTED)
