"""The word list of the house dialect finds what it is for, and the text of pages and packages is free of it."""

import pytest

from tools.words import BETTER, all_hits, hits_in, hits_of_module, hits_of_page


@pytest.mark.parametrize(
    "text",
    [
        "One folder a subject.",
        "a JSON object a line",
        "begin anew",
        "it was told to",
        "nobody has annotated it",
        "whom the run has seen",
        "the file leads back",
        "the run goes on from there",
        "images that were looked at",
        "repeats passed over",
        "remove what is there",
        "for want of memory",
        "a U-net of our own",
        "taken for the right ventricle's",
        "files that hang together",
        "all others are as ever",
        "brought to the disk",
    ],
)
def test_the_dialect_is_found(text):
    assert [*hits_in(text)]


@pytest.mark.parametrize(
    "text", ["a view of a slice", "Look at it: cmr-planes show", "U-Net", "one image per step", "take it for granted"]
)
def test_plain_words_are_left_alone(text):
    assert not [*hits_in(text)]


def test_a_hit_has_its_line_and_a_better_word(tmp_path):
    page, module = tmp_path / "page.md", tmp_path / "module.py"
    page.write_text("# A\n\nIt was told.\nIt was told. <!-- words: off -->\n")
    module.write_text('"""A module."""\nX = 1  # anew is no text here\nY = "made anew"\nZ = "anew"  # words: off\n')
    assert [(hit.line, hit.word) for hit in hits_of_page(page)] == [(3, "told")]
    assert [(hit.line, hit.word, hit.better) for hit in hits_of_module(module)] == [(3, "anew", BETTER[r"\banew\b"])]


def test_pages_and_packages_are_free_of_it():
    assert [f"{hit.path}:{hit.line}: {hit.word}" for hit in all_hits()] == []
