"""What ``--help`` says of every option of both programs: what to type, the default, and under which heading."""

import re

import click
import pytest
from click.testing import CliRunner

import cmr_planes.cli
import cmr_train.cli
from cmr_train.config import GROUPS
from cmr_train.settings.fields import settings_of

COMMANDS = {
    f"{program} {name}": (module.main, name, lazy.load())
    for program, module in {"cmr-planes": cmr_planes.cli, "cmr-train": cmr_train.cli}.items()
    for name, lazy in module.COMMANDS.items()
}
WORDS_OF_CLICK = re.compile(r"\b(?:INTEGER|FLOAT|TEXT|RANGE)\b|\bx\s*[<>]|[<>]=?\s*x\b|\[default: (?:True|False)")
HEADINGS = {
    "data": "Data",
    "network": "Network",
    "training": "Training",
    "pretext": "Pretext task",
    "transfer": "Transfer",
    "runtime": "Machine",
}


def help_of(command: str, width: int = 80) -> str:
    group, name, _ = COMMANDS[command]
    shown = CliRunner().invoke(group, [name, "--help"], terminal_width=width)
    assert shown.exit_code == 0
    return shown.output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_the_words_of_the_field_not_of_the_parser(command):
    text = help_of(command)
    assert WORDS_OF_CLICK.findall(text) == []
    options = text[text.index("\nOptions:") :]
    assert max(map(len, options.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_that_takes_a_value_states_its_default(command):
    *_, loaded = COMMANDS[command]
    context = click.Context(loaded)
    valued = [each for each in loaded.params if isinstance(each, click.Option) and not each.is_flag and not each.count]
    records = {each.name: each.get_help_record(context) for each in valued if not each.required and not each.hidden}
    assert [name for name, (_, meaning) in records.items() if "[default: " not in meaning] == []


@pytest.mark.parametrize("recipe", ["pretext", "finetune"])
def test_the_help_of_a_training_is_in_sections(recipe):
    shown, heading = {}, ""
    for line in help_of(f"cmr-train {recipe}").splitlines():
        if re.fullmatch(r"[A-Z][a-z ]+:", line):
            heading = line[:-1]
        elif found := re.match(r"  (?:-[a-z], )?(--[a-z-]+)", line):
            shown[found[1]] = heading
    groups = [name for name in GROUPS if name != {"pretext": "transfer", "finetune": "pretext"}[recipe]]
    expected = {setting.flags[0]: HEADINGS[name] for name in groups for setting in settings_of(GROUPS[name]).values()}
    assert {flag: shown.get(flag) for flag in expected} == expected
    assert {flag for flag, heading in shown.items() if heading == "Options"} == {
        "--out",
        "--preset",
        "--resume",
        "--overwrite",
        "--dry-run",
        "--json",
        "--quiet",
        "--help",
    }


def test_the_help_of_extract_is_in_sections_and_each_names_options_that_exist():
    _, _, extract = COMMANDS["cmr-planes extract"]
    names = {parameter.name for parameter in extract.params}
    assert {name for section in extract.sections.values() for name in section} < names
    *_, images, labels, people, machine, pacs = re.split(r"\n\n(?=[A-Z][\w ]+:\n)", help_of("cmr-planes extract"))
    found = [re.findall(r"^  (--[a-z-]+)", section, re.MULTILINE) for section in (images, labels, people, machine, pacs)]
    assert found[1:4] == [
        ["--annotations", "--nifti", "--planes", "--world", "--classes"],
        ["--participants", "--pseudonymise"],
        ["--shard-size", "--workers", "--scheduler", "--scheduler-file"],
    ]
    assert {"--views", "--units", "--codec"} < {*found[0]}
    assert {"--modality", "--ca"} < {*found[4]}
