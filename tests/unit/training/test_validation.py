"""Watching the validation set: the numbers against a literal definition, and that watching changes nothing."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Recipe
from cmr_train.compute.devices import Compute, choose_compute
from cmr_train.data.datasets import PlaneDataset, Target
from cmr_train.data.images import Grid
from cmr_train.data.places import relative_places
from cmr_train.errors import ConfigError, TrainError
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.recipes.pretext import train_pretext
from cmr_train.training import validation
from cmr_train.training.objectives import SliceObjective
from cmr_train.training.session import Reporter
from cmr_train.training.validation import ClassScore, NumberScore, mean_dice
from tests.helpers.training import SIZE, small_catalogue, small_config


@pytest.fixture(scope="module")
def catalogue_path(tmp_path_factory):
    return small_catalogue(tmp_path_factory.mktemp("data"), 6)


@given(st.integers(0, 1000), st.integers(1, 4), st.integers(2, 4))
def test_mean_dice_is_that_of_its_definition(seed, n_people, n_classes):
    random = np.random.default_rng(seed)
    truths, found = random.integers(0, n_classes, (2, n_people, 12))
    counts = np.zeros((n_people, n_classes, n_classes), dtype=np.int64)
    for person in range(n_people):
        for pair in zip(truths[person], found[person], strict=True):
            counts[person][pair] += 1
    for number in range(n_classes):
        dice = []
        for truth, prediction in zip(truths == number, found == number, strict=True):
            if truth.any() or prediction.any():
                dice.append(2 * (truth & prediction).sum() / (truth.sum() + prediction.sum()))
        expected = np.mean(dice) if dice else np.nan
        np.testing.assert_allclose(mean_dice(counts)[number], expected)


def test_the_dice_of_a_look_is_that_of_the_predictions(catalogue_path):
    config = small_config(catalogue_path)
    with Catalogue(catalogue_path) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        target = Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=tuple(range(10)), grid=Grid((SIZE, SIZE)))
        dataset = PlaneDataset(catalogue, index, target)
        model = UNet(1, 4, 2, heads={"positions": 10})
        initialise(model, 1)
        names = config.class_names(Head.POSITIONS)
        values = ClassScore(dataset=dataset, names=names)(model, choose_compute(config.runtime))
        assert model.training
        model.eval()
        images, masks = dataset.batch(range(len(dataset)))
        with torch.inference_mode():
            found = model(torch.from_numpy(images)[:, None], "positions").argmax(1).numpy()
    people = np.array([index.participant(row) for row in range(len(index))])
    for number, name in names.items():
        dice = []
        for person in np.unique(people):
            truth, prediction = masks[people == person] == number, found[people == person] == number
            dice.append(2 * (truth & prediction).sum() / (truth.sum() + prediction.sum()))
        assert values[name] == pytest.approx(np.mean(dice))
    assert values["mean"] == pytest.approx(np.mean([values[name] for name in names.values()]))


@pytest.mark.parametrize(("head", "n_counted"), [(Head.STRUCTURES, 3), (Head.POSITIONS, 2)])
def test_a_structure_that_is_nowhere_counts_and_a_position_outside_every_image_does_not(monkeypatch, head, n_counted):
    truth = np.array([[[0, 1], [2, 2]]], dtype=np.uint8)
    found = np.array([[[0, 1], [2, 0]]], dtype=np.uint8)

    class OneImage:
        """A participant with the classes 1 and 2."""

        target = SimpleNamespace(head=head, n_classes=4, grid=None)
        undrawn = None
        index = SimpleNamespace(participant=lambda row: f"SYN-{row}")

        def __len__(self) -> int:
            return 1

        def own_image(self, row):
            return truth[row].astype(np.uint16)

        def own_mask(self, row):
            return truth[row]

        def spacing_mm(self, _row):
            return 2.0, 2.0

    monkeypatch.setattr(validation, "find_classes", lambda *_, **__: found)
    names = {1: "first", 2: "second", 3: "nowhere"}
    values = ClassScore(dataset=OneImage(), names=names)(UNet(1, 2, 1, heads={"a": 2}), Compute(torch.device("cpu")))
    assert values == pytest.approx({"first": 1, "second": 2 / 3, "mean": (1 + 2 / 3) / n_counted})


@pytest.mark.parametrize("answer", [0.0, 0.3, 0.5])
def test_the_score_of_numbers_is_the_share_of_their_variance_that_is_explained(catalogue_path, answer):
    with Catalogue(catalogue_path) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        dataset = PlaneDataset(
            catalogue, index, Target(view=CardiacView.SAX, head=Head.POSITIONS, classes=(), grid=Grid((SIZE, SIZE)))
        )
        objective = SliceObjective(torch.from_numpy(relative_places(catalogue, index)))
        model = UNet(1, 2, 1, heads={"positions": 1}, pooled_heads=("positions",))
        torch.nn.init.zeros_(model.heads["positions"].weight)
        torch.nn.init.constant_(model.heads["positions"].bias, answer)
        values = NumberScore(dataset=dataset, objective=objective)(model, Compute(torch.device("cpu")))
    assert model.training
    places = index.slice_index / 2
    errors = (places - answer) ** 2
    assert values["error"] == pytest.approx(np.sqrt(errors.mean()), rel=1e-5)
    assert values["mean"] == pytest.approx(1 - errors.mean() / places.var(), abs=1e-5)


def test_watching_changes_no_weight_and_is_written_down(catalogue_path, tmp_path):
    settings = {"iterations": 5, "fractions": (0.5, 0.5, 0.0)}
    for name, every in (("blind", 0), ("watched", 2)):
        config = small_config(catalogue_path, validate_every=every, **settings)
        assert train_pretext(config, tmp_path / name, reporter=Reporter())
    weights = [torch.load(tmp_path / name / "final.pt", weights_only=True)["model"] for name in ("blind", "watched")]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())
    lines = [json.loads(line) for line in (tmp_path / "watched" / "metrics.jsonl").read_text().splitlines()]
    looked = {line["iteration"]: line["validation_mean"] for line in lines if "validation_mean" in line}
    assert [*looked] == [2, 4, 5]
    assert all(0 <= dice <= 1 for dice in looked.values())


def test_nobody_to_watch_is_said_before_training(catalogue_path, tmp_path):
    config = small_config(catalogue_path, validate_every=2, fractions=(1.0, 0.0, 0.0))
    with pytest.raises(TrainError, match=r"none of the 6 participants with positions .* falls into the validation set"):
        train_pretext(config, tmp_path / "run", reporter=Reporter())


def test_options_that_make_no_sense_are_listed(catalogue_path):
    with pytest.raises(ConfigError) as caught:
        small_config(catalogue_path, Recipe.FINETUNE, annotated_share=1.0, validate_every=-1, noise=-1.0)
    for sentence in ("annotated_share must be 0 or more and less than 1", "validate_every must be 0", "noise must be 0"):
        assert sentence in str(caught.value)
    config = small_config(catalogue_path, Recipe.FINETUNE, annotated_share=0.5)
    assert config.transfer is not None
    assert config.transfer.annotated_share == 0.5
