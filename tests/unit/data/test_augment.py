import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cmr_train.config import MOST_BLUR
from cmr_train.data.augment import Augmentation, adjust, blurred, draw_blurs, draw_matrices, sampling_grid, transform
from cmr_train.data.batches import Order


def test_images_and_masks_move_as_scipy_moves_them():
    rows, columns = 40, 52
    random = np.random.default_rng(1)
    image = ndimage.gaussian_filter(random.random((6, rows, columns)), (0, 2, 2)).astype(np.float32)
    mask = random.integers(0, 10, image.shape).astype(np.uint8)
    matrices = draw_matrices(6, random, rotation_deg=40, scaling=0.3)
    moved, classes = transform(*(torch.from_numpy(each) for each in (image[:, None], mask, matrices)))
    centre = np.array([(rows - 1) / 2, (columns - 1) / 2])
    for number, matrix in enumerate(matrices):
        offset = centre - matrix @ centre
        expected = ndimage.affine_transform(image[number], matrix, offset, order=1, mode="grid-constant")
        np.testing.assert_allclose(moved[number, 0].numpy(), expected, atol=1e-4)
        nearest = ndimage.affine_transform(mask[number], matrix, offset, order=0, mode="grid-constant")
        assert (classes[number].numpy() == nearest).mean() > 0.995  # a pixel on the border of two may go either way


def test_the_grid_is_that_of_torch():
    matrices = torch.from_numpy(draw_matrices(3, np.random.default_rng(0), rotation_deg=90, scaling=0.5))
    rows, columns = 12, 20
    half = torch.tensor([rows / 2, columns / 2])
    theta = torch.nn.functional.pad((matrices * half / half[:, None]).flip(1, 2), (0, 1))
    expected = torch.nn.functional.affine_grid(theta, [3, 1, rows, columns], align_corners=False)
    torch.testing.assert_close(sampling_grid(matrices, rows, columns), expected)


def test_an_image_and_its_mask_stay_together():
    mask = torch.zeros(1, 64, 64, dtype=torch.uint8)
    mask[:, 20:40, 10:30] = 1
    matrices = torch.from_numpy(draw_matrices(1, np.random.default_rng(5), rotation_deg=30, scaling=0.2))
    moved, classes = transform(mask[:, None].float(), mask, matrices)
    assert ((moved[:, 0] > 0.5) == (classes == 1)).float().mean() > 0.99


@given(st.floats(0, 180), st.floats(0, 0.9), st.integers(0, 99))
def test_nothing_is_ever_mirrored(rotation_deg, scaling, seed):
    matrices = draw_matrices(8, np.random.default_rng(seed), rotation_deg=rotation_deg, scaling=scaling)
    zoom = 1 / np.sqrt(np.linalg.det(matrices.astype(np.float64)))
    assert (np.linalg.det(matrices) > 0).all()
    assert (zoom <= (1 + scaling) * 1.0001).all()
    assert (zoom >= 1 / (1 + scaling) / 1.0001).all()


def test_no_range_changes_nothing():
    image, mask = torch.rand(2, 1, 16, 24), torch.randint(0, 9, (2, 16, 24), dtype=torch.uint8)
    still = draw_matrices(2, np.random.default_rng(0), rotation_deg=0, scaling=0)
    moved, classes = transform(image, mask, torch.from_numpy(still))
    torch.testing.assert_close(moved, image, atol=1e-5, rtol=0)
    assert torch.equal(classes, mask.long())


def test_intensities_are_raised_to_a_power_then_get_noise():
    order = Order(n_images=9, batch_size=400, seed=3, task=0)
    augmentation = Augmentation(gamma=0.5, noise=0.2)
    powers, noise = order.powers(2, augmentation), order.noise(2, (16, 24), augmentation)
    assert powers is not None
    assert noise is not None
    assert 1 / 1.5 <= powers.min() < 0.7
    assert 1.45 < powers.max() <= 1.5
    assert np.log(powers).mean() == pytest.approx(0, abs=0.05)
    deviations = noise.std(axis=(1, 2))
    assert deviations.max() < 0.23
    assert np.quantile(deviations, 0.5) == pytest.approx(0.1, abs=0.02)
    images = torch.rand(400, 1, 16, 24)
    changed = adjust(images, torch.from_numpy(powers), None, torch.from_numpy(noise))
    np.testing.assert_allclose(changed[:, 0], images[:, 0].numpy() ** powers[:, None, None] + noise, atol=1e-6)


def test_without_gamma_and_noise_intensities_stay():
    order = Order(n_images=9, batch_size=4, seed=3, task=0)
    assert order.powers(0, Augmentation()) is None
    assert order.noise(0, (8, 8), Augmentation()) is None
    images = torch.rand(4, 1, 8, 8)
    assert torch.equal(adjust(images, None, None, None), images)


def test_a_blur_is_the_gaussian_of_scipy():
    images = np.random.default_rng(3).random((4, 1, 20, 26)).astype(np.float32)
    deviations = np.array([0.0, 0.3, 1.0, MOST_BLUR], dtype=np.float32)
    found = blurred(torch.from_numpy(images), torch.from_numpy(deviations)).numpy()
    for number, deviation in enumerate(deviations):
        expected = (
            ndimage.gaussian_filter(images[number, 0], deviation, mode="nearest", radius=6) if deviation else images[number, 0]
        )
        np.testing.assert_allclose(found[number, 0], expected, atol=1e-5)


def test_blurs_are_up_to_what_was_asked_for_and_shared_out_among_processes():
    augmentation = Augmentation(blur=1.5)
    whole = Order(n_images=50, batch_size=40, seed=2, task=0)
    blurs = whole.blurs(7, augmentation)
    assert 0 <= blurs.min() < 0.3
    assert 1.2 < blurs.max() <= 1.5
    parts = [Order(n_images=50, batch_size=40, seed=2, task=0, rank=rank, n_ranks=2).blurs(7, augmentation) for rank in (0, 1)]
    np.testing.assert_array_equal(np.concatenate(parts), blurs)
    assert whole.blurs(7, Augmentation()) is None
    assert (draw_blurs(3, np.random.default_rng(0), blur=0) == 0).all()
