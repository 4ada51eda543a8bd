"""Smoothing and sampling, compared with SciPy."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, map_coordinates

from cmr_planes.cine.sampling import sample, smooth

SIZES = st.integers(1, 70)


@given(SIZES, SIZES, st.integers(0, 3), st.floats(0.2, 6.0), st.floats(0.2, 6.0), st.integers(0, 1 << 30))
def test_images_are_smoothed_as_by_scipy(rows: int, columns: int, n_images: int, first: float, second: float, seed: int) -> None:
    images = np.random.default_rng(seed).uniform(0, 4000, (n_images, rows, columns))
    expected = gaussian_filter(images, (0, first, second))
    np.testing.assert_allclose(smooth(images, (first, second)), expected, rtol=1e-12)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1 << 30))
def test_images_are_sampled_as_by_scipy(rows: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.uniform(0, 4000, (rows, columns))
    row, column = rng.uniform(-3, rows + 3, (4, 50)), rng.uniform(-3, columns + 3, (4, 50))
    row[0], column[0] = np.round(row[0]), np.round(column[0])
    expected = map_coordinates(image, [row, column], order=1, mode="nearest")
    np.testing.assert_array_equal(sample(image, (row, column)), expected)
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    np.testing.assert_array_equal(sample(image, (row, column)), map_coordinates(image, [row, column], order=1))


@given(st.integers(1, 5), st.integers(0, 1 << 30))
def test_grids_of_four_axes_are_sampled_as_by_scipy(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.uniform(-1, 1, (3, size, size, size)).astype(np.float32)
    place = np.concatenate([rng.integers(0, 3, (1, 40)), rng.uniform(0, size - 1, (3, 40))])
    expected = map_coordinates(values, place, order=1, output=np.float64)
    np.testing.assert_array_equal(sample(values, place), expected)


def test_the_image_is_left_as_it_is() -> None:
    image = np.arange(12.0).reshape(3, 4)
    before = image.copy()
    smooth(image, (1.0, 1.0))
    sample(image, (np.array([0.5]), np.array([1.5])))
    np.testing.assert_array_equal(image, before)
