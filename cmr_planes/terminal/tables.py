"""Tables: drawn on a terminal, whose width they fit where they can; plain lines in a pipe or a file."""

import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from cmr_planes.system.text import NO_VALUE
from cmr_planes.terminal.console import stdout

_PIPE_WIDTH = 1 << 16
"""Characters in a line where stdout is no terminal: nothing is folded for a file or a pager."""
_SENTENCE_WIDTH = 14
"""Least characters in a line of a sentence."""


class Kind(Enum):
    """Kinds of columns. Words and numbers are never broken; heads and sentences are, between words."""

    TEXT = auto()
    """Words, set to the left."""
    NUMBER = auto()
    """Numbers, set to the right."""
    SENTENCE = auto()
    """Sentences and lists, set to the left."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be printed."""

    title: str
    """Its heading."""
    columns: Mapping[str, Kind]
    """Heads of the columns, and their kinds."""
    rows: Sequence[Sequence[Text]]
    """Cells."""


def table(title: str, columns: Mapping[str, Kind], rows: Sequence[Sequence[object]]) -> Table:
    """Build a table.

    Parameters
    ----------
    title
        Its heading.
    columns
        Heads of the columns, and their kinds.
    rows
        Cells; integers get a thousands separator, None becomes a dash, strings and texts with a style stand as they are.
    """
    return Table(title, columns, [[_cell(value) for value in row] for row in rows])


def print_table(shown: Table) -> None:
    """Print a table to stdout."""
    console = stdout()
    if console.is_terminal:
        drawn, width = _drawn(shown, console.width)
        console.width = width
        console.print(drawn)
        return
    plain = Console(width=_PIPE_WIDTH, color_system=None)
    with plain.capture() as printed:
        plain.print(_plain(shown))
    sys.stdout.write("\n".join([shown.title, *(line.rstrip() for line in printed.get().splitlines()), "", ""]))


def _drawn(shown: Table, width: int) -> tuple[RichTable, int]:
    """Lay a table out for a terminal; return it with its width, which is the terminal's unless the table cannot be so narrow."""
    cells = [_widest(row[index].plain for row in shown.rows) for index in range(len(shown.columns))]
    sentences = [index for index, kind in enumerate(shown.columns.values()) if kind is Kind.SENTENCE]
    rules = 2 + 3 * (len(shown.columns) - 1)
    for longest in range(max(map(len, shown.columns)), 0, -1):
        heads = [_folded(head, max(cell, longest)) for head, cell in zip(shown.columns, cells, strict=True)]
        widths = [max(_widest([head]), cell) for head, cell in zip(heads, cells, strict=True)]
        room = width - rules - sum(each for index, each in enumerate(widths) if index not in sentences)
        for index in sentences:
            widths[index] = min(widths[index], max(_SENTENCE_WIDTH, room // len(sentences)))
        if sum(widths) + rules <= width:
            break
    result = RichTable(title=shown.title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for head, kind, each in zip(heads, shown.columns.values(), widths, strict=True):
        result.add_column(head, justify="right" if kind is Kind.NUMBER else "left", width=each, no_wrap=kind is not Kind.SENTENCE)
    for row in shown.rows:
        result.add_row(*row)
    result.min_width = min(len(shown.title), width)
    return result, max(width, sum(widths) + rules)


def _widest(texts: Iterable[str]) -> int:
    """Return the width of the longest line."""
    return max((cell_len(line) for text in texts for line in text.splitlines()), default=0)


def _plain(shown: Table) -> RichTable:
    """Lay a table out as lines, without rules and colours."""
    result = RichTable(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for head, kind in shown.columns.items():
        result.add_column(head, justify="right" if kind is Kind.NUMBER else "left", no_wrap=True)
    for row in shown.rows:
        result.add_row(*(cell.plain for cell in row))
    return result


def _folded(head: str, width: int) -> str:
    """Break a head between words, at a width of which no word is longer."""
    return "\n".join(textwrap.wrap(head, max(width, *map(len, head.split())), break_long_words=False, break_on_hyphens=False))


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    if value is None:
        return Text(NO_VALUE)
    return Text(f"{value:,}" if isinstance(value, int) else str(value))
