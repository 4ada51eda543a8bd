"""The names of both packages: exported, documented and importable are the same set, and their examples run."""

import ast
import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import cmr_planes
import cmr_train
from cmr_planes.cli import main
from tests.helpers.study_folders import make_study

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
PACKAGES = [cmr_planes, cmr_train]
FUNCTIONS = [(package, name) for package in PACKAGES for name in package.__all__ if inspect.isfunction(getattr(package, name))]


def section(package) -> str:
    """The part of the page that is about a package."""
    return PAGE.split(f"\n## {package.__name__}\n")[1].split("\n## ")[0]


def blocks(text: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [block for marked, block in found if marked == language]


def documented(package) -> list[str]:
    """The names in the headings of a package's section."""
    return [
        name
        for heading in re.findall(r"^### (.*)$", section(package), flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", heading)
    ]


def seen_by_type_checkers(package) -> list[str]:
    """The names that a package imports for type checkers."""
    tree = ast.parse(Path(package.__file__).read_text(encoding="utf-8"))
    branches = [node for node in tree.body if isinstance(node, ast.If)]
    return [alias.name for branch in branches for node in branch.body if isinstance(node, ast.ImportFrom) for alias in node.names]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_exported_documented_and_importable_names_are_the_same(package):
    exported = package.__all__
    assert exported == sorted(set(exported))
    assert sorted(documented(package)) == exported
    assert sorted(seen_by_type_checkers(package)) == exported
    assert set(exported) <= set(dir(package))
    for name in exported:
        assert getattr(getattr(package, name), "__module__", "").startswith(f"{package.__name__}."), name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        package.nothing  # noqa: B018  # what is looked up is the point


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_name_has_an_example(package):
    code = "\n".join(blocks(section(package), "python"))
    used = set(re.findall(rf"\b{package.__name__}\.(\w+)", code))
    assert [name for name in package.__all__ if name not in used] == []


@pytest.mark.parametrize(("package", "name"), FUNCTIONS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_function_says_what_it_takes_gives_and_raises(package, name):
    docstring = inspect.getdoc(getattr(package, name)) or ""
    needed = ["Parameters", "Returns"] if name == "draw_mask" else ["Parameters", "Returns", "Raises"]  # drawing cannot fail
    assert [title for title in needed if f"\n{title}\n-----" not in docstring] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_importing_a_package_and_listing_its_names_loads_nothing_heavy(package):
    code = f"import sys, {package.__name__} as package; dir(package); print([n for n in ('torch', 'numpy', 'h5py') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_examples_of_the_page_run_in_their_order(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (shell,) = blocks(PAGE, "")
    program, *arguments = shlex.split(shell)
    assert program == "cmr-planes"
    assert CliRunner().invoke(main, [*arguments, "--workers", "1"]).exit_code == 0
    study = make_study(tmp_path, modes=("scratch", "all"), subjects=(1,), seeds=1)
    (tmp_path / "studies").mkdir()
    study.rename(tmp_path / "studies" / "sax")
    names: dict[str, object] = {}
    for number, block in enumerate(blocks(PAGE, "python"), start=1):
        exec(compile(block, f"block {number} of docs/api.md", "exec"), names)  # noqa: S102  # our own text
    assert (tmp_path / "segmented" / "volumes.csv").exists()
    assert (tmp_path / "scores" / "summary.json").exists()
    assert (tmp_path / "studies" / "sax" / "report.html").exists()
    assert names["losses"]
