import dataclasses
import json
from pathlib import Path

import pytest

from cmr_planes.views import CardiacView
from cmr_train.choices import AugmentationKind, DecoderSharing, Head, LossKind, Norm, Preset, Recipe, Schedule, TransferMode
from cmr_train.config import GROUPS, RunConfig
from cmr_train.errors import ConfigError
from cmr_train.presets import configure, differences


def test_the_paper_is_the_default():
    config = configure(Recipe.FINETUNE)
    assert (config.network.base_channels, config.network.levels) == (64, 4)
    training = config.training
    assert (training.learning_rate, training.batch_size, training.iterations) == (0.001, 20, 50_000)
    assert (training.loss, training.schedule) == (LossKind.CROSS_ENTROPY, Schedule.CONSTANT)
    assert (training.augmentation, training.gamma, training.noise, training.blur) == (AugmentationKind.PAPER, 0, 0, 0)
    assert config.network.norm is Norm.BATCH
    assert config.transfer is not None
    assert (config.transfer.mode, config.transfer.beta) == (TransferMode.MULTITASK, 10)
    assert config.transfer.decoder is DecoderSharing.SHARED
    assert config.image_size == (192, 208)


def test_what_is_given_wins_over_the_preset():
    config = configure(Recipe.PRETEXT, Preset.QUICK, base_channels=2, loss=None)
    assert config.network.base_channels == 2
    assert config.training.loss is LossKind.WEIGHTED


def test_the_quick_preset_keeps_both_tasks_and_finds_small_structures():
    config = configure(Recipe.FINETUNE, Preset.QUICK)
    assert config.training.loss is LossKind.DICE
    assert config.has_decoder_per_task
    assert not configure(Recipe.FINETUNE, Preset.QUICK, mode="all").has_decoder_per_task


def test_strong_augmentation_is_a_set_of_defaults():
    def ranges(**given):
        training = configure(Recipe.PRETEXT, **given).training
        return training.rotation_deg, training.scaling, training.gamma, training.noise, training.blur

    assert ranges() == (15.0, 0.15, 0.0, 0.0, 0.0)
    assert ranges(augmentation="strong") == (30.0, 0.3, 0.5, 0.05, 1.0)
    assert ranges(augmentation="strong", noise=0.0, rotation_deg=10) == (10.0, 0.3, 0.5, 0.0, 1.0)


def test_settings_that_the_normalisation_cannot_have_are_refused():
    with pytest.raises(ConfigError, match="normalisation cannot be 'separate' with norm 'group'"):
        configure(Recipe.FINETUNE, norm="group", normalisation="separate")
    with pytest.raises(
        ConfigError, match="norm must be 'batch' where images have a single pixel at the lowest level, got instance"
    ):
        configure(Recipe.PRETEXT, norm="instance", rows=16, columns=16)


@pytest.mark.parametrize("recipe", [*Recipe])
@pytest.mark.parametrize("preset", [*Preset])
def test_a_configuration_survives_json(recipe, preset):
    config = configure(recipe, preset, data=Path("a/b.h5"), phases=("ed",), view=CardiacView.FOUR_CHAMBER, resample_mm=1.5)
    assert RunConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_a_stored_configuration_without_the_share_of_the_unlabelled_held_everybody_back_alike():
    stored = configure(Recipe.PRETEXT).to_json()
    del stored["data"]["unlabelled_held_back"]
    assert RunConfig.from_json(stored).data.unlabelled_held_back == 1
    assert configure(Recipe.PRETEXT).data.unlabelled_held_back == 0.05


def test_heads_are_those_that_the_way_of_transfer_needs():
    heads = {mode: configure(Recipe.FINETUNE, mode=mode).heads for mode in TransferMode}
    assert heads[TransferMode.MULTITASK] == {"structures": 4, "positions": 10}
    assert heads[TransferMode.ALL] == {"structures": 4}
    assert configure(Recipe.PRETEXT).heads == {"positions": 10}
    assert configure(Recipe.FINETUNE, view=CardiacView.FOUR_CHAMBER, mode=TransferMode.ALL).heads == {"structures": 6}
    assert configure(Recipe.FINETUNE).head is Head.STRUCTURES


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        configure(Recipe.FINETUNE, iterations=0, beta=0, learning_rate=float("nan"), rotation_deg=200.0, workers=-1, scaling=1.0)
    names = ("iterations", "beta", "learning_rate", "rotation_deg", "workers", "scaling")
    assert {problem.setting for problem in caught.value.problems} == {*names}
    assert "rotation_deg must be 0 to 180 degrees, got 200.0" in str(caught.value)


def test_an_unknown_setting_has_a_suggestion():
    with pytest.raises(ConfigError, match="did you mean 'batch_size'"):
        configure(Recipe.PRETEXT, batchsize=3)


def test_a_stored_setting_that_is_not_known_is_refused():
    stored = configure(Recipe.PRETEXT).to_json()
    stored["training"]["warmth"] = 3
    with pytest.raises(ConfigError, match="'warmth' that this release does not know"):
        RunConfig.from_json(stored)


def test_no_two_groups_share_the_name_of_a_field():
    names = [each.name for kind in GROUPS.values() for each in dataclasses.fields(kind)]
    assert len(names) == len(set(names))


def test_a_resumed_run_may_differ_in_how_it_runs_only():
    config = configure(Recipe.PRETEXT)
    assert differences(config, {"device": "cpu", "threads": 3, "seed": 0, "view": None}) == []
    (difference,) = differences(config, {"seed": 1})
    assert str(difference).startswith("seed is 0 in this run, not 1; leave it out")


@pytest.mark.parametrize(("rows", "levels", "expected"), [(192, 4, 192), (193, 4, 208), (30, 2, 32), (1, 3, 8)])
def test_the_matrix_is_rounded_up_to_what_the_network_divides(rows, levels, expected):
    assert configure(Recipe.PRETEXT, rows=rows, levels=levels).image_size[0] == expected


def test_one_pixel_has_no_statistics():
    with pytest.raises(ConfigError, match="batch_size must be 2 or more where images have a single pixel"):
        configure(Recipe.PRETEXT, rows=16, columns=16, batch_size=1)


@pytest.mark.parametrize("value", [[], "text", None, 3])
def test_a_stored_configuration_that_is_no_object_is_refused(value):
    with pytest.raises(ConfigError):
        RunConfig.from_json(value)
