"""Transfer called from Python: where the pretext is found, and what is recorded."""

import json

import pytest
import torch

import cmr_train
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


def test_a_transfer_takes_a_run_a_folder_or_the_newest_pretext_beside_it(data, pretrained, tmp_path):
    small = {"iterations": 2, "batch_size": 4, "device": "cpu", "mode": "all"}
    runs = pretrained.folder.parent
    found = [
        cmr_train.finetune(data, runs / name, pretext=source, **small).config.transfer.pretext
        for name, source in (("from run", pretrained), ("from folder", str(pretrained.folder)), ("found", None))
    ]
    assert found == [pretrained.folder] * 3
    with pytest.raises(cmr_train.ConfigError, match="there is no finished pretext of view SAX") as caught:
        cmr_train.finetune(data, tmp_path / "run", **small)
    assert "--" not in str(caught.value)
    records = []
    run = cmr_train.finetune(data, tmp_path / "run", on_record=records.append, **{**SMALL, "mode": "scratch"})
    assert run.config.transfer.pretext is None
    assert [record.iteration for record in records] == [2, 4, 6]
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["loss_structures"] for line in lines] == [record.losses["structures"] for record in records]
