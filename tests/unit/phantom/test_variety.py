"""A hard cohort: varied as its table says, and true."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cmr_planes.phantom.acquisition import Protocol, image_series
from cmr_planes.phantom.cohort import CohortOptions, make_examination
from cmr_planes.phantom.fields import Ripple, rippled
from cmr_planes.phantom.heart import heart_labels, heart_state
from cmr_planes.phantom.people import Pathology
from cmr_planes.phantom.truth import slice_labels
from cmr_planes.phantom.variety import HARD_FRACTIONS, VARIETY, Range, sample_varied_subject
from cmr_planes.views import CardiacView, Structure

HARD = CohortOptions(is_hard=True, fractions=HARD_FRACTIONS, protocol=Protocol(n_frames=2))
STEP_MM = 2.0


def _volumes_ml(subject, filling):
    axes = [np.arange(*limits, STEP_MM, dtype=np.float32) for limits in ((-130, 75), (-90, 90), (-40, 135))]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    labels = heart_labels(rippled((x, y, z), subject.ripples), heart_state(subject.heart, filling))
    return {structure: float((labels == structure).sum()) * STEP_MM**3 / 1000 for structure in Structure}


@pytest.mark.parametrize("name", list(VARIETY))
def test_draws_fill_their_range_and_do_not_leave_it(name):
    kind, rng = VARIETY[name], np.random.default_rng(0)
    draws = np.array([kind.draw(rng) for _ in range(300)])
    assert kind.low <= draws.min() < draws.max() <= kind.high
    assert kind.reason
    if isinstance(kind, Range):
        assert np.ptp(draws) > 0.95 * (kind.high - kind.low)
    else:
        assert draws.mean() == pytest.approx(kind.mean, abs=0.35 * kind.deviation)
        assert 0.7 * kind.deviation < draws.std() < 1.15 * kind.deviation


def test_ripples_keep_volumes_to_the_last_digit():
    ripples = sample_varied_subject(np.random.default_rng(5), Pathology.NORMAL).ripples
    place, step = np.random.default_rng(1).uniform(-60, 60, (3, 40)), 0.5
    columns = []
    for axis in range(3):
        ends = []
        for sign in (1, -1):
            moved = place.copy()
            moved[axis] += sign * step
            ends.append(np.stack(rippled((moved[0], moved[1], moved[2]), ripples)))
        columns.append((ends[0] - ends[1]) / (2 * step))
    determinants = np.linalg.det(np.stack(columns).transpose(2, 0, 1))
    np.testing.assert_allclose(determinants, 1.0, atol=2e-3)


def test_a_displacement_that_changes_volumes_is_refused():
    with pytest.raises(ValueError, match="changes volumes"):
        Ripple(axis=0, amplitude_mm=1.0, wave=(0.1, 0.0, 0.0), phase=0.0)


@pytest.mark.parametrize("pathology", list(Pathology), ids=str)
def test_irregular_hearts_hold_the_volumes_that_the_truth_states(pathology):
    subject = sample_varied_subject(np.random.default_rng(11), pathology)
    full, empty = (_volumes_ml(subject, filling) for filling in (1.0, 0.0))
    assert full[Structure.LV] == pytest.approx(subject.heart.edv_ml, rel=0.03)
    assert empty[Structure.LV] == pytest.approx(subject.heart.esv_ml, rel=0.03)
    assert empty[Structure.MYO] == pytest.approx(full[Structure.MYO], rel=0.05)


def test_people_scanners_and_prescriptions_differ():
    exams = [make_examination(HARD, index) for index in range(40)]
    planes = [exam.slices(CardiacView.SAX)[0].plane for exam in exams]
    assert 1.4 < np.mean([plane.row_spacing_mm for plane in planes]) < 1.62
    assert len({(plane.rows, plane.columns) for plane in planes}) > 35
    ratios = [exam.scanner.tissues.myocardium / exam.scanner.tissues.lv_blood for exam in exams]
    assert min(ratios) < 0.28 < 0.5 < max(ratios)
    assert {exam.subject.pathology for exam in exams} == set(Pathology)
    assert 0 < sum(exam.subject.has_device for exam in exams) < 10
    assert 1 < sum(exam.subject.heart.effusion_mm > 0 for exam in exams) < 14


def test_a_usual_cohort_has_nothing_of_it():
    exam = make_examination(CohortOptions(), 0)
    assert exam.scanner.artefacts is None
    assert exam.subject.ripples == exam.subject.torso.ripples == exam.subject.torso.loops == ()
    assert not exam.subject.has_device


def test_the_same_seed_gives_the_same_images_and_another_one_others():
    first, again, other = (image_series(make_examination(replace(HARD, seed=seed), 3), 2, number=1).frames for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()


@pytest.mark.parametrize("index", [0, 1, 4])
def test_labels_lie_on_the_images(index):
    exam = make_examination(HARD, index)
    middle = len(exam.slices(CardiacView.SAX)) // 2 + 3
    for place in (2, middle):
        image = image_series(exam, place, number=1).frames[0].astype(float)
        labels = slice_labels(exam, exam.prescriptions[place], 0.0)
        blood, wall = (np.median(image[labels == structure]) for structure in (Structure.LV, Structure.MYO))
        assert blood > 1.15 * wall
        moved = np.roll(labels, 12, axis=1)
        inside, beside = (np.abs(np.median(image[one == Structure.LV]) - blood) for one in (labels, moved))
        assert inside < beside


def test_the_page_on_phantoms_holds_every_range():
    page = (Path(__file__).parents[3] / "docs" / "phantom.md").read_text()
    for name, kind in VARIETY.items():
        low, high = (f"{value:g}".replace("-", "−") for value in (kind.low, kind.high))
        assert f"| {name} | " in page
        assert f" | {low} | {high} | {kind.reason} |" in page
