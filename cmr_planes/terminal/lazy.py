"""Groups whose commands are imported when they are called. Only click is imported here."""

import gc
import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, cast

import click

from cmr_planes.errors import ExitCode
from cmr_planes.system.collection import collection_paused
from cmr_planes.system.suggestion import suggest
from cmr_planes.terminal.signs import use_plain_signs

HELP_NAMES = ("-h", "--help")


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
        if self.module not in sys.modules:
            with collection_paused():  # some hundred thousand objects that stay
                importlib.import_module(self.module)
            gc.freeze()
        return cast("click.Command", getattr(sys.modules[self.module], name))


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed.

    ``help`` and ``help COMMAND`` print help too; a command that does not exist is answered with the one that is most like it.
    """

    lazy: ClassVar[Mapping[str, LazyCommand]]
    """The commands by name; each command line has its own."""

    def main(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # click's signature
        """Run the program; signs that the terminal's encoding lacks, as on Windows, are printed as plain ones or escapes."""
        use_plain_signs()
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """Return the names of the commands."""
        return list(self.lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # click's signature
        """Import a command."""
        command = self.lazy.get(cmd_name)
        return None if command is None else command.load()

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was typed, or say which one may have been meant."""
        if args[0] not in self.lazy and not ctx.resilient_parsing:
            ctx.fail(f"there is no command {args[0]!r}{suggest(args[0], self.lazy)}")
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ``help`` for ``--help``."""
        if args[:1] == ["help"]:
            args = [*args[1:2], HELP_NAMES[1]]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401  # click's signature
        """Run the command that was typed; Ctrl-C while it is imported ends as Ctrl-C ends any command."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted before the command began; nothing was done", err=True)
            sys.exit(int(ExitCode.INTERRUPTED))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's signature
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.lazy.items()])
