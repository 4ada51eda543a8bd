"""The example scripts on a small cohort."""

import importlib.util
from pathlib import Path

import pytest
import torch

from tests.helpers.training import SMALL, annotate, small_catalogue

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


def test_a_catalogue_is_read(data, capsys):
    load("read_catalogue").main(str(data))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("SYN-0001 SAX: 48 × 48; first pixel at [")


def test_networks_are_trained_scored_and_used(data, tmp_path, capsys):
    torch.set_num_threads(1)
    arguments = str(data), str(data), str(tmp_path / "results")
    load("train_and_predict").main(*arguments, "quick", **SMALL)
    said = capsys.readouterr().out
    assert "LV at end-diastole: Dice " in said
    assert "10 subjects segmented" in said
    assert len(list((tmp_path / "results" / "segmented" / "labels").iterdir())) == 20
