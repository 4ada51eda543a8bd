"""Options of the commands that talk to a PACS: credentials, certificates, names. None of them holds a secret itself."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from cmr_planes.errors import PacsError, SourceError
from cmr_planes.pacs.access import CALLING_AET, Access, load_login, load_token
from cmr_planes.pacs.addresses import PacsAddress, parse_address
from cmr_planes.terminal.numbers import Number
from cmr_planes.terminal.options import UserPath

R = TypeVar("R")

_DEFAULTS = Access()


class AddressType(click.ParamType[PacsAddress]):
    """The address of a PACS."""

    name = "address"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> PacsAddress:
        """Read an address; what was typed is not repeated, since it may hold a password."""
        try:
            return parse_address(str(value))
        except PacsError as error:
            self.fail(str(error), param, ctx)


def access_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options by which a PACS is talked to; the command gets them as ``access``."""

    @click.option(
        "--token-file",
        metavar="FILE",
        type=UserPath(),
        help="DICOMweb: a bearer token, in a file that only you may read.  [default: none]",
    )
    @click.option(
        "--login-file",
        metavar="FILE",
        type=UserPath(),
        help="DICOMweb: user:password, in a file that only you may read.  [default: what .netrc has for the host]",
    )
    @click.option(
        "--ca",
        metavar="FILE",
        type=UserPath(exists=True, dir_okay=False),
        help="Certificates (PEM) of the authorities that are trusted.  [default: those of the system]",
    )
    @click.option(
        "--aet", "calling_aet", metavar="TITLE", default=CALLING_AET, show_default=True, help="DIMSE: AE title of this side."
    )
    @click.option(
        "--timeout",
        "timeout_seconds",
        metavar="SECONDS",
        type=Number(float, low=0, is_low_included=False),
        default=_DEFAULTS.timeout_seconds,
        show_default=True,
        help="How long the server may take to answer.",
    )
    @functools.wraps(command)
    def with_access(
        *args: object,
        token_file: Path | None,
        login_file: Path | None,
        ca: Path | None,
        calling_aet: str,
        timeout_seconds: float,
        **kwargs: object,
    ) -> R:
        if token_file is not None and login_file is not None:
            raise click.UsageError("--token-file and --login-file are two ways to say who you are; give one of them")
        try:
            credentials = load_token(token_file) if token_file else load_login(login_file) if login_file else None
        except SourceError as error:
            raise click.BadParameter(str(error)) from error
        access = Access(credentials=credentials, ca=ca, calling_aet=calling_aet, timeout_seconds=timeout_seconds)
        return command(*args, access=access, **kwargs)

    return with_access
