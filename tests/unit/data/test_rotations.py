"""Turned images, against scipy's and against points whose place is known."""

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from cmr_planes.views import CardiacView
from cmr_train.choices import Recipe
from cmr_train.data.rotations import turn
from cmr_train.models.initial_weights import initialise
from cmr_train.prediction.inference import label_images
from cmr_train.runs.run import load_run
from tests.helpers.threshold_runs import write_run


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def slow(image, degrees, pixel_mm):
    """An image turned about its centre, as scipy samples it."""
    angle, edges = math.radians(degrees), np.array(pixel_mm)
    rotation = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = np.diag(1 / edges) @ rotation @ np.diag(edges)
    centre = (np.array(image.shape) - 1) / 2
    return ndimage.affine_transform(image, matrix, centre - matrix @ centre, order=1, mode="grid-constant")


@pytest.mark.parametrize("pixel_mm", [(1.0, 1.0), (1.2, 2.0)], ids=["square", "oblong"])
def test_images_turn_in_the_patient_as_scipy_turns_them(pixel_mm):
    images = np.random.default_rng(0).random((2, 3, 21, 30), dtype=np.float32)
    turned = turn(torch.from_numpy(images), 12.0, np.array([pixel_mm] * 2)).numpy()
    for number in range(2):
        for channel in range(3):
            np.testing.assert_allclose(turned[number, channel], slow(images[number, channel], 12.0, pixel_mm), atol=2e-5)


def test_a_point_keeps_its_distance_in_millimetres_and_comes_back():
    pixel_mm = (1.0, 2.0)
    image = np.zeros((1, 1, 81, 81), np.float32)
    image[0, 0, 40, 50] = 1.0  # 20 mm along a row
    turned = turn(torch.from_numpy(image), 90.0, np.array([pixel_mm]))
    (row,), (column,) = np.nonzero(turned[0, 0].numpy() > 0.9)
    assert (abs(row - 40) * pixel_mm[0], column) == (20.0, 40)
    back = turn(turned, -90.0, np.array([pixel_mm]))
    assert np.unravel_index(back.numpy().argmax(), back.shape) == (0, 0, 40, 50)


def test_answers_are_averaged_over_angles_and_brought_back(tmp_path):
    """Literally, with scipy, for a network of random weights; where turned images do not reach, the upright one alone counts."""
    run = load_run(write_run(tmp_path / "run", recipe=Recipe.PRETEXT, view=CardiacView.SAX, rows=32, columns=48))
    initialise(run.model, 2)
    image = np.random.default_rng(1).integers(0, 900, (32, 48)).astype(np.uint16)
    low, high = np.percentile(image, (1, 99))
    seen = ((image - low) / (high - low)).clip(0, 1).astype(np.float32)

    def answer(picture):
        with torch.inference_mode():
            return run.model(torch.from_numpy(picture.astype(np.float32))[None, None], "positions").softmax(1)[0].numpy()

    with torch.no_grad():  # classes that are about as frequent
        head = run.model.heads["positions"]
        head.weight *= 500
        head.bias -= run.model(torch.from_numpy(seen)[None, None], "positions").mean(dim=(0, 2, 3))
    total, weight = answer(seen).astype(np.float64), np.ones(image.shape)
    for degrees in (-10, 10):
        found = answer(slow(seen, degrees, (2.0, 2.0)))
        total += np.stack([slow(each, -degrees, (2.0, 2.0)) for each in found])
        weight += slow(np.ones(image.shape), -degrees, (2.0, 2.0))
    assert weight.min() < 1.5 < 2.9 < weight.max()
    mean = total / weight
    np.testing.assert_allclose(mean.sum(axis=0), 1, atol=1e-4)
    top = np.sort(mean, axis=0)
    clear = top[-1] - top[-2] > 1e-3
    assert clear.mean() > 0.9
    (labels,) = label_images(run, [image], [(2.0, 2.0)], rotate_deg=10.0)
    np.testing.assert_array_equal(labels[clear], mean.argmax(0)[clear])
    (upright,) = label_images(run, [image], [(2.0, 2.0)])
    assert (upright != labels).mean() > 0.05
