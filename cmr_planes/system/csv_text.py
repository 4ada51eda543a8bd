"""CSV as text."""

import csv
import io
from collections.abc import Iterable, Sequence


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
