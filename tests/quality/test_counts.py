"""One helper prints counts: a number in an f-string is not followed by a word that only fits several things."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(path for package in ("cmr_planes", "cmr_train") for path in (ROOT / package).rglob("*.py"))
NOUNS = "contours files findings frames images instances iterations participants planes runs shards slices subjects".split()
PLURAL = re.compile(rf" (?:[a-z]+ )?(?:{'|'.join(NOUNS)})\b")
COUNT = re.compile(r"n_\w+|.*\bn_\w+|len\(.*\)|sum\(.*\)|count|.*\.total\(\)")


def fixed_plurals(source: str) -> Iterator[str]:
    """Yield what prints a count with a fixed plural."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            for value, words in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(words, ast.Constant):
                    count = ast.unparse(value.value)
                    if PLURAL.match(words.value) and COUNT.fullmatch(count):
                        yield f"{count}{words.value[:20]}"


def test_a_fixed_plural_is_found() -> None:
    assert [*fixed_plurals('f"{len(x)} of {n} images"; f"{counted(n, \'image\')} lie"; f"{n_x:,} test subjects in"')] == [
        "n_x test subjects in"
    ]
    assert [*fixed_plurals('f"{len(found)} frames of it"')] == ["len(found) frames of it"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_counts_agree_with_their_nouns(path: Path) -> None:
    assert [*fixed_plurals(path.read_text(encoding="utf-8"))] == []
