"""Tables on the terminal."""

from collections.abc import Mapping, Sequence
from enum import Enum

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from cmr_planes.terminal.text import NO_VALUE


class Kind(Enum):
    """Kinds of columns."""

    TEXT = "left"
    """Words, set to the left."""
    NUMBER = "right"
    """Numbers, set to the right."""


def table(title: str, columns: Mapping[str, Kind], rows: Sequence[Sequence[object]]) -> Table:
    """Build a table.

    Parameters
    ----------
    title
        Its heading.
    columns
        Heads of the columns, and their kinds.
    rows
        Cells; integers get a thousands separator, None becomes a dash, strings stand as they are.
    """
    result = Table(title=title, box=SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False, min_width=len(title))
    for head, kind in columns.items():
        result.add_column(head, justify=kind.value, overflow="fold")
    for row in rows:
        result.add_row(*(Text(_cell(value)) for value in row))
    return result


def _cell(value: object) -> str:
    if value is None:
        return NO_VALUE
    return f"{value:,}" if isinstance(value, int) else str(value)
