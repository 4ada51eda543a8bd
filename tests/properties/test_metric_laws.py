"""Laws of the metrics, for any two masks."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cmr_train.evaluation.metrics import Metric, score_volume

DISTANCES = [metric for metric in Metric if metric is not Metric.DICE]
spacings = st.tuples(*[st.floats(0.2, 5.0)] * 2)


@st.composite
def volumes(draw, *, n=2):
    """Label maps with classes 0 to 2, any of which may be missing, of one shape (slices, rows, columns)."""
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)))
    return [draw(arrays(np.uint8, shape, elements=st.integers(0, 2), fill=st.just(0))) for _ in range(n)]


def values(truth, prediction, spacing_mm=(1.0, 1.0)):
    """Dice and distances of class 1."""
    (score,) = score_volume(truth, prediction, classes=[1], spacing_mm=spacing_mm)
    return {metric: score.value(metric) for metric in Metric}


@given(volumes())
def test_dice_is_between_0_and_1_or_both_are_empty(pair):
    dice = values(*pair)[Metric.DICE]
    assert 0 <= dice <= 1 or (math.isnan(dice) and not any((volume == 1).any() for volume in pair))


@given(volumes(), spacings)
def test_truth_and_prediction_may_be_exchanged(pair, spacing_mm):
    there, back = (score_volume(*order, classes=[1, 2], spacing_mm=spacing_mm) for order in (pair, pair[::-1]))
    for one, other in zip(there, back, strict=True):
        assert [one.value(metric) for metric in Metric] == pytest.approx([other.value(metric) for metric in Metric], nan_ok=True)
        assert (one.n_scored, one.n_missed, one.n_invented) == (other.n_scored, other.n_invented, other.n_missed)


@given(volumes(n=1), spacings)
def test_a_mask_agrees_with_itself(one, spacing_mm):
    got = values(one[0], one[0], spacing_mm)
    if (one[0] == 1).any():
        assert got == {metric: 1.0 if metric is Metric.DICE else 0.0 for metric in Metric}


@given(volumes(), spacings, st.floats(0.1, 10.0))
def test_distances_scale_with_the_spacing_and_dice_does_not(pair, spacing_mm, factor):
    before, after = values(*pair, spacing_mm), values(*pair, tuple(factor * edge for edge in spacing_mm))
    assert after[Metric.DICE] == pytest.approx(before[Metric.DICE], nan_ok=True)
    for metric in DISTANCES:
        assert after[metric] == pytest.approx(factor * before[metric], nan_ok=True)


@given(volumes(), spacings)
def test_transposing_images_and_spacing_changes_nothing(pair, spacing_mm):
    turned = values(*(volume.swapaxes(1, 2) for volume in pair), spacing_mm[::-1])
    assert turned == pytest.approx(values(*pair, spacing_mm), nan_ok=True)


@given(volumes(), st.tuples(*[st.integers(0, 4)] * 4))
def test_background_around_the_image_changes_nothing(pair, margin):
    wider = [np.pad(volume, ((0, 0), margin[:2], margin[2:])) for volume in pair]
    assert values(*wider) == pytest.approx(values(*pair), nan_ok=True)


@given(volumes(), st.randoms(use_true_random=False))
def test_the_order_of_slices_changes_nothing(pair, random):
    order = list(range(len(pair[0])))
    random.shuffle(order)
    assert values(*(volume[order] for volume in pair)) == pytest.approx(values(*pair), nan_ok=True)


@given(volumes(), spacings)
def test_mean_distance_never_exceeds_the_diagonal(pair, spacing_mm):
    _, rows, columns = pair[0].shape
    diagonal = math.hypot((rows - 1) * spacing_mm[0], (columns - 1) * spacing_mm[1])
    for metric in DISTANCES:
        distance = values(*pair, spacing_mm)[metric]
        assert math.isnan(distance) or 0 <= distance <= diagonal * (1 + 1e-12)


@given(volumes(), spacings)
def test_every_slice_with_the_structure_is_scored_missed_or_invented(pair, spacing_mm):
    (score,) = score_volume(*pair, classes=[1], spacing_mm=spacing_mm)
    with_structure = np.logical_or(*(volume == 1 for volume in pair)).any(axis=(1, 2)).sum()
    assert score.n_scored + score.n_missed + score.n_invented == with_structure
    assert (score.n_scored > 0) == (not math.isnan(score.bai2019_mm))
    assert [score.is_empty, score.is_failure] == [with_structure == 0, with_structure > 0 and score.n_scored == 0]
