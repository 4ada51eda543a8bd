"""Several networks as one: literally, the mean of what each says of every pixel."""

import json
import shutil

import numpy as np
import pytest
import torch

from cmr_planes.views import CardiacView, Structure
from cmr_train.choices import Recipe
from cmr_train.errors import TrainError
from cmr_train.models.initial_weights import initialise
from cmr_train.prediction.ensemble import Ensemble
from cmr_train.prediction.inference import find_probabilities, label_images
from cmr_train.runs.checkpoint import save_checkpoint
from cmr_train.runs.folder import CONFIG_NAME, FINAL_NAME, read_config
from cmr_train.runs.run import load_run, make_network
from tests.helpers.threshold_runs import make_threshold, write_run

SPACING_MM = (2.0, 2.0)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


def random_run(folder, seed, **given):
    """A run with random weights whose classes are about as frequent."""
    run = load_run(write_run(folder, recipe=Recipe.PRETEXT, **given))
    initialise(run.model, seed)
    with torch.no_grad():
        head = run.model.heads["positions"]
        head.weight *= 300
        head.bias -= run.model(torch.from_numpy(picture(0)).float()[None, None] / 1000, "positions").mean(dim=(0, 2, 3))
    save_checkpoint(folder / FINAL_NAME, {"model": run.model.state_dict()})
    return run


def picture(seed, shape=(48, 40)):
    return np.random.default_rng(seed).integers(0, 1000, shape).astype(np.uint16)


def literal(run, image):
    """What one network says of an image of its own pixels: scaled, padded about the centre, and cut back."""
    low, high = np.percentile(image, (1, 99))
    rows, columns = run.image_size
    row, column = (rows - image.shape[0]) // 2, (columns - image.shape[1]) // 2
    padded = np.zeros((rows, columns))
    padded[row : row + image.shape[0], column : column + image.shape[1]] = image
    seen = torch.from_numpy(((padded - low) / (high - low)).clip(0, 1).astype(np.float32))
    with torch.inference_mode():
        found = run.model(seen[None, None], run.head.value).softmax(1)[0].numpy()
    return found[:, row : row + image.shape[0], column : column + image.shape[1]]


def test_probabilities_of_networks_of_other_matrices_are_averaged(tmp_path):
    sizes = [(48, 48), (64, 48), (48, 80)]
    runs = [random_run(tmp_path / f"{seed}", seed, rows=rows, columns=columns) for seed, (rows, columns) in enumerate(sizes)]
    images = [picture(1), picture(2, (40, 48))]
    found = Ensemble.of(runs).find(images, [SPACING_MM] * 2)
    for number, image in enumerate(images):
        mean = np.mean([literal(run, image).astype(np.float64) for run in runs], axis=0)
        top = np.sort(mean, axis=0)
        clear = top[-1] - top[-2] > 1e-5
        assert clear.mean() > 0.9
        assert len(np.unique(found.labels[number])) > 3
        np.testing.assert_array_equal(found.labels[number][clear], mean.argmax(0)[clear])
        alone = [labels[number] for labels in found.by_run]
        assert any((labels != found.labels[number]).any() for labels in alone)


def test_probabilities_of_networks_of_other_pixels_are_averaged_on_the_images_own(tmp_path):
    runs = [random_run(tmp_path / f"{seed}", seed, pixel_mm=(edge, edge)) for seed, edge in enumerate((2.0, 2.9, 1.4))]
    image = picture(3)
    arguments = ([image], [SPACING_MM])
    found = Ensemble.of(runs).find(*arguments)
    each = [next(find_probabilities(run, *arguments)).astype(np.float64) for run in runs]
    for run, own in zip(runs, each, strict=True):
        assert own.shape == (10, *image.shape)
        np.testing.assert_allclose(own.sum(axis=0), 1, atol=1e-5)
        np.testing.assert_array_equal(label_images(run, *arguments)[0], own.argmax(0))
    top = np.sort(np.mean(each, axis=0), axis=0)
    clear = top[-1] - top[-2] > 1e-5
    np.testing.assert_array_equal(found.labels[0][clear], np.mean(each, axis=0).argmax(0)[clear])


def test_the_order_in_which_networks_are_named_changes_nothing(tmp_path):
    runs = [random_run(tmp_path / f"{seed}", seed) for seed in range(3)]
    first, second = Ensemble.of(runs), Ensemble.of(runs[::-1])
    assert [run.name for run in first.runs] == [run.name for run in second.runs]
    found = [ensemble.find([picture(4)], [SPACING_MM]) for ensemble in (first, second)]
    np.testing.assert_array_equal(found[0].labels, found[1].labels)
    np.testing.assert_array_equal(found[0].by_run, found[1].by_run)


def test_one_network_is_itself(tmp_path):
    run = random_run(tmp_path / "run", 1)
    found = Ensemble.of([run]).find([picture(5)], [SPACING_MM])
    np.testing.assert_array_equal(found.labels, label_images(run, [picture(5)], [SPACING_MM]))
    assert found.by_run == []


def test_a_network_of_an_earlier_release_has_outputs_without_a_name(tmp_path):
    """It has one for every number up to the highest; the other has one for each structure of the view."""
    folder = write_run(tmp_path / "earlier", view=CardiacView.TWO_CHAMBER, found=4, threshold=0.5)
    stored = json.loads((folder / CONFIG_NAME).read_text())
    stored["config"]["transfer"]["structures"] = []
    (folder / CONFIG_NAME).write_text(json.dumps(stored))
    config = read_config(folder)
    model = make_network(config)
    make_threshold(model, config.head.value, 0.5, found=4)
    save_checkpoint(folder / FINAL_NAME, {"model": model.state_dict()})
    earlier = load_run(folder)
    later = load_run(write_run(tmp_path / "later", view=CardiacView.TWO_CHAMBER, found=4, threshold=0.6))
    assert (len(earlier.model.heads["structures"].bias), len(later.model.heads["structures"].bias)) == (5, 4)
    found = Ensemble.of([earlier, later]).find([picture(6)], [SPACING_MM])
    assert np.unique(found.labels[0]).tolist() == [0, 4]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"view": CardiacView.FOUR_CHAMBER}, "one finds structures on SAX, the other structures on 4Ch"),
        ({"recipe": Recipe.PRETEXT}, "one finds structures on SAX, the other positions on SAX"),
        ({"structures": (Structure.LV,)}, "one finds LV, Myo, RV, the other LV"),
    ],
)
def test_networks_of_other_tasks_are_refused_by_name(tmp_path, given, words):
    first = load_run(write_run(tmp_path / "first", threshold=0.5))
    other = load_run(write_run(tmp_path / "other", **{"threshold": 0.6} | given))
    with pytest.raises(TrainError, match=f"first' and .*other' .*{words}"):
        Ensemble.of([first, other])


def test_the_same_network_twice_is_refused_by_name(tmp_path):
    first = write_run(tmp_path / "first")
    shutil.copytree(first, tmp_path / "other")
    with pytest.raises(TrainError, match=r"first' and .*other' have the same weights"):
        Ensemble.of([load_run(first), load_run(tmp_path / "other")])


def test_the_same_weights_in_a_file_of_other_bytes_are_refused(tmp_path):
    """A checkpoint may hold the same tensors after another number of iterations: the best ones of a run that ended there."""
    first, other = write_run(tmp_path / "first"), write_run(tmp_path / "other")
    save_checkpoint(other / FINAL_NAME, {"model": load_run(first).model.state_dict(), "iteration": 7})
    runs = [load_run(first), load_run(other)]
    assert runs[0].weights_sha256 != runs[1].weights_sha256
    with pytest.raises(TrainError, match=r"' have the same weights"):
        Ensemble.of(runs)
