"""Options by which studies are chosen on a PACS; nothing here needs the libraries of its protocols."""

import functools
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cmr_planes.cli.access_options import AddressType
from cmr_planes.cli.options import file_reader
from cmr_planes.pacs.addresses import PacsAddress, looks_like_address
from cmr_planes.terminal.options import UserPath

if TYPE_CHECKING:
    from cmr_planes.pacs.server import WantedStudy

Command = TypeVar("Command", bound=Callable[..., Any])

STUDY_FIELDS = ("modality", "since", "until", "description", "studies")
"""Parameters of :func:`study_options`."""


class SourceOrAddress(click.ParamType[Path | PacsAddress]):
    """A path that exists, or the address of a PACS."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path | PacsAddress:  # noqa: ANN401  # click's signature
        """Read an address where there is one, else a path."""
        if isinstance(value, str) and looks_like_address(value):
            return AddressType().convert(value, param, ctx)
        if isinstance(value, str) and value.endswith(".h5") and not Path(value).is_dir():
            order = "OUT.h5, the catalogue to write, comes last, and values of one option have commas: --views sax,2ch"
            self.fail(f"{value!r} is no source; {order}", param, ctx)
        path: Path = UserPath(exists=True).convert(value, param, ctx)
        return path


def _day(context: click.Context, parameter: click.Parameter, value: datetime | None) -> Any:  # noqa: ANN401, ARG001  # click's signature
    """Return a day without the time of day."""
    return None if value is None else value.date()


def _pattern(context: click.Context, parameter: click.Parameter, value: str | None) -> re.Pattern[str] | None:  # noqa: ARG001  # click's signature
    """Compile a regular expression."""
    try:
        return None if value is None else re.compile(value, re.IGNORECASE)
    except re.error as error:
        raise click.BadParameter(f"is no regular expression: {error}") from error


def _study_list(path: Path) -> "tuple[WantedStudy, ...]":
    """Read a list of studies."""
    from cmr_planes.pacs.study_list import read_study_list

    return read_study_list(path)


def study_options(command: Command) -> Command:
    """``--modality``, ``--since``, ``--until``, ``--description``, ``--studies``: fields of ``PullOptions``."""
    day = click.DateTime(formats=["%Y-%m-%d", "%Y%m%d"])
    options = (
        click.option("--modality", metavar="NAME", default="MR", show_default=True, help="PACS: a modality that a study has."),
        click.option("--since", metavar="YYYY-MM-DD", type=day, callback=_day, help="PACS: first day of studies.  [default: any]"),
        click.option("--until", metavar="YYYY-MM-DD", type=day, callback=_day, help="PACS: last day of studies.  [default: any]"),
        click.option(
            "--description",
            metavar="REGEX",
            callback=_pattern,
            help="PACS: what the description of a study has to hold, in capital letters or not.  [default: anything]",
        ),
        click.option(
            "--studies",
            metavar="FILE",
            type=UserPath(),
            callback=file_reader(_study_list, ()),
            help="PACS: file with a StudyInstanceUID or accession number per line, which only you may read.  [default: all]",
        ),
    )
    return functools.reduce(lambda decorated, option: option(decorated), reversed(options), command)
