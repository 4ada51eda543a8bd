"""From positions to nnU-Net: the pretext with its plan, and its own training from the exported weights."""

import json
from pathlib import Path

import pytest
import torch

import cmr_train
from tests.helpers.cohorts import run
from tests.helpers.interop import NEEDS_NNUNET, nnunet, nnunet_environment, nnunet_train
from tests.helpers.training import train

pytestmark = NEEDS_NNUNET


@pytest.fixture(scope="module")
def planned(tmp_path_factory) -> Path:
    """A folder with ``out.h5``, and nnU-Net's plan of its labels among ``preprocessed``."""
    folder = tmp_path_factory.mktemp("planned")
    size = ("--rows", 64, "--columns", 64, "--spacing", 4.2, "--frames", 8, "--slices", 3)
    assert run("phantom", folder / "cohort", "-n", 8, "--seed", 3, *size, "-q").exit_code == 0
    assert run("extract", folder / "cohort" / "dicom", folder / "out.h5", "-q").exit_code == 0
    assert run("annotate", folder / "out.h5", folder / "cohort" / "truth" / "labels", "-q").exit_code == 0
    raw = folder / "raw"
    assert run("export", folder / "out.h5", "-o", raw, "--to", "nnunet", "--dataset", "Dataset501_SAX").exit_code == 0
    nnunet(
        "nnUNetv2_plan_and_preprocess",
        *("-d", 501, "-c", "2d", "-np", 1, "-npfp", 1),
        environment=nnunet_environment(raw, folder),
    )
    return folder


def test_nnunet_trains_from_weights_that_learnt_positions(planned, tmp_path):
    plans = planned / "preprocessed" / "Dataset501_SAX" / "nnUNetPlans.json"
    pretext = ("pretext", "--data", planned / "out.h5", "--plans", plans, "--out", tmp_path / "run", "--device", "cpu")
    done = train(*pretext, "--iterations", 2, "--batch-size", 2, "--fractions", 1, 0, 0, "--threads", 1)
    assert done.exit_code == 0, done.output
    assert train("export", tmp_path / "run", tmp_path / "weights", "--to", "nnunet", "--plans", plans).exit_code == 0
    weights = tmp_path / "weights" / "pretrained_weights.pth"
    printed = nnunet_train(
        *(501, "2d", 0, "-tr", "nnUNetTrainer_tiny", "-device", "cpu", "-pretrained_weights", weights),
        environment=nnunet_environment(planned / "raw", planned),
        folder=tmp_path,
    )
    saved = torch.load(weights, weights_only=True)["network_weights"]
    taken = [name for name in saved if f"{name} shape {saved[name].shape}" in printed]
    assert taken == list(saved)
    assert not any(".seg_layers." in name for name in saved)
    (checkpoint,) = (planned / "results" / "Dataset501_SAX").glob("nnUNetTrainer_tiny__*/fold_0/checkpoint_final.pth")
    trained = torch.load(checkpoint, weights_only=False)["network_weights"]
    assert saved.keys() == {name for name in trained if ".seg_layers." not in name}
    moved = max((trained[name] - saved[name]).abs().max().item() for name in saved)
    assert 0 < moved < 0.2  # two steps from there

    plan = json.loads(plans.read_text())
    plan["configurations"]["2d"]["spacing"] = [3.0, 3.0]
    (tmp_path / "other.json").write_text(json.dumps(plan))
    with pytest.raises(cmr_train.ConfigError, match="another nnU-Net plan than the given one: spacing is"):
        cmr_train.export(tmp_path / "run", tmp_path / "refused", to="nnunet", plans=tmp_path / "other.json")
