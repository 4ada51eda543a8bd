"""The ``cmr-planes`` command: one command a file, loaded when it is called.

Only click is imported here, so that ``cmr-planes --help`` answers at once.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import click


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command that is imported when it is called."""

    module: str
    """Where it lives; the command is the attribute of the module's own name."""
    summary: str
    """Its line in the list of commands."""

    def load(self) -> click.Command:
        """Import the command."""
        name = self.module.rpartition(".")[2]
        return cast("click.Command", getattr(importlib.import_module(self.module), name))


COMMANDS = {
    "extract": LazyCommand("cmr_planes.cli.extract", "Make position masks from DICOM: the main job."),
    "annotate": LazyCommand("cmr_planes.cli.annotate", "Add manual annotations: cvi42, NIfTI, DICOM SEG, Sunnybrook."),
    "inspect": LazyCommand("cmr_planes.cli.inspect", "Count what a catalogue holds, and what was left out and why."),
    "show": LazyCommand("cmr_planes.cli.show", "Draw images with their lines and boxes as contact sheets."),
    "verify": LazyCommand("cmr_planes.cli.verify", "Find shards that are missing or damaged."),
    "phantom": LazyCommand("cmr_planes.cli.phantom", "Write a synthetic cohort with known truth, as DICOM."),
}
"""The commands in the order in which they are listed."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not when they are listed."""

    lazy: ClassVar[Mapping[str, LazyCommand]] = COMMANDS
    """The commands by name; another command line has others."""

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


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="cmr-planes", message="%(prog)s %(version)s")
def main() -> None:
    """Anatomical position masks from the view planes of cardiac MR.

    \b
    Example:
      cmr-planes extract studies/ out.h5
      cmr-planes inspect out.h5
      cmr-planes show out.h5 -o pictures
    """  # noqa: D301  # click keeps the lines of a paragraph that begins with \b
