import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cmr_train.data.augment import Augmentation
from cmr_train.data.batches import Order


@given(st.integers(1, 12), st.integers(1, 10), st.integers(0, 30))
def test_every_image_comes_once_a_pass(n_images, batch_size, number):
    order = Order(n_images=n_images, batch_size=batch_size, seed=0, task=0)
    rows = np.concatenate([order.rows(each) for each in range(n_images)])
    assert (np.bincount(rows, minlength=n_images) == batch_size).all()
    np.testing.assert_array_equal(order.rows(number), order.rows(number))


def test_processes_share_a_batch():
    whole = Order(n_images=9, batch_size=6, seed=1, task=0)
    parts = [Order(n_images=9, batch_size=6, seed=1, task=0, rank=rank, n_ranks=3) for rank in range(3)]
    augmentation = Augmentation(rotation_deg=10, scaling=0.1)
    for number in range(5):
        np.testing.assert_array_equal(np.concatenate([part.rows(number) for part in parts]), whole.rows(number))
        matrices = [each.matrices(number, augmentation) for each in (*parts, whole)]
        np.testing.assert_array_equal(np.concatenate(matrices[:3]), matrices[3])


@given(st.integers(2, 12), st.integers(1, 5), st.data())
def test_favoured_images_have_their_share_of_every_batch(batch_size, n_favoured, data):
    n_favoured = min(n_favoured, batch_size - 1)
    favoured = tuple(sorted(data.draw(st.sets(st.integers(0, 19), min_size=1, max_size=6))))
    order = Order(n_images=20, batch_size=batch_size, seed=0, task=1, favoured=favoured, n_favoured=n_favoured)
    batches_of_rows = [order.rows(number) for number in range(60)]
    assert all(np.isin(rows[:n_favoured], favoured).all() for rows in batches_of_rows)
    counts = np.bincount(np.concatenate([rows[:n_favoured] for rows in batches_of_rows]), minlength=20)[list(favoured)]
    assert counts.max() - counts.min() <= 1
    common = np.bincount(np.concatenate([rows[n_favoured:] for rows in batches_of_rows]), minlength=20)
    assert common.max() - common.min() <= 1


def test_tasks_and_seeds_have_their_own_order():
    orders = [Order(n_images=50, batch_size=50, seed=seed, task=task).rows(0) for seed, task in ((0, 0), (0, 1), (1, 0))]
    assert not any((first == second).all() for first, second in ((orders[0], orders[1]), (orders[0], orders[2])))
