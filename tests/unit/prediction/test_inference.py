"""Label maps come back on each image's own pixels."""

import numpy as np
import pytest
import torch

from cmr_train.prediction.inference import IMAGES_AT_ONCE, label_images
from cmr_train.runs.run import load_run
from tests.helpers.threshold_runs import write_run


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def disc(rows, columns, radius=9.0):
    """A bright disc off the centre of a dark image."""
    row, column = np.indices((rows, columns))
    return np.where(np.hypot(row - rows / 2 + 3, column - columns / 2 - 4) <= radius, 1000, 100).astype(np.uint16)


def test_images_of_different_size_keep_their_size_and_place(tmp_path):
    run = load_run(write_run(tmp_path / "run", rows=64, columns=64))
    images = [disc(48, 60), disc(61, 50), disc(80, 70)]  # smaller, odd, larger than the network's matrix
    labels = label_images(run, images, [(2.0, 2.0)] * 3)
    for image, found in zip(images, labels, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, image > 500)


@pytest.mark.parametrize("spacing_mm", [(2.0, 2.0), (1.1, 1.7)], ids=["square", "oblong"])
def test_images_are_brought_to_the_networks_pixels_and_back(tmp_path, spacing_mm):
    run = load_run(write_run(tmp_path / "run", rows=96, columns=96, resample_mm=1.4))
    image = disc(50, 46)
    (found,) = label_images(run, [image], [spacing_mm])
    assert found.shape == image.shape
    truth = image > 500
    assert 2 * (truth & (found == 1)).sum() / (truth.sum() + found.sum()) > 0.95


def test_what_lies_outside_the_networks_matrix_is_background(tmp_path):
    run = load_run(write_run(tmp_path / "run", rows=16, columns=16, threshold=-1.0))
    (found,) = label_images(run, [disc(40, 40)], [(2.0, 2.0)])
    assert found.sum() == 16 * 16
    assert found[12:28, 12:28].all()


def test_batches_do_not_show(tmp_path):
    run = load_run(write_run(tmp_path / "run"))
    images = [disc(48, 48, radius=4 + number / 4) for number in range(2 * IMAGES_AT_ONCE + 1)]
    together = label_images(run, images, [(2.0, 2.0)] * len(images))
    for image, found in zip(images, together, strict=True):
        np.testing.assert_array_equal(found, label_images(run, [image], [(2.0, 2.0)])[0])
    assert label_images(run, [], []) == []


def test_the_picture_is_the_one_that_training_sees(tmp_path):
    """The window is that of the image itself, not of what is padded or cut."""
    run = load_run(write_run(tmp_path / "run", rows=96, columns=96, threshold=0.5))
    image = np.full((20, 20), 600, np.uint16)
    image[:10] = 1000
    (found,) = label_images(run, [image], [(2.0, 2.0)])
    assert found[:10].all()
    assert not found[10:].any()
