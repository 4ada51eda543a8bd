import numpy as np
import pytest

from cmr_train.data.pixel_sizes import PixelSizes, pixel_text, spacings_of
from tests.helpers.training import mixed_catalogue, open_index


def test_sizes_are_those_of_the_views_in_an_index(tmp_path):
    catalogue, index = open_index(mixed_catalogue(tmp_path, (1.5, 2.0, 2.9)))
    is_first_two = np.array([index.subject(row) != "SYN-0003" for row in range(len(index))])
    np.testing.assert_allclose(spacings_of(catalogue, index.select(is_first_two)), [(1.5, 1.5), (2.0, 2.0)], rtol=1e-6)
    sizes = PixelSizes.of(spacings_of(catalogue, index))
    assert sizes.to_json() == {"median": [2.0, 2.0], "low": pytest.approx(1.5), "high": pytest.approx(2.9)}


@pytest.mark.parametrize(
    ("sizes", "varies", "words"),
    [
        ([(2.0, 2.0)], False, "2.00 mm"),
        ([(2.0, 2.0), (2.1, 2.19)], False, "2.00 to 2.19 mm"),
        ([(2.0, 2.3)], True, "2.00 to 2.30 mm"),
    ],
)
def test_sizes_vary_by_more_than_a_tenth(sizes, varies, words):
    found = PixelSizes.of(np.array(sizes))
    assert (found.varies, str(found)) == (varies, words)


def test_sizes_are_compared_with_those_of_a_network():
    sizes = PixelSizes.of(np.array([(2.0, 2.0), (2.1, 2.1)]))
    assert not sizes.is_far_from((2.1, 2.2))
    assert sizes.is_far_from((2.0, 2.3))
    assert sizes.is_far_from((1.8, 1.8))
    assert sizes.square_mm == pytest.approx(2.05)
    assert (pixel_text((2.0, 2.0)), pixel_text((2.0, 1.5))) == ("2.00 mm", "2.00 × 1.50 mm")
