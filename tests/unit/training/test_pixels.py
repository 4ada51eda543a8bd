"""Which pixel size a network gets, and that its run keeps it."""

import json

import numpy as np
import pytest
import torch

from cmr_planes.geometry import BoxLayout, BoxUnits
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, Recipe, TransferMode
from cmr_train.errors import TrainError
from cmr_train.prediction.inference import label_images
from cmr_train.recipes.evaluate import evaluate
from cmr_train.recipes.finetune import train_finetune
from cmr_train.recipes.pretext import train_pretext
from cmr_train.runs.run import load_run
from cmr_train.training.pixels import choose_pixels
from cmr_train.training.session import Reporter
from tests.helpers.threshold_runs import write_run
from tests.helpers.training import annotate, mixed_catalogue, small_config

COHORTS = {"mixed": (1.5, 2.0, 2.2, 1.5), "uniform": (2.0, 2.0, 2.0, 2.0)}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def catalogues(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohorts")
    mm = BoxLayout(size=10, gap=16, units=BoxUnits.MILLIMETRES)
    return {
        "mixed": mixed_catalogue(folder / "mixed", COHORTS["mixed"]),
        "mixed, boxes in mm": mixed_catalogue(folder / "mixed_mm", COHORTS["mixed"], layout=mm),
        "uniform": annotate(mixed_catalogue(folder / "uniform", COHORTS["uniform"])),
    }


def choose(path, recipe=Recipe.PRETEXT, head=Head.POSITIONS, chosen=(), **settings):
    said: list[str] = []
    with Catalogue(path) as catalogue:
        config = small_config(path, recipe, **settings)
        index = catalogue.index(CardiacView.SAX)
        train = index.select(np.array([index.subject(row) in chosen for row in range(len(index))])) if chosen else index
        pixels = choose_pixels(config, {head: catalogue}, {head: train}, index, said.append)
    return pixels, said


@pytest.mark.parametrize(
    ("cohort", "setting", "resampled_mm", "network_mm", "words"),
    [
        ("mixed", "none", None, 1.75, [["1.50 to 2.20 mm", "as acquired", "'auto'"]]),
        ("mixed", "auto", 1.75, 1.75, [["1.50 to 2.20 mm", "resampled to 1.75 mm"], ["boxes", "size in pixels"]]),
        ("mixed, boxes in mm", "auto", 1.75, 1.75, [["1.50 to 2.20 mm", "resampled to 1.75 mm"]]),
        ("mixed", "1.8", 1.8, 1.8, [["resampled to 1.80 mm"], ["boxes"]]),
        ("uniform", "none", None, 2.0, []),
        ("uniform", "auto", None, 2.0, []),
        ("uniform", 2.01, 2.01, 2.01, []),
        ("uniform", 2.9, 2.9, 2.9, [["2.00 mm", "resampled to 2.90 mm"], ["boxes"]]),
    ],
)
def test_the_pixel_size_is_that_of_the_setting_or_of_the_training_set(catalogues, cohort, setting, resampled_mm, network_mm, words):
    pixels, said = choose(catalogues[cohort], resample_mm=setting)
    assert pixels.resampled_mm == (None if resampled_mm is None else pytest.approx((resampled_mm, resampled_mm)))
    assert pixels.network_mm == pytest.approx((network_mm, network_mm))
    assert len(said) == len(words)
    assert all(word in sentence for sentence, expected in zip(said, words, strict=True) for word in expected)


@pytest.mark.parametrize(("setting", "network_mm"), [("none", 2.2), ("auto", 1.75)])
def test_an_automatic_size_is_the_same_for_every_choice_of_participants(catalogues, setting, network_mm):
    pixels, _ = choose(catalogues["mixed"], resample_mm=setting, chosen=("SYN-0003",))
    assert pixels.network_mm == pytest.approx((network_mm, network_mm))
    assert pixels.sizes[Head.POSITIONS].median_mm == pytest.approx((2.2, 2.2))


@pytest.mark.parametrize(("setting", "network_mm"), [("none", 2.0), ("auto", 2.9), ("1.7", 1.7)])
def test_a_transfer_has_the_pixels_of_its_pretext(catalogues, tmp_path, setting, network_mm):
    pretext = write_run(tmp_path / "pretext", recipe=Recipe.PRETEXT, pixel_mm=(2.9, 2.9))
    settings = {"mode": TransferMode.ALL, "pretext": pretext, "resample_mm": setting}
    pixels, said = choose(catalogues["uniform"], Recipe.FINETUNE, Head.STRUCTURES, **settings)
    assert pixels.network_mm == pytest.approx((network_mm, network_mm))
    assert any("2.90 mm" in sentence for sentence in said) == (setting != "1.7")


def test_a_run_keeps_its_pixel_size_and_is_used_and_validated_at_it(catalogues, tmp_path):
    config = small_config(
        catalogues["mixed"], resample_mm="auto", validate_every=3, fractions=(0.5, 0.5, 0.0), iterations=3, split_seed=2
    )
    assert train_pretext(config, tmp_path / "run", reporter=Reporter())
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    run = load_run(tmp_path / "run")
    trained = [COHORTS["mixed"][int(name.removeprefix("SYN-")) - 1] for name in run.split.train]
    low, high = min(trained), max(trained)
    assert stored["catalogues"]["positions"]["spacing_mm"] == {
        "median": [pytest.approx(np.median(trained))] * 2,
        "low": pytest.approx(low),
        "high": pytest.approx(high),
    }
    assert low < high
    assert run.pixel_mm == tuple(stored["pixel_mm"]) == pytest.approx((np.median(trained), np.median(trained)))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    validated = next(line["validation_mean"] for line in lines if "validation_mean" in line)
    with Catalogue(catalogues["mixed"]) as catalogue:
        index = catalogue.index(CardiacView.SAX)
        people: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for row in range(len(index)):
            if index.participant(row) in run.split.validation:
                address = (index.subject(row), CardiacView.SAX, int(index.phase_index[row]), int(index.slice_index[row]))
                spacing_mm = (COHORTS["mixed"][int(address[0].removeprefix("SYN-")) - 1],) * 2
                (found,) = label_images(run, [catalogue.image(*address)], [spacing_mm])
                people.setdefault(address[0], []).append((catalogue.positions(*address), found))
    dice = []
    for number in range(1, 10):
        counts = [
            (
                sum(((t == number) & (f == number)).sum() for t, f in pairs),
                sum((t == number).sum() + (f == number).sum() for t, f in pairs),
            )
            for pairs in people.values()
        ]
        if any(either for _, either in counts):
            dice.append(np.mean([2 * both / either for both, either in counts if either]))
    assert 0 < validated == pytest.approx(np.mean(dice), abs=2e-6)


def test_an_evaluation_at_other_pixels_says_so(catalogues, tmp_path):
    said: list[str] = []
    run = write_run(tmp_path / "run", data=catalogues["uniform"], pixel_mm=(2.9, 2.9), fractions=(0.0, 0.0, 1.0))
    evaluate(run, subset="all", on_message=said.append)
    assert any("2.00 mm" in sentence and "2.90 mm" in sentence for sentence in said)


def test_labels_that_the_matrix_cuts_end_the_training_unless_allowed(catalogues, tmp_path):
    settings = {"mode": "scratch", "rows": 16, "columns": 16, "levels": 1, "iterations": 1, "fractions": (1.0, 0.0, 0.0)}
    said: list[str] = []
    config = small_config(catalogues["uniform"], Recipe.FINETUNE, **settings)
    with pytest.raises(TrainError, match=r"structures: the matrix of 16 × 16 pixels cuts masks of 4 of 4 subjects"):
        train_finetune(config, tmp_path / "refused", reporter=Reporter())
    assert not (tmp_path / "refused" / "config.json").exists()
    config = small_config(catalogues["uniform"], Recipe.FINETUNE, max_cut=1.0, **settings)
    assert train_finetune(config, tmp_path / "allowed", reporter=Reporter(on_message=said.append))
    assert any("cuts masks of 4 of 4 subjects" in sentence for sentence in said)
