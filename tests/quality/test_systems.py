"""Every text file is opened with its encoding, and written with its line ends: both differ between systems where nobody says them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODES = set("rwaxbt+")


def unsaid(tree: ast.Module) -> Iterator[int]:
    """Yield the lines on which a text file is opened without its encoding, or for writing without its line ends."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        said = {keyword.arg for keyword in node.keywords}
        words = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
        mode = next((word for word in words if word and set(word) <= MODES), "r")
        is_written = name == "write_text" or (name == "open" and set(mode) & set("wax+"))
        is_text = name in {"read_text", "write_text"} or (name in {"open", "fdopen"} and "b" not in mode and is_path(node))
        if is_text and ("encoding" not in said or (is_written and "newline" not in said)):
            yield node.lineno


def is_path(call: ast.Call) -> bool:
    """Tell whether an ``open`` is that of a file: of ``Path`` it has a mode or nothing at its front; ``os.open`` gives numbers."""
    if isinstance(call.func, ast.Name):
        return call.func.id == "open"
    owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    first = call.args[0] if call.args else None
    is_mode = first is None or (isinstance(first, ast.Constant) and set(str(first.value)) <= MODES)
    return owner != "os" and is_mode and not owner.endswith(")")


@pytest.mark.parametrize("package", ["cmr_planes", "cmr_train", "tools"])
def test_encodings_and_line_ends_are_said(package):
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / package).rglob("*.py")
        for line in unsaid(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "n_found"),
    [
        ("path.open()", 1),
        ("path.open('w', encoding='utf-8')", 1),
        ("path.write_text(text, encoding='utf-8')", 1),
        ("path.read_text()", 1),
        ("open('x')", 1),
        ("path.open('rb'), path.open('w', encoding='utf-8', newline='')", 0),
        ("path.write_text(text, encoding='utf-8', newline='\\n'), path.read_text(encoding='ascii')", 0),
        ("os.open(path, os.O_RDONLY), archive.open(name), Image.open(path)", 0),
    ],
)
def test_what_is_unsaid_is_found(code, n_found):
    assert len([*unsaid(ast.parse(code))]) == n_found
