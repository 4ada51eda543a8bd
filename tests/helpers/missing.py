"""Which files of tests cannot be imported here, because a package or a module of the system is missing."""

import ast
import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path

OF_SYSTEMS = ("fcntl", "resource")
"""Modules that Windows has not."""
OF_EXTRAS = (
    *(
        "dicomweb_client",
        "medpy",
        "monai",
        "onnx",
        "onnxruntime",
        "onnxscript",
        "pynetdicom",
        "requests",
        "safetensors",
        "submitit",
    ),
    *("tenacity", "torch"),
)
"""Packages of the extras ``train`` and ``dev``, beyond ``test``, that tests import at their top."""
TRAINER = ("cmr_train", "torch")
"""A package of this repository, and what it needs."""


def files_that_need_more(tests: Path) -> Mapping[Path, frozenset[str]]:
    """Return the files of tests that import what is not installed, themselves or through helpers, and what that is."""
    missing = frozenset(name for name in (*OF_SYSTEMS, *OF_EXTRAS) if importlib.util.find_spec(name) is None)
    if not missing:
        return {}
    files = {path: _needed(path, tests) & missing for path in sorted(tests.rglob("test_*.py"))}
    return {path: names for path, names in files.items() if names}


@functools.cache
def _needed(path: Path, tests: Path) -> frozenset[str]:
    """Return the packages that a file imports at its top, and those that the helpers among them import."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            helper = tests.parent / Path(*name.split(".")).with_suffix(".py")
            if name.startswith("tests.") and helper.exists() and helper != path:
                found |= _needed(helper, tests)
            top = name.partition(".")[0]
            found |= {TRAINER[1]} if top == TRAINER[0] else {top}
    return frozenset(found)
