"""Tables as CSV text, written and read."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CsvRow:
    """A row of a table."""

    number: int
    """Its line in the file, the columns' names being line 1; of a row of several lines the last."""
    cells: Mapping[str, str]
    """By column, without spaces around; empty where the row is too short."""
    is_too_long: bool
    """Whether it has more cells than the table has columns."""


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table from outside."""

    columns: tuple[str, ...]
    """Names of the columns, as they stand."""
    rows: tuple[CsvRow, ...]
    """The rows, without empty lines."""


def read_csv(data: bytes) -> CsvTable:
    r"""Read a table: CSV in UTF-8, with or without a byte order mark, and a line of the columns' names.

    Raises
    ------
    ValueError
        It is not CSV in UTF-8.

    Examples
    --------
    >>> table = read_csv(b"key,ml\na, 12.5\n\nb\n")
    >>> table.columns, [(row.number, row.cells["ml"]) for row in table.rows]
    (('key', 'ml'), [(2, '12.5'), (4, '')])
    """
    reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    try:
        columns = tuple(reader.fieldnames or ())
        rows = tuple(
            CsvRow(reader.line_num, {name: (row[name] or "").strip() for name in columns}, is_too_long=None in row)
            for row in reader
        )
    except csv.Error as error:
        raise ValueError(str(error)) from error
    return CsvTable(columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]], *, quote_all: bool = False) -> str:
    r"""Write a table as CSV, with a line of the columns' names and ``\n`` at the end of each line.

    Parameters
    ----------
    columns
        Names of the columns.
    rows
        One value for each column.
    quote_all
        Whether every cell is quoted, so that a spreadsheet takes numbers in names as text.

    Examples
    --------
    >>> csv_text(("key", "ml"), [("a,b", 12.5)])
    'key,ml\n"a,b",12.5\n'
    """
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
