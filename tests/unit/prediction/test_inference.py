"""Label maps come back on each image's own pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from cmr_planes.views import CardiacView
from cmr_train.choices import Precision, Recipe
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid
from cmr_train.models.initial_weights import initialise
from cmr_train.prediction.inference import IMAGES_AT_ONCE, label_images
from cmr_train.runs.run import load_run
from cmr_train.training.validation import Validation
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import open_index, small_catalogue


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


class Recorder(nn.Module):
    """A network that keeps what it is given, and finds nothing."""

    def forward(self, batch, head):  # noqa: ARG002  # a network's signature
        self.seen = batch
        return torch.zeros(len(batch), 10, *batch.shape[2:])


@pytest.mark.parametrize("resample_mm", [None, 5.5], ids=["own pixels", "resampled"])
def test_a_network_is_given_the_same_image_in_training_and_in_prediction(tmp_path, resample_mm):
    run = load_run(write_run(tmp_path / "run", recipe=Recipe.PRETEXT, rows=40, columns=56, resample_mm=resample_mm))
    catalogue, index = open_index(small_catalogue(tmp_path, 2))
    target = Target(view=run.view, head=run.head, classes=tuple(range(10)), grid=Grid.of(run.config))
    trained_on = PlaneDataset(catalogue, index, target)[4][0]
    recorder = Recorder()
    address = (index.subject(4), run.view, int(index.phase_index[4]), int(index.slice_index[4]))
    label_images(replace(run, model=recorder), [catalogue.image(*address)], [(7.0, 7.0)])
    np.testing.assert_array_equal(recorder.seen[0, 0].numpy(), trained_on)


def test_validation_and_evaluation_find_the_same_classes_in_every_number_format(tmp_path):
    """In bfloat16 a network finds other classes than in single precision; what was validated is what is evaluated."""
    catalogue, index = open_index(small_catalogue(tmp_path, 3))
    found = {}
    for precision in (Precision.FLOAT32, Precision.BFLOAT16):
        folder = write_run(tmp_path / precision, recipe=Recipe.PRETEXT, base_channels=4, levels=2, precision=precision)
        run = load_run(folder)
        initialise(run.model, 5)
        addresses = [
            (index.subject(row), run.view, int(index.phase_index[row]), int(index.slice_index[row])) for row in range(len(index))
        ]
        labels = np.stack(label_images(run, [catalogue.image(*each) for each in addresses], [(7.0, 7.0)] * len(index)))
        truth = np.stack([catalogue.positions(*each) for each in addresses])
        people = np.array([index.participant(row) for row in range(len(index))])
        names = {number: f"{number}" for number in range(10)}
        target = Target(view=CardiacView.SAX, head=run.head, classes=tuple(range(10)), grid=Grid.of(run.config))
        validated = Validation(dataset=PlaneDataset(catalogue, index, target), names=names)(run.model, run.compute)
        for number, name in names.items():
            dice = [
                2 * ((labels == number) & (truth == number))[people == person].sum() / n_either
                for person in np.unique(people)
                if (n_either := (labels == number)[people == person].sum() + (truth == number)[people == person].sum())
            ]
            assert validated[name] == pytest.approx(np.mean(dice), rel=1e-12)
        found[precision] = labels
    assert (found[Precision.FLOAT32] != found[Precision.BFLOAT16]).any()
