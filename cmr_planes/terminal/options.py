"""Options that commands of both programs share, each defined once."""

import re
import shlex
from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import click

from cmr_planes.system.private_file import has_file_modes
from cmr_planes.terminal.console import QUIET, remark

Command = TypeVar("Command", bound=Callable[..., Any])


class EnumChoice(click.Choice[Any]):
    """One of the values of an enum, in any case; the command gets the member.

    Parameters
    ----------
    members
        The members to choose from, of one enum.
    """

    def __init__(self, members: Sequence[StrEnum]) -> None:
        super().__init__([member.value for member in members], case_sensitive=False)
        self.kind = type(members[0])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> StrEnum:  # noqa: ANN401  # click's signature
        """Turn what was typed into a member."""
        return self.kind(super().convert(value, param, ctx))


class UserPath(click.Path):
    """A path, as :class:`click.Path` has it; the command gets a ``Path``, in which a leading ``~`` is the user's home."""

    def __init__(self, *, exists: bool = False, file_okay: bool = True, dir_okay: bool = True) -> None:
        super().__init__(exists=exists, file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's signature
        """Check what was typed."""
        return super().convert(Path(value).expanduser(), param, ctx)


class CataloguePath(UserPath):
    """A catalogue that exists; where it does not, the error says how to make one."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401  # click's signature
        """Check what was typed."""
        path = Path(value).expanduser()
        if path.is_dir():
            command = shlex.join(["cmr-planes", "extract", str(path), "out.h5"])
            self.fail(f"{str(path)!r} is a folder, and a catalogue is wanted; make one with: {command}", param, ctx)
        if not path.exists():
            out = path.name if path.suffix == ".h5" else "out.h5"
            self.fail(f"there is no catalogue {str(path)!r}; 'cmr-planes extract SOURCE {out}' makes one", param, ctx)
        return super().convert(value, param, ctx)


def json_option(summary: str = "Print the result as JSON.") -> Callable[[Command], Command]:
    """``--json``, which every command has; the command gets it as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help=summary)


def verbose_option(summary: str) -> Callable[[Command], Command]:
    """``-v``, for commands that can print more, subjects' keys among it."""
    return click.option("-v", "--verbose", is_flag=True, help=summary)


def _quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click's signature
    """Keep whether to be quiet where the console searches for it."""
    context.meta[QUIET] = value


quiet_option = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Print results and errors only, no progress."
)
"""``-q``, for commands that show progress."""


def key_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> Path | None:  # noqa: ARG001  # click's signature
    """Return the path of a key file; where the system has no file modes, say that nothing shows who may read it."""
    if value is not None and not has_file_modes():
        remark("this system has no file modes: keep the key file, and a mapping, in a folder that only you may read")
    return value


log_option = click.option(
    "--log",
    metavar="FILE",
    type=UserPath(dir_okay=False),
    help="Append to this file what became of each subject: one JSON object per line; subject keys only with -v.  [default: no log]",
)
"""``--log``, for commands that go through subjects."""


scheduler_option = click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Run on the Dask cluster of this scheduler: tcp://host:8786.  [default: this machine]",
)
"""``--scheduler``, for commands that can run on a cluster."""


scheduler_file_option = click.option(
    "--scheduler-file",
    metavar="FILE",
    type=UserPath(exists=True, dir_okay=False),
    help="The same, with the file into which the scheduler wrote its address.  [default: none]",
)
"""``--scheduler-file``, which goes with :data:`scheduler_option`."""


def choose_scheduler(address: str | None, file: Path | None) -> str | Path | None:
    """Return the scheduler that the two options name, None for this machine alone."""
    if address is not None and file is not None:
        raise click.UsageError("--scheduler and --scheduler-file name the same thing; give one of them")
    if address is not None and re.fullmatch(r"([a-z]+://)?[^/]+:\d+", address) is None:
        raise click.UsageError(f"--scheduler takes an address with a port, tcp://HOST:8786, and got {address!r}")
    return address or file
