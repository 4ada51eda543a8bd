"""Numbers as options take them."""

import click
import pytest
from click.testing import CliRunner

from cmr_planes.terminal.numbers import Number


def typed(kind: Number, text: str):
    found = []

    @click.command()
    @click.option("--edge", type=kind, help="Edge.")
    def command(edge):
        found.append(edge)

    done = CliRunner().invoke(command, ["--edge", text])
    return found[0] if done.exit_code == 0 else done.output.splitlines()[-1]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Number(int, low=1), "1", 1),
        (Number(int, low=1), "0", "must be 1 or more, got 0"),
        (Number(int, low=1), "2.5", "must be a whole number, got '2.5'"),
        (Number(int), "-7", -7),
        (Number(float, low=0, high=45), "45", 45.0),
        (Number(float, low=0, high=45), "46", "must be 0 to 45, got 46"),
        (Number(float, low=0, is_low_included=False), "0", "must be more than 0, got 0"),
        (Number(float, low=0), "nan", "must be 0 or more, got nan"),
        (Number(float), "nan", "must be a number, got nan"),
        (Number(float), "x", "must be a number, got 'x'"),
    ],
)
def test_a_number_outside_its_bounds_is_refused_in_words(kind, text, expected):
    found = typed(kind, text)
    assert found == (expected if not isinstance(expected, str) else f"Error: Invalid value for '--edge': {expected}")


@pytest.mark.parametrize(("kind", "metavar"), [(Number(int), "N"), (Number(float), "X"), (Number(float, "MM", low=0.1), "MM")])
def test_the_help_has_the_unit(kind, metavar):
    command = click.Command("box", params=[click.Option(["--edge"], type=kind, help="Edge.")])
    assert f"--edge {metavar} " in CliRunner().invoke(command, ["--help"]).output
