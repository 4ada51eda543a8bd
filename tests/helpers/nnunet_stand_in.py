"""Stand-ins for nnU-Net's commands: they check the files that it asks for, by its documentation, and write a plan."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import nibabel
import numpy as np

from tests.helpers.plans import plan_json

FIELDS = {"channel_names", "labels", "numTraining", "file_ending"}
"""What nnU-Net 2 asks for in ``dataset.json`` (its page dataset_format.md); others are allowed."""


def plan_and_preprocess(words: Sequence[str], environment: Mapping[str, str]) -> None:
    """``nnUNetv2_plan_and_preprocess -d NUMBER -c 2d``: check the raw data set, and write ``nnUNetPlans.json``."""
    options = dict(zip(words[::2], words[1::2], strict=True))
    assert options["-c"] == "2d"
    (raw,) = Path(environment["nnUNet_raw"]).glob(f"Dataset{int(options['-d']):03d}_*")
    check_dataset(raw)
    preprocessed = Path(environment["nnUNet_preprocessed"])
    assert preprocessed.is_dir()
    spacing = nibabel.load(next((raw / "imagesTr").iterdir())).header.get_zooms()[:2]
    plan = plan_json(patch_size=[64, 64], spacing=[float(step) for step in spacing])
    (preprocessed / raw.name).mkdir()
    (preprocessed / raw.name / "nnUNetPlans.json").write_text(json.dumps(plan | {"dataset_name": raw.name}))


def check_dataset(raw: Path) -> None:
    """Check names, ``dataset.json`` and that each image has a label map on its grid with known values."""
    dataset = json.loads((raw / "dataset.json").read_text())
    assert dataset.keys() >= FIELDS
    assert dataset["file_ending"] == ".nii.gz"
    assert [*dataset["channel_names"]] == ["0"]
    values = dataset["labels"]
    assert values["background"] == 0
    assert sorted(values.values()) == list(range(len(values)))
    assert values.get("ignore", len(values) - 1) == len(values) - 1  # nnU-Net: the highest value
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (raw / "labelsTr").iterdir())
    assert len(cases) == dataset["numTraining"] > 0
    assert sorted(path.name for path in (raw / "imagesTr").iterdir()) == [f"{case}_0000.nii.gz" for case in cases]
    for case in cases:
        image, labels = (nibabel.load(raw / folder) for folder in (f"imagesTr/{case}_0000.nii.gz", f"labelsTr/{case}.nii.gz"))
        assert image.shape == labels.shape
        np.testing.assert_allclose(image.affine, labels.affine, atol=1e-4)
        assert set(np.unique(np.asarray(labels.dataobj)).tolist()) <= set(values.values())


def train_from(words: Sequence[str], environment: Mapping[str, str], *, has_weights: bool) -> None:
    """``nnUNetv2_train NUMBER 2d FOLD -pretrained_weights FILE``: check the split and, where they can be made, the weights."""
    number, configuration, fold, option, weights = words
    assert (configuration, option) == ("2d", "-pretrained_weights")
    assert Path(environment["nnUNet_results"]).is_dir()
    (raw,) = Path(environment["nnUNet_raw"]).glob(f"Dataset{int(number):03d}_*")
    splits = json.loads((Path(environment["nnUNet_preprocessed"]) / raw.name / "splits_final.json").read_text())
    cases = {path.name.removesuffix(".nii.gz") for path in (raw / "labelsTr").iterdir()}
    train, validation = (set(splits[int(fold)][part]) for part in ("train", "val"))
    assert train
    assert validation
    assert train | validation == cases
    assert not {case.rpartition("_")[0] for case in train} & {case.rpartition("_")[0] for case in validation}
    if has_weights:
        import torch

        network = torch.load(weights, weights_only=True)["network_weights"]
        assert network
        assert not any(".seg_layers." in name for name in network)
