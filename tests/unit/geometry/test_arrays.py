"""The median, compared with NumPy's."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from cmr_planes.geometry.arrays import median


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
