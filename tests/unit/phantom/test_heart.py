"""The beating heart and the chest: volumes, motion, contrast."""

import numpy as np
import pytest

from cmr_planes.phantom.acquisition import Protocol, examine, image_series
from cmr_planes.phantom.cycle import CardiacCycle
from cmr_planes.phantom.fields import FAR_MM, ellipsoid, tube
from cmr_planes.phantom.heart import heart_fields, heart_labels, heart_state
from cmr_planes.phantom.painting import paint_window, plan_scene
from cmr_planes.phantom.people import DEFAULT_FRACTIONS, Pathology, Subject, choose_pathology, heart_axes, sample_subject
from cmr_planes.phantom.rendering import label_plane
from cmr_planes.phantom.tissues import USUAL_TISSUES
from cmr_planes.views import CardiacView, Structure

STEP_MM = 1.5


def _grid():
    axes = [np.arange(*limits, STEP_MM, dtype=np.float32) for limits in ((-130, 62), (-72, 78), (-62, 125))]
    return tuple(np.meshgrid(*axes, indexing="ij"))


def _volumes_ml(shape, filling):
    labels = heart_labels(_grid(), heart_state(shape, filling))
    return {structure: float((labels == structure).sum()) * STEP_MM**3 / 1000 for structure in Structure}


@pytest.fixture(params=list(Pathology), ids=str)
def subject(request):
    return sample_subject(np.random.default_rng(7), request.param)


def test_volumes_integrated_from_labels_agree_with_the_analytic_ones_within_3_percent(subject):
    heart = subject.heart
    edv_ml, esv_ml = (_volumes_ml(heart, filling)[Structure.LV] for filling in (1.0, 0.0))
    assert edv_ml == pytest.approx(heart.edv_ml, rel=0.03)
    assert esv_ml == pytest.approx(heart.esv_ml, rel=0.03)
    assert 1 - esv_ml / edv_ml == pytest.approx(heart.ef, rel=0.03)


def test_the_wall_keeps_its_volume_and_thickens(subject):
    heart = subject.heart
    full, empty = (_volumes_ml(heart, filling) for filling in (1.0, 0.0))
    assert empty[Structure.MYO] == pytest.approx(full[Structure.MYO], rel=0.04)
    states = [heart_state(heart, filling) for filling in (1.0, 0.0)]
    thickness = [state.epi[1][0] - state.endo[1][0] for state in states]
    assert thickness[1] > 1.1 * thickness[0]


def test_atria_fill_while_ventricles_empty(subject):
    full, empty = (_volumes_ml(subject.heart, filling) for filling in (1.0, 0.0))
    assert empty[Structure.RV] < 0.8 * full[Structure.RV]
    assert empty[Structure.LA] > 1.3 * full[Structure.LA]
    assert empty[Structure.RA] > 1.3 * full[Structure.RA]


def test_the_right_ventricle_is_parted_from_fat_by_its_wall():
    subject = Subject()
    protocol = Protocol(spacing_mm=0.6, rows=480, columns=480)
    four_chamber = examine(subject, protocol, np.random.SeedSequence(1)).slices(CardiacView.FOUR_CHAMBER)[0]
    scene = plan_scene(subject, four_chamber.plane, np.zeros(1), four_chamber.breath_mm, USUAL_TISSUES)
    image = paint_window(scene, 1.0, mitral_is_open=False)
    state = heart_state(subject.heart, 1.0)
    fields = heart_fields(scene.points, state)
    free = (fields.epi > 6) & (fields.ra > 8) & (fields.la > 8) & (fields.aorta > 8) & (scene.points[2] > state.tricuspid_mm + 5)
    wall = image[(free & (fields.rv > 1.0) & (fields.rv < 2.0))[0]]
    fat = image[(free & (fields.rv > 4.2) & (fields.rv < 5.5))[0]]
    assert len(wall) > 50
    assert wall.max() < 0.4 * USUAL_TISSUES.rv_blood
    assert np.median(fat) > 2 * wall.max()


@pytest.mark.parametrize(
    ("bright", "dark"),
    [
        (USUAL_TISSUES.lv_blood, USUAL_TISSUES.myocardium),
        (USUAL_TISSUES.rv_blood, USUAL_TISSUES.myocardium),
        (USUAL_TISSUES.epicardial_fat, USUAL_TISSUES.myocardium),
        (USUAL_TISSUES.epicardial_fat, USUAL_TISSUES.pericardium),
        (USUAL_TISSUES.myocardium, USUAL_TISSUES.lung),
        (USUAL_TISSUES.liver, USUAL_TISSUES.lung),
        (USUAL_TISSUES.fat, USUAL_TISSUES.muscle),
    ],
)
def test_neighbours_differ_by_a_third_of_the_brighter(bright, dark):
    assert bright - dark > bright / 3


def test_the_volume_curve_is_cyclic_with_one_maximum_and_one_minimum():
    cycle = CardiacCycle(es_fraction=0.38)
    times = np.arange(1000) / 1000
    filling = cycle.filling(times)
    assert filling.argmax() == 0
    assert filling.argmin() == 380
    assert filling.min() == 0
    assert filling.max() == 1
    assert (np.diff(filling[:381]) <= 0).all()
    assert (np.diff(filling[380:]) >= 0).all()
    np.testing.assert_allclose(cycle.filling(times + 3), filling, atol=1e-9)
    assert np.abs(np.diff(filling, append=filling[0])).max() < 0.01


def test_the_volume_curve_equals_scipys_pchip():
    from scipy.interpolate import PchipInterpolator

    from cmr_planes.phantom.cycle import _cyclic_monotone

    times, values = np.array([0.0, 0.1, 0.35, 0.5, 0.9]), np.array([1.0, 0.9, 0.0, 0.6, 0.8])
    at = np.linspace(0, 1, 200, endpoint=False)
    long_times = np.concatenate([times - 1, times, times + 1])
    oracle = PchipInterpolator(long_times, np.tile(values, 3))(at)
    np.testing.assert_allclose(_cyclic_monotone(times, values, at), oracle, atol=1e-12)


def test_ellipsoids_are_measured_right_near_their_surface():
    angles = np.linspace(0, 2 * np.pi, 50, dtype=np.float32)
    for off_mm in (-1.0, 0.0, 1.0):
        points = tuple(
            c.astype(np.float32)[None, None] for c in ((30 + off_mm) * np.cos(angles), (30 + off_mm) * np.sin(angles), 0 * angles)
        )
        np.testing.assert_allclose(ellipsoid(points, (0, 0, 0), (30, 30, 50)), off_mm, atol=0.05)


def test_a_far_tube_is_told_without_being_measured():
    row, column = np.meshgrid(np.arange(100, dtype=np.float32), np.arange(90, dtype=np.float32), indexing="ij")
    points = (column[None], row[None], np.zeros_like(row)[None])
    assert tube(points, (0, 0, 300), (90, 90, 300), 5, 5).shape == (1, 1, 1)
    near = tube(points, (0, 0, 20), (90, 90, 20), 5, 5)
    assert near.shape == (1, 100, 90)
    assert near[0, 0, 0] == pytest.approx(15)
    assert near.min() < FAR_MM


def test_a_usual_heart_points_left_forward_and_down():
    axes = heart_axes(np.zeros(3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1)
    assert axes[0, 2] > 0.5
    assert axes[1, 2] < -0.3
    assert axes[2, 2] < -0.2


def test_pathologies_come_in_their_fractions_and_do_not_depend_on_the_cohort():
    chosen = [choose_pathology(index, 3) for index in range(200)]
    for pathology, fraction in DEFAULT_FRACTIONS.items():
        assert chosen.count(pathology) / 200 == pytest.approx(fraction, abs=0.02)


def test_pathologies_look_like_their_names():
    def mean(pathology, value):
        return np.mean([value(sample_subject(np.random.default_rng(seed), pathology)) for seed in range(20)])

    normal = Pathology.NORMAL
    assert mean(Pathology.DILATED, lambda s: s.heart.edv_ml) > 1.4 * mean(normal, lambda s: s.heart.edv_ml)
    assert mean(Pathology.DILATED, lambda s: s.heart.ef) < 0.42
    assert mean(Pathology.HYPERTROPHIC, lambda s: s.heart.wall_mm) > 1.5 * mean(normal, lambda s: s.heart.wall_mm)
    assert mean(Pathology.RV_ENLARGED, lambda s: s.heart.rv_scale) > 1.25
    assert mean(Pathology.HIGH_BMI, lambda s: s.torso.fat_mm) > 1.8 * mean(normal, lambda s: s.torso.fat_mm)


@pytest.mark.parametrize("phase", ["ed", "es"])
def test_images_are_bright_in_blood_and_dark_in_myocardium(phase):
    subject = Subject()
    exam = examine(subject, Protocol(n_frames=2), np.random.SeedSequence(1))
    fraction = subject.cycle.frame_fractions(2)[0 if phase == "ed" else 1]
    for place, prescription in enumerate(exam.prescriptions):
        if prescription.view is CardiacView.SAX and prescription.slice_number not in (4, 5, 6):
            continue
        image = image_series(exam, place, number=1).frames[0 if phase == "ed" else 1].astype(float)
        labels = label_plane(subject, prescription.plane, fraction, breath_mm=prescription.breath_mm)
        blood, muscle = (np.median(image[labels == structure]) for structure in (Structure.LV, Structure.MYO))
        assert blood > 2.2 * muscle, prescription.description
        assert muscle > 3 * np.median(image[:8, :8])


def test_chambers_are_where_a_reader_expects_them():
    subject = Subject()
    exam = examine(subject, Protocol(n_frames=2, angle_error_deg=0, position_error_mm=0, turn_deg=0), np.random.SeedSequence(1))

    def present(prescription):
        labels = label_plane(subject, prescription.plane, 0.0, breath_mm=prescription.breath_mm)
        return {Structure(value) for value in np.unique(labels) if (labels == value).sum() > 60} - {Structure.BACKGROUND}

    (two,), (four,) = exam.slices(CardiacView.TWO_CHAMBER), exam.slices(CardiacView.FOUR_CHAMBER)
    assert present(two) == {Structure.LV, Structure.MYO, Structure.LA}
    assert present(four) == {Structure.LV, Structure.MYO, Structure.RV, Structure.LA, Structure.RA}
    assert present(exam.slices(CardiacView.SAX)[4]) == {Structure.LV, Structure.MYO, Structure.RV}
