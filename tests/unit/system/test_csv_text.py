"""CSV as text, read back by the standard library."""

import csv
import io

import pytest

from cmr_planes.system.csv_text import csv_text, read_csv


def test_what_is_written_is_read_back() -> None:
    rows = [["a,b", 'say "x"'], ["two\nlines", "é"]]
    assert list(csv.reader(io.StringIO(csv_text(("key", "words"), rows), newline=""))) == [["key", "words"], *rows]


def test_every_cell_can_be_quoted() -> None:
    assert csv_text(("key", "n"), [("007", 1)], quote_all=True) == '"key","n"\n"007","1"\n'


def test_rows_have_the_numbers_of_their_lines_and_a_cell_for_each_column() -> None:
    table = read_csv('\ufeffkey, ml\r\n a ,1\r\n\r\n"b,\r\nc"\r\nd,2,3\r\n'.encode())
    assert table.columns == ("key", " ml")
    assert [(row.number, *row.cells.values(), row.is_too_long) for row in table.rows] == [
        (2, "a", "1", False),
        (5, "b,\r\nc", "", False),
        (6, "d", "2", True),
    ]
    assert read_csv(b"").columns == read_csv(b"").rows == ()


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b'key,ml\na,"1', b'"key'])
def test_what_is_no_csv_in_utf_8_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"codec can't decode|unexpected end of data"):
        read_csv(data)
