"""Options that several commands share."""

from pathlib import Path

import click

from cmr_planes.discovery.pseudonyms import Pseudonyms, load_pseudonyms
from cmr_planes.errors import SourceError


def _pseudonyms(context: click.Context, parameter: click.Parameter, value: Path | None) -> Pseudonyms | None:  # noqa: ARG001  # click's signature
    """Read a key file."""
    try:
        return None if value is None else load_pseudonyms(value)
    except SourceError as error:
        raise click.BadParameter(str(error)) from error


pseudonymise_option = click.option(
    "--pseudonymise",
    "pseudonyms",
    metavar="KEYFILE",
    type=click.Path(path_type=Path),
    callback=_pseudonyms,
    help="Subjects are stored under hashes keyed with this file, which only you may read; OUT.mapping.csv maps them back.",
)
"""``--pseudonymise``, for commands that make a catalogue or bring files to it that are named after its subjects."""
