"""The house dialect: words and phrases for which plain English has better ones.

``python -m tools.words`` lists them in README, docs, and the text of both packages (messages, helps, docstrings), and exits with 1
if there is one. A line of a page is left alone where a comment ``<!-- words: off -->`` stands on it, a line of Python with
``# words: off``.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*.md", "benchmarks/README.md")
PACKAGES = ("cmr_planes", "cmr_train")
OFF = re.compile(r"(?:<!--|#) words: off")

THINGS = (
    "one|object|folder|zip|images|steps|lines|rows|files|threads|kB|MB|GB|GiB|"
    "inputs|chunk|shard|view|sheet|process|worker|seconds|pixels"
)
OF = (
    "subject|step|second|minute|line|core|GPU|view|slice|sheet|worker|file|target|inch|"
    "study|participant|process|case|image|row|machine|node|frame|phase|patient|task|plane|stack|network"
)

BETTER = {
    rf"\b(?:{THINGS}) an? (?:{OF})\b(?! of\b)": "per",
    r"\banew\b": "again, from the start",
    r"\btold\b": "identified, reported, given",
    r"\btells? apart\b": "distinguishes",
    r"\btelling apart\b": "distinguishing",
    r"\bnobody(?:'s)?\b": "no one; or name the thing",
    r"\beverybody\b": "all subjects",
    r"\bsomebody\b": "a user, a person",
    r"\bwhom\b": "that, which",
    r"\bleads? back\b": "maps back",
    r"\bgoes on from there\b": "resumes",
    r"\bgoes on\b": "continues",
    r"\bgo on\b": "continue",
    r"\bso often\b": "this many times",
    r"\bso many\b": "N, this many",
    r"\blook(?:s|ed) at\b": "check, inspect, view",
    r"\blook(?:s|ed) for\b": "search, find",
    r"\bpassed over\b": "skipped",
    r"\btaken? over\b": "copy, use",
    r"\bwhat is there\b": "what exists",
    r"\bof late\b": "recently",
    r"\bfor want of\b": "for lack of",
    r"\baltogether\b": "in all, completely",
    r"\blikewise\b": "also, the same",
    r"\bhardly ever\b": "rarely",
    r"\bforeseen\b": "expected",
    r"\brots?\b": "is damaged",
    r"\btalkative\b": "verbose",
    r"\bfor ever\b": "without end",
    r"\bU-net\b": "U-Net",
    r"\btaken? for\b": "is treated as, is identified as",
    r"\bwants? to be\b": "has to be",
    r"\bhangs? together\b": "link, belong together",
    r"\bas ever\b": "unaffected, as before",
    r"\bnext to nothing\b": "almost nothing",
    r"\bbrought to the disk\b": "flushed to the disk",
    r"\bstands? apart\b": "separately",
}
"""Pattern, and what to write in its place."""


class Hit(NamedTuple):
    """A word of the dialect."""

    path: Path
    line: int
    word: str
    better: str


def hits_in(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield the line (from 0), the words and what is better for each hit in a text."""
    for pattern, better in BETTER.items():
        for match in re.finditer(pattern, text, re.IGNORECASE if pattern != r"\bU-net\b" else 0):
            yield text.count("\n", 0, match.start()), match.group(), better


def hits_of_page(path: Path) -> Iterator[Hit]:
    """Yield the hits of a page."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines()
    for line, word, better in hits_in(text):
        if not OFF.search(lines[line]):
            yield Hit(path, line + 1, word, better)


def hits_of_module(path: Path) -> Iterator[Hit]:
    """Yield the hits in the strings of a module."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for line, word, better in hits_in(node.value):
                place = min(node.lineno + line, node.end_lineno or node.lineno)
                if not any(OFF.search(each) for each in lines[node.lineno - 1 : node.end_lineno]):
                    yield Hit(path, place, word, better)


def all_hits() -> list[Hit]:
    """Return the hits of all pages and modules."""
    pages = sorted({path for pattern in PAGES for path in ROOT.glob(pattern)})
    modules = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return [*(hit for path in pages for hit in hits_of_page(path)), *(hit for path in modules for hit in hits_of_module(path))]


def main() -> int:
    """Print all hits; return the exit code."""
    hits = all_hits()
    for hit in hits:
        sys.stdout.write(f"{hit.path.relative_to(ROOT)}:{hit.line}: {hit.word!r}: {hit.better}\n")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
