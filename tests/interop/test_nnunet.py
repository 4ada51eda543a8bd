"""What nnU-Net itself does with exported data; needs ``make interop``."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from tests.helpers.cohorts import run
from tests.helpers.interop import NEEDS_NNUNET, nnunet, nnunet_environment, nnunet_train

pytestmark = NEEDS_NNUNET

ROOT = Path(__file__).parents[2]


def test_the_pinned_release_of_nnunet_is_installed():
    pinned = dict(line.split("==") for line in (ROOT / "tests" / "interop" / "requirements.txt").read_text().split())
    assert {name: importlib.metadata.version(name).partition("+")[0] for name in pinned} == pinned


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Twelve annotated phantoms of mixed pixel sizes: ``out.h5``."""
    folder = tmp_path_factory.mktemp("cohort")
    size = ("--rows", 64, "--columns", 72, "--spacing", 4.2, "--frames", 10, "--slices", 4)
    assert run("phantom", folder / "cohort", "-n", 12, "--seed", 3, *size, "-q").exit_code == 0
    assert run("extract", folder / "cohort" / "dicom", folder / "out.h5", "-q").exit_code == 0
    assert run("annotate", folder / "out.h5", folder / "cohort" / "truth" / "labels", "-q").exit_code == 0
    return folder


def test_a_cohort_is_checked_planned_preprocessed_and_trained_on_by_its_own_split(cohort, tmp_path):
    raw = tmp_path / "raw"
    assert run("export", cohort / "out.h5", "-o", raw, "--to", "nnunet", "--dataset", "Dataset501_SAX").exit_code == 0
    environment = nnunet_environment(raw, tmp_path)
    printed = nnunet(
        "nnUNetv2_plan_and_preprocess",
        *("-d", 501, "--verify_dataset_integrity", "-c", "2d", "-np", 1, "-npfp", 1),
        environment=environment,
    )
    assert "verify_dataset_integrity Done" in printed
    preprocessed = tmp_path / "preprocessed" / "Dataset501_SAX"
    plans = json.loads((preprocessed / "nnUNetPlans.json").read_text())
    assert plans["configurations"]["2d"]["normalization_schemes"] == ["ZScoreNormalization"]
    assert plans["configurations"]["2d"]["spacing"] == pytest.approx([4.2, 4.2], abs=1e-4)
    shutil.copy(raw / "Dataset501_SAX" / "splits_final.json", preprocessed)
    fold = json.loads((preprocessed / "splits_final.json").read_text())[0]
    printed = nnunet_train(501, "2d", 0, "-tr", "nnUNetTrainer_tiny", "-device", "cpu", environment=environment, folder=tmp_path)
    assert f"{len(fold['train'])} training and {len(fold['val'])} validation cases" in printed
    (validation,) = (tmp_path / "results" / "Dataset501_SAX").glob("nnUNetTrainer_tiny__*/fold_0/validation")
    assert sorted(path.name for path in validation.glob("*.nii.gz")) == [f"{case}.nii.gz" for case in fold["val"]]
    for case in fold["val"]:  # nnU-Net's own label maps lie where ours do
        own, truth = (nibabel.load(path / f"{case}.nii.gz") for path in (validation, raw / "Dataset501_SAX" / "labelsTr"))
        np.testing.assert_allclose(own.affine, truth.affine, atol=1e-3)
        assert own.shape == truth.shape


@pytest.mark.parametrize(
    "options",
    [("--labels", "positions"), ("--view", "4ch"), ("--view", "2ch", "--labels", "acdc-order")],
    ids=["positions", "4ch", "2ch"],
)
def test_other_labels_and_views_pass_the_check_and_are_planned_in_their_plane(cohort, tmp_path, options):
    raw = tmp_path / "raw"
    assert run("export", cohort / "out.h5", "-o", raw, "--to", "nnunet", "--dataset", "Dataset502_Other", *options).exit_code == 0
    printed = nnunet(
        "nnUNetv2_plan_and_preprocess",
        *("-d", 502, "--verify_dataset_integrity", "--no_pp", "-npfp", 1),
        environment=nnunet_environment(raw, tmp_path),
    )
    assert "verify_dataset_integrity Done" in printed
    plans = json.loads((tmp_path / "preprocessed" / "Dataset502_Other" / "nnUNetPlans.json").read_text())
    assert plans["transpose_forward"] == [0, 1, 2]
    assert plans["configurations"]["2d"]["spacing"] == pytest.approx([4.2, 4.2], abs=1e-4)
