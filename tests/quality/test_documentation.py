"""Every public name is explained, and every command shows an example."""

import importlib
import inspect
import pkgutil

import pytest
from click.testing import CliRunner

import cmr_planes
import cmr_planes.cli
import cmr_train


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
