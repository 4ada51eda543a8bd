"""CSV as text, read back by the standard library."""

import csv
import io

from cmr_planes.system.csv_text import csv_text


def test_what_is_written_is_read_back() -> None:
    rows = [["a,b", 'say "x"'], ["two\nlines", "é"]]
    assert list(csv.reader(io.StringIO(csv_text(("key", "words"), rows), newline=""))) == [["key", "words"], *rows]


def test_every_cell_can_be_quoted() -> None:
    assert csv_text(("key", "n"), [("007", 1)], quote_all=True) == '"key","n"\n"007","1"\n'
