"""What may import what, what a bare import costs, and that every module lives in a room."""

import ast
import functools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from tools.make_figures import BANDS

ROOT = Path(__file__).parents[2]
PACKAGES = ("cmr_planes", "cmr_train")
HEAVY = ("torch", "pydicom", "matplotlib", "scipy", "h5py", "numpy")
ROOT_MODULES = {
    "cmr_planes": {"__init__", "__main__", "errors", "fates", "views"},
    "cmr_train": {"__init__", "__main__", "choices", "config", "errors", "presets"},
}
FRONT_DOORS = {"cmr_planes", "cmr_train", "cmr_planes.geometry"}
"""The modules whose work it is to hand on names that others define."""


def rooms(package: str) -> set[str]:
    return {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}


@functools.cache
def sources() -> dict[str, ast.Module]:
    """The syntax tree of each module of both packages, by its dotted name."""
    trees = {}
    for path in (path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        trees[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = ast.parse(path.read_text())
    return trees


def imports(tree: ast.Module) -> list[tuple[str, str]]:
    """Every module and name of ``from module import name``, wherever it stands."""
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return [(str(node.module), alias.name) for node in nodes for alias in node.names]


def defined(tree: ast.Module) -> set[str]:
    """The functions and classes at the top of a module."""
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}


def borrowed(trees: dict[str, ast.Module], users: dict[str, ast.Module]) -> list[str]:
    """Imports of a name from a module that has itself imported it from another module of the packages."""
    taken = {name: {item for module, item in imports(tree) if module in trees} - defined(tree) for name, tree in trees.items()}
    found = []
    for user, tree in users.items():
        for module, item in imports(tree):
            if module in taken.keys() - FRONT_DOORS and item in taken[module] and f"{module}.{item}" not in trees:
                found.append(f"{user} imports {item} from {module}, which does not define it")
    return found


def test_imports_go_one_way():
    script = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([script, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", PACKAGES)
def test_no_modules_import_one_another_in_a_circle(package):
    graph = grimp.build_graph(package, cache_dir=None)
    circles = {
        module
        for module in graph.modules
        for imported in graph.find_modules_directly_imported_by(module)
        if graph.find_shortest_chain(imported, module)
    }
    assert circles == set()


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_lives_in_a_room(package):
    assert {path.stem for path in (ROOT / package).glob("*.py")} == ROOT_MODULES[package]
    folders = {path.parent for path in (ROOT / package).rglob("*.py")} - {ROOT / package}
    assert folders == {ROOT / package / room for room in rooms(package)}


@pytest.mark.parametrize("package", PACKAGES)
def test_the_import_contract_has_a_place_for_every_room(package):
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("containers") == [package]]
    placed = [name.strip() for layer in layers for name in layer.split("|")]
    assert sorted(placed) == sorted(rooms(package) | ROOT_MODULES[package] - {"__init__", "__main__"})


@pytest.mark.parametrize("package", PACKAGES)
def test_the_design_page_has_every_room_and_no_other(package):
    page = (ROOT / "docs" / "design.md").read_text()
    table = page.partition(f"\n### {package}\n")[2].partition("\n#")[0]
    named = re.findall(r"^\| \d \| (root: )?(.*?) \|", table, flags=re.MULTILINE)
    root_modules = [name for is_root, names in named if is_root for name in re.findall(r"`(\w+)`", names)]
    assert sorted(name for is_root, name in named if not is_root) == sorted(f"`{room}`" for room in rooms(package))
    assert sorted(root_modules) == sorted(ROOT_MODULES[package] - {"__init__", "__main__"})


def test_the_picture_of_the_design_page_places_steps_in_rooms():
    for package, band in zip(PACKAGES, BANDS, strict=True):
        drawn = {room for row in band.rows for step in row for room in step.rooms.split(" · ")}
        assert band.title.startswith(package)
        assert drawn <= rooms(package)


def test_every_name_has_one_address():
    others = [path for folder in ("tests", "benchmarks", "examples", "docs") for path in (ROOT / folder).rglob("*.py")]
    users = sources() | {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in others}
    assert borrowed(sources(), users) == []


def test_a_second_address_is_found():
    trees = {name: ast.parse(text) for name, text in {"a": "x = 1", "b": "from a import x", "c": "from b import x"}.items()}
    assert borrowed(trees, trees) == ["c imports x from b, which does not define it"]


def test_unit_tests_mirror_the_rooms():
    strays = []
    for path in (ROOT / "tests" / "unit").rglob("test_*.py"):
        place = path.relative_to(ROOT / "tests" / "unit").with_name(path.name.removeprefix("test_"))
        if not any((ROOT / package / place).exists() for package in PACKAGES):
            strays.append(str(path.relative_to(ROOT)))
    assert strays == []


@pytest.mark.parametrize("module", ["cmr_planes", "cmr_planes.cli", "cmr_train", "cmr_train.cli"])
def test_packages_and_their_commands_load_nothing_heavy(module):
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("package", PACKAGES)
def test_help_loads_nothing_heavy(package):
    code = (
        f"import sys; from {package}.cli import main; main(['--help'], standalone_mode=False);"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Usage:" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


def test_masks_are_made_without_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import cmr_planes.cli.extract, cmr_planes.cli.show, cmr_planes.extraction.run;"
        "print(any(name.split('.')[0] == 'cmr_train' for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
