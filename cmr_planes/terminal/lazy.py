"""Groups whose commands are imported when they are called. Only click is imported here."""

import importlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import click


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command that is imported when it is called."""

    module: str
    """The module that defines it; the command is the attribute of the module's own name."""
    summary: str
    """Its line in the list of commands."""

    def load(self) -> click.Command:
        """Import the command."""
        name = self.module.rpartition(".")[2]
        return cast("click.Command", getattr(importlib.import_module(self.module), name))


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    lazy: ClassVar[Mapping[str, LazyCommand]]
    """The commands by name; each command line has its own."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # click's signature
        """Run the program; characters that the terminal's encoding lacks, as on Windows, are printed as escapes."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of the commands."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        command = self.lazy.get(cmd_name)
        return None if command is None else command.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])
