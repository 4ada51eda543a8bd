"""What MONAI itself does with an exported bundle."""

import importlib.util
import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
import torch

import cmr_train
from cmr_planes.shards.catalogue import Catalogue
from cmr_planes.views import CardiacView
from tests.helpers.exports import trained_run
from tests.helpers.interop import NEEDS_NNUNET
from tests.helpers.training import annotate, small_catalogue

pytestmark = [
    *NEEDS_NNUNET,
    pytest.mark.skipif(importlib.util.find_spec("fire") is None, reason="needs MONAI's commands: make interop"),
]

REQUIRED = (
    *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version", "required_packages_version"),
    *("task", "description", "authors", "copyright", "network_data_format"),
)
"""Of MONAI's schema, which is not in its package; this stands for it."""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    torch.set_num_threads(1)
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 6))


@pytest.fixture(scope="module")
def bundle(data, tmp_path_factory):
    """A bundle, with images of two subjects, and beside it what ``predict`` finds on them."""
    folder = tmp_path_factory.mktemp("bundle")
    run = trained_run(folder, data)
    cmr_train.predict(run, data, folder / "predicted", pictures=False)
    root = cmr_train.export(run, folder / "bundle", to="monai")
    (root / "images").mkdir()
    with Catalogue(data) as catalogue:
        for key in catalogue.subjects().key[:2]:
            n_slices = catalogue.view_attributes(key, CardiacView.SAX).shape[1]
            volume = np.stack([catalogue.image(key, CardiacView.SAX, 0, number) for number in range(n_slices)])
            affine = nibabel.load(folder / "predicted" / "labels" / f"{key}_sax_ed.nii.gz").affine
            nibabel.save(nibabel.Nifti1Image(volume.transpose(2, 1, 0), affine), root / "images" / f"{key}_sax_ed.nii.gz")
    return root


def monai(bundle, *arguments):
    command = [sys.executable, "-m", "monai.bundle", *map(str, arguments)]
    return subprocess.run(command, cwd=bundle, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def test_its_run_finds_what_predict_finds(bundle):
    done = monai(bundle, "run", "--config_file", "configs/inference.json", "--meta_file", "configs/metadata.json")
    assert done.returncode == 0, done.stdout[-3000:]
    found = sorted((bundle / "labels").glob("*.nii.gz"))
    assert len(found) == 2
    for path in found:
        ours = nibabel.load(bundle.parent / "predicted" / "labels" / path.name.replace("_labels", ""))
        theirs = nibabel.load(path)
        np.testing.assert_allclose(theirs.affine, ours.affine, atol=1e-5)
        np.testing.assert_array_equal(np.asarray(theirs.dataobj), np.asarray(ours.dataobj))
        assert len(np.unique(np.asarray(ours.dataobj))) > 2


def test_its_metadata_and_network_are_verified(bundle, tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "required": REQUIRED}))
    verified = monai(bundle, "verify_metadata", "--meta_file", "configs/metadata.json", "--filepath", schema)
    assert verified.returncode == 0, verified.stdout[-3000:]
    meta = ("--meta_file", "configs/metadata.json", "--config_file", "configs/inference.json", "--device", "cpu")
    answered = monai(bundle, "verify_net_in_out", "network_def", *meta, "--n", 12)
    assert answered.returncode == 0, answered.stdout[-3000:]
