"""Plans of nnU-Net: what is read of them, and which are refused."""

import json

import numpy as np
import pytest

import cmr_train
from cmr_train.choices import Recipe
from cmr_train.config import RunConfig
from cmr_train.data.images import Grid, prepare_image, scale
from cmr_train.models.nnunet_plan import plan_differences, read_plan
from cmr_train.presets import configure
from tests.helpers.plans import architecture, plan_json, write_plan
from tests.helpers.training import small_catalogue, train


def test_a_plan_decides_network_matrix_and_spacing(tmp_path):
    plan = read_plan(write_plan(tmp_path / "plans.json"))
    config = configure(Recipe.PRETEXT, plan=plan)
    assert (config.image_size, config.multiples, config.plan.spacing_mm) == ((48, 40), (4, 4), (7.0, 7.0))
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_rows_and_columns_have_the_strides_of_their_axis(tmp_path):
    strides = [[1, 1], [2, 2], [2, 1]]
    path = write_plan(tmp_path / "plans.json", architecture=architecture(strides=strides), patch_size=[45, 41])
    config = configure(Recipe.PRETEXT, plan=read_plan(path))
    assert (config.image_size, config.multiples) == ((48, 42), (4, 2))


def test_a_configuration_inherits_from_another(tmp_path):
    content = plan_json()
    content["configurations"]["2d_large"] = {"inherits_from": "2d", "patch_size": [96, 96]}
    path = tmp_path / "plans.json"
    path.write_text(json.dumps(content))
    plans = [read_plan(path, name) for name in ("2d", "2d_large")]
    assert plan_differences(*plans) == ["patch_size is [48, 40] and [96, 96]"]
    assert plans[0].digest != plans[1].digest


def test_the_name_of_the_data_set_changes_no_digest(tmp_path):
    moved = plan_json() | {"dataset_name": "Dataset502_Other", "plans_name": "moved"}
    (tmp_path / "moved.json").write_text(json.dumps(moved))
    assert read_plan(tmp_path / "moved.json").digest == read_plan(write_plan(tmp_path / "plans.json")).digest


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"normalization_schemes": ["CTNormalization"]}, "one channel and ZScoreNormalization are expected"),
        ({"normalization_schemes": ["ZScoreNormalization"] * 2}, "normalises 2 channels"),
        ({"use_mask_for_norm": [True]}, "normalises inside a mask"),
        ({"architecture": architecture("PrimusM")}, "PlainConvUNet or ResidualEncoderUNet is expected"),
        ({"architecture": architecture(conv_op="torch.nn.modules.conv.Conv3d")}, "Conv2d is expected"),
        ({"architecture": architecture(strides=[[1, 1], [2, 0], [2, 2]])}, "its strides are no pairs"),
        ({"architecture": {"network_class_name": "x.PlainConvUNet"}}, "does not hold what nnU-Net writes there"),
        ({"spacing": [7.0, 0.0]}, "more than 0 is expected"),
        ({"patch_size": [48, 0]}, "its patch is"),
    ],
)
def test_a_plan_that_cannot_be_used_is_refused_in_a_sentence(tmp_path, changes, sentence):
    path = write_plan(tmp_path / "plans.json", **changes)
    with pytest.raises(cmr_train.ConfigError, match=sentence):
        read_plan(path)


def test_other_files_and_configurations_are_refused_in_a_sentence(tmp_path):
    path = write_plan(tmp_path / "plans.json")
    with pytest.raises(cmr_train.ConfigError, match="patches of 3 axes"):
        read_plan(path, "3d_fullres")
    with pytest.raises(cmr_train.ConfigError, match="has no configuration '2D' that can be used; it has 2d, 3d_fullres"):
        read_plan(path, "2D")
    for name, text in (("a", "no JSON"), ("b", "[]"), ("c", '{"configurations": []}')):
        (tmp_path / name).write_text(text)
        with pytest.raises(cmr_train.ConfigError, match="is no plan of nnU-Net"):
            read_plan(tmp_path / name)
    with pytest.raises(cmr_train.ConfigError, match="is no plan of nnU-Net"):
        read_plan(tmp_path / "absent.json")
    path.write_text(json.dumps(plan_json() | {"transpose_forward": [2, 0, 1]}))
    with pytest.raises(cmr_train.ConfigError, match=r"exchanges the axes of volumes \(transpose_forward \[2, 0, 1\]\)"):
        read_plan(path)
    content = plan_json()
    del content["configurations"]["2d"]["architecture"]
    path.write_text(json.dumps(content))
    with pytest.raises(cmr_train.ConfigError, match=r"written by an nnU-Net before 2\.4"):
        read_plan(path)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--base-channels", 8), "--base-channels cannot be given with an nnU-Net plan"),
        (("--resample", 2), "--resample / --resample-mm cannot be given with an nnU-Net plan"),
        (("--augmentation", "strong"), "gamma must be 0 with an nnU-Net plan"),
        (("--rows", 4, "--columns", 4), "--rows and columns leave a single pixel"),
        (("--configuration", "3d_fullres"), "patches of 3 axes"),
    ],
)
def test_settings_that_a_plan_decides_are_refused(tmp_path, options, sentence):
    data = small_catalogue(tmp_path / "data", 4)
    plans = write_plan(tmp_path / "plans.json")
    refused = train("pretext", "--data", data, "--out", tmp_path / "run", "--plans", plans, *options)
    assert refused.exit_code == 2
    assert sentence in " ".join(refused.stderr.split())
    assert not (tmp_path / "run").exists()


def test_a_configuration_needs_a_plan(tmp_path):
    refused = train("pretext", "--out", tmp_path / "run", "--configuration", "2d")
    assert refused.exit_code == 2
    assert "give --plans as well" in refused.stderr


def test_images_are_z_scored_as_nnunet_does_and_padded_with_their_mean():
    image = np.zeros((20, 24), dtype=np.uint16)
    image[3:17, 2:20] = np.random.default_rng(0).gamma(2, 200, (14, 18)).astype(np.uint16) + 1
    grid = Grid((32, 32), None, (4, 4), is_z_scored=True)
    pixels, window = prepare_image(image, None, grid)
    seen = scale(pixels[None], window[None], grid)[0]
    inside = image[3:17, 2:20].astype(np.float32)
    np.testing.assert_allclose(seen[6 + 3 : 6 + 17, 4 + 2 : 4 + 20], (inside - inside.mean()) / inside.std(), atol=1e-5)
    assert not seen[:6].any()
    assert not scale(*(part[None] for part in prepare_image(np.zeros((8, 8), dtype=np.uint16), None, grid)), grid).any()
