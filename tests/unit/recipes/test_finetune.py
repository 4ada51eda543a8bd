"""Transfer called from Python: where the pretext is found, and what is recorded."""

import json
import os

import pytest
import torch

import cmr_train
from cmr_train.choices import Preset, Recipe, TransferMode
from cmr_train.presets import configure
from cmr_train.recipes.finetune import finetune_config
from cmr_train.runs.files import write_json
from tests.helpers.training import SMALL, annotate, small_catalogue


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory):
    return cmr_train.pretext(data, tmp_path_factory.mktemp("runs") / "pretext", **SMALL)


@pytest.mark.parametrize(("iterations", "preset", "is_taken"), [(300, "quick", True), (299, "quick", False), (300, "paper", False)])
def test_the_newest_pretext_is_taken_if_it_is_as_long_as_its_preset(tmp_path, iterations, preset, is_taken):
    config = configure(Recipe.PRETEXT, Preset(preset), iterations=iterations)
    for name, age in (("short", -9), ("newest", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "final.pt").touch()
        os.utime(tmp_path / name / "final.pt", (1e9 + age, 1e9 + age))
    write_json(tmp_path / "short" / "config.json", {"config": configure(Recipe.PRETEXT, iterations=1).to_json()})
    write_json(tmp_path / "newest" / "config.json", {"config": config.to_json()})
    if is_taken:
        assert finetune_config(tmp_path / "run", "paper", {"mode": TransferMode.ALL}).transfer.pretext == tmp_path / "newest"
        return
    with pytest.raises(cmr_train.ConfigError, match=rf"newest', has {iterations} iterations, and preset {preset} has ") as caught:
        finetune_config(tmp_path / "run", "paper", {"mode": TransferMode.ALL})
    assert "--" not in str(caught.value)
    named = finetune_config(tmp_path / "run", "paper", {"mode": TransferMode.ALL, "pretext": tmp_path / "newest"})
    assert named.transfer.pretext == tmp_path / "newest"


def test_a_transfer_takes_a_run_or_a_folder(data, pretrained, tmp_path):
    small = {"iterations": 2, "batch_size": 4, "device": "cpu", "mode": "all"}
    runs = pretrained.folder.parent
    found = [
        cmr_train.finetune(data, runs / name, pretext=source, **small).config.transfer.pretext
        for name, source in (("from run", pretrained), ("from folder", str(pretrained.folder)))
    ]
    assert found == [pretrained.folder] * 2
    with pytest.raises(cmr_train.ConfigError, match="there is no finished pretext of view SAX") as caught:
        cmr_train.finetune(data, tmp_path / "run", **small)
    assert "--" not in str(caught.value)
    records = []
    run = cmr_train.finetune(data, tmp_path / "run", on_record=records.append, **{**SMALL, "mode": "scratch"})
    assert run.config.transfer.pretext is None
    assert [record.iteration for record in records] == [2, 4, 6]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss_structures"] for line in lines] == [record.losses["structures"] for record in records]
