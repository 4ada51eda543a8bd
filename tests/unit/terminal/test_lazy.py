"""Programs whose terminal has another encoding than UTF-8, as a pipe on Windows has."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import sys, click
from cmr_planes.terminal.console import print_json
from cmr_planes.terminal.lazy import LazyGroup

@click.command(cls=LazyGroup, invoke_without_command=True)
def program():
    if sys.argv[1] == "json":
        print_json({"key": "Müller Жанна × 2"})
    else:
        click.echo("48 × 48 ¥, Жанна")
    sys.exit(0)

program([])
"""


def printed(encoding: str, kind: str) -> str:
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", PROGRAM, kind], env=environment, capture_output=True, check=True)
    return done.stdout.decode(encoding).replace("\r\n", "\n")


def test_what_an_encoding_lacks_is_printed_as_plain_signs_or_escapes():
    assert printed("utf-8", "text") == "48 × 48 ¥, Жанна\n"
    assert printed("cp1251", "text") == "48 x 48 \\xa5, Жанна\n"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "ascii"])
def test_json_keeps_its_value_in_every_encoding(encoding):
    assert json.loads(printed(encoding, "json")) == {"key": "Müller Жанна × 2"}
