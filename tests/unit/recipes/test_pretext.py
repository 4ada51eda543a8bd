"""The trainings called from Python: settings by name, alone in the folder, stopped and resumed, a network in the end."""

import json
import signal

import pytest
import torch

import cmr_train
from cmr_planes.errors import InUseError
from cmr_planes.system.progress import Progress
from cmr_planes.system.run_lock import lock_path, only_run
from cmr_train.choices import DeviceKind
from cmr_train.compute.devices import compute_on
from cmr_train.recipes import pretext as recipe
from tests.helpers.training import SMALL, annotate, options, small_catalogue, train


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 10))


@pytest.fixture(scope="module")
def pretrained(data, tmp_path_factory):
    return cmr_train.pretext(data, tmp_path_factory.mktemp("runs") / "pretext", **SMALL)


def weights(folder):
    return torch.load(folder / "final.pt", weights_only=True)["model"]


def test_a_function_gives_the_weights_and_the_configuration_of_its_command(data, pretrained, tmp_path):
    assert train("pretext", *options(data=data, out=tmp_path / "command")).exit_code == 0
    expected = weights(tmp_path / "command")
    assert all(torch.equal(tensor, expected[name]) for name, tensor in pretrained.model.state_dict().items())
    configs = [json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "command", pretrained.folder)]
    assert configs[0] == configs[1]
    assert not pretrained.model.training


def test_plain_text_is_taken_for_every_closed_set_and_path(data, tmp_path):
    config = {**SMALL, "device": "CPU", "loss": "weighted", "schedule": "one-cycle", "iterations": 2}
    run = cmr_train.pretext(str(data), str(tmp_path / "run"), view="SAX", preset="Quick", **config)
    assert (run.view, run.config.preset, run.config.training.loss) == ("sax", "quick", "weighted")
    assert run.folder == tmp_path / "run"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"iteration": 3}, "there is no setting 'iteration'; did you mean 'iterations'?"),
        ({"iterations": "three"}, "iterations must be a whole number, got 'three'"),
        ({"view": "5ch"}, "view must be one of sax, 2ch, 4ch, got '5ch'"),
        ({"preset": "papers"}, "preset must be one of paper, quick, got 'papers'"),
        ({"resume": True, "overwrite": True}, "resume and overwrite exclude each other"),
    ],
)
def test_settings_that_cannot_be_used_are_refused_before_anything_starts(data, tmp_path, settings, sentence):
    with pytest.raises(cmr_train.ConfigError) as caught:
        cmr_train.pretext(data, tmp_path / "run", **settings)
    assert sentence in str(caught.value)
    assert "--" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_script_that_trains_is_alone_in_its_folder(data, pretrained, tmp_path):
    held = []
    for name, job, more in (("a", cmr_train.pretext, {}), ("b", cmr_train.finetune, {"pretext": pretrained, "mode": "all"})):
        out = tmp_path / name
        with only_run(out), pytest.raises(InUseError, match=f"works on {out}"):
            job(data, out, **more, **SMALL)
        assert not out.exists()
        job(data, out, on_record=lambda _, out=out: held.append(lock_path(out).exists()), **more, **SMALL)
        assert not lock_path(out).exists()
    assert set(held) == {True}


def test_a_training_that_a_signal_stops_raises_and_resumes_to_the_same_weights(data, pretrained, tmp_path):
    def stop_after_three(progress: Progress) -> None:
        if progress.done == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(cmr_train.StoppedError, match="can be resumed"):
        cmr_train.pretext(data, tmp_path / "run", on_progress=stop_after_three, **SMALL)
    assert not (tmp_path / "run" / "final.pt").exists()
    seen, sentences = [], []
    cmr_train.pretext(data, tmp_path / "run", resume=True, on_progress=seen.append, on_message=sentences.append, **SMALL)
    assert [progress.done for progress in seen] == [4, 5, 6]
    assert {progress.total for progress in seen} == {6}
    assert any("resuming after iteration 4" in sentence for sentence in sentences)
    expected = weights(pretrained.folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())


def test_a_device_that_is_no_device_is_refused(pretrained):
    assert cmr_train.load_run(str(pretrained.folder), "cpu").name == "pretext"
    with pytest.raises(cmr_train.ConfigError, match="there is no device 'gpu'; give one of auto, cpu, cuda, mps"):
        cmr_train.load_run(pretrained.folder, "gpu")


def test_a_training_goes_on_on_the_cpu_where_mps_lacks_an_operation(data, pretrained, tmp_path, monkeypatch):
    """MPS is played by the CPU, on which an operation is missing for as long as the run is not said to be on the CPU."""
    devices, known = [], torch.nn.functional.cross_entropy

    def choose(runtime, local_rank=0):
        devices.append(runtime.device)
        return compute_on(torch.device("cpu"), runtime.precision)

    def cross_entropy(*arguments, **options):
        if devices[-1] is DeviceKind.MPS:
            raise NotImplementedError("The operator 'aten::nll_loss2d_forward' is not currently implemented for the MPS device.")
        return known(*arguments, **options)

    monkeypatch.setattr(recipe, "choose_compute", choose)
    monkeypatch.setattr(torch.nn.functional, "cross_entropy", cross_entropy)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    sentences = []
    cmr_train.pretext(data, tmp_path / "run", on_message=sentences.append, **{**SMALL, "device": "mps"})
    assert devices == [DeviceKind.MPS, DeviceKind.CPU]
    assert sum("torch has no aten::nll_loss2d_forward on MPS: training continues on the CPU" in said for said in sentences) == 1
    expected = weights(pretrained.folder)
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path / "run").items())
