"""The options of ``cmr-train``: made from the settings, and errors that name what was typed."""

import click
import pytest

from cmr_train.choices import Recipe
from cmr_train.cli.finetune import finetune
from cmr_train.cli.pretext import pretext
from cmr_train.config import SETTINGS, PretextConfig, TransferConfig
from cmr_train.presets import configure
from cmr_train.runs.files import write_json
from cmr_train.settings.fields import settings_of
from tests.helpers.training import train


def options_of(command: click.Command) -> dict[str, click.Option]:
    return {each.name: each for each in command.params if each.name in SETTINGS}


def test_every_setting_has_an_option_with_its_flags_and_its_help():
    assert options_of(finetune).keys() == SETTINGS.keys() - settings_of(PretextConfig).keys()
    assert options_of(pretext).keys() == SETTINGS.keys() - settings_of(TransferConfig).keys()
    for name, option in (options_of(finetune) | options_of(pretext)).items():
        assert tuple(option.opts) == SETTINGS[name].flags
        assert option.help.startswith(SETTINGS[name].help)
        assert option.default is None


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("iterations", "[default: 50,000; quick: 300]"),
        ("rotation_deg", "[default: 15.0; strong: 30.0; 0 to 180 degrees]"),
        ("loss", "[default: cross-entropy; quick: weighted (pretext), dice (finetune)]"),
        ("fractions", "[default: 0.7 0.1 0.2]"),
        ("subjects", "[default: all of the training set]"),
    ],
)
def test_help_has_the_default_and_the_bounds(name, end):
    assert options_of(pretext)[name].help.endswith(end)


def test_a_resumed_run_names_the_option_that_differs(tmp_path):
    write_json(tmp_path / "config.json", {"config": configure(Recipe.PRETEXT).to_json()})
    refused = train("pretext", "--out", tmp_path, "--resume", "--rotation", 10, "--subjects", 3)
    assert refused.exit_code == 2
    assert "Error: --rotation is 15.0 in this run, not 10.0; leave it out" in refused.stderr
    assert "Error: --participants / --subjects is None in this run, not 3" in refused.stderr
    assert train("pretext", "--out", tmp_path, "--resume", "--dry-run", "--rotation", 15).exit_code == 0


def test_a_resumed_run_takes_no_value_that_is_not_allowed(tmp_path):
    write_json(tmp_path / "config.json", {"config": configure(Recipe.PRETEXT).to_json()})
    refused = train("pretext", "--out", tmp_path, "--resume", "--workers", -1)
    assert (refused.exit_code, refused.stderr) == (2, "Error: --workers must be 0 or more, got -1\n")


def test_an_option_is_named_and_a_setting_that_nothing_typed_too(tmp_path):
    refused = train("pretext", "--out", tmp_path, "--rotation", 500, "--scaling", 1, "--seed", -1, "--dry-run")
    assert refused.exit_code == 2
    assert refused.stderr.splitlines() == [
        "Error: --rotation must be 0 to 180 degrees, got 500.0",
        "Error: --scaling must be 0 or more and less than 1, got 1.0",
        "Error: --seed must be 0 or more, got -1",
    ]


@pytest.mark.parametrize("flag", ["--participants", "--subjects"])
def test_participants_may_be_called_subjects(tmp_path, flag):
    shown = train("pretext", "--out", tmp_path, flag, 7, f"{flag}-seed", 2, "--dry-run")
    assert '"subjects": 7' in shown.stdout
    assert '"subjects_seed": 2' in shown.stdout


@pytest.mark.parametrize(
    ("file", "arguments", "sentence"),
    [
        ("[settings]\nrotation_deg = 500", (), "settings.rotation_deg must be 0 to 180 degrees, got 500.0"),
        ("", ("--set", "rotation=10"), "settings has no setting 'rotation'; did you mean 'rotation_deg'?"),
        ("", ("--set", "iterations=0"), "settings.iterations must be more than 0, got 0"),
        ("", ("--set", "batch_size=many"), "settings.batch_size must be a whole number, got 'many'"),
        ("seeds = 0", (), "seeds must be more than 0, got 0"),
        ("", ("--seeds", 0), "--seeds must be more than 0, got 0"),
        ("", ("--participants", "1,x"), "--participants / --subjects must be a whole number, got 'x'"),
    ],
)
def test_a_study_names_the_word_that_was_typed(tmp_path, file, arguments, sentence):
    path = tmp_path / "study.toml"
    path.write_text(file)
    refused = train("study", path, "--out", tmp_path / "out", *arguments)
    assert (refused.exit_code, refused.stderr) == (2, f"Error: {sentence}\n")


@pytest.mark.parametrize("flag", ["--iterations", "--pretext-iterations"])
def test_the_iterations_of_a_study_are_checked_where_they_are_typed(tmp_path, flag):
    refused = train("study", "--out", tmp_path / "out", flag, 0)
    assert refused.exit_code == 2
    assert f"Invalid value for '{flag}': must be more than 0, got 0" in refused.stderr
