"""Every option that a message or a page names exists in a command."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import cmr_planes.cli
import cmr_train.cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md"), ROOT / "benchmarks" / "README.md"])
SOURCES = sorted(path for package in ("cmr_planes", "cmr_train") for path in (ROOT / package).rglob("*.py"))
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?!-?\{)\b(?!-)")
OTHER_PROGRAMS = re.compile(
    r"\b(?:dask|pip|git|torchrun|docker|dx|sbatch|srun|SBATCH|sha256sum|pytest|mypy|python -m (?!cmr_)\S+|nnUNetv2\w*|jq|curl|sudo|nohup|uv|apptainer|make|monai\.bundle)\b"
    r"(?:\\\n|'[^'\n]*'|[^\n`'\"])*"
)
"""The rest of a command line of another program."""
ANCHOR = re.compile(r"\]\([^)\s]*\)")
"""The target of a link."""
FOREIGN = {"--filepath"}
"""Options of other programs that stand without them: of MONAI's ``verify_metadata``."""
SUBCOMMANDS = {"cmr-planes": cmr_planes.cli, "cmr-train": cmr_train.cli}


def options_of(command: click.Command) -> set[str]:
    found = {"--help"}
    for parameter in command.params:
        found |= {name for name in (*parameter.opts, *parameter.secondary_opts) if name.startswith("--")}
    return found


def options_by_command() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for program, module in SUBCOMMANDS.items():
        found[program] = options_of(module.main)
        for name, lazy in module.COMMANDS.items():
            found[f"{program} {name}"] = options_of(lazy.load())
    return found


BY_COMMAND = options_by_command()
KNOWN = set().union(*BY_COMMAND.values())
SCRIPTS = (
    KNOWN
    | FOREIGN
    | {
        option
        for folder in ("examples", "benchmarks", "docs", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for option in re.findall(r"add_(?:argument|option)\(\s*\"(--[a-z-]+)\"", path.read_text(encoding="utf-8"))
    }
)
"""Options of this project's commands, and of its scripts."""


def unknown_options(text: str) -> list[str]:
    """Return the options that no command has, those of other programs left out; and those that the named command lacks."""
    text = OTHER_PROGRAMS.sub("", ANCHOR.sub("", text))
    unknown = [option for option in OPTION.findall(text) if option not in SCRIPTS]
    for program, name, rest in re.findall(r"\b(cmr-planes|cmr-train) ([a-z]+)\b((?:\\\n|[^\n`'\"|#;&])*)", text):
        options = BY_COMMAND.get(f"{program} {name}")
        if options is not None:
            unknown += [f"{program} {name} {option}" for option in OPTION.findall(rest) if option not in options]
    return unknown


def messages(path: Path) -> Iterator[str]:
    """Return all text of a module: messages, helps, docstrings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_pages_exist(page):
    assert unknown_options(page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_options_of_messages_exist(path):
    assert [option for message in messages(path) for option in unknown_options(message)] == []


def test_an_option_that_no_command_has_is_found():
    assert unknown_options("try `cmr-planes show out.h5 --colour red`, or --worlds") == [
        "--colour",
        "--worlds",
        "cmr-planes show --colour",
    ]
    assert unknown_options("cmr-planes show out.h5 --overwrite") == ["cmr-planes show --overwrite"]
    assert unknown_options("pip install --upgrade x; `dask worker --nthreads 1`") == []
