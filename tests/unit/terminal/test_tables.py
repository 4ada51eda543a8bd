"""Tables: how columns stand on terminals of some width, and what a pipe gets."""

import re

import pytest

from cmr_planes.terminal.tables import Kind, Table, print_table, table

WIDE = table(
    "Scores of a run",
    {
        "structure": Kind.TEXT,
        **dict.fromkeys((f"mean of the metric number {n}, mm" for n in range(6)), Kind.NUMBER),
        "why": Kind.SENTENCE,
    },
    [
        (
            "background",
            *(f"0.75{n} (0.062)" for n in range(3)),
            *(1_234_567 + n for n in range(3)),
            "a sentence of several words " * 4,
        )
    ],
)


def printed(shown: Table, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None = 80) -> list[str]:
    if width is not None:
        monkeypatch.setenv("TTY_COMPATIBLE", "1")
        monkeypatch.setenv("COLUMNS", str(width))
    print_table(shown)
    text = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out)
    return [line.rstrip() for line in text.splitlines() if line.strip()]


def test_words_that_begin_with_a_digit_stay_on_the_left(capsys, monkeypatch):
    shown = table("t", {"view": Kind.TEXT, "images": Kind.NUMBER}, [("2Ch", 7), ("four", 1_234)])
    assert [line.strip() for line in printed(shown, capsys, monkeypatch)[-2:]] == ["2Ch         7", "four    1,234"]


def test_numbers_stay_on_the_right_where_the_first_row_has_none(capsys, monkeypatch):
    lines = printed(table("t", {"dice": Kind.NUMBER}, [(None,), ("0.875",)]), capsys, monkeypatch)
    assert [line.strip() for line in lines[-2:]] == ["–", "0.875"]
    assert len({len(line) for line in lines[-2:]}) == 1


@pytest.mark.parametrize("width", [40, 80, 120, 400])
def test_no_number_and_no_word_is_broken_at_any_width(width, capsys, monkeypatch):
    text = "\n".join(printed(WIDE, capsys, monkeypatch, width))
    for cell in ("background", "0.750 (0.062)", "1,234,567", "metric"):
        assert cell in text
    assert {"sentence", "several", "words"} <= set(re.split(r"\W+", text))


def test_heads_are_folded_between_words_only_where_the_table_would_be_too_wide(capsys, monkeypatch):
    narrow = table("t", {"view": Kind.TEXT, "mean of something, mm": Kind.NUMBER}, [("SAX", 1), ("2Ch", 2)])
    assert "mean of something, mm" in "\n".join(printed(narrow, capsys, monkeypatch, 80))
    lines = printed(narrow, capsys, monkeypatch, 20)
    assert max(map(len, lines)) <= 20
    assert "something," in "\n".join(lines)


def test_a_pipe_gets_lines_without_rules_padding_and_folds(capsys, monkeypatch):
    sentence = "what was found, in many words " * 20
    shown = table(
        "Left out",
        {"view": Kind.TEXT, "why": Kind.SENTENCE, "n": Kind.NUMBER},
        [("SAX", sentence.strip(), 3), ("2Ch", "short", 1_000)],
    )
    print_table(shown)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Left out"
    assert sentence.strip() in lines[2]
    assert all(line == line.rstrip() for line in lines)
    assert "─" not in "".join(lines)
    assert (len(lines), lines[-1]) == (5, "")
