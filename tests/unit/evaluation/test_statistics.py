"""Paired differences against enumeration, SciPy, and known coverage."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from cmr_train.evaluation.statistics import paired_difference


def test_mean_difference_is_values_minus_baseline():
    difference = paired_difference([3.0, 5.0], [1.0, 2.0])
    assert difference.mean == 2.5
    assert 2.0 <= difference.low <= difference.high <= 3.0


def test_p_is_that_of_all_sign_flips():
    differences = np.array([0.03, -0.01, 0.07, 0.05, 0.02, 0.11, -0.04, 0.06])
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[differences > 0].sum()
    sums = [np.dot(signs, ranks) for signs in itertools.product([0, 1], repeat=len(ranks))]
    middle = ranks.sum() / 2
    expected = np.mean([abs(each - middle) >= abs(observed - middle) for each in sums])
    assert paired_difference(differences, np.zeros(8)).p_value == pytest.approx(expected)


def test_interval_is_that_of_scipy():
    rng = np.random.default_rng(1)
    values, baseline = rng.normal(0.85, 0.05, 40), rng.normal(0.8, 0.05, 40)
    got = paired_difference(values, baseline)
    expected = stats.bootstrap((values - baseline,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    width = expected.high - expected.low
    assert [got.low, got.high] == pytest.approx(list(expected), abs=0.03 * width)


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    covered = 0
    for number in range(100):
        difference = paired_difference(rng.normal(0.02, 0.05, 60), np.zeros(60), seed=number)
        covered += difference.low <= 0.02 <= difference.high
    assert 88 <= covered <= 100


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(3).normal(size=30)
    assert paired_difference(values, np.zeros(30)) == paired_difference(values, np.zeros(30))
    assert paired_difference(values, np.zeros(30)).low != paired_difference(values, np.zeros(30), seed=1).low


def test_exchanging_the_methods_turns_the_sign():
    rng = np.random.default_rng(4)
    values, baseline = rng.normal(size=(2, 25))
    there, back = paired_difference(values, baseline), paired_difference(baseline, values)
    assert back.mean == pytest.approx(-there.mean)
    assert [back.low, back.high] == pytest.approx([-there.high, -there.low])
    assert back.p_value == pytest.approx(there.p_value)


def test_subjects_without_a_value_are_left_out_and_counted():
    difference = paired_difference([0.9, math.nan, 0.8, math.nan], [0.8, 0.7, math.nan, math.nan])
    assert (difference.n_pairs, difference.n_left_out) == (1, 3)
    assert difference.mean == pytest.approx(0.1)
    assert math.isnan(difference.low)
    assert math.isnan(difference.high)


def test_no_pair_gives_no_number():
    difference = paired_difference([], [])
    assert (difference.n_pairs, difference.n_left_out) == (0, 0)
    assert all(math.isnan(each) for each in (difference.mean, difference.low, difference.high, difference.p_value))


def test_equal_methods_are_not_different():
    difference = paired_difference([0.5] * 12, [0.5] * 12)
    assert (difference.mean, difference.low, difference.high, difference.p_value) == (0, 0, 0, 1)


def test_many_subjects_are_resampled_in_parts(monkeypatch):
    values = np.random.default_rng(5).normal(size=50)
    monkeypatch.setattr("cmr_train.evaluation.statistics._VALUES_AT_ONCE", 1000)
    parts = paired_difference(values, np.zeros(50))
    monkeypatch.undo()
    assert parts == paired_difference(values, np.zeros(50))


@pytest.mark.parametrize("pair", [([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])], ids=["length", "dimensions"])
def test_values_that_are_no_pairs_are_refused(pair):
    with pytest.raises(ValueError, match="one shape"):
        paired_difference(*pair)
