import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.data.images import fit, intensity_window, normalise, resample, unfit


def images(dtype=np.uint16) -> np.ndarray:
    return np.random.default_rng(0).gamma(2, 200, (3, 31, 44)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_window_is_the_first_and_last_percentile(dtype):
    for image in images(dtype):
        assert intensity_window(image) == pytest.approx(np.percentile(image, (1, 99)), rel=1e-6)


def test_intensities_end_at_0_and_1_whatever_their_unit():
    values = normalise(images())
    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() == 1
    np.testing.assert_allclose(normalise(images().astype(np.float32) * 3 + 7), values, atol=1e-5)
    assert not normalise(np.full((1, 4, 4), 7)).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_unfit_undoes_fit_where_nothing_was_cut(rows, columns, new_rows, new_columns):
    image = np.arange(1, rows * columns + 1).reshape(rows, columns)
    fitted, offset = fit(image, new_rows, new_columns)
    back = unfit(fitted, rows, columns)
    assert fitted.shape == (new_rows, new_columns)
    assert back.shape == image.shape
    kept = back > 0
    assert (back[kept] == image[kept]).all()
    assert kept.sum() == min(rows, new_rows) * min(columns, new_columns)
    if min(offset) >= 0:
        assert fitted[offset[0], offset[1]] == 1


def test_resampling_keeps_the_field_of_view():
    image = np.add.outer(np.arange(20.0), np.arange(30.0)).astype(np.float32)
    finer = resample(image, (2.0, 2.0), (1.0, 1.0))
    assert finer.shape == (40, 60)
    assert finer[20:, 30:].mean() - finer[:20, :30].mean() == pytest.approx(
        image[10:, 15:].mean() - image[:10, :15].mean(), rel=0.01
    )
