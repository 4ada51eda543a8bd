"""Every public name is explained, and every command shows an example."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import cmr_planes
import cmr_planes.cli
import cmr_train

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/*.md", "benchmarks/*.md", "Makefile", "pyproject.toml", ".ci/run")
    for path in ROOT.glob(pattern)
)


def has_address(name: str) -> bool:
    """Whether a dotted name is a module, or leads from a module to one of its attributes."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


def modules() -> list[str]:
    names = []
    for package in (cmr_planes, cmr_train):
        names += [package.__name__, *(info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))]
    return names


@pytest.mark.parametrize("name", modules())
def test_public_names_have_docstrings(name):
    module = importlib.import_module(name)
    assert module.__doc__
    own = [item for key, item in vars(module).items() if not key.startswith("_") and getattr(item, "__module__", "") == name]
    undocumented = [item.__qualname__ for item in own if (inspect.isclass(item) or inspect.isfunction(item)) and not item.__doc__]
    assert undocumented == []


@pytest.mark.parametrize("command", cmr_planes.cli.COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = CliRunner().invoke(cmr_planes.cli.main, [command, "--help"])
    assert result.exit_code == 0
    assert f"\n    cmr-planes {command} " in result.stdout
    assert "\\b" not in result.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_paths_and_names_of_the_packages_exist(page):
    text = page.read_text(encoding="utf-8")
    paths = re.findall(r"(?<![\w./-])(?:cmr_planes|cmr_train|tests|docs|benchmarks|examples)/[\w./-]*\w", text)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    names = re.findall(r"(?<![\w./-])(?:cmr_planes|cmr_train)(?:\.[A-Za-z]\w*)+", text)
    assert [name for name in names if not has_address(name)] == []


def test_a_name_that_is_gone_is_found():
    assert has_address("cmr_planes.geometry.ImagePlane")
    assert not has_address("cmr_planes.geometry.Nothing")
    assert not has_address("cmr_planes.build")
