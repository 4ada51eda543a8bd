"""Signs of a wrong segmentation, on maps whose fault is known."""

from itertools import combinations

import numpy as np
import pytest

from cmr_train.evaluation.doubts import lacks_middle_slice, pairwise_dice, stack_doubts
from cmr_train.evaluation.volumes import Doubt
from tests.helpers.metric_oracles import dice


def affines(*places_mm):
    """Slices at places along their normal."""
    matrices = np.tile(np.eye(4), (len(places_mm), 1, 1))
    matrices[:, 2, 3] = places_mm
    return matrices


def stack(n_slices=9):
    """Two phases with LV 1, Myo 2 and RV 3 on every slice."""
    labels = np.zeros((2, n_slices, 20, 20), np.uint8)
    labels[..., 4:14, 4:14] = 2
    labels[..., 6:12, 6:12] = 1
    labels[..., 4:14, 15:19] = 3
    return labels


def doubts(labels, places_mm=None, cleaned=None, runs_dice=None):
    places = [10.0 * number for number in range(labels.shape[1])] if places_mm is None else places_mm
    return stack_doubts(labels, affines(*places), cleaned=labels if cleaned is None else cleaned, runs_dice=runs_dice)


def test_a_whole_stack_has_no_doubts():
    assert doubts(stack(), runs_dice=np.full((2, 3), 0.7)) == ()


@pytest.mark.parametrize(
    ("has", "lacks"),
    [
        ("111111111", False),
        ("000111000", False),
        ("000111100", False),
        ("000011100", True),  # the fourth of nine is of the middle third
        ("110111111", True),
        ("111101111", True),
        ("001000000", True),
        ("000000000", False),  # missing altogether has a doubt of its own
        ("0110", False),
        ("10", False),
        ("1", False),
    ],
)
def test_a_structure_is_whole_in_the_middle_of_the_stack(has, lacks):
    mask = np.array([each == "1" for each in has])[:, None, None] & np.ones((1, 3, 3), bool)
    assert lacks_middle_slice(mask) == lacks


def test_a_hole_in_one_phase_is_seen_before_and_after_cleaning():
    holed = stack()
    holed[1, 4][holed[1, 4] == 1] = 0
    assert doubts(holed) == (Doubt.LV_MISSING_MID,)
    halved = stack()
    halved[1, 4:][halved[1, 4:] == 1] = 0
    assert doubts(holed, cleaned=halved) == (Doubt.LV_MISSING_MID, Doubt.MUCH_REMOVED)


@pytest.mark.parametrize(
    ("places_mm", "has_gap"), [((0, 10, 20, 30), False), ((0, 10, 30, 40), True), ((40, 30, 10, 0), True), ((0, 10, 24, 34), False)]
)
def test_a_gap_in_the_stack(places_mm, has_gap):
    assert doubts(stack(4), places_mm) == ((Doubt.STACK_GAP,) if has_gap else ())


@pytest.mark.parametrize(("n_removed", "is_much"), [(32, False), (33, True)])
def test_much_that_was_removed(n_removed, is_much):
    labels = stack()
    cleaned = labels.copy()
    of_phase = cleaned[1].reshape(-1)
    of_phase[np.flatnonzero(of_phase == 1)[:n_removed]] = 0  # of 9 × 36 voxels
    assert doubts(labels, cleaned=cleaned) == ((Doubt.MUCH_REMOVED,) if is_much else ())


def test_the_agreement_of_networks_is_the_mean_dice_of_all_pairs():
    random = np.random.default_rng(4)
    maps = [random.choice([0, 1, 2], (2, 3, 8, 8)).astype(np.uint8) for _ in range(4)]
    maps[0][1], maps[1][1] = 0, 0
    found = pairwise_dice(maps, (1, 2, 3))
    for phase in range(2):
        for column, number in enumerate((1, 2)):
            pairs = [
                dice(first[phase] == number, second[phase] == number)
                for first, second in combinations(maps, 2)
                if (first[phase] == number).any() or (second[phase] == number).any()
            ]
            assert len(pairs) == (6 if phase == 0 else 5)
            assert found[phase, column] == pytest.approx(np.mean(pairs))
    assert np.isnan(found[:, 2]).all()


def test_networks_that_differ_in_one_structure():
    agreement = np.array([[0.9, 0.8, np.nan], [0.9, 0.69, np.nan]])
    assert doubts(stack(), runs_dice=agreement) == (Doubt.RUNS_DIFFER,)
