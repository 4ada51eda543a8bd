"""Networks that were exported: what is in their files, and that they find what their run finds."""

import dataclasses
import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

import cmr_train
from cmr_train.errors import TrainError
from cmr_train.interchange.card import NetworkCard
from cmr_train.interchange.exported_network import open_exported
from cmr_train.interchange.onnx_network import open_onnx
from cmr_train.prediction.ensemble import Ensemble
from cmr_train.prediction.inference import find_probabilities, label_images
from tests.helpers.exports import SPACING_MM, pictures, trained_run
from tests.helpers.leaks import contents, files_under, found_in
from tests.helpers.plans import write_plan
from tests.helpers.training import annotate, small_catalogue, train

FORMS = ("safetensors", "onnx", "monai")
MARGIN = 1e-4
"""Pixels whose two best probabilities differ by less may have another label in another program."""
WITHOUT_TORCH = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, NoTorch())
from cmr_train.cli import main
main()
"""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return annotate(small_catalogue(tmp_path_factory.mktemp("data"), 6))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    return trained_run(tmp_path_factory.mktemp("runs"), data)


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    return {form: cmr_train.export(run, folder / form, to=form, licence="CC BY 4.0") for form in FORMS}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("shape", "spacing_mm"), [((48, 48), SPACING_MM), ((50, 75), SPACING_MM), ((64, 40), (5.0, 6.0))])
def test_it_finds_what_its_run_finds(run, exported, form, shape, spacing_mm):
    network, images = open_exported(exported[form]), pictures(3, shape)
    own = list(find_probabilities(run, images, [spacing_mm] * 3))
    others = list(find_probabilities(network, images, [spacing_mm] * 3))
    np.testing.assert_allclose(others, own, atol=1e-5)
    best = np.sort(own, axis=1)
    is_clear = best[:, -1] - best[:, -2] > MARGIN
    labels = [np.stack(label_images(each, images, [spacing_mm] * 3)) for each in (run, network)]
    assert len(np.unique(labels[0])) > 1
    assert (labels[0] == labels[1])[is_clear].all()
    assert (~is_clear).mean() < 0.01


@pytest.mark.parametrize("form", FORMS)
def test_a_network_does_not_count_twice_in_two_forms(run, exported, tmp_path, form):
    copy = cmr_train.load_run(cmr_train.export(run, tmp_path / "run"), "cpu")
    for other in (run, copy):
        with pytest.raises(TrainError, match=f"{form}' and .* have the same weights|' and .*{form}' have the same weights"):
            Ensemble.of([other, open_exported(exported[form])])


def test_a_card_of_an_earlier_release_has_no_checksum_of_weights(exported):
    beside = json.loads((exported["onnx"] / "card.json").read_text())
    del beside["weights"]["tensors_sha256"]
    network = dataclasses.replace(open_exported(exported["onnx"]), card=NetworkCard.from_json(beside, "it"))
    assert network.tensors_sha256 == network.weights_sha256


@pytest.mark.parametrize("form", FORMS)
def test_no_key_and_no_path_is_in_any_byte(run, exported, data, form):
    blobs = [blob for path in files_under(exported[form]) for blob in list(contents(path))[1:]]
    paths = {str(data.parent), str(run.folder.parent), "site-packages", 'cmr_train/models/unet.py"'}
    assert not found_in({*run.split.train, *run.split.test, *paths}, blobs)


def test_the_card_has_numbers(run, exported):
    card = json.loads((exported["onnx"] / "card.json").read_text())
    assert [(output["class"], output["name"]) for output in card["outputs"]] == [
        (0, "background"),
        (1, "LV"),
        (2, "Myo"),
        (3, "RV"),
    ]
    assert card["preprocessing"]["pixel_mm"] == list(SPACING_MM)
    assert card["preprocessing"]["matrix"] == [48, 48]
    assert card["about"]["licence"] == "CC BY 4.0"
    assert [entry["learnt"] for entry in card["about"]["data"]] == ["structures", "pretext"]
    assert card["about"]["data"][0]["n_participants"] == len(run.split.train)
    scores = card["about"]["scores"]
    assert (scores["subset"], scores["n_subjects"]) == ("all", 6)
    summary = json.loads((run.folder / "summary.json").read_text())
    for given, taken in zip(summary["results"], scores["results"], strict=True):
        assert (given["phase"], given["structure"]) == (taken["phase"], taken["structure"])
        assert taken["dice"]["mean"] == pytest.approx(given["dice"]["mean"], rel=1e-5)
        assert taken["dice"]["low"] <= taken["dice"]["mean"] <= taken["dice"]["high"]
    assert "path" not in json.dumps(card)


def test_the_card_is_in_the_file_too(exported):
    beside = json.loads((exported["onnx"] / "card.json").read_text())
    digest = hashlib.sha256((exported["onnx"] / "model.onnx").read_bytes()).hexdigest()
    assert {name: value.replace(" ", "") for name, value in beside.pop("files").items()} == {"model.onnx": digest}
    card, _ = open_onnx(exported["onnx"] / "model.onnx")
    assert json.loads(card.to_text()) == beside
    assert open_exported(exported["safetensors"] / "model.safetensors").card == card == NetworkCard.from_json(beside, "it")


def test_onnx_is_one_file_of_the_operators_that_were_asked_for(exported):
    import onnx

    model = onnx.load(exported["onnx"] / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    assert [entry.version for entry in model.opset_import if not entry.domain] == [20]
    sizes = [[axis.dim_param or axis.dim_value for axis in one.type.tensor_type.shape.dim] for one in model.graph.input]
    assert sizes == [["batch", 1, "4*r", "4*c"]]
    assert {path.name for path in files_under(exported["onnx"])} == {"model.onnx", "card.json"}


def test_onnx_that_does_not_answer_is_refused_in_a_sentence(exported):
    _, classifier = open_onnx(exported["onnx"] / "model.onnx")
    with pytest.raises(cmr_train.CheckpointError, match="does not answer on images of 50 × 75 pixels"):
        classifier.probabilities(np.zeros((1, 50, 75), dtype=np.float32))


def test_onnx_is_used_without_torch(exported, run, data, tmp_path):
    def predict(network, out):
        arguments = ("predict", network, data, "-o", tmp_path / out, "--no-pictures")
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, arguments)], capture_output=True, text=True, check=False
        )

    done = predict(exported["onnx"], "onnx")
    assert done.returncode == 0, done.stderr
    cmr_train.predict(run, data, tmp_path / "run", pictures=False)
    names = [path.relative_to(tmp_path / "run") for path in files_under(tmp_path / "run") if path.name != "prediction.json"]
    assert len(names) == 13
    for name in names:
        assert (tmp_path / "onnx" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    refused = predict(run.folder, "refused")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "needs torch; install it with" in refused.stderr
    assert not (tmp_path / "refused").exists()


def test_a_bundle_prepares_and_restores_as_the_run(run, exported, monkeypatch):
    from monai.data import MetaTensor

    monkeypatch.syspath_prepend(exported["monai"])
    import scripts.images as images_script
    import scripts.steps as steps

    config = json.loads((exported["monai"] / "configs" / "inference.json").read_text())
    grid = images_script.Grid(*(tuple(map(float, config["grid"][name].strip("$()").split(","))) for name in ("size", "pixel_mm")))
    assert grid.size == run.image_size
    assert grid.pixel_mm == run.pixel_mm
    own_grid = images_script.Grid(run.image_size, run.pixel_mm, run.grid.multiples)
    images, spacing_mm = pictures(3, (50, 40)), (6.0, 5.0)
    affine = np.diag([-spacing_mm[1], -spacing_mm[0], 9.0, 1.0])
    volume = np.stack(images).transpose(2, 1, 0).astype(np.float32)
    given = {"image": MetaTensor(torch.from_numpy(volume), meta={"affine": affine, "spatial_shape": np.array(volume.shape)})}
    seen = steps.Prepared(["image"], own_grid)(given)
    network = open_exported(exported["monai"]).classifier.model
    logits = steps.EachSlice()(seen["image"][None], lambda batch: network(batch, "structures").detach())
    outputs = config["postprocessing"]["transforms"][0]["outputs"]
    restored = steps.Restored(["pred"], "image", own_grid, outputs)({**seen, "pred": logits[0]})
    expected = np.stack(label_images(run, images, [spacing_mm] * 3))
    assert "cmr_train" not in (exported["monai"] / "scripts" / "steps.py").read_text().partition('"""\n\n')[2]
    np.testing.assert_array_equal(restored["pred"][0].numpy().transpose(2, 1, 0), expected)
    with pytest.raises(ValueError, match="a volume of one phase is expected"):
        steps.Prepared(["image"], own_grid)({"image": MetaTensor(torch.zeros(4, 4, 3, 2), meta={"affine": affine})})


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def replaced(old: bytes, new: bytes):
    return lambda data: data.replace(old, new)


OTHERS = replaced(b"cmr_train_card", b"another__card_")
WIDER = replaced(b'base_channels\\": 4', b'base_channels\\": 8')
DAMAGE = [
    ("onnx", "model.onnx", cut, "it is damaged, or no network in ONNX"),
    ("onnx", "model.onnx", OTHERS, "does not hold the card of a network"),
    ("safetensors", "model.safetensors", cut, "cannot be read"),
    ("safetensors", "model.safetensors", OTHERS, "does not hold the card of a network"),
    ("safetensors", "model.safetensors", WIDER, "are of another network than their card says"),
]
"""Of a file that was copied alone."""
DAMAGE_BESIDE_A_CARD = [
    ("onnx", "model.onnx", OTHERS, "is not the file that card.json beside it describes"),
    ("monai", "models/model.ts", cut, "is not the file that card.json beside it describes"),
    ("monai", "card.json", cut, "cannot be read"),
    ("monai", "card.json", replaced(b"cmr-train network", b"network"), "does not hold the card of a network"),
    ("monai", "card.json", replaced(b'"version": 1', b'"version": 2'), "by a later release of cmr-train"),
    ("monai", "card.json", replaced(b"percentiles", b"median"), "not one that this release knows"),
]


@pytest.mark.parametrize(
    ("form", "name", "damage", "sentence", "has_card"),
    [*((*case, False) for case in DAMAGE), *((*case, True) for case in DAMAGE_BESIDE_A_CARD)],
)
def test_damaged_files_and_those_of_others_are_refused_in_a_sentence(exported, tmp_path, form, name, damage, sentence, has_card):
    for path in files_under(exported[form]):
        file = path.relative_to(exported[form]).as_posix()
        if file != "card.json" or has_card:
            copy = tmp_path / "network" / file
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(damage(path.read_bytes()) if file == name else path.read_bytes())
    refused = train("predict", tmp_path / "network", tmp_path, "-o", tmp_path / "out")
    assert refused.exit_code == 1
    assert sentence in " ".join(refused.stderr.split())
    assert not (tmp_path / "out").exists()


def test_what_an_export_cannot_do_is_refused_before_anything_is_written(run, exported, data, tmp_path):
    def refusal(code, *arguments):
        result = train(*arguments)
        assert result.exit_code == code, result.output
        return " ".join(result.stderr.split())

    assert "holds model.onnx already" in refusal(2, "export", run.folder, exported["onnx"], "--to", "onnx")
    for other in ("run", "safetensors", "monai", "nnunet"):
        sentence = refusal(1 if other == "nnunet" else 2, "export", run.folder, exported["onnx"], "--to", other, "--overwrite")
        assert other == "nnunet" or "of a run or of a network in another form" in sentence
    assert "of a run or of a network in another form" in refusal(2, "export", run.folder, run.folder, "--to", "onnx", "--overwrite")
    plans = write_plan(tmp_path / "plans.json")
    assert "leave them out" in refusal(2, "export", run.folder, tmp_path / "a", "--to", "onnx", "--plans", plans)
    assert "no place for a licence" in refusal(2, "export", run.folder, tmp_path / "a", "--licence", "MIT")
    assert "a U-Net of our own, which nnU-Net cannot load" in refusal(1, "export", run.folder, tmp_path / "a", "--to", "nnunet")
    options = (data, "-o", tmp_path / "a")
    assert "turns images" in refusal(1, "predict", exported["onnx"], *options, "--rotate", 10)
    assert "holds the last weights" in refusal(1, "predict", exported["onnx"], *options, "--weights", "best")
    assert "runs on the CPU, and cuda was asked for" in refusal(1, "predict", exported["onnx"], *options, "--device", "cuda")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(("form", "library"), [("onnx", "onnxscript"), ("safetensors", "safetensors.torch")])
def test_a_library_that_is_missing_is_named(run, tmp_path, monkeypatch, form, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(cmr_train.TrainError, match=r"install (it|them) with: pip install 'cmr-planes\[export\]'"):
        cmr_train.export(run, tmp_path / "out", to=form)
    assert not (tmp_path / "out").exists()
