"""Counts, quantiles and ends against loops in plain Python."""

import statistics
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.quality.cohort import VIEWS, Cohort
from cmr_planes.quality.distributions import MAX_BINS, NO_VALUE, bins, distribution, quantise
from cmr_planes.quality.measures import MEASURES

ANGLE = replace(next(measure for measure in MEASURES if measure.name == "line_angle_deg"), has_high_end=True)


def make_cohort(values: list[float], views: list[int]) -> Cohort:
    n = len(values)
    return Cohort(
        keys=tuple(f"SYN-{number:04}" for number in range(n)),
        n_images=np.ones(n, dtype=np.int64),
        subject=np.arange(n, dtype=np.uint32),
        view=np.array(views, dtype=np.uint8),
        state=np.zeros(n, dtype=np.uint8),
        scanner=np.zeros(n, dtype=np.uint16),
        scanners=(("", None),),
        values={ANGLE.name: np.array(values, dtype=np.float32)},
        reasons=(),
        finding_row=np.zeros(0, dtype=np.uint32),
        finding_reason=np.zeros(0, dtype=np.uint16),
    )


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_bins_are_few_and_hold_both_ends(least, width):
    start, step, n_bins = bins(least, least + width)
    assert 1 <= n_bins <= MAX_BINS
    assert start <= least < start + step
    assert start + (n_bins - 1) * step <= least + width < start + n_bins * step
    assert set(str(step).rstrip("0")) <= {"1", "2", "5"}


def test_every_value_is_counted_once_in_the_bar_of_its_value_and_view():
    rng = np.random.default_rng(0)
    values = np.where(rng.random(500) < 0.1, np.nan, rng.normal(70, 12, 500).clip(32, 90)).tolist()
    views = rng.integers(1, 4, 500).tolist()
    found = distribution(make_cohort(values, views), ANGLE, 3)
    assert found is not None
    expected = np.zeros_like(found.counts)
    for value, view in zip(values, views, strict=True):
        if value == value:
            tenths = round(float(np.float32(value)) * 10)
            (place,) = (
                p
                for p in range(found.counts.shape[1])
                if found.start + p * found.step <= tenths < found.start + (p + 1) * found.step
            )
            expected[view, place] += 1
    np.testing.assert_array_equal(found.counts, expected)
    for spread in found.spreads:
        of_view = sorted(
            (round(float(np.float32(v)) * 10), row)
            for row, (v, view) in enumerate(zip(values, views, strict=True))
            if VIEWS[view] == spread.view and v == v
        )
        tenths = [value for value, _ in of_view]
        assert spread.n == len(of_view)
        assert spread.quantiles[0] == pytest.approx(tenths[0] / 10)
        assert spread.quantiles[2] == pytest.approx(statistics.median(tenths) / 10)
        assert spread.quantiles[4] == pytest.approx(tenths[-1] / 10)
        assert spread.low == tuple(row for _, row in of_view[:3])
        assert spread.high == tuple(row for _, row in sorted(of_view, key=lambda pair: (-pair[0], pair[1]))[:3])


def test_values_that_most_rows_have_are_no_end():
    found = distribution(make_cohort([80.0] * 5 + [85.0], [1] * 6), ANGLE, 3)
    assert found is not None
    assert [(spread.low, spread.high) for spread in found.spreads] == [((), (5,))]


def test_without_values_there_is_no_distribution():
    assert distribution(make_cohort([float("nan")] * 2, [1, 2]), ANGLE, 3) is None


def test_values_that_cannot_be_printed_are_not_known():
    assert quantise(np.array([np.inf, -np.inf, 1e30, np.nan, 1.26], dtype=np.float32), 1).tolist() == [NO_VALUE] * 4 + [13]
