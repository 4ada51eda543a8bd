import numpy as np
import pytest
import torch

from cmr_train.data.batches import Order
from cmr_train.data.hiding import draw_hidden, hidden_pixels


def test_three_quarters_of_the_patches_are_hidden_each_as_often_as_the_others():
    hidden = draw_hidden(2000, np.random.default_rng(0))
    assert (hidden.sum(axis=(1, 2)) == 48).all()
    np.testing.assert_allclose(hidden.mean(axis=0), 0.75, atol=0.05)


@pytest.mark.parametrize("size", [(8, 8), (96, 128), (20, 44)])
def test_patches_cover_the_matrix_side_by_side(size):
    hidden = torch.from_numpy(draw_hidden(1, np.random.default_rng(1)))
    pixels = hidden_pixels(hidden, size)[0].numpy()
    for row in range(size[0]):
        for column in range(size[1]):
            assert pixels[row, column] == hidden[0, int(row * 8 / size[0]), int(column * 8 / size[1])]


def test_processes_hide_what_one_would_hide():
    whole = Order(n_images=9, batch_size=6, seed=3, task=1)
    parts = [Order(n_images=9, batch_size=6, seed=3, task=1, rank=rank, n_ranks=2) for rank in range(2)]
    np.testing.assert_array_equal(np.concatenate([part.hidden(5) for part in parts]), whole.hidden(5))
    assert not np.array_equal(whole.hidden(5), whole.hidden(6))
