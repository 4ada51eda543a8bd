"""The targets of the pretext task on their whole way: train, resume, transfer, score, and what is refused."""

import json
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from cmr_planes.geometry import BoxLayout
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.shards.records import SubjectRecord
from cmr_planes.views import CardiacView
from cmr_train.choices import Head, PretextTarget
from cmr_train.compute.devices import Compute
from cmr_train.compute.distributed import World
from cmr_train.data.datasets import PlaneDataset
from cmr_train.errors import ConfigError
from cmr_train.recipes.finetune import finetune
from cmr_train.runs.folder import newest_pretext
from cmr_train.runs.run import load_run
from cmr_train.training.pixels import choose_pixels
from cmr_train.training.session import Reporter, Session
from cmr_train.training.tasks import choose_images, make_tasks
from tests.helpers.catalogues import write_batches
from tests.helpers.records import make_subject
from tests.helpers.training import SIZE, annotate, options, small_catalogue, small_config, train

NEW = [target for target in PretextTarget if target is not PretextTarget.BOXES]
NUMBERS = ("lines", "slice", "masked")
VALIDATED = {"validate_every": 3, "max_cut": 0.2, "iterations": 4}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 12))


@pytest.fixture(scope="module")
def runs(data, tmp_path_factory):
    """A run of each target."""
    folder = tmp_path_factory.mktemp("runs")
    for target in NEW:
        done = train("pretext", "--target", target, "--data", data, "--out", folder / target, *options(**VALIDATED))
        assert done.exit_code == 0, done.output
    return folder


def metrics(run: Path) -> dict[str, float]:
    return json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / "final.pt", weights_only=True)["model"]


@pytest.mark.parametrize("target", NEW)
def test_a_run_names_its_target_and_is_scored_while_it_trains(runs, target):
    config = json.loads((runs / target / "config.json").read_text())["config"]
    assert config["pretext"]["target"] == target
    found = metrics(runs / target)
    task = "positions" if target == "shuffled" else target
    assert found[f"loss_{task}"] > 0
    assert found["validation_mean"] <= 1
    assert ("validation_error" in found) == (target in NUMBERS)
    assert newest_pretext(runs, CardiacView.SAX) == runs / "masked"  # the control is skipped


@pytest.mark.parametrize("target", NEW)
def test_a_stopped_run_resumes_to_the_same_bytes(data, runs, tmp_path, target, monkeypatch):
    from cmr_train.training import execution

    small = ("pretext", "--target", target, "--data", data, "--out", tmp_path / "run", *options(**VALIDATED))
    original = execution.Hooks

    def hooks(**listeners):
        listeners["on_iteration"] = lambda done: signal.raise_signal(signal.SIGINT) if done == 2 else None
        return original(**listeners)

    monkeypatch.setattr(execution, "Hooks", hooks)
    assert train(*small).exit_code == 130
    monkeypatch.undo()
    assert train(*small, "--resume").exit_code == 0
    assert (tmp_path / "run" / "final.pt").read_bytes() == (runs / target / "final.pt").read_bytes()
    other = train("pretext", "--resume", "--target", "boxes", "--out", tmp_path / "run", "--data", data)
    assert other.exit_code == 2
    assert f"--target is {target} in this run, not boxes" in other.stderr


@pytest.mark.parametrize("target", NEW)
@pytest.mark.parametrize(("mode", "extra"), [("decoder", ()), ("multitask", ("--decoder", "per-task")), ("multitask", ())])
def test_every_way_of_transfer_takes_every_target(data, runs, tmp_path, target, mode, extra):
    few = options(iterations=2, max_cut=0.2, validate_every=2)
    given = ("--mode", mode, "--pretext", runs / target, "--data", data, "--out", tmp_path / "run", *extra, *few)
    done = train("finetune", *given)
    assert done.exit_code == 0, done.output
    config = json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    assert (config["pretext"] or {}).get("target") == (target if mode == "multitask" else None)
    before, after = weights(runs / target), weights(tmp_path / "run")
    assert any(name.startswith("decoder.") for name in before) == (target != "slice")
    stored = json.loads((tmp_path / "run" / "weights.json").read_text())
    assert {name for name in before if name.startswith("encoder.")} <= {*stored["loaded"]}
    assert any(name.startswith("decoder") for name in stored["loaded"]) == (target != "slice")
    if mode == "multitask":
        assert set(before) >= {name for name in after if name.startswith("heads.positions")} <= {*stored["loaded"]}
        found, task = metrics(tmp_path / "run"), "positions" if target == "shuffled" else target
        assert found[f"loss_{task}"] > 0
        assert found[f"validation_{task}_mean"] <= 1
    assert load_run(tmp_path / "run").head is Head.STRUCTURES


@pytest.mark.parametrize("target", NUMBERS)
def test_what_makes_no_label_maps_is_neither_scored_nor_predicted(data, runs, tmp_path, target):
    for done in (train("evaluate", runs / target), train("predict", runs / target, data, "-o", tmp_path / "maps")):
        assert done.exit_code == 1
        assert f"'{target}' has learnt a target of the pretext that gives pixels no class" in done.stderr


def test_a_control_is_scored_on_the_own_boxes_and_says_so(runs, tmp_path):
    done = train("evaluate", runs / "shuffled", "--subset", "all", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    assert "has learnt the boxes of other people, and is scored on each person's own" in " ".join(done.stderr.split())


@pytest.mark.parametrize(("target", "words"), [("lines", "the lines of two other views"), ("slice", "the place in the stack")])
def test_the_card_of_an_exported_network_says_what_it_has_learnt(runs, tmp_path, target, words):
    assert train("export", runs / target, tmp_path / "out").exit_code == 0
    card = (tmp_path / "out" / "card.md").read_text()
    assert f"| pretext task | {target}: {words} |" in card
    assert "| classes | none |" in card
    assert "squared error" in card


def stack(number: int, **options: object) -> SubjectRecord:
    """A subject of a few slices."""
    settings = {"views": (CardiacView.SAX,), "matrix": (SIZE, SIZE), "spacing_mm": 7.0, "layout": BoxLayout(size=5, gap=8)}
    return make_subject(number, **settings | options)


def training_images(path: Path, **given: object) -> PlaneDataset:
    """The training images of a pretext on everybody, as its task has them."""
    config = small_config(path, fractions=(1.0, 0.0, 0.0), resample_mm=8.0, max_cut=1.0, **given)
    with Catalogue(path) as catalogue:
        catalogues, compute = {Head.POSITIONS: catalogue}, Compute(torch.device("cpu"))
        session = Session(config=config, out=path, catalogues=catalogues, compute=compute, world=World(), reporter=Reporter())
        images = {Head.POSITIONS: choose_images(session, Head.POSITIONS)}
        train = {head: chosen.train for head, chosen in images.items()}
        pixels = choose_pixels(config, catalogues, train, images[Head.POSITIONS].training_set, lambda _: None)
        ((task,), _) = make_tasks(session, images, pixels)
        return task.dataset


def test_nobody_is_given_the_own_boxes(tmp_path):
    people = [stack(number, n_slices=2 + number % 3, spacing_mm=6.0 + number / 4) for number in range(1, 7)]
    path = write_batches(tmp_path, [people])
    own, shuffled = training_images(path), training_images(path, target="shuffled")
    assert own.donors is None
    assert shuffled.donors is not None
    for row, donor in enumerate(shuffled.donors.tolist()):
        assert shuffled.index.participant(row) != shuffled.index.participant(donor)
        np.testing.assert_array_equal(shuffled[row][0], own[row][0])
        np.testing.assert_array_equal(shuffled[row][1], own[donor][1])
    assert any((shuffled[row][1] != own[row][1]).any() for row in range(len(own)))


def test_images_without_positions_are_of_use_where_the_target_needs_none(tmp_path):
    path = write_batches(tmp_path, [[stack(number, with_positions=number > 3) for number in range(1, 7)]])
    whole = ("--data", path, "--fractions", 1, 0, 0, *options(iterations=1, max_cut=1))
    for name, flags, n_people in (("all", (), 6), ("same", ("--positions-only",), 3)):
        done = train("pretext", "--target", "slice", "--out", tmp_path / name, *whole, *flags)
        assert done.exit_code == 0, done.output
        assert f"images of {n_people} participants" in done.stderr
    assert "images of 3 participants" in train("pretext", "--target", "lines", "--out", tmp_path / "lines", *whole).stderr


def test_what_cannot_be_learnt_is_refused(data, runs, tmp_path):
    def sentence(*given: object) -> str:
        done = train("pretext", "--data", data, "--out", tmp_path / "run", *given)
        assert done.exit_code in (1, 2)
        return " ".join(done.stderr.split())

    assert "--target cannot be 'slice' on 4Ch: only SAX is a stack of slices" in sentence("--target", "slice", "--view", "4ch")
    assert "fewer than 8 rows or columns" in sentence("--target", "masked", "--rows", 4, "--levels", 2)
    alone = ("--fractions", 0.05, 0.5, 0.45, "--split-seed", 7)
    assert "each of which is given the boxes of another" in sentence(
        "--target", "shuffled", *alone, *options(iterations=1, max_cut=1)
    )
    with pytest.raises(ConfigError, match="target is that of the pretext; leave it out"):
        finetune(data, tmp_path / "run", pretext=runs / "lines", target="boxes")


def test_a_run_of_an_earlier_release_is_one_of_boxes(data, tmp_path):
    assert train("pretext", "--data", data, "--out", tmp_path / "run", *options(iterations=1, max_cut=1)).exit_code == 0
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    del stored["config"]["pretext"]
    (tmp_path / "run" / "config.json").write_text(json.dumps(stored))
    run = load_run(tmp_path / "run")
    assert run.config.pretext is not None
    assert run.config.pretext.target is PretextTarget.BOXES
