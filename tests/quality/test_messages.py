"""The library speaks of settings by name; only the commands speak in flags."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIBRARY = sorted(
    path
    for package in ("cmr_planes", "cmr_train")
    for path in (ROOT / package).rglob("*.py")
    if not {"cli", "terminal"} & set(path.relative_to(ROOT).parts)
)
COMMANDS = re.compile(r"\b(cmr-planes|cmr-train|dask|pip) [^'\")]*")
"""A whole command, of this program or another, is no flag."""
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
SETTINGS = ("config.py", "study_file.py")
"""Modules whose fields name their own flags, once."""


def flags_in_messages(source: str) -> list[str]:
    """Return the flags in the string literals of a module, docstrings and whole commands left out."""
    tree = ast.parse(source)
    documents = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body and isinstance(node.body[0], ast.Expr)
    }
    documents |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents:
            found += FLAG.findall(COMMANDS.sub("", node.value))
    return found


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_message_of_the_library_speaks_in_flags(path):
    if path.name not in SETTINGS:
        assert flags_in_messages(path.read_text(encoding="utf-8")) == []


def test_a_flag_in_a_message_is_found():
    assert flags_in_messages('"""Doc --box."""\nraise ValueError(f"try a smaller --box than {1}")\n') == ["--box"]
    assert flags_in_messages("say(\"run 'cmr-planes verify out.h5 --set-aside' first\")") == []
