"""The median and its like, compared with NumPy's."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cmr_planes.geometry.arrays import cross, distinct, median, percentiles


@given(
    st.sampled_from([np.float32, np.float64]).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=1, max_dims=2, min_side=0), elements=st.floats(-1e6, 1e6, width=32))
    ),
    st.booleans(),
)
def test_medians_are_those_of_numpy(values: np.ndarray, has_nan: bool) -> None:
    if has_nan and values.size:
        values.flat[values.size // 2] = np.nan
    before = values.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of an empty array
        expected = float(np.median(values))
    assert median(values) == pytest.approx(expected, rel=0, abs=0, nan_ok=True)
    np.testing.assert_array_equal(values, before)


NUMBERS = st.floats(-1e6, 1e6, width=32)


@given(
    arrays(np.float64, array_shapes(min_dims=1, max_dims=2, min_side=1), elements=NUMBERS),
    st.lists(st.floats(0, 100), min_size=1, max_size=4),
)
def test_percentiles_are_those_of_numpy(values: np.ndarray, percents: list[float]) -> None:
    before = values.copy()
    assert percentiles(values, percents) == np.percentile(values, percents).tolist()
    np.testing.assert_array_equal(values, before)


@given(st.lists(NUMBERS, max_size=20), st.lists(st.integers(0, 19), max_size=20))
def test_distinct_numbers_are_those_of_numpy(numbers: list[float], repeated: list[int]) -> None:
    numbers += [numbers[index] for index in repeated if index < len(numbers)]
    np.testing.assert_array_equal(distinct(numbers), np.unique(np.array(numbers, dtype=np.float64)))


@given(arrays(np.float64, (2, 3), elements=NUMBERS))
def test_cross_products_are_those_of_numpy(vectors: np.ndarray) -> None:
    np.testing.assert_array_equal(cross(vectors[0], vectors[1]), np.cross(vectors[0], vectors[1]))
