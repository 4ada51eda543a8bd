"""Label maps come back on each image's own pixels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import nn

from cmr_planes.views import CardiacView
from cmr_train.choices import Precision, Recipe
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import resample, to_shape
from cmr_train.models.initial_weights import initialise
from cmr_train.prediction.inference import IMAGES_AT_ONCE, label_images, pixels_sentence
from cmr_train.runs.run import load_run
from cmr_train.training.validation import ClassScore
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import open_index, small_catalogue


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def disc(rows, columns, radius=9.0):
    """A bright disc off the centre of a dark image."""
    row, column = np.indices((rows, columns))
    return np.where(np.hypot(row - rows / 2 + 3, column - columns / 2 - 4) <= radius, 1000, 100).astype(np.uint16)


def disc_mm(n, pixel_mm, radius_mm):
    """A bright disc in the centre of a dark square image; the brightness of a pixel on its edge is that of its share."""
    at = (np.arange(n * 8) - (n * 8 - 1) / 2) * pixel_mm / 8
    inside = np.hypot(at[:, None], at[None]) <= radius_mm
    return (100 + 900 * inside.reshape(n, 8, n, 8).mean(axis=(1, 3))).round().astype(np.uint16)


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


@pytest.mark.parametrize("shape", [(40, 40), (17, 61), (16, 16)])
@pytest.mark.parametrize("pixel_mm", [None, (2.0, 2.0), (1.3, 1.3), (2.9, 2.9)])
def test_nothing_is_cut_where_a_network_is_used(tmp_path, shape, pixel_mm):
    run = load_run(write_run(tmp_path / "run", rows=16, columns=16, levels=3, threshold=-1.0, pixel_mm=pixel_mm))
    (found,) = label_images(run, [np.random.default_rng(0).integers(0, 999, shape).astype(np.uint16)], [(2.0, 2.0)])
    assert found.shape == shape
    assert found.all()


@pytest.mark.parametrize(("used_mm", "is_resampled"), [(1.4, True), (2.85, True), (2.88, False), (2.9, False), (4.0, True)])
def test_a_network_sees_a_heart_at_the_size_that_it_has_learnt(tmp_path, used_mm, is_resampled):
    run = load_run(write_run(tmp_path / "run", recipe=Recipe.PRETEXT, pixel_mm=(2.9, 2.9)))
    recorder = Recorder()
    image = disc_mm(120, used_mm, radius_mm=30)
    (found,) = label_images(replace(run, model=recorder), [image], [(used_mm, used_mm)])
    area_mm2 = recorder.seen[0, 0].sum().item() * (2.9 if is_resampled else used_mm) ** 2
    assert area_mm2 == pytest.approx(np.pi * 30**2, rel=0.03)
    assert found.shape == image.shape


def test_a_network_of_coarse_pixels_finds_the_same_disc_in_fine_ones(tmp_path):
    run = load_run(write_run(tmp_path / "run", rows=64, columns=64, pixel_mm=(2.9, 2.9)))
    coarse, fine = disc_mm(64, 2.9, radius_mm=40.0), disc_mm(132, 1.4, radius_mm=40.0)
    at_coarse, at_fine = label_images(run, [coarse, fine], [(2.9, 2.9), (1.4, 1.4)])
    areas_mm2 = (at_coarse == 1).sum() * 2.9**2, (at_fine == 1).sum() * 1.4**2
    ring_mm2 = 2 * np.pi * 40.0 * 1.4  # a pixel of the finer image all around
    assert abs(areas_mm2[1] - np.pi * 40.0**2) < ring_mm2
    assert abs(areas_mm2[1] - areas_mm2[0]) < ring_mm2


@pytest.mark.parametrize("oblong", [1.0, 1.2])
def test_probabilities_are_brought_back_as_slow_sampling_brings_them(tmp_path, oblong):
    """Literally: sample the padded image at each pixel of the network, and its probabilities at each pixel of the image."""
    pixel_mm, spacing_mm, shape = (2.9, 2.9 * oblong), (1.7, 1.4), (45, 62)
    run = load_run(
        write_run(tmp_path / "run", recipe=Recipe.PRETEXT, rows=16, columns=16, base_channels=4, levels=2, pixel_mm=pixel_mm)
    )
    initialise(run.model, 3)
    image = np.random.default_rng(1).gamma(2, 200, shape).astype(np.uint16)

    def sampled(array, n, steps):
        where = [
            (size - 1) / 2 + step * (np.arange(count) - (count - 1) / 2)
            for size, step, count in zip(array.shape, steps, n, strict=True)
        ]
        return ndimage.map_coordinates(array.astype(np.float32), np.meshgrid(*where, indexing="ij"), order=1, mode="nearest")

    steps = np.array(pixel_mm) / spacing_mm
    n = [round(count / step) for count, step in zip(shape, steps, strict=True)]
    coarse = sampled(image, n, steps)
    low, high = np.percentile(coarse, (1, 99))
    size = [-(-count // 4) * 4 for count in n]
    first = [(whole - count) // 2 for whole, count in zip(size, n, strict=True)]
    inside = (slice(first[0], first[0] + n[0]), slice(first[1], first[1] + n[1]))
    padded = np.zeros(size, np.float32)
    padded[inside] = coarse
    seen = torch.from_numpy(((padded - low) / (high - low)).clip(0, 1).astype(np.float32))
    with torch.no_grad():  # classes that are about as frequent
        head = run.model.heads["positions"]
        head.weight *= 1000
        head.bias -= run.model(seen[None, None], "positions").mean(dim=(0, 2, 3))
        probabilities = run.model(seen[None, None], "positions").softmax(1)[0].numpy()
    own = np.stack([sampled(each[inside], shape, 1 / steps) for each in probabilities])
    (found,) = label_images(run, [image], [spacing_mm])
    top = np.sort(own, axis=0)
    clear = top[-1] - top[-2] > 1e-5
    assert clear.mean() > 0.9
    assert len(np.unique(found)) > 2
    np.testing.assert_array_equal(found[clear], own.argmax(0)[clear])


def test_probabilities_back_beat_the_nearest_labels(tmp_path):
    """A disc whose edge pixels have the brightness of their share, as partial volumes have, and a network that knows this."""
    run = load_run(write_run(tmp_path / "run", rows=64, columns=64, pixel_mm=(2.9, 2.9)))
    with torch.no_grad():  # probabilities that follow the brightness
        for parameter in run.model.heads["structures"].parameters():
            parameter[1] *= 4
    image, truth = disc_mm(132, 1.4, radius_mm=25.0), disc_mm(132, 1.4, radius_mm=25.0) > 550
    (found,) = label_images(run, [image], [(1.4, 1.4)])
    coarse = (resample(image, (1.4, 1.4), (2.9, 2.9)) > 550).astype(np.uint8)
    hard = to_shape(coarse, (132, 132), (1.4 / 2.9, 1.4 / 2.9), is_mask=True)

    def dice(labels):
        return 2 * (truth & (labels == 1)).sum() / (truth.sum() + (labels == 1).sum())

    assert dice(found) > 0.985
    assert dice(found) > dice(hard) + 0.005


@pytest.mark.parametrize(
    ("pixel_mm", "images_mm", "words"),
    [
        (None, [(1.4, 1.4)], ["does not say at which pixel size"]),
        ((2.9, 2.9), [(2.9, 2.9), (2.88, 2.92)], []),
        ((2.9, 2.9), [(1.4, 1.4), (2.0, 2.0)], ["1.40 to 2.00 mm", "resampled", "2.90 mm"]),
    ],
)
def test_what_becomes_of_pixels_is_said(tmp_path, pixel_mm, images_mm, words):
    sentence = pixels_sentence(load_run(write_run(tmp_path / "run", pixel_mm=pixel_mm)), np.array(images_mm))
    assert (sentence is None) == (not words)
    assert all(word in sentence for word in words)


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
    run = load_run(write_run(tmp_path / "run", recipe=Recipe.PRETEXT, rows=64, columns=72, resample_mm=resample_mm))
    catalogue, index = open_index(small_catalogue(tmp_path, 2))
    target = Target(view=run.view, head=run.head, classes=tuple(range(10)), grid=run.grid)
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
        target = Target(view=CardiacView.SAX, head=run.head, classes=tuple(range(10)), grid=run.grid)
        validated = ClassScore(dataset=PlaneDataset(catalogue, index, target), names=names)(run.model, run.compute)
        for number, name in names.items():
            dice = [
                2 * ((labels == number) & (truth == number))[people == person].sum() / n_either
                for person in np.unique(people)
                if (n_either := (labels == number)[people == person].sum() + (truth == number)[people == person].sum())
            ]
            assert validated[name] == pytest.approx(np.mean(dice), rel=1e-12)
        found[precision] = labels
    assert (found[Precision.FLOAT32] != found[Precision.BFLOAT16]).any()
