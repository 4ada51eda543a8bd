"""Tables on the terminal: how columns stand, and what cells print."""

from rich.console import Console

from cmr_planes.terminal.tables import Kind, table


def printed(columns: dict[str, Kind], rows: list[tuple[object, ...]]) -> list[str]:
    console = Console(width=80, color_system=None)
    with console.capture() as output:
        console.print(table("t", columns, rows))
    return [line.rstrip() for line in output.get().splitlines() if line.strip()]


def test_words_that_begin_with_a_digit_stay_on_the_left() -> None:
    lines = printed({"view": Kind.TEXT, "images": Kind.NUMBER}, [("2Ch", 7), ("four", 1_234)])
    assert [line.strip() for line in lines[-2:]] == ["2Ch         7", "four    1,234"]


def test_numbers_stay_on_the_right_where_the_first_row_has_none() -> None:
    lines = printed({"dice": Kind.NUMBER}, [(None,), ("0.875",)])
    assert [line.strip() for line in lines[-2:]] == ["–", "0.875"]
    assert len({len(line) for line in lines[-2:]}) == 1
