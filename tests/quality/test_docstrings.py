"""Docstrings exist where the linter does not look, and do not contradict the signature below them.

The sources are read, not imported, so that a dataclass's generated docstring does not count as one.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("cmr_planes", "cmr_train") for path in (ROOT / package).rglob("*.py"))
PARAMETERS = re.compile(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+$|\Z)", re.DOTALL | re.MULTILINE)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public_definitions(body: list[ast.stmt]) -> Iterator[Definition]:
    """Public classes and functions of a module, and the public methods and properties of its classes."""
    for node in body:
        if isinstance(node, Definition) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public_definitions(node.body)


def undocumented(tree: ast.Module) -> list[str]:
    """Public names of a module that have no docstring."""
    names = [] if ast.get_docstring(tree) else ["the module"]
    names += [node.name for node in public_definitions(tree.body) if not ast.get_docstring(node) and not is_overload(node)]
    return names


def is_overload(node: Definition) -> bool:
    """Whether a definition only tells a type checker about a variant."""
    return any(isinstance(mark, ast.Name) and mark.id == "overload" for mark in node.decorator_list)


def described_parameters(docstring: str) -> list[str]:
    """The names in a docstring's Parameters section, in order; empty without one."""
    section = PARAMETERS.search(docstring)
    lines = section.group(1).splitlines() if section else []
    return [name.strip(" *`") for line in lines if line and not line[0].isspace() for name in line.split(":")[0].split(",")]


def actual_parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """The names in a signature, in order, without ``self`` and ``cls``."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, arguments.vararg, *arguments.kwonlyargs, arguments.kwarg]
    return [argument.arg for argument in every if argument is not None and argument.arg not in {"self", "cls"}]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_public_name_is_explained(path):
    assert undocumented(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_parameters_section_names_the_parameters_of_the_function(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            described = described_parameters(ast.get_docstring(node) or "")
            if described:
                assert sorted(described) == sorted(actual_parameters(node)), f"{node.name} in line {node.lineno}"


def test_what_is_missing_is_found():
    source = '"""Module."""\n@dataclass\nclass Box:\n    @property\n    def edge(self): ...\n    def _hidden(self): ...\ndef draw(): ...\n'
    assert undocumented(ast.parse(source)) == ["Box", "edge", "draw"]
    assert undocumented(ast.parse('def draw():\n    """Draw."""\n')) == ["the module"]


def test_parameters_are_read_from_a_section():
    docstring = "Draw.\n\nParameters\n----------\nrows, columns\n    Size.\n*boxes\n    Boxes.\n\nReturns\n-------\n    A mask.\n"
    assert described_parameters(docstring) == ["rows", "columns", "boxes"]
    assert described_parameters("Draw.\n\nReturns\n-------\n    A mask.\n") == []
