"""Every relative link of a page has a target, and every anchor a heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in (".github", "benchmarks", "docs", "examples", "tests") for path in (ROOT / folder).rglob("*.md")),
    ]
)
FENCE = re.compile(r"^ *(```|~~~).*?^ *\1\s*$", re.DOTALL | re.MULTILINE)
CODE = re.compile(r"`[^`\n]*`")
LINK = re.compile(r"\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s+(\S+)|(?:src|href)=\"([^\"]+)\"", re.MULTILINE)
HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*$", re.MULTILINE)
GENERATED = {ROOT / "docs/reference" / f"{name}.md" for name in ("cmr-planes", "cmr-train", "python", "codes")}
"""Pages that exist in the built site only."""
ADDRESS = re.compile(r"^[a-z][a-z+.-]*:|^//")


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: list[str] = []
    for heading in HEADING.findall(FENCE.sub("", text)):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        n_before = sum(1 for other in found if re.fullmatch(rf"{re.escape(slug)}(?:-\d+)?", other))
        found.append(f"{slug}-{n_before}" if n_before else slug)
    return set(found) | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", text))


def broken_links(page: Path) -> list[str]:
    """Return the relative links of a page that lead nowhere."""
    text = CODE.sub("", FENCE.sub("", page.read_text(encoding="utf-8")))
    broken = []
    for link in ("".join(groups) for groups in LINK.findall(text)):
        if ADDRESS.match(link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if target in GENERATED:
            continue
        if not target.exists() or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_pages_have_targets(page):
    assert broken_links(page) == []


def test_a_link_to_nowhere_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b` (c)\n[a](#a-b-c) [b](#b) [c](other.md) [d](page.md#a-b-c) ![e](e.png) [f](https://example.org)\n"
        '`[g](g.md)`\n```\n[h](h.md)\n```\n[i]: i.md\n<img src="j.png">\n'
    )
    assert broken_links(page) == ["#b", "other.md", "e.png", "i.md", "j.png"]


def test_anchors_of_equal_headings_are_numbered():
    assert anchors("# A\n## B\n## A\n") == {"a", "b", "a-1"}
