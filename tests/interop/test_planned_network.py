"""The network of an nnU-Net plan: the same as nnU-Net's own, and a run like any other."""

import json
import signal

import numpy as np
import pytest
import torch

import cmr_train
from cmr_train.interchange.exported_network import open_exported
from cmr_train.models.nnunet_plan import read_plan
from cmr_train.models.planned_unet import PlannedUNet
from cmr_train.prediction.inference import find_probabilities
from tests.helpers.exports import pictures
from tests.helpers.interop import NEEDS_NNUNET
from tests.helpers.plans import architecture, plan_json, write_plan
from tests.helpers.training import SMALL, annotate, small_catalogue

pytestmark = NEEDS_NNUNET

NETWORKS = ("PlainConvUNet", "ResidualEncoderUNet")
SETTINGS = {name: value for name, value in SMALL.items() if name not in ("rows", "columns", "base_channels", "levels")}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


@pytest.fixture(scope="module", params=NETWORKS)
def plans(request, tmp_path_factory):
    return write_plan(tmp_path_factory.mktemp("plans") / "nnUNetPlans.json", architecture=architecture(request.param))


@pytest.fixture(scope="module")
def pretrained(plans, data, tmp_path_factory):
    return cmr_train.pretext(data, tmp_path_factory.mktemp("runs") / "pretext", plans=plans, validate_every=3, **SETTINGS)


def theirs(network: str, n_classes: int) -> torch.nn.Module:
    """The network as nnU-Net builds it."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    values = plan_json(architecture=architecture(network))["configurations"]["2d"]["architecture"]
    arguments = (values["network_class_name"], values["arch_kwargs"], values["_kw_requires_import"])
    return get_network_from_plans(*arguments, 1, n_classes, deep_supervision=False)


@pytest.mark.parametrize("network", NETWORKS)
def test_it_answers_as_nnunets_own(network, tmp_path):
    reference = theirs(network, 10).eval()
    ours = PlannedUNet(
        read_plan(write_plan(tmp_path / "plans.json", architecture=architecture(network))), heads={"positions": 10}
    ).eval()
    ours.encoder.load_state_dict(reference.encoder.state_dict())
    loaded = ours.decoder.load_state_dict(reference.decoder.state_dict(), strict=False)
    assert not loaded.missing_keys
    assert all(name.startswith(("encoder.", "seg_layers.")) for name in loaded.unexpected_keys)
    ours.heads["positions"].load_state_dict(reference.decoder.seg_layers[-1].state_dict())
    images = torch.randn(2, 1, 48, 40, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(ours(images, "positions"), reference(images))


def test_it_is_trained_validated_evaluated_and_used(pretrained, data, tmp_path):
    assert (pretrained.image_size, pretrained.pixel_mm) == ((48, 40), (7.0, 7.0))
    again = cmr_train.load_run(pretrained.folder)
    assert len(cmr_train.evaluate(again, subset="all").table.subjects) == 10
    assert len(cmr_train.predict(again, data, tmp_path / "out", pictures=False).subjects) == 10


@pytest.mark.parametrize(("mode", "decoder"), [("all", "shared"), ("decoder", "shared"), ("multitask", "per-task")])
def test_a_transfer_begins_from_it(pretrained, data, tmp_path, mode, decoder):
    settings = {**SETTINGS, "columns": 48, "decoder": decoder}
    run = cmr_train.finetune(data, tmp_path / mode, pretext=pretrained, mode=mode, **settings)
    assert run.config.plan == pretrained.config.plan
    before, after = pretrained.model.encoder.state_dict(), run.model.encoder.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items()) == (mode == "decoder")


def test_a_stopped_run_is_resumed_to_the_same_weights(pretrained, plans, data, tmp_path):
    def stop(record):
        if record.iteration == 3:
            signal.raise_signal(signal.SIGTERM)

    settings = {**SETTINGS, "validate_every": 3}
    with pytest.raises(cmr_train.StoppedError):
        cmr_train.pretext(data, tmp_path / "run", plans=plans, on_record=stop, **settings)
    other = write_plan(tmp_path / "other.json", patch_size=[64, 64], architecture=architecture(features_per_stage=[4, 8, 8]))
    with pytest.raises(cmr_train.ConfigError, match=r"features_per_stage is \[4, 8, 16\] and \[4, 8, 8\]"):
        cmr_train.pretext(data, tmp_path / "run", plans=other, resume=True, **settings)
    resumed = cmr_train.pretext(data, tmp_path / "run", plans=plans, resume=True, **settings)
    expected = pretrained.model.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in resumed.model.state_dict().items())


def test_nnunets_loader_takes_every_tensor_but_the_heads(pretrained, plans, tmp_path):
    from nnunetv2.run.load_pretrained_weights import load_pretrained_weights

    folder = cmr_train.export(pretrained, tmp_path / "weights", to="nnunet", plans=plans)
    card = json.loads((folder / "card.json").read_text())
    assert card["network"]["nnunet_plan"]["arguments"]["n_stages"] == 3
    assert card["about"]["plan_sha256"].replace(" ", "") == read_plan(plans).digest
    network = theirs(pretrained.config.plan.network_class.rpartition(".")[2], 4)
    heads = {name: tensor.clone() for name, tensor in network.state_dict().items() if ".seg_layers." in name}
    load_pretrained_weights(network, folder / "pretrained_weights.pth")
    saved = torch.load(folder / "pretrained_weights.pth", weights_only=True)["network_weights"]
    taken = network.state_dict()
    assert len(saved) == len(taken) - len(heads) > 60
    assert all(torch.equal(taken[name], tensor) for name, tensor in saved.items())
    assert all(torch.equal(taken[name], tensor) for name, tensor in heads.items())
    own = pretrained.model.state_dict()
    for name, tensor in own.items():
        if not name.startswith("heads."):
            assert torch.equal(taken[name], tensor)
            if name.startswith("encoder."):
                assert torch.equal(taken[f"decoder.{name}"], tensor)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": architecture(features_per_stage=[4, 8, 32])}, "features_per_stage is"),
        ({"spacing": [5.0, 5.0]}, r"spacing is \[7\.0, 7\.0\] and \[5\.0, 5\.0\]"),
        ({"patch_size": [64, 64]}, r"patch_size is \[48, 40\] and \[64, 64\]"),
    ],
)
def test_another_plan_is_refused_before_anything_is_written(pretrained, tmp_path, changes, sentence):
    other = write_plan(tmp_path / "other.json", **changes)
    with pytest.raises(cmr_train.ConfigError, match=sentence):
        cmr_train.export(pretrained, tmp_path / "weights", to="nnunet", plans=other)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("form", ["safetensors", "onnx", "monai"])
def test_every_form_finds_what_the_run_finds(pretrained, data, tmp_path, form):
    network = open_exported(cmr_train.export(pretrained, tmp_path / form, to=form))
    images = pictures(2, (50, 75))
    own = list(find_probabilities(pretrained, images, [(7.0, 7.0)] * 2))
    np.testing.assert_allclose(list(find_probabilities(network, images, [(7.0, 7.0)] * 2)), own, atol=1e-5)
