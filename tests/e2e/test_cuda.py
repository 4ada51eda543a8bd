"""What only a GPU can show. On a machine with one: ``python -m pytest -m cuda tests/e2e/test_cuda.py tests/unit/training/test_loop.py``."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn

import cmr_train
from cmr_train.choices import DeviceKind, Precision
from cmr_train.compute.devices import Compute, choose_device, compute_on
from cmr_train.compute.distributed import share_statistics
from cmr_train.models.initial_weights import initialise
from cmr_train.models.unet import UNet
from cmr_train.training import loop
from tests.helpers.training import SMALL, annotate, small_catalogue

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
    pytest.mark.filterwarnings("default", "error:.*deprecated:FutureWarning"),  # drivers and compilers have remarks of their own
]

ON_GPU = {**SMALL, "device": DeviceKind.CUDA, "base_channels": 8, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory) -> cmr_train.Run:
    settings = {**ON_GPU, "loss": "weighted", "iterations": 40}
    return cmr_train.pretext(data, tmp_path_factory.mktemp("runs") / "pretext", **settings)


def losses(run: cmr_train.Run, name: str) -> list[float]:
    return [json.loads(line)[name] for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


def weights(run: cmr_train.Run) -> dict[str, torch.Tensor]:
    return torch.load(run.folder / "final.pt", weights_only=True)["model"]


def test_the_number_format_is_that_of_the_hardware():
    has_bfloat16 = torch.cuda.get_device_capability()[0] >= 8  # Ampere and later
    device = choose_device(DeviceKind.AUTO)
    assert device.type == "cuda"
    assert compute_on(device, Precision.AUTO).dtype is (torch.bfloat16 if has_bfloat16 else torch.float16)
    assert compute_on(device, Precision.FLOAT16).scaler().is_enabled()
    assert not compute_on(device, Precision.BFLOAT16).scaler().is_enabled()


def test_a_pretext_learns_on_the_gpu(pretrained):
    curve = losses(pretrained, "loss_positions")
    assert curve[-1] < curve[0] / 2
    assert pretrained.compute.device.type == "cuda"
    assert pretrained.model.encoder[1][0].weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_number_format_gives_nearly_the_losses_of_the_cpu(data, tmp_path, precision):
    settings = {"iterations": 6, "log_every": 1, "learning_rate": 0.001}
    gpu = cmr_train.pretext(data, tmp_path / "gpu", **{**ON_GPU, **settings, "precision": precision, "keep_optimiser": True})
    cpu = cmr_train.pretext(data, tmp_path / "cpu", **{**ON_GPU, **settings, "device": "cpu", "precision": "fp32"})
    tolerance = 0.002 if precision == "fp32" else 0.03
    np.testing.assert_allclose(losses(gpu, "loss_positions"), losses(cpu, "loss_positions"), rtol=tolerance)
    scaler = torch.load(gpu.folder / "last.pt", weights_only=True)["scaler"]
    assert bool(scaler) == (precision == "fp16")


@pytest.mark.parametrize("decoder", ["shared", "per-task"])
@pytest.mark.parametrize("precision", ["auto", "fp16"])
def test_multitask_trains_validates_evaluates_and_predicts(data, pretrained, tmp_path, decoder, precision):
    settings = {**ON_GPU, "loss": "dice", "iterations": 60, "validate_every": 30, "beta": 5}
    run = cmr_train.finetune(
        data, tmp_path / "run", pretext=pretrained, mode="multitask", decoder=decoder, precision=precision, **settings
    )
    curve = losses(run, "loss_structures")
    assert curve[-1] < curve[0] / 2
    lines = [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines if "validation_positions_mean" in line] == [30, 60]
    assert not (run.folder / "last.pt").exists()
    scored = cmr_train.evaluate(run, subset="all")
    assert scored.table.subjects
    prediction = cmr_train.predict(run, data, tmp_path / "segmented", pictures=False)
    assert len(prediction.subjects) == 10


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_other_normalisations_train_in_channels_last(data, tmp_path, norm):
    run = cmr_train.pretext(data, tmp_path / "run", **{**ON_GPU, "norm": norm, "loss": "weighted", "iterations": 40})
    curve = losses(run, "loss_positions")
    assert curve[-1] < curve[0] / 2


def test_strong_augmentation_runs_on_the_gpu(data, tmp_path):
    run = cmr_train.pretext(data, tmp_path / "run", **{**ON_GPU, "augmentation": "strong", "schedule": "cosine"})
    assert np.isfinite(losses(run, "loss_positions")).all()


@pytest.mark.parametrize("recipe", ["pretext", "finetune"])
def test_a_step_never_waits_for_the_gpu(data, pretrained, tmp_path, monkeypatch, recipe):
    """A step that waits leaves the GPU without work; torch finds every wait."""
    step = loop.step

    def watched(*arguments: object) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(loop, "step", watched)
    settings = {**ON_GPU, "iterations": 4, "augmentation": "strong", "precision": "bf16"}
    if recipe == "pretext":
        run = cmr_train.pretext(data, tmp_path / "run", **{**settings, "loss": "weighted"})
    else:
        run = cmr_train.finetune(data, tmp_path / "run", pretext=pretrained, mode="multitask", **{**settings, "loss": "dice"})
    assert run.folder.exists()


def test_a_deterministic_run_gives_its_weights_again(data, tmp_path):
    try:
        runs = [cmr_train.pretext(data, tmp_path / name, **{**ON_GPU, "deterministic": True}) for name in ("first", "second")]
        first, second = map(weights, runs)
        assert all(torch.equal(tensor, second[name]) for name, tensor in first.items())
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_run_on_the_gpu_is_used_on_the_cpu(data, pretrained):
    on_cpu = cmr_train.load_run(pretrained.folder, device="cpu")
    on_gpu = cmr_train.load_run(pretrained.folder, device="cuda")
    images = torch.rand(2, 1, 48, 48)
    with torch.inference_mode():
        first = on_cpu.model(images, "positions")
        second = on_gpu.model(images.cuda(), "positions").cpu()
    torch.testing.assert_close(second, first, rtol=0.01, atol=0.01)


def test_a_compiled_network_trains(data, tmp_path):
    run = cmr_train.pretext(data, tmp_path / "run", **{**ON_GPU, "compile": True, "iterations": 4})
    assert np.isfinite(losses(run, "loss_positions")).all()
    assert not any(name.startswith("_orig_mod") for name in weights(run))


def test_shared_statistics_are_torchs_own_and_agree_with_one_process(tmp_path):
    distributed.init_process_group("nccl", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        device, answers = torch.device("cuda", 0), []
        images = torch.rand(3, 1, 8, 8, device=device)
        for is_shared in (False, True):
            model = UNet(1, 4, 1, heads={"a": 2})
            initialise(model, 1)
            Compute(device).place(model)
            names = [*model.state_dict()]
            parameters = [*model.parameters()]
            if is_shared:
                share_statistics(model, device)
                assert isinstance(model.encoder[0][1], nn.SyncBatchNorm)
            assert [*model.state_dict()] == names
            assert all(mine is other for mine, other in zip(model.parameters(), parameters, strict=True))
            logits = model(images, "a")
            logits.square().sum().backward()
            gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
            answers.append((logits, gradients, dict(model.named_buffers())))
        torch.testing.assert_close(answers[1], answers[0], rtol=1e-3, atol=1e-4)
    finally:
        distributed.destroy_process_group()
