"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from cmr_planes.annotations.classes import ClassMap, parse_classes
from cmr_planes.discovery.pseudonyms import Pseudonyms, load_pseudonyms
from cmr_planes.errors import SourceError
from cmr_planes.terminal.options import UserPath, key_file

T = TypeVar("T")
D = TypeVar("D")


def file_reader(read: Callable[[Path], T], default: D) -> Callable[[click.Context, click.Parameter, Path | None], T | D]:
    """Return a callback that reads the file of an option, or takes a default where none is given."""

    def callback(context: click.Context, parameter: click.Parameter, value: Path | None) -> T | D:  # noqa: ARG001  # click's signature
        try:
            return default if value is None else read(value)
        except SourceError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def read_classes(context: click.Context, parameter: click.Parameter, value: str | None) -> ClassMap | None:  # noqa: ARG001  # click's signature
    """Read the value of ``--classes``."""
    try:
        return None if value is None else parse_classes(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _pseudonyms(context: click.Context, parameter: click.Parameter, value: Path | None) -> Pseudonyms | None:
    """Read the key file of an option."""
    return file_reader(load_pseudonyms, None)(context, parameter, key_file(context, parameter, value))


pseudonymise_option = click.option(
    "--pseudonymise",
    "pseudonyms",
    metavar="KEYFILE",
    type=UserPath(),
    callback=_pseudonyms,
    help="Subjects are stored under hashes keyed with this file, which only you may read; OUT.mapping.csv maps them back."
    "  [default: plain keys]",
)
"""``--pseudonymise``, for commands that make a catalogue or bring files to it that are named after its subjects."""
